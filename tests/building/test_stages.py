"""The stages of a build, each alone."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgesearch import BundleError, CatalogError, SignatureError
from edgesearch.building.assemble import Products, UsablePicture, assemble, new_folder
from edgesearch.building.budget import PlanAccuracy
from edgesearch.building.build import (
    apply_budget,
    check_before_extraction,
    extract_pictures,
    read_catalogue,
    select_usable,
    start_manifest,
    write_bundle,
)
from edgesearch.building.build_options import BuildOptions
from edgesearch.building.calibrating import calibrate_staged, describe_calibration
from edgesearch.building.extraction import Extraction, PictureResult
from edgesearch.building.extraction_cache import ExtractionCache
from edgesearch.building.fit_to_budget import fit_to_budget
from edgesearch.building.search_plans import SearchPlans
from edgesearch.building.staged_bundle import StagedBundle
from edgesearch.building.workspace import open_workspace
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.embedding.embedder import copy_model
from edgesearch.search.decision import Calibration
from edgesearch.search.decision_prior import Prior
from edgesearch.search.open_bundle import MODEL, OpenBundle
from edgesearch.search.outcomes import Targets

from ..conftest import TINY_MODEL

PRODUCTS = 6
OPTIONS = BuildOptions(TINY_MODEL, local_features=32, sequence=5)


def run_in_turn(function: Callable[[Any], Any], parts: Iterable[Any]) -> Iterator[Any]:
    return map(function, parts)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """Return a catalogue of six products with a picture each."""
    lines = ["sku,name,images"]
    for number in range(PRODUCTS):
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        lines.append(f"S{number},Thing {number},{number}.png")
    (tmp_path / "c.csv").write_text("\n".join(lines))
    return tmp_path / "c.csv"


@pytest.fixture
def extraction() -> Extraction:
    return Extraction.of(TINY_MODEL, "int8", OPTIONS.local_features, 0)


@pytest.fixture
def cache(tmp_path: Path, extraction: Extraction) -> Iterator[ExtractionCache]:
    with contextlib.closing(ExtractionCache(new_folder(tmp_path / "cache"), extraction.digest)) as cache:
        yield cache


@pytest.fixture
def products(catalogue: Path, extraction: Extraction, cache: ExtractionCache) -> Products:
    entries = read_catalogue(catalogue, OPTIONS).entries
    results = extract_pictures(entries, extraction, cache, run_in_turn, lambda done, total: None)
    return select_usable(entries, results)[0]


@pytest.fixture
def staged(tmp_path: Path, extraction: Extraction, cache: ExtractionCache, products: Products) -> StagedBundle:
    staged = assemble(products, cache, extraction, new_folder(tmp_path / "made"), None, run_in_turn)
    copy_model(TINY_MODEL, "int8", new_folder(staged.folder / MODEL))
    return staged


def sources_of(products: Products) -> list[str]:
    return [picture.source for _, pictures in products for picture in pictures]


def test_the_header_is_known_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    header = start_manifest(tmp_path / "shop.edge", BuildOptions())
    assert header == {
        "name": "shop",
        "sequence": 1_700_000_000,
        "created": "2023-11-14T22:13:20+00:00",
        "next_key": "",
    }
    with pytest.raises(BundleError, match="must be signed"):
        start_manifest(tmp_path / "shop.edge", BuildOptions(next_key=tmp_path / "next.pub"))
    with pytest.raises(SignatureError, match="cannot be read"):
        start_manifest(tmp_path / "shop.edge", BuildOptions(sign=tmp_path / "none.key"))


def test_reading_the_catalogue_reads_the_photos_to_calibrate_with_too(catalogue: Path) -> None:
    queries = catalogue.with_name("q.csv")
    queries.write_text("image,sku\n1.png,S1\n2.png,\n3.png,S3\n")
    read = read_catalogue(catalogue, BuildOptions(queries=queries))
    assert [entry.product.sku for entry in read.entries] == [f"S{number}" for number in range(PRODUCTS)]
    assert [sku for _, sku in read.photos] == [sku for _, sku in read.photo_hashes] == ["S1", "", "S3"]
    one, _, three = (entry.product for entry in read.entries[1:4])
    products: Products = [(one, [UsablePicture("1.png", str(catalogue.with_name("1.png")), b"key")]), (three, [])]
    assert [sku for _, sku in read.photos_of(products)] == ["S1", ""]


def test_what_cannot_succeed_is_refused_before_the_extraction(catalogue: Path, extraction: Extraction) -> None:
    entries = read_catalogue(catalogue, OPTIONS).entries
    output = catalogue.with_name("x.edge")
    check_before_extraction(catalogue, output, entries, extraction, OPTIONS)
    with pytest.raises(BundleError, match="the network takes"):
        check_before_extraction(catalogue, output, entries, extraction, BuildOptions(TINY_MODEL, budget_mb=0.01))
    catalogue.with_name("2.png").unlink()
    with pytest.raises(CatalogError, match="no such file"):
        check_before_extraction(catalogue, output, entries, extraction, OPTIONS)
    check_before_extraction(catalogue, output, entries, extraction, BuildOptions(TINY_MODEL, skip_bad=True))


def test_extraction_fills_the_cache_and_reports_progress(
    catalogue: Path, extraction: Extraction, cache: ExtractionCache
) -> None:
    entries = read_catalogue(catalogue, OPTIONS).entries
    reports: list[tuple[int, int]] = []
    for _ in range(2):
        results = extract_pictures(entries, extraction, cache, run_in_turn, lambda *at: reports.append(at))
        assert cache.keys() == {result.key for result in results}
        assert not any(result.extract or result.error for result in results)
    assert reports == 2 * [(done, PRODUCTS) for done in range(PRODUCTS + 1)]


def test_products_keep_their_usable_pictures(catalogue: Path) -> None:
    entries = read_catalogue(catalogue, OPTIONS).entries
    results = [PictureResult(b"key", b"", "a reason" if number in (1, 4) else "") for number in range(PRODUCTS)]
    products, skipped = select_usable(entries, results)
    assert [product.sku for product, pictures in products if pictures] == ["S0", "S2", "S3", "S5"]
    assert [product.sku for product, pictures in products if not pictures] == ["S1", "S4"]
    assert skipped == ["S1: a reason", "S4: a reason"]


def test_assembling_writes_every_member_but_the_network(staged: StagedBundle) -> None:
    assert {name.partition("/")[0] for name in staged.sizes()} >= {
        "catalog.sqlite",
        "golden.arrays",
        "index",
        "local.arrays",
        "pictures.bin",
    }
    assert staged.embeddings.shape == (PRODUCTS, staged.embedder.config.dim)
    assert staged.manifest_fields()["counts"]["products"] == PRODUCTS


def test_a_draft_can_be_searched_and_is_removed(staged: StagedBundle, tmp_path: Path) -> None:
    with staged.open_draft(tmp_path) as draft:
        draft.self_test()
        assert draft.index.search(staged.embeddings[2:3], 1).rows.tolist() == [[2]]
    assert not (tmp_path / "draft.edge").exists()


def test_a_budget_applies_only_where_the_bundle_exceeds_it(
    staged: StagedBundle, products: Products, tmp_path: Path
) -> None:
    sources, size = sources_of(products), staged.size_bytes
    for limit in (None, size):
        assert apply_budget(staged, tmp_path / "x.edge", tmp_path, limit, sources, []) == (staged, None)
    fitted, report = apply_budget(staged, tmp_path / "x.edge", tmp_path, size - 2_000, sources, [])
    assert report is not None
    assert fitted.size_bytes == report.size_bytes <= size - 2_000
    assert report.chosen.accuracy is not None
    assert report.chosen.accuracy.questions == PRODUCTS


def test_fitting_keeps_the_plan_that_the_evaluation_prefers(staged: StagedBundle, tmp_path: Path) -> None:
    plans = SearchPlans(staged.embeddings, staged.index, staged.local)
    limit = staged.size_bytes - 2_000
    fitted, report = fit_to_budget(
        staged, tmp_path / "x.edge", limit, lambda index, local: PlanAccuracy(float(local is None), 0.0, 100), plans
    )
    assert report.chosen.features == 0
    assert fitted.local is None
    assert "local.arrays" not in fitted.sizes()


def test_calibration_is_cached_by_members_and_target(
    staged: StagedBundle, products: Products, cache: ExtractionCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Targets] = []

    def calibrate(draft: OpenBundle, sources: list[str], prior: Prior, photos: object, targets: Targets) -> object:
        asked.append(targets)
        return Calibration(), []

    monkeypatch.setattr("edgesearch.building.calibrating.calibrate", calibrate)
    for missed in (0.05, 0.05, 0.1):
        options = BuildOptions(TINY_MODEL, missed=missed)
        found = calibrate_staged(staged, tmp_path, cache, sources_of(products), [], [], options)
        assert replace(found, confused=()) == Calibration()
    assert [one.missed for one in asked] == [0.05, 0.1]


def test_notes_name_unused_photos(tmp_path: Path) -> None:
    options = BuildOptions(queries=tmp_path / "q.csv")
    (note,) = describe_calibration(Calibration(), options, 0, 2)
    assert "2 of its photos are of products without a picture" in note
    assert list(describe_calibration(Calibration(), options, 0, 0)) == []


def test_writing_adds_header_and_calibration(staged: StagedBundle, tmp_path: Path) -> None:
    output = tmp_path / "shop.edge"
    header = start_manifest(output, OPTIONS)
    manifest = write_bundle(output, staged, header, None, Calibration(), OPTIONS)
    with contextlib.closing(Bundle(output)) as bundle:
        assert bundle.manifest == manifest
        assert (manifest.name, manifest.sequence) == ("shop", 5)
        assert manifest.calibration == Calibration().to_dict()
    before = output.read_bytes()
    with pytest.raises(BundleError, match="the budget is 1,000"):
        write_bundle(output, staged, header, None, Calibration(), BuildOptions(budget_mb=0.001))
    assert output.read_bytes() == before


def test_a_workspace_is_temporary_unless_it_is_to_be_kept(tmp_path: Path, extraction: Extraction) -> None:
    output = tmp_path / "x.edge"
    for keep in (False, True):
        with open_workspace(output, extraction.digest, keep, fresh=False) as (_, folder):
            (folder / "leftover").write_text("x")
        assert not folder.exists()
        assert output.with_name("x.edge.work").exists() == keep
