"""Learn a whitening where it helps, and only there."""

import numpy as np
import pytest

from edgesearch.building import fit_whitening
from edgesearch.building.fit_whitening import learn, measure_gain
from edgesearch.embedding.whitening import normalize_rows

DIM = 32


def make_catalogue(products: int, pictures: int, spread: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return embeddings whose pictures of one product differ in the first four directions, and their owners."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(products), pictures)
    within = rng.normal(size=(len(owners), DIM)) * np.where(np.arange(DIM) < 4, spread, 0.05)
    return normalize_rows((rng.normal(size=(products, DIM))[owners] + within).astype(np.float32)), owners


def recall(gallery: np.ndarray, owners: np.ndarray, queries: np.ndarray, right: np.ndarray) -> float:
    return float((owners[(queries @ gallery.T).argmax(1)] == right).mean())


def test_a_map_learned_from_a_catalogue_finds_more_of_its_photos() -> None:
    rows, owners = make_catalogue(60, 8, spread=4)
    gallery, asked = np.flatnonzero(np.arange(len(rows)) % 8 < 4), np.flatnonzero(np.arange(len(rows)) % 8 >= 4)
    whitening = fit_whitening.fit_whitening(rows[gallery], owners[gallery])
    assert whitening is not None
    plain = recall(rows[gallery], owners[gallery], rows[asked], owners[asked])
    mapped = recall(whitening(rows[gallery]), owners[gallery], whitening(rows[asked]), owners[asked])
    assert mapped > plain + 0.2
    spread = np.linalg.norm(whitening.matrix, axis=0)
    assert spread[:4].max() < 0.5 * spread[4:].min()


@pytest.mark.parametrize(
    ("products", "pictures", "spread"),
    [
        (60, 1, 4.0),  # nothing to learn from
        (9, 8, 4.0),  # too few products
        (60, 8, 0.05),  # every picture is found already
    ],
)
def test_no_map_is_made_where_it_cannot_help(products: int, pictures: int, spread: float) -> None:
    assert fit_whitening.fit_whitening(*make_catalogue(products, pictures, spread)) is None


def test_a_map_is_judged_by_products_that_it_was_not_learned_from() -> None:
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(30), 3)
    noise = normalize_rows(rng.normal(size=(90, DIM)).astype(np.float32))  # pictures have nothing in common
    assert measure_gain(noise.astype(np.float64), owners) < 0.1
    mapped = learn(noise, owners)(noise)
    assert measure_gain(mapped.astype(np.float64), owners) < 0.1


def test_fewer_pictures_shrink_the_map() -> None:
    condition = [np.linalg.cond(learn(*make_catalogue(40, pictures, 4)).matrix) for pictures in (2, 4, 16)]
    assert condition == sorted(condition)
    one = learn(*make_catalogue(3, 1, 4)).matrix
    assert np.isfinite(one).all()


def test_the_same_rows_give_the_same_map() -> None:
    rows, owners = make_catalogue(20, 4, 4)
    first, second = (fit_whitening.fit_whitening(rows, owners) for _ in range(2))
    assert first is not None and second is not None
    assert first.digest == second.digest


def test_a_large_catalogue_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, owners = make_catalogue(60, 8, spread=4)
    monkeypatch.setattr(fit_whitening, "MAX_ROWS", 200)
    monkeypatch.setattr(fit_whitening, "MAX_ASKED_ROWS", 50)
    chosen = fit_whitening._choose_rows(owners, 200)
    assert len(chosen) <= 200
    assert (np.unique(owners[chosen], return_counts=True)[1] == 8).all()
    assert fit_whitening.fit_whitening(rows, owners) is not None
