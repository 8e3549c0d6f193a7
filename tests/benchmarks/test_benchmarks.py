"""Check the benchmarks: the protocols are the published ones, and each benchmark runs on small data."""

import io
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from benchmarks import __main__ as bench
from benchmarks import (
    catalogue_checks,
    embedders,
    index_libraries,
    index_search,
    local_features_cost,
    made_up_shoppers,
    older_cpu,
    photo_stages,
    protocols,
    vectors,
    word_search,
)
from benchmarks.accuracy import FAST, SHIPPED, SYSTEMS, VECTOR_ONLY, WHITENED, _cache_embeddings, accuracy, table
from benchmarks.protocols import PROTOCOLS, write_all
from demo_shop import write_twins
from PIL import Image

import edgesearch
from edgesearch.catalog.loader import read, read_queries
from edgesearch.embedding.shipped_models import default_model

from ..conftest import ROOT, TINY_MODEL

pytestmark = pytest.mark.slow

# name: products, pictures of the gallery, queries
SIZES = {
    "groceries-catalogue": (81, 81, 2485),
    "groceries-5ref": (81, 405, 2485),
    "objects-unseen": (15, 90, 315),
    "objects": (46, 276, 966),
}


def test_every_benchmark_that_is_mentioned_exists() -> None:
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md"), *ROOT.glob("edgesearch/*.py")]
    named = {name for path in files for name in re.findall(r"tools/bench ([a-z]+)", path.read_text(encoding="utf-8"))}
    assert named
    for name in named:
        with pytest.raises(SystemExit) as ended:
            bench.parse([name, "--help"])
        assert ended.value.code == 0, name


@pytest.mark.parametrize("name", SIZES)
def test_protocols_have_their_published_sizes(name: str, real_photos: Path, tmp_path: Path) -> None:
    (protocol,) = write_all(real_photos, tmp_path, [name])
    entries, queries = read(protocol.catalogue).entries, read_queries(protocol.queries)
    assert (len(entries), sum(len(entry.images) for entry in entries), len(queries)) == SIZES[name]


def test_unseen_products_have_even_class_ids(real_photos: Path, tmp_path: Path) -> None:
    (protocol,) = write_all(real_photos, tmp_path, ["groceries-5ref-unseen"])
    skus = {entry.product.sku for entry in read(protocol.catalogue).entries}
    assert len(skus) == 41
    assert all(int(sku[1:]) % 2 == 0 for sku in skus)
    assert {sku for _, sku in read_queries(protocol.queries)} == skus


def test_all_published_protocols_exist() -> None:
    published = {
        f"{name}{unseen}" for name in ("groceries-catalogue", "groceries-5ref", "objects") for unseen in ("", "-unseen")
    }
    own = {"objects-unseen-small", "products-unseen", "twins"}
    assert set(PROTOCOLS) == published | own | {f"{name}+7600" for name in published if name.endswith("-unseen")}


def test_unseen_products_are_asked_among_all_single_pictures(real_photos: Path, tmp_path: Path) -> None:
    (protocol,) = write_all(real_photos, tmp_path, ["products-unseen"])
    skus = [entry.product.sku for entry in read(protocol.catalogue).entries]
    asked = {sku for _, sku in read_queries(protocol.queries)}
    assert asked == {sku for sku in skus if sku.startswith("m")} and len(asked) == 52
    assert all(int(sku[1:]) % 3 == 2 for sku in asked)
    assert len(skus) == len(set(skus)) == 9604 + 52


def test_twins_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(protocols, "write_twins", partial(write_twins, families=1, photos=1))
    (first,) = write_all(tmp_path / "no data", tmp_path, ["twins"])
    drawn = first.queries.stat().st_mtime_ns
    assert len(read(first.catalogue).entries) == len(read_queries(first.queries)) >= 3
    (second,) = write_all(tmp_path / "no data", tmp_path, ["twins"])
    assert second == first
    assert second.queries.stat().st_mtime_ns == drawn


def test_distractors_are_products_without_queries(real_photos: Path, tmp_path: Path) -> None:
    (protocol,) = write_all(real_photos, tmp_path, ["objects-unseen+7600"])
    entries, queries = read(protocol.catalogue).entries, read_queries(protocol.queries)
    assert len(entries) == 15 + 7623
    assert len({sku for _, sku in queries}) == 15


def test_accuracy_measures_every_system(real_photos: Path) -> None:
    results = accuracy(real_photos, None, default_model(), ["objects-unseen"])
    found = results["objects-unseen"]
    assert set(found) == set(SYSTEMS[1:])
    recalls = np.array([found[system]["recall@1"] for system in SYSTEMS[1:]])
    assert (recalls > 0.7).all()
    assert abs(found[WHITENED]["recall@1"] - found[VECTOR_ONLY]["recall@1"]) <= 0.01
    assert "| objects-unseen |" in table(results)


def test_the_table_of_accuracy_tells_kinds_of_groceries_apart() -> None:
    shipped = {"recall@1": 0.5, "recall@5": 0.75, "map": 0.6, "p50_ms": 1.0, "p95_ms": 2.0}
    rows = dict.fromkeys((SHIPPED, VECTOR_ONLY, FAST), shipped)
    of_groceries = rows | {SHIPPED: shipped | {"packages": 0.9, "vegetables": 0.4, "fruit": 0.25}}
    head, _, groceries, objects = table({"groceries-5ref": of_groceries, "objects": rows}).splitlines()
    assert "| packages | vegetables | fruit | @5 |" in head
    assert "| 0.900 | 0.400 | 0.250 | 0.750 |" in groceries and "|  |  |  | 0.750 |" in objects


def test_files_of_earlier_protocols_are_embedded_once() -> None:
    embed = _cache_embeddings(lambda paths: np.concatenate([np.full((1, 2), len(path.name)) for path in paths]))
    first = embed([Path("a"), Path("bb")])
    np.testing.assert_array_equal(embed([Path("bb"), Path("a")]), first[::-1])


def test_local_features_are_measured_among_made_up_pictures(tmp_path: Path) -> None:
    found = local_features_cost.measure(100, tmp_path, seed=0)
    assert 5000 < found["file_bytes_a_picture"] < 20_000  # including the codebook and a page of the inverted file
    assert min(found["look_ms"], found["words_ms"], found["verify_ms"], found["resident_bytes"]) > 0


def test_shoppers_are_replayed_on_a_device(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PICKS": 3, "ASKED": 4, "POOL": 7}.items():
        monkeypatch.setattr(made_up_shoppers, name, value)
    monkeypatch.setattr(made_up_shoppers, "write_catalogue", lambda out, **_: shutil.copytree(shop, out))
    monkeypatch.setattr(edgesearch, "build", partial(edgesearch.build, model=TINY_MODEL, local_features=0))
    found, again = (made_up_shoppers.measure(tmp_path, seed=0, shoppers=2, products=8) for _ in range(2))
    assert found == again
    assert found["recall@1"] == found["taste: recall@1"]
    assert found["recall@5"] == found["taste: recall@5"]
    assert found["chosen: cosine among them"] <= found["nearest: cosine among them"]
    assert 0 < found["taste: nDCG@5 with"] <= 1
    (device,) = tmp_path.glob("shop-8-0-*/device")
    with edgesearch.open(device) as store:
        assert not store.profile.is_on()


