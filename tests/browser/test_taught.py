"""Check that what the browser teaches and exports means what it means in Python."""

import json
import zipfile
from pathlib import Path

import pytest

import edgesearch
from edgesearch import Store
from edgesearch.catalog.loader import read
from edgesearch.device import maintenance
from tests.browser import taught_vectors
from tests.browser.test_engine import run_node
from tests.conftest import TINY_MODEL, coarse_pattern

MODULE = Path(__file__).with_name("taught.test.mjs")


def test_taught_vectors_are_what_python_answers() -> None:
    stored = json.loads(taught_vectors.PATH.read_text(encoding="utf-8"))
    assert json.loads(json.dumps(taught_vectors.make())) == stored, "run python -m tests.browser.taught_vectors"


@pytest.mark.slow
def test_a_build_merges_what_the_browser_exports(
    engine: Path, store: Store, device: Path, shop: Path, tmp_path: Path
) -> None:
    products = [entry.product for entry in read(shop / "catalogue.csv").entries]
    photo = coarse_pattern(80)
    store.enrol("NEW", photo, name="Plum jam", price=2.5, shelf="two years")
    store.edit(products[1].sku, price=1)
    store.remove(products[2].sku)
    with open(tmp_path / "python.zip", "wb") as file:
        maintenance.export_zip(device, file)
    run_node(MODULE, WASM=engine, EXPORTED=tmp_path / "python.zip", WRITTEN=tmp_path / "browser.zip")
    tables = []
    for name in ("python", "browser"):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert archive.testzip() is None
            archive.extractall(tmp_path / name)
        changes = json.loads((tmp_path / name / "taught" / "taught.json").read_bytes())["changes"]
        tables.append({change["sku"]: change for change in changes})
    assert tables[0] == tables[1]
    merged = tmp_path / "merged.edge"
    edgesearch.build(shop / "catalogue.csv", merged, TINY_MODEL, merge=[tmp_path / "browser" / "taught"])
    with edgesearch.open(merged) as found:
        assert found.skus() == {product.sku for product in products} - {products[2].sku} | {"NEW"}
        assert found.search(photo).matches[0].sku == "NEW"
        assert found.products(["NEW"])["NEW"].price == 2.5
