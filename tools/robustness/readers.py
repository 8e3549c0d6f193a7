"""Every reader of the package, given bytes that no hash has vouched for.

A reader may raise an `EdgeSearchError` of one line, or answer; anything else is a finding. Where bytes alone would
hardly ever get past a header, the input is a list of edits to a small sound file.
"""

import contextlib
import io
import json
import lzma
import math
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgesearch._util import array_file
from edgesearch._util.array_file import Whole
from edgesearch._util.hashing import digest_of
from edgesearch.bundle import bundle_file, container, signing
from edgesearch.bundle.golden_queries import GoldenQueries
from edgesearch.bundle.manifest import FileEntry, Manifest
from edgesearch.bundle.sealing import Seal
from edgesearch.catalog import loader, packed_catalog, sqlite_catalog
from edgesearch.catalog import sources as places
from edgesearch.catalog.product import Entry, Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture
from edgesearch.device import overlay_export
from edgesearch.device.changes import Change
from edgesearch.device.overlay import FILE as OVERLAY_FILE
from edgesearch.device.overlay import Overlay
from edgesearch.device.overlay_export import FILE as TAUGHT_FILE
from edgesearch.device.slots import State
from edgesearch.embedding import onnx_file, run_settings
from edgesearch.embedding.embedder import ModelConfig
from edgesearch.errors import EdgeSearchError
from edgesearch.images import image
from edgesearch.index.compact_index import ARRAYS_FILE, LAYOUT, LAYOUT_CODED, CompactIndex
from edgesearch.index.kernel import Blocks
from edgesearch.local_features import sift
from edgesearch.local_features.descriptors import KIND, LocalFeatures, default_codebook
from edgesearch.local_features.local_index import LAYOUT as LOCAL_LAYOUT
from edgesearch.local_features.local_index import LocalIndex

EDITED_JSON = ("manifest", "model_config", "state")
Reader = Callable[[bytes], object]
NAME = "x"  # what the readers call their input
EDIT = struct.Struct("<BBHi")  # how, which array or number, where in it, value
SOUND = bytes(EDIT.size)  # an edit that sets a zero
SPREADSHEET = 'sep=;\nsku;name;images;price;barcode\nA;Krug gr\u00fcn;a.jpg;"1.234,50 \u20ac";36000291452\n'.encode(
    "cp1252"
)
MANY_ROWS = 9000  # so many are in several cells
SIDE = 12  # px
MODEL_CONFIG = {
    "format": 1,
    "name": "x",
    "backbone": "y",
    "dim": 8,
    "preprocessing": {"resize": 36, "crop": 32, "scale": 1.0, "offset": 0.0},
    "files": {"int8": {"file": "m", "sha256": "0"}},
    "provenance": {},
}
STATE = {"format": 2, "slot": "a", "highest": 1, "installed": {"a": "0" * 64}, "trusting": False, "encrypted": False}


def attack(name: str, data: bytes) -> None:
    """Give a reader an input; raises AssertionError where its error has two lines, and whatever it should not raise."""
    try:
        READERS[name](data)
    except EdgeSearchError as error:
        assert "\n" not in str(error), str(error)


def read_arrays(data: bytes) -> object:
    """The header of an array file."""
    return array_file.read(memoryview(data), NAME)


def read_index(data: bytes) -> None:
    """The numbers of a compact index of one cell, of several, or of codes alone, and a search that follows them."""
    rows = MANY_ROWS if data[:1] == b"\1" else 40
    parts, meta = _index(rows)
    if data[:1] == b"\2":
        parts = {name: part for name, part in parts.items() if name != "vectors"}
        meta = meta | {"layout": LAYOUT_CODED}
    index = CompactIndex.open(memoryview(_edited(parts, meta, data[1:])))
    queries = np.eye(2, index.dim, dtype=np.float32)
    index.search(queries, 3)
    index.search(queries, 2, rescored=False)
    index.search(queries, 3, allowed=index.allow(np.arange(len(index)) % 3 == 0))
    index.vectors(np.arange(len(index)))


def read_local(data: bytes) -> None:
    """The numbers of a second eye, and a photo that it looks at."""
    parts, photo = _local()
    index = LocalIndex.open(memoryview(_edited(parts, {"layout": LOCAL_LAYOUT, "kind": KIND}, data)))
    index.space, index.features  # noqa: B018  # what a store asks besides
    index.verify(photo, [*index.candidates(photo, 5).tolist(), *range(len(index))])


def read_golden(data: bytes) -> object:
    """Golden queries."""
    parts: dict[str, np.ndarray] = {
        "rows": np.arange(2),
        "embeddings": np.eye(2, 8, dtype=np.float32),
        "found": np.arange(2),
        "scores": np.ones(2, np.float32),
    }
    return GoldenQueries.read(memoryview(_edited(parts, {}, data)))


