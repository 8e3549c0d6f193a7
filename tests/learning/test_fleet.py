"""Check which pictures that many devices learned are used."""

import numpy as np
import pytest

from edgesearch.learning import diverse_memory, fleet
from edgesearch.learning.fleet import CONTRADICTS, LITTLE, UNCONFIRMED, USED, Shared

DIM, PRODUCTS, LIMIT = 48, 12, 8
LOOKS = 0.8  # of a shop photo: how far it is from its product, which its catalogue picture shows from farther away


def unit(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


class Shops:
    """Made-up products: a catalogue picture of each, and photos that shops learn."""

    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)
        self.products = unit(self.rng.standard_normal((PRODUCTS, DIM)))
        self.catalogue = self.photos(np.arange(PRODUCTS), 1.7)
        self.owners = np.arange(PRODUCTS)

    def photos(self, products: np.ndarray, spread: float = LOOKS) -> np.ndarray:
        return unit(self.products[products] + spread * unit(self.rng.standard_normal((len(products), DIM))))

    def learn(self, products: np.ndarray, devices: np.ndarray, labels: np.ndarray | None = None) -> Shared:
        labels = products if labels is None else labels
        return Shared(self.photos(products), labels, devices, np.full(len(products), 0.9))

    def choose(self, *parts: Shared, limit: int = LIMIT) -> tuple[np.ndarray, list[int]]:
        return fleet.choose(join(*parts), self.catalogue, self.owners, limit)

    def recall(self, parts: list[Shared], fates: np.ndarray, asked: np.ndarray) -> float:
        whole = join(*parts)
        vectors = np.concatenate([self.catalogue, whole.vectors[fates == USED]])
        owners = np.concatenate([self.owners, whole.owners[fates == USED]])
        return float((owners[(self.photos(asked) @ vectors.T).argmax(1)] == asked).mean())


def join(*parts: Shared) -> Shared:
    return Shared(*(np.concatenate([getattr(one, name) for one in parts]) for name in vars(parts[0])))


@pytest.fixture
def shops() -> Shops:
    return Shops()


def honest(shops: Shops, devices: int = 6, photos: int = 60) -> Shared:
    products = shops.rng.integers(PRODUCTS, size=devices * photos)
    return shops.learn(products, np.repeat(np.arange(devices), photos))


def test_what_one_shop_has_seen_helps_every_shop(shops: Shops) -> None:
    learned = honest(shops)
    fates, spoilt = shops.choose(learned)
    asked = np.repeat(np.arange(PRODUCTS), 40)
    nothing = np.full(len(fates), LITTLE)
    assert shops.recall([learned], fates, asked) > shops.recall([learned], nothing, asked) + 0.03
    assert spoilt == []
    assert (fates == CONTRADICTS).sum() == 0
    assert np.bincount(learned.owners[fates == USED]).max() <= LIMIT


def test_a_poisoned_device_turns_no_product_around(shops: Shops) -> None:
    learned = honest(shops)
    poison = shops.learn(np.full(200, 3), np.full(200, 6), np.full(200, 5))  # 200 photos of 3, said to be 5
    fates, spoilt = shops.choose(learned, poison)
    assert (fates[len(learned.owners) :] == USED).sum() == 0
    assert spoilt == [6]
    asked = np.repeat([3, 5], 200)
    before, _ = shops.choose(learned)
    assert shops.recall([learned, poison], fates, asked) >= shops.recall([learned], before, asked) - 0.02


def test_a_poisoned_device_cannot_push_out_what_another_learned(shops: Shops) -> None:
    """The poison looks like the right pictures of product 3, whose support must not fall by it."""
    alone = shops.learn(np.full(20, 3), np.zeros(20, int))
    poison = shops.learn(np.full(200, 3), np.ones(200, int), np.full(200, 5))
    fates, _ = shops.choose(alone, poison)
    assert (fates[:20] == USED).sum() == diverse_memory.FIRST
    assert not set(fates[:20].tolist()) & {CONTRADICTS, UNCONFIRMED}


def test_a_spoilt_device_counts_only_where_others_agree(shops: Shops) -> None:
    learned = honest(shops, devices=5)
    wrong = shops.learn(np.full(20, 3), np.full(20, 5), np.full(20, 5))
    right = shops.learn(np.full(20, 8), np.full(20, 5))
    fates, spoilt = shops.choose(learned, wrong, right)
    assert spoilt == [5]
    assert (fates[-20:] == UNCONFIRMED).mean() < 0.2  # five devices know product 8
    others = learned.owners != 8
    less = Shared(*(getattr(learned, name)[others] for name in vars(learned)))
    fates, _ = shops.choose(less, wrong, right)
    assert set(fates[-20:].tolist()) <= {UNCONFIRMED, CONTRADICTS}


def test_one_device_may_not_outnumber_the_others(shops: Shops) -> None:
    many, few = shops.learn(np.full(50, 2), np.zeros(50, int)), shops.learn(np.full(3, 2), np.ones(3, int))
    fates, _ = shops.choose(many, few, limit=16)
    assert (fates[50:] == USED).sum() == 3
    assert (fates[:50] == USED).sum() == 4  # the three and the catalogue's
    fates, _ = shops.choose(many, limit=16)
    assert (fates == USED).sum() == diverse_memory.FIRST


def test_the_same_picture_is_used_once(shops: Shops) -> None:
    learned = honest(shops, devices=2, photos=20)
    fates, _ = shops.choose(learned, learned)
    kept = join(learned, learned).vectors[fates == USED]
    cosines = kept @ kept.T - np.eye(len(kept))
    assert cosines.max() < diverse_memory.NOTHING_NEW


def test_doubtful_choices_need_another_device(shops: Shops) -> None:
    products = np.full(3, 4)
    vectors = shops.photos(products, 0.4)

    def fates(*trust: float) -> list[int]:
        return shops.choose(Shared(vectors, products, np.arange(3), np.array(trust)))[0].tolist()

    assert fates(0.2, 0.2, 0.2) == [UNCONFIRMED] * 3
    assert fates(0.2, 0.9, 0.9) == [USED] * 3


def test_nothing_learned_and_no_catalogue(shops: Shops) -> None:
    none = shops.learn(np.empty(0, int), np.empty(0, int))
    assert shops.choose(none)[0].tolist() == []
    learned = honest(shops, devices=2, photos=10)
    fates, _ = fleet.choose(learned, np.empty((0, DIM), np.float32), np.empty(0, int), LIMIT)
    assert len(fates) == 20