def test_shown_products_are_graded_by_their_worth() -> None:
    shopper = made_up_shoppers.Shopper({f"P{i}": i / 10 for i in range(10)})
    best = [f"P{i}" for i in (9, 8, 7, 6, 5)]
    assert shopper.ndcg(best, list(shopper.worth)) == 1
    assert shopper.ndcg(["P0", "P1"] * 2 + ["P1"], list(shopper.worth)) == 0
    assert 0 < shopper.ndcg(best[::-1], list(shopper.worth)) < 1
    rng = np.random.default_rng(0)
    picks = [shopper.pick(["P9", "P0"], rng) for _ in range(50)]
    assert 25 < picks.count("P9") < 50


def test_words_are_measured_among_made_up_products(tmp_path: Path) -> None:
    found = word_search.typos(100, seed=0) | word_search.scale(300, tmp_path, seed=0)
    assert found["names recall@5"] == 1
    assert found["names with a typo recall@5"] > 0.95
    assert min(found.values()) > 0


def test_misspelt_name_is_one_edit_away() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        changed = word_search.misspelt("oat drink", rng).split()
        assert sum(one != other for one, other in zip(changed, ["oat", "drink"], strict=True)) <= 1


def test_indexes_are_measured_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("usearch")
    x, queries = vectors.synthetic(3000, 32, seed=0)
    assert np.allclose(np.linalg.norm(x, axis=1), 1, atol=1e-5)
    only = ["edgesearch", "usearch i8"]
    results = {r["name"]: r for r in index_search.measure(x, queries[:60], tmp_path, only)}
    assert [name for name in results if "," not in name] == ["edgesearch", "usearch i8"]
    for found in results.values():
        assert 0 < found["p50_us"] <= found["p99_us"]
        assert found["recall@10"] > 0.7
        assert found["resident_bytes_per_row"] > 0
        assert found["file_bytes_per_row"] > 32
    assert results["edgesearch"]["recall@10"] > 0.97
    assert "| edgesearch |" in index_search.table(list(results.values()))