def read_manifest(data: bytes) -> object:
    """What a bundle says it holds."""
    return Manifest.parse(_edited_json(json.loads(_manifest().to_bytes()), data), NAME)


def read_model_config(data: bytes) -> object:
    """What a model says of itself."""
    return ModelConfig.parse(_edited_json(MODEL_CONFIG, data), NAME)


def read_state(data: bytes) -> object:
    """What a device folder says it runs; the edited one with the hash that it should have."""
    table = json.loads(_edited_json(STATE, data)) if data[:1] != b"{" else {}
    return State.parse(json.dumps({**table, "sha256": digest_of(table)}).encode() if table else data, NAME)


def read_keys(data: bytes) -> None:
    """Keys and signatures."""
    path = _written(data)
    for read in (signing.read_public, signing.read_trusted, lambda path: signing.sign(b"", path)):
        _survived(lambda read=read: read(path))  # type: ignore[misc]
    signing.verify_signature(b"", data, NAME)


def read_zip(data: bytes) -> None:
    """The directory of a bundle."""
    path, content = Path(NAME), Whole(memoryview(data))
    for place in container.locate_members(path, content, container.locate_heads(path, content)).values():
        assert len(content.read(place.start, place.stop)) == place.stop - place.start


def read_image(data: bytes) -> None:
    """A photo, as a store reads it and as it is."""
    _survived(lambda: image.read(data, image.WORKING_SIDE))
    image.read(data)


def read_catalog(data: bytes) -> None:
    """Products and pictures; the input is written over a small SQLite file: place, length, bytes."""
    opened = Catalog(_written(_overwritten(_catalog(), data)))
    try:
        opened.skus()
        rows = range(opened.rows)
        opened.find(rows)
        for row in rows:
            opened.owner(row)
    finally:
        opened.close()


def read_packed(data: bytes) -> None:
    """A catalogue that was packed; also one whose text is the input, which no fuzzer would find its way to."""
    _survived(lambda: packed_catalog.unpack_to_bytes(data))
    Catalog(packed_catalog.unpack_to_bytes(lzma.compress(data, check=lzma.CHECK_NONE, preset=0))).close()


def read_overlay(data: bytes) -> None:
    """What a device was taught, and its log; written over a small SQLite file as the catalogue is."""
    folder = _written(_overwritten(_overlay(), data)).rename(Path(_folder().name) / OVERLAY_FILE).parent
    with contextlib.closing(Overlay(folder, Seal())) as overlay:
        _survived(overlay.events)
        _survived(overlay.version)
        taught = overlay.taught()
        overlay.references(
            "space", (number for change in taught.changes.values() for number in change.pictures.values())
        )


def read_taught(data: bytes) -> None:
    """What devices were taught, as a build merges it."""
    folder = _written(data).rename(Path(_folder().name) / TAUGHT_FILE).parent
    overlay_export.merge([Entry(Product("A-1", "Mug", 4.5), (("a.jpg", "a.jpg"),))], [folder])


def read_settings(data: bytes) -> None:
    """How a device runs best."""
    run_settings.parse(data, NAME)


def read_onnx(data: bytes) -> None:
    """A network, before onnxruntime sees it."""
    onnx_file.check(data, NAME)


def read_csv(data: bytes) -> None:
    """A catalogue, or queries, as a user gives them."""
    path = _written(data)
    _survived(lambda: loader.read(path))
    loader.read_queries(path)


def read_archive(data: bytes) -> None:
    """A zip or tar of pictures, as a user gives it."""
    path = _written(data)
    archive = path.rename(path.with_suffix(".zip" if data[:2] == b"PK" else ".tar"))
    for entry in loader.read(archive).entries:
        for _, place in entry.images:
            _survived(partial(places.read_bytes, place))


READERS: dict[str, Reader] = {
    "archive": read_archive,
    "arrays": read_arrays,
    "catalog": read_catalog,
    "csv": read_csv,
    "golden": read_golden,
    "image": read_image,
    "index": read_index,
    "keys": read_keys,
    "local": read_local,
    "manifest": read_manifest,
    "model_config": read_model_config,
    "onnx": read_onnx,
    "overlay": read_overlay,
    "packed": read_packed,
    "settings": read_settings,
    "state": read_state,
    "taught": read_taught,
    "zip": read_zip,
}


def seeds(name: str) -> list[bytes]:
    """Small sound inputs of a reader."""
    edits = [SOUND, EDIT.pack(1, 3, 0, -1) * 2]
    if name == "index":
        return [kind + edit for kind in (b"\0", b"\1", b"\2") for edit in edits]
    return edits if name in ("local", "golden") else [*_SEEDS[name](), *edits[: name in EDITED_JSON]]


def _survived(read: Callable[[], object]) -> None:
    try:
        read()
    except EdgeSearchError as error:
        assert "\n" not in str(error), str(error)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="edgesearch-readers-")


