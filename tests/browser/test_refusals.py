"""The engine of the browser refuses newer, forged and damaged bundles, also where the browser lacks Ed25519."""

from pathlib import Path

import pytest

import edgesearch
from edgesearch.browser.runtime_files import find_runtime_files
from edgesearch.browser.site import write_site
from edgesearch.bundle.signing import read_public
from edgesearch.errors import SiteError
from tests.browser.test_engine import run_node
from tests.conftest import TINY_MODEL


@pytest.mark.slow
def test_bad_bundles_are_refused_in_one_sentence(
    engine: Path,
    jpeg_decoder: Path,
    shop: Path,
    tiny_edge: Path,
    keys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        find_runtime_files([])
    except SiteError as error:
        pytest.skip(str(error))
    monkeypatch.setattr("edgesearch.browser.site.ENGINE_FILE", engine)
    write_site(tiny_edge, tmp_path / "site", with_bundle=False)
    edgesearch.build(shop / "catalogue.csv", tmp_path / "signed.edge", TINY_MODEL, sequence=1, sign=keys / "shop.key")
    run_node(
        Path(__file__).with_name("refusals.test.mjs"),
        ENGINE=tmp_path / "site",
        SHOP=tiny_edge,
        SIGNED=tmp_path / "signed.edge",
        KEY=read_public(keys / "shop.pub"),
    )
