"""A bundle within a budget: the choice, the size of the file, and that every call still works."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgesearch
from edgesearch import Built, BundleError
from edgesearch.building import budget
from edgesearch.building.budget import BudgetReport, Extra, Plan, PlanAccuracy, choose_plan, drop_dominated
from edgesearch.bundle.bundle_file import Bundle
from edgesearch.catalog import packed_catalog
from edgesearch.commands import cli
from edgesearch.search.open_bundle import CATALOG, OpenBundle
from edgesearch.text import full_text

from ..conftest import TINY_MODEL

pytestmark = pytest.mark.slow

BuildShare = Callable[[float], tuple[Path, Built]]
SEQUENCE = 7
MB = 1_000_000


def make_plan(code_bytes: int, size_mb: float, recall: float, confidence: float = 0.5, rescored: bool = False) -> Plan:
    return Plan(code_bytes, rescored, 0, int(size_mb * MB), PlanAccuracy(recall, confidence, 200))


def test_the_most_accurate_plan_within_the_budget_is_chosen() -> None:
    plans = [make_plan(128, 9, 0.9), make_plan(64, 7, 0.8), make_plan(32, 6, 0.7), make_plan(8, 5, 0.5)]
    assert [choose_plan(plans, int(limit * MB)) for limit in (20, 7, 6.99, 5)] == [*plans[:1], *plans[1:]]
    assert choose_plan(plans, int(4.9 * MB)) is None
    assert choose_plan([], MB) is None
    assert choose_plan([Plan(8, False, 0, 1)], MB) is None  # not evaluated


def test_equally_accurate_plans_are_decided_by_size_then_by_confidence() -> None:
    large, small, tiny = make_plan(64, 8, 0.80), make_plan(32, 6.00, 0.795, 0.499), make_plan(16, 5.95, 0.79, 0.495)
    assert choose_plan([large, small, tiny], 9 * MB) == small
    assert choose_plan([large, make_plan(32, 6, 0.795, 0.4)], 9 * MB) == large  # far less confident
    assert choose_plan([large, make_plan(32, 6, 0.7, 0.9)], 9 * MB) == large  # finds less
    assert choose_plan([tiny, small, large], 9 * MB) == small  # whatever their order


def test_a_plan_no_more_accurate_than_a_smaller_one_is_dropped() -> None:
    figures = [(8, 5, 0.5), (16, 6, 0.5), (32, 7, 0.7), (64, 8, 0.705), (128, 9, 0.7, 0.6)]
    plans = [make_plan(*plan) for plan in figures]
    assert drop_dominated(plans) == [plans[0], plans[2], plans[4]]


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_a_budget_must_be_a_positive_number(wrong: float, shop: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="budget_mb is"):
        edgesearch.build(shop / "catalogue.csv", tmp_path / "x.edge", TINY_MODEL, budget_mb=wrong)
    with pytest.raises(SystemExit) as caught:
        cli.main(["build", str(shop / "catalogue.csv"), "-o", str(tmp_path / "x.edge"), f"--budget-mb={wrong}"])
    assert caught.value.code == 2
    assert not list(tmp_path.iterdir())


def test_the_report_lists_what_was_taken_and_refused() -> None:
    chosen, whole = make_plan(32, 6, 0.8), make_plan(32, 30, 0.9, rescored=True)
    plans = (make_plan(64, 9, 0.8), chosen, make_plan(8, 5, 0.5))
    kept, left_out = (Extra("index of words", MB),), (Extra("pictures", 40 * MB),)
    report = BudgetReport(8 * MB, 7 * MB, chosen, plans, whole, kept, left_out)
    lines = "\n".join(report.lines())
    for text in ("8.00 MB", "without budget 32 B codes and int8", "taken", "refused", "kept", "left out", "0.800"):
        assert text in lines
    assert report.card()["recall@1"] == 0.8
    assert "8 B codes, no local features" in lines and "confidence 0.500" in lines
    assert report.card()["refused 8 B codes, no local features"] == "5.00 MB, recall@1 0.500, confidence 0.500"


@pytest.fixture(scope="module")
def whole(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shop without a budget; the folder beside it keeps what was extracted."""
    path = tmp_path_factory.mktemp("whole") / "shop.edge"
    edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, sequence=SEQUENCE, resume=True)
    return path