def _written(data: bytes) -> Path:
    path = Path(_folder().name) / NAME
    path.write_bytes(data)
    return path


def _overwritten(content: bytes, edits: bytes) -> bytes:
    """edits: place, length, bytes, one after the other."""
    changed, left = bytearray(content), edits
    while len(left) > 3:
        place, size = struct.unpack_from("<HB", left)
        size = min(size, len(left) - 3)
        place = min(place, len(changed) - size)
        changed[place : place + size] = left[3 : 3 + size]
        left = left[3 + size :]
    return bytes(changed)


def _edited(parts: dict[str, np.ndarray], meta: dict[str, Any], edits: bytes) -> bytes:
    """An array file with some of its numbers changed."""
    parts, meta = dict(parts), dict(meta)
    names = [*parts, *meta]
    for how, which, place, value in EDIT.iter_unpack(edits[: len(edits) // EDIT.size * EDIT.size]):
        name = names[which % len(names)]
        if name in meta:
            meta[name] = _odd(how, value)
        else:
            parts[name] = _changed(parts[name], how, place, value)
    path = _written(b"")
    array_file.write(path, parts, meta)
    return path.read_bytes()


def _changed(array: np.ndarray, how: int, place: int, value: int) -> np.ndarray:
    """One number changed, or all from one on; fewer rows, another type, or another shape."""
    changed = array.copy()
    flat = changed.reshape(-1)
    place %= max(1, len(flat))
    if how % 5 < 2:
        last = place + 1 if how % 5 == 0 else len(flat)
        bits = np.array([value], np.int32)
        flat[place:last] = bits.view(np.float32) if flat.dtype == np.float32 else bits.astype(flat.dtype)
    elif how % 5 == 2:
        changed = changed[: place % (len(changed) + 1)] if changed.ndim else changed
    elif how % 5 == 3:
        with np.errstate(invalid="ignore"):
            changed = changed.astype([*array_file.DTYPES][value % len(array_file.DTYPES)])
    else:
        changed = changed.reshape((-1,) if value % 2 else (*changed.shape, 1))
    return changed


def _edited_json(table: dict[str, Any], edits: bytes) -> bytes:
    """A JSON object with some of its values changed; edits that begin with "{" are the JSON itself."""
    if edits[:1] == b"{":
        return edits
    table = json.loads(json.dumps(table))
    for how, which, _, value in EDIT.iter_unpack(edits[: len(edits) // EDIT.size * EDIT.size]):
        places = list(_places(table))
        holder, key = places[which % len(places)]
        holder[key] = _odd(how, value)
    return json.dumps(table).encode()


def _places(table: Any) -> Iterator[tuple[Any, Any]]:
    """Every key of an object and of those inside it, with what holds it."""
    if isinstance(table, dict):
        for key, value in table.items():
            yield table, key
            yield from _places(value)


def _odd(how: int, value: int) -> Any:
    """What JSON may hold in the place of what is expected."""
    values = (value, value / 2, math.nan, math.inf, f"x\n{value}", "\ud800", None, True, [value], {"x": value}, 10**400)
    return values[how % len(values)]


@cache
def _index(rows: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    dim = 4 if rows == MANY_ROWS else 8
    x = np.random.default_rng(0).standard_normal((rows, dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    built = replace(CompactIndex.build(x, "space"), probes=2 if rows == MANY_ROWS else 1)
    built.write(Path(_folder().name))
    parts, meta = array_file.read(memoryview((Path(_folder().name) / ARRAYS_FILE).read_bytes()), NAME)
    assert meta["layout"] == LAYOUT and set(parts) == {field.name for field in fields(Blocks)}
    return parts, meta


@cache
def _local() -> tuple[dict[str, np.ndarray], LocalFeatures]:
    """The parts of a second eye of three pictures, and a photo of the first."""
    rng, codebook = np.random.default_rng(0), default_codebook()
    prints = []
    for _ in range(3):
        descriptors = np.abs(rng.standard_normal((40, sift.DIM))).astype(np.float32)
        keypoints = rng.uniform((0, 0, 0.01, 0), (1, 1, 0.02, 1), (40, 4)).astype(np.float32)
        prints.append(LocalFeatures(keypoints, descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)))
    index = LocalIndex.build(codebook, [codebook.encode(one) for one in prints])
    return {**index._parts, **{name: rows[:] for name, rows in index._large.items()}}, prints[0]


@cache
def _overlay() -> bytes:
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Overlay(Path(folder), Seal())) as overlay:
        for sku in ("A-1", "B-2"):
            overlay.change(
                "enrol", sku, lambda before: Change(own=True, details={"name": "x"}), "x", [(b"j", b"r")], "space"
            )
        return (Path(folder) / OVERLAY_FILE).read_bytes()


@cache
def _catalog() -> bytes:
    products = [
        Product("A-1", "Mug", 4.5, "EUR", "Kitchen", "Alderabo", "Blue", "Shelf 3", 7, "4006381333931", (("x", "y"),)),
        Product("A-2", "Plate"),
    ]
    pictures = [[Picture(0, "a.jpg", 0, 10), Picture(1, "b.jpg", 10, 10)], [Picture(2, "c.jpg", 20, 5)]]
    path = Path(_folder().name) / "catalog"
    sqlite_catalog.write(path, zip(products, pictures, strict=True))
    return path.read_bytes()


def _manifest() -> Manifest:
    return Manifest("x", 1, "2026", {"a": FileEntry(1, "0")}, {"model": "0"}, {"products": 1, "pictures": 1}, {}, {})


def _images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 4), np.uint8)
    whole = Image.fromarray(pixels)
    turned = Image.Exif()
    turned[0x0112] = 6
    ways: list[tuple[str, str, dict[str, Any]]] = [
        *(("JPEG", mode, {"quality": 60}) for mode in ("L", "RGB", "CMYK")),
        ("JPEG", "RGB", {"exif": turned, "progressive": True}),
        *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
        ("PNG", "P", {"transparency": 3}),
        ("GIF", "P", {"save_all": True, "append_images": [whole.convert("P")]}),
        *(("BMP", mode, {}) for mode in ("1", "P", "RGB", "RGBA")),
        *(("TIFF", mode, {}) for mode in ("1", "L", "P", "RGB", "CMYK", "F", "I;16", "LAB")),
        *(("TIFF", "RGB", {"compression": way}) for way in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")),
        *(("WEBP", "RGBA", {"lossless": lossless}) for lossless in (False, True)),
    ]
    return [_encoded(whole, *way) for way in ways]


def _encoded(whole: Image.Image, kind: str, mode: str, options: dict[str, Any]) -> bytes:
    picture = Image.new(mode, whole.size) if mode in ("I;16", "F", "LAB") else whole.convert("RGB").convert(mode)
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _zips() -> list[bytes]:
    folder = Path(_folder().name)
    (folder / "stage").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folder / "stage" / name).write_bytes(name.encode() * 3)
    signing_key = folder / "k.key"
    if not signing_key.exists():
        signing.keygen(folder / "k")
    described = vars(_manifest()).copy()
    del described["files"]
    made = []
    for sign in (None, signing_key):
        bundle_file.write(folder / "x.edge", folder / "stage", described, sign)
        made.append((folder / "x.edge").read_bytes())
    return made


def _archives() -> list[bytes]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mug/a.png", b"a" * 40)
        archive.writestr("catalogue.csv", "sku,name,images\nA,Mug,mug/a.png;b.png\n")
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("mug/a.png"))
    return [zipped.getvalue(), tarred.getvalue()[:2048]]


_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "archive": _archives,
    "arrays": lambda: [_edited({"a": np.zeros((2, 3), np.uint8), "b": np.ones(1, np.float32)}, {"layout": 1}, b"")],
    "catalog": lambda: [b"", struct.pack("<HB3s", 0, 3, b"SQL"), struct.pack("<HBB", 100, 1, 5)],
    "csv": lambda: [b"sku,name,images,price,stock\nA,Mug,a.jpg;b.jpg,2.5,3\n", b"image,sku\na.jpg,A\n", SPREADSHEET],
    "image": _images,
    "keys": lambda: [
        b"edgesearch public key 1: " + b"0a" * 32 + b"\n",
        b"edgesearch private key 1: " + b"0a" * 32 + b"\n",
        b"edgesearch signature 1: " + b"0a" * 32 + b" " + b"0b" * 64 + b"\n",
    ],
    "manifest": lambda: [_manifest().to_bytes()],
    "model_config": lambda: [json.dumps(MODEL_CONFIG).encode()],
    "onnx": lambda: [bytes.fromhex("0807120178 3a0c0a04120158120122 4201 12 72020a00".replace(" ", ""))],
    "overlay": lambda: [b"", struct.pack("<HB3s", 0, 3, b"SQL"), struct.pack("<HBB", 4000, 1, 5)],
    "packed": lambda: [b"", lzma.decompress(packed := packed_catalog.pack(_written(_catalog()))), packed],
    "settings": lambda: [run_settings.to_bytes(run_settings.DEFAULT, run_settings.Environment("a", "b", "c"))],
    "taught": lambda: [
        b'{"format": 1, "changes": [{"sku": "A-1", "own": false, "removed": false, "details": {"price": 5},'
        b' "was": {"price": 4.5}, "pictures": ["00112233445566ff"]}]}'
    ],
    "state": lambda: [State("a", 1, {"a": "0" * 64}).to_bytes()],
    "zip": _zips,
}
