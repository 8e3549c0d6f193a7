"""Packing and unpacking catalogues, and refusing damaged ones."""

import json
import lzma
from pathlib import Path

import pytest

from edgesearch import CatalogError
from edgesearch.catalog import packed_catalog, sqlite_catalog
from edgesearch.catalog.product import Product
from edgesearch.catalog.sqlite_catalog import Catalog, Picture


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a catalogue file of more products than a line holds; the third has two pictures, the others one."""
    products = [
        Product(f"S{n}", f"Jug {n} — 罐", n / 4 if n % 3 else None, stock=n, attributes=(("a", f"b{n}"),))
        for n in range(5000)
    ]
    pictures = [[Picture(n + (n > 2), f"{n}.jpg", n * 9, 9)] for n in range(5000)]
    pictures[2].append(Picture(3, "more.jpg", 7, 0))
    sqlite_catalog.write(tmp_path / "made.sqlite", zip(products, pictures, strict=True))
    return tmp_path / "made.sqlite"


@pytest.mark.slow
def test_a_packed_catalogue_round_trips(file: Path, tmp_path: Path) -> None:
    packed = packed_catalog.pack(file)
    assert packed == packed_catalog.pack(file)
    assert len(packed) < file.stat().st_size / 8
    packed_catalog.unpack(packed, tmp_path / "again.sqlite")
    before = Catalog(file)
    for after in (Catalog(tmp_path / "again.sqlite"), Catalog(packed_catalog.unpack_to_bytes(packed))):
        assert [*after.products()] == [*before.products()]
        assert after.find(range(after.rows)) == before.find(range(before.rows))


def xz(*lines: object) -> bytes:
    return lzma.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode(), check=lzma.CHECK_NONE)


PRODUCT = ["product", *[[one] for one in (0, "S", "Jug", *[None] * 8, "{}")]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive at all",
        xz(PRODUCT)[:-9],
        xz(PRODUCT) + b"more",
        lzma.compress(b"[]"),
        lzma.compress(b"not JSON\n"),
        xz({"product": 1}),
        xz(["price", [1]]),
        xz([["product"], [1]]),
        xz(PRODUCT[:-1]),
        xz([*PRODUCT[:-1], ["{}", "{}"]]),
        xz([*PRODUCT[:-1], [{}]]),
        xz([*PRODUCT[:1], [1 << 70], *PRODUCT[2:]]),
        xz(PRODUCT, PRODUCT),
        xz([*PRODUCT[:2], [None], *PRODUCT[3:]]),
    ],
)  # fmt: skip
def test_damaged_packed_catalogues_are_refused(data: bytes) -> None:
    with pytest.raises(CatalogError, match="not a readable catalogue") as caught:
        packed_catalog.unpack_to_bytes(data)
    assert "\n" not in str(caught.value)


def test_a_small_file_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_catalog, "MAX_LINE_BYTES", 1 << 20)
    with pytest.raises(CatalogError, match="too much"):
        packed_catalog.unpack_to_bytes(lzma.compress(bytes(1 << 23)))


def test_long_descriptions_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = [Product(f"S{n}", "Jug", description="long " * 200) for n in range(200)]
    sqlite_catalog.write(
        tmp_path / "made.sqlite", ((one, [Picture(n, "a.jpg", 0, 0)]) for n, one in enumerate(products))
    )
    monkeypatch.setattr(packed_catalog, "BATCH_CHARACTERS", 5000)
    monkeypatch.setattr(packed_catalog, "MAX_LINE_BYTES", 10_000)
    monkeypatch.setattr(packed_catalog, "STEP_BYTES", 1000)
    assert [
        *Catalog(packed_catalog.unpack_to_bytes(packed_catalog.pack(tmp_path / "made.sqlite"))).products()
    ] == products
    monkeypatch.setattr(packed_catalog, "MAX_LINE_BYTES", 1000)
    with pytest.raises(CatalogError, match="the product texts are too long to pack"):
        packed_catalog.pack(tmp_path / "made.sqlite")


def test_setting_picture_offsets_changes_nothing_else(file: Path) -> None:
    before = Catalog(file)
    sqlite_catalog.set_picture_offsets(file, ((row, 0 if row % 2 else 5) for row in range(before.rows)))
    after = Catalog(file)
    assert after.picture_offsets() == [(row, 0 if row % 2 else 5) for row in range(before.rows)]
    assert [(one.start, one.size) for _, one in after.find([2, 3])] == [(2, 5), (3, 0)]
    assert [*after.products()] == [*before.products()]