def reuse_extracts(whole: Path, output: Path) -> None:
    """Let a resumed build of `output` find the pictures already extracted."""
    shutil.copytree(whole.with_name("shop.edge.work"), output.with_name(f"{output.name}.work"))


@pytest.fixture(scope="module")
def build_share(shop: Path, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildShare:
    """Return a function that builds the shop within a share of its size, each once, of pictures extracted once."""
    output = tmp_path_factory.mktemp("work") / "shop.edge"
    reuse_extracts(whole, output)

    @functools.cache
    def build(share: float) -> tuple[Path, Built]:
        options = {"sequence": SEQUENCE, "budget_mb": share * whole.stat().st_size / 1e6, "resume": True}
        built = edgesearch.build(shop / "catalogue.csv", output, TINY_MODEL, **options)  # type: ignore[arg-type]
        return output.rename(tmp_path_factory.mktemp("share") / "shop.edge"), built

    return build


def read_members(path: Path) -> dict[str, bytes]:
    bundle = Bundle(path)
    return {name: bytes(bundle.member(name)) for name in bundle.manifest.files}


def test_a_sufficient_budget_changes_nothing(shop: Path, whole: Path, tmp_path: Path) -> None:
    built = edgesearch.build(
        shop / "catalogue.csv", tmp_path / "shop.edge", TINY_MODEL, sequence=SEQUENCE, budget_mb=100
    )
    assert built.fitted is None
    assert read_members(tmp_path / "shop.edge") == read_members(whole)
    assert built.manifest.accuracy == Bundle(whole).manifest.accuracy


@pytest.mark.parametrize("share", [0.95, 0.6, 0.3])
def test_a_bundle_within_a_budget_answers_everything(
    shop: Path, whole: Path, build_share: BuildShare, tmp_path: Path, share: float
) -> None:
    budget_mb = share * whole.stat().st_size / 1e6
    path, built = build_share(share)
    assert built.size_bytes == path.stat().st_size <= budget_mb * 1e6
    assert built.fitted is not None
    assert built.fitted.size_bytes <= budget_mb * 1e6
    card = built.manifest.accuracy
    assert card["questions"] == 8
    assert 0 <= card["recall@1"] <= 1
    assert built.manifest.counts["local_features"] <= Bundle(whole).manifest.counts["local_features"]
    edgesearch.install(path, tmp_path / "device")  # with its golden queries
    photo = shop / "pictures" / "P000004.jpg"
    with edgesearch.open(tmp_path / "device") as store:
        answer = store.search(photo)
        assert answer.matches[0].sku == "P000004"
        assert len(store.similar("P000004", 3)) == 3
        assert store.search(text=answer.matches[0].name, k=1).matches[0].sku == "P000004"
        assert store.explain(photo, answer)
        assert store.compare(photo, "P000004").score > 0.9
        assert all(store.picture(match) for match in answer.matches)
        store.enrol("NEW", [shop / "photos" / "P000002-1.jpg"], name="Taught")
        assert store.search(shop / "photos" / "P000002-1.jpg").matches[0].sku == "NEW"


def test_the_same_budget_gives_the_same_file(shop: Path, whole: Path, build_share: BuildShare, tmp_path: Path) -> None:
    budget_mb, (built_before, _) = 0.6 * whole.stat().st_size / 1e6, build_share(0.6)
    anew = tmp_path / "anew.edge"  # without what was extracted before
    edgesearch.build(shop / "catalogue.csv", anew, TINY_MODEL, sequence=SEQUENCE, budget_mb=budget_mb)
    assert read_members(anew) == read_members(built_before)


def test_too_small_a_budget_names_the_least_sufficient_one(shop: Path, whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.edge"
    reuse_extracts(whole, path)
    before = b"PK\3\4" + bytes(26) + b"manifest.json"  # as a bundle begins
    path.write_bytes(before)
    with pytest.raises(BundleError, match=r"are the least, .* give --budget-mb") as caught:
        edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, budget_mb=0.04, resume=True)
    assert path.read_bytes() == before
    least = float(str(caught.value).split("give --budget-mb ")[1].split(",")[0])
    built = edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, budget_mb=least, resume=True)
    assert built.size_bytes <= least * 1e6
    members = read_members(path)
    assert packed_catalog.FILE in members
    assert not {CATALOG, full_text.FILE, "local.arrays"} & set(members)
    base = OpenBundle(Bundle(path))
    base.self_test()
    base.close()


