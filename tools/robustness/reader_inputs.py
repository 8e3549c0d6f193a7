"""Small sound inputs for the readers, and edits that damage them."""

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
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgesearch._util import array_file
from edgesearch.bundle import bundle_file, signing
from edgesearch.bundle.manifest import FileEntry, Manifest
from edgesearch.bundle.sealing import Seal
from edgesearch.catalog import packed_catalog, sqlite_catalog
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Picture
from edgesearch.device.changes import Change
from edgesearch.device.overlay import FILE as OVERLAY_FILE
from edgesearch.device.overlay import Overlay
from edgesearch.device.slot_state import SlotState
from edgesearch.embedding import run_settings
from edgesearch.index.compact_index import ARRAYS_FILE, LAYOUT, CompactIndex
from edgesearch.index.kernel import Blocks
from edgesearch.local_features import sift
from edgesearch.local_features.descriptors import LocalFeatures, read_default_codebook
from edgesearch.local_features.local_index import LocalIndex

EDITED_JSON = ("manifest", "model_config", "state")
NAME = "x"  # of the input, in messages
EDIT = struct.Struct("<BBHi")  # kind of edit, number of the array or value, offset in it, new value
SOUND = bytes(EDIT.size)  # an edit that sets a number to zero
SPREADSHEET = 'sep=;\nsku;name;images;price;barcode\nA;Krug gr\u00fcn;a.jpg;"1.234,50 \u20ac";36000291452\n'.encode(
    "cp1252"
)
MANY_ROWS = 9000  # enough for several cells
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


def seeds(name: str) -> list[bytes]:
    """Return small sound inputs of a reader."""
    edits = [SOUND, EDIT.pack(1, 3, 0, -1) * 2]
    if name == "index":
        return [kind + edit for kind in (b"\0", b"\1", b"\2") for edit in edits]
    return edits if name in ("local", "golden") else [*_SEEDS[name](), *edits[: name in EDITED_JSON]]


@cache
def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder of this process."""
    return tempfile.TemporaryDirectory(prefix="edgesearch-readers-")


def write_input(data: bytes) -> Path:
    """Write an input into a file; return its path."""
    path = Path(scratch_folder().name) / NAME
    path.write_bytes(data)
    return path


def overwrite(content: bytes, edits: bytes) -> bytes:
    """Overwrite parts of a file's content; each edit is an offset (uint16), a length (uint8) and bytes."""
    changed, left = bytearray(content), edits
    while len(left) > 3:
        place, size = struct.unpack_from("<HB", left)
        size = min(size, len(left) - 3)
        place = min(place, len(changed) - size)
        changed[place : place + size] = left[3 : 3 + size]
        left = left[3 + size :]
    return bytes(changed)