def test_exact_neighbours_are_the_nearest() -> None:
    x, queries = vectors.synthetic(500, 16, seed=1)
    expected = np.argsort(-(queries[:5] @ x.T), 1)[:, : index_libraries.K]
    assert np.array_equal(index_search.exact_neighbours(x, queries[:5]), expected)


def test_planted_mistakes_are_counted(real_photos: Path, tmp_path: Path) -> None:
    few = dict(list(catalogue_checks._groceries(real_photos, 1).items())[:12])
    planted, copied, again, _, sound, *_ = catalogue_checks._measure_planted(
        few, 3, tmp_path, np.random.default_rng(1), {}
    ).tolist()
    assert (planted, sound) == (1, 7)
    assert (copied, again) == (1, 1)
    assert len(list((tmp_path / "planted").glob("*/*"))) == 36


def test_made_up_catalogue_is_read_completely(tmp_path: Path) -> None:
    found = catalogue_checks.measure_reading(1000, tmp_path, 0)
    assert found["seconds"] > 0
    assert len(read(tmp_path / "catalogue.csv").entries) == 1000


@pytest.mark.parametrize(
    "name", ["OpenVINO int8, tuned", "OpenVINO float, tuned", "LiteRT int8", "LiteRT float", "torch float"]
)
def test_other_engines_compute_the_same_network(name: str, tmp_path: Path) -> None:
    makers = embedders._engine_makers(default_model())
    try:
        engine = makers[name]()
    except ImportError as error:
        pytest.skip(str(error))
    inputs = embedders._make_inputs(default_model(), tmp_path / "none", tmp_path, 0)[:4]
    same = makers[embedders.OURS if "int8" in name else embedders.EXACT]()
    assert (embedders._embed_all(engine, inputs) * embedders._embed_all(same, inputs)).sum(1).min() > 0.99


def test_engines_are_timed_in_turns() -> None:
    asked: list[str] = []

    def engine(name: str) -> embedders.Engine:
        return lambda inputs: asked.append(f"{name}{len(inputs)}") or inputs  # type: ignore[func-returns-value]

    times = embedders._time_in_turns({"a": engine("a"), "b": engine("b")}, np.zeros((4, 1), np.float32), 2)
    assert asked[: 2 * embedders.RUNS] == ["a2"] * embedders.RUNS + ["b2"] * embedders.RUNS
    assert {taken.shape for taken in times.values()} == {(embedders.ROUNDS, embedders.RUNS)}


def test_camera_photo_is_a_megabyte(tmp_path: Path) -> None:
    (made,) = photo_stages.camera_photos(tmp_path, 1, 0)
    assert 0.8 * photo_stages.BYTES < len(made) <= photo_stages.BYTES
    assert Image.open(io.BytesIO(made)).size == photo_stages.SIZE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets cpuid fault")
def test_newer_instructions_can_be_hidden() -> None:
    if "avx512f" not in older_cpu.visible_instructions() or shutil.which("cc") is None:
        pytest.skip("this processor has no AVX-512 to hide, or there is no C compiler")
    code = (
        "from benchmarks import older_cpu; older_cpu.restart_as('avx2')\n"
        "from numpy._core._multiarray_umath import __cpu_features__ as seen\n"
        "print(older_cpu.visible_instructions(), seen['AVX512F'], seen['AVX2'])"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tools")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    if "cannot be made to look older" in done.stderr:
        pytest.skip("this processor or system does not let cpuid fault")
    assert done.stdout.split() == ["avx2", "False", "True"]