def test_an_impossible_budget_is_refused_before_pictures_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("sku,name,images\n" + "".join(f"S{n},Jug,none-{n}.jpg\n" for n in range(4000)))
    with pytest.raises(BundleError, match=r"4,000 pictures 0\.05 MB more"):
        edgesearch.build(tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL, budget_mb=0.04)


def test_a_delta_between_bundles_within_a_budget_applies(
    shop: Path, whole: Path, build_share: BuildShare, tmp_path: Path
) -> None:
    budget_mb, (first, _) = 0.6 * whole.stat().st_size / 1e6, build_share(0.6)
    second = tmp_path / "b.edge"
    reuse_extracts(whole, second)
    options = {"sequence": SEQUENCE + 1, "budget_mb": budget_mb, "resume": True}
    edgesearch.build(shop / "catalogue.csv", second, TINY_MODEL, **options)  # type: ignore[arg-type]
    edgesearch.delta(first, second, tmp_path / "ab.delta")
    edgesearch.install(first, tmp_path / "device")
    edgesearch.install(tmp_path / "ab.delta", tmp_path / "device")
    with edgesearch.open(tmp_path / "device") as store:
        assert store.bundle.manifest.sequence == SEQUENCE + 1


def test_like_keeps_the_codebook_within_a_budget(shop: Path, whole: Path, tmp_path: Path) -> None:
    path, budget_mb = tmp_path / "x.edge", 0.6 * whole.stat().st_size / 1e6
    reuse_extracts(whole, path)
    edgesearch.build(shop / "catalogue.csv", path, TINY_MODEL, like=whole, budget_mb=budget_mb, resume=True)
    assert Bundle(path).manifest.hashes["codebook"] == Bundle(whole).manifest.hashes["codebook"]


def test_a_budget_may_keep_one_picture_of_each_product(shop: Path, tmp_path: Path) -> None:
    lines = [f"S{n % 2},Jug {n % 2},{shop}/pictures/P00000{n}.jpg" for n in range(8)]
    (tmp_path / "c.csv").write_text("\n".join(["sku,name,images", *lines]))
    whole = edgesearch.build(tmp_path / "c.csv", tmp_path / "w.edge", TINY_MODEL, local_features=0)
    built = edgesearch.build(
        tmp_path / "c.csv", tmp_path / "c.edge", TINY_MODEL, local_features=0, budget_mb=whole.size_bytes / 1e6 * 0.8
    )
    assert built.fitted is not None
    assert np.isfinite(built.fitted.chosen.size_bytes)
    assert any("one a product" in extra.name for extra in built.fitted.left_out + built.fitted.kept)
    with edgesearch.open(tmp_path / "c.edge") as store:
        assert len(store.references("S0")) == 4
        assert all(store.picture(match) for match in store.references("S0"))


def test_sizes_are_rounded_up_to_a_sufficient_budget() -> None:
    assert [budget.sufficient_mb(size) for size in (1, 10_000, 4_210_000, 4_210_001)] == [
        "0.01",
        "0.01",
        "4.21",
        "4.22",
    ]