def edit_arrays(parts: dict[str, np.ndarray], meta: dict[str, Any], edits: bytes) -> bytes:
    """Return an array file with some of its numbers edited."""
    parts, meta = dict(parts), dict(meta)
    names = [*parts, *meta]
    for how, which, place, value in EDIT.iter_unpack(edits[: len(edits) // EDIT.size * EDIT.size]):
        name = names[which % len(names)]
        if name in meta:
            meta[name] = _odd_value(how, value)
        else:
            parts[name] = _change_array(parts[name], how, place, value)
    path = write_input(b"")
    array_file.write(path, parts, meta)
    return path.read_bytes()


def _change_array(array: np.ndarray, how: int, place: int, value: int) -> np.ndarray:
    """Change one number of any array, or all from one on; or drop rows, or change the type or the shape."""
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


def edit_json(table: dict[str, Any], edits: bytes) -> bytes:
    """Return a JSON object with some values edited; edits that start with "{" are the JSON itself."""
    if edits[:1] == b"{":
        return edits
    table = json.loads(json.dumps(table))
    for how, which, _, value in EDIT.iter_unpack(edits[: len(edits) // EDIT.size * EDIT.size]):
        places = list(_nested_keys(table))
        holder, key = places[which % len(places)]
        holder[key] = _odd_value(how, value)
    return json.dumps(table).encode()


def _nested_keys(table: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every key of an object and of the objects inside it, with its holder."""
    if isinstance(table, dict):
        for key, value in table.items():
            yield table, key
            yield from _nested_keys(value)


def _odd_value(how: int, value: int) -> Any:
    """Return a value that JSON can hold in place of the expected one."""
    values = (value, value / 2, math.nan, math.inf, f"x\n{value}", "\ud800", None, True, [value], {"x": value}, 10**400)
    return values[how % len(values)]


@cache
def sound_index(rows: int) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    dim = 4 if rows == MANY_ROWS else 8
    x = np.random.default_rng(0).standard_normal((rows, dim)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    built = replace(CompactIndex.build(x, "space"), probes=2 if rows == MANY_ROWS else 1)
    built.write(Path(scratch_folder().name))
    parts, meta = array_file.read(memoryview((Path(scratch_folder().name) / ARRAYS_FILE).read_bytes()), NAME)
    assert meta["layout"] == LAYOUT and set(parts) == {field.name for field in fields(Blocks)}
    return parts, meta


@cache
def sound_local_features() -> tuple[dict[str, np.ndarray], LocalFeatures]:
    """Return the arrays of an index of local features of three pictures, and the features of the first picture."""
    rng, codebook = np.random.default_rng(0), read_default_codebook()
    features = []
    for _ in range(3):
        descriptors = np.abs(rng.standard_normal((40, sift.DIM))).astype(np.float32)
        keypoints = rng.uniform((0, 0, 0.01, 0), (1, 1, 0.02, 1), (40, 4)).astype(np.float32)
        features.append(LocalFeatures(keypoints, descriptors / np.linalg.norm(descriptors, axis=1, keepdims=True)))
    index = LocalIndex.build(codebook, [codebook.encode(one) for one in features])
    return {**index._parts, **{name: rows[:] for name, rows in index._large.items()}}, features[0]


@cache
def sound_overlay() -> bytes:
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Overlay(Path(folder), Seal())) as overlay:
        for sku in ("A-1", "B-2"):
            overlay.change(
                "enrol", sku, lambda before: Change(own=True, details={"name": "x"}), "x", [(b"j", b"r")], "space"
            )
        return (Path(folder) / OVERLAY_FILE).read_bytes()


@cache
def sound_catalog() -> bytes:
    products = [
        Product("A-1", "Mug", 4.5, "EUR", "Kitchen", "Alderabo", "Blue", "Shelf 3", 7, "4006381333931", (("x", "y"),)),
        Product("A-2", "Plate"),
    ]
    pictures = [[Picture(0, "a.jpg", 0, 10), Picture(1, "b.jpg", 10, 10)], [Picture(2, "c.jpg", 20, 5)]]
    path = Path(scratch_folder().name) / "catalog"
    sqlite_catalog.write(path, zip(products, pictures, strict=True))
    return path.read_bytes()


def sound_manifest() -> Manifest:
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
    folder = Path(scratch_folder().name)
    (folder / "stage").mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folder / "stage" / name).write_bytes(name.encode() * 3)
    signing_key = folder / "k.key"
    if not signing_key.exists():
        signing.keygen(folder / "k")
    described = vars(sound_manifest()).copy()
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
    "arrays": lambda: [edit_arrays({"a": np.zeros((2, 3), np.uint8), "b": np.ones(1, np.float32)}, {"layout": 1}, b"")],
    "catalog": lambda: [b"", struct.pack("<HB3s", 0, 3, b"SQL"), struct.pack("<HBB", 100, 1, 5)],
    "csv": lambda: [b"sku,name,images,price,stock\nA,Mug,a.jpg;b.jpg,2.5,3\n", b"image,sku\na.jpg,A\n", SPREADSHEET],
    "image": _images,
    "keys": lambda: [
        b"edgesearch public key 1: " + b"0a" * 32 + b"\n",
        b"edgesearch private key 1: " + b"0a" * 32 + b"\n",
        b"edgesearch signature 1: " + b"0a" * 32 + b" " + b"0b" * 64 + b"\n",
    ],
    "manifest": lambda: [sound_manifest().to_bytes()],
    "model_config": lambda: [json.dumps(MODEL_CONFIG).encode()],
    "onnx": lambda: [bytes.fromhex("0807120178 3a0c0a04120158120122 4201 12 72020a00".replace(" ", ""))],
    "overlay": lambda: [b"", struct.pack("<HB3s", 0, 3, b"SQL"), struct.pack("<HBB", 4000, 1, 5)],
    "packed": lambda: [b"", lzma.decompress(packed := packed_catalog.pack(write_input(sound_catalog()))), packed],
    "settings": lambda: [run_settings.to_bytes(run_settings.DEFAULT, run_settings.Environment("a", "b", "c"))],
    "taught": lambda: [
        b'{"format": 1, "changes": [{"sku": "A-1", "own": false, "removed": false, "details": {"price": 5},'
        b' "was": {"price": 4.5}, "pictures": ["00112233445566ff"]}]}'
    ],
    "state": lambda: [SlotState("a", 1, {"a": "0" * 64}).to_bytes()],
    "zip": _zips,
}
