"""Learn the whitening of a catalogue from its products with several pictures.

It is learned from embeddings as the model's own map leaves them, and applied after that.

The scatter of pictures around the mean of their product is estimated from all such products together, and shrunk
towards an even one the more, the fewer pictures there are. The map is the inverse square root of the result.

The map must prove itself on products that it was not learned from: it is learned from one half of them, and each
picture of the other half is left out and asked among its half. A catalogue whose pictures are found without the map,
such as views of an object on white, says nothing about photos; a map learned from it may find fewer of them (halves of
31 scanned objects, 6 views each, after the model's map: recall@1 .962 without and .953 with it). So the map is used
only if it raises the likelihood of the right products.

The constants were chosen on halves of the 40 groceries with odd class ids (mobilenet_v2_v4, vectors alone, exact
cosines, recall@1 without and with the map): catalogue picture and one photo .873 and .893, two .922 and .939, five .963
and .973, twelve .970 and .982; five photos alone .955 and .965. `PRIOR_PICTURES` of 50 to 200 and a `FLOOR` of 0 to 1
differ by at most .004. `tools/bench accuracy` measures the protocols.

For 100,000 pictures, learning takes 1.6 s of one thread and mapping 0.5 s; a photo takes 0.03 ms.

N rows, D embedding dimensions, P products.
"""

from collections.abc import Iterator

import numpy as np

from ..embedding.whitening import Whitening

PRIOR_PICTURES = 100  # how many pictures the even scatter counts for
FLOOR = 0.3  # added to every direction, in units of the mean scatter
LEAST_SCATTER = 1e-9  # so that identical pictures make an even map
MIN_PRODUCTS = 10  # with several pictures
MAX_ROWS = 20_000  # to learn from
MAX_ASKED_ROWS = 1_000  # of each half
ROUNDS = 3  # of halving
MIN_GAIN = 0.001  # mean log likelihood of the right product
SHARPNESSES = (10, 15, 25, 40, 60, 100)  # of the softmax; the best is taken with and without the map


def fit_whitening(
    rows: np.ndarray, owners: np.ndarray, shipped: Whitening | None = None, seed: int = 0
) -> Whitening | None:
    """Learn a map from a catalogue, to be applied after the model's.

    Args:
        rows: (N, D) float32, unit rows, in memory or mapped.
        owners: (N,) int, product of each row.
        shipped: The model's map; None if it has none.
        seed: Chooses the halves.
    Returns:
        Both maps as one; `shipped` if too few products have several pictures, or the catalogue's map does not help.
    """
    chosen = _choose_rows(owners, MAX_ROWS)
    products = len(np.unique(owners[chosen]))
    if products < MIN_PRODUCTS:
        return shipped
    rows, owners = (shipped(rows[chosen]) if shipped else rows[chosen]).astype(np.float64), owners[chosen]
    return _combine(shipped, learn(rows, owners)) if measure_gain(rows, owners, seed) >= MIN_GAIN else shipped


def learn_without(
    rows: np.ndarray, owners: np.ndarray, kept: np.ndarray, shipped: Whitening | None = None
) -> Whitening:
    """Return what `fit_whitening` learns without some of the pictures, whether it helps or not.

    Args:
        rows: (N, D) float32, unit rows, in memory or mapped.
        owners: (N,) int, product of each row.
        kept: (K,) int, numbers of the rows to learn from, ascending.
        shipped: The model's map; None if it has none.
    """
    chosen = kept[_choose_rows(owners[kept], MAX_ROWS)]
    return _combine(shipped, learn(shipped(rows[chosen]) if shipped else rows[chosen], owners[chosen]))


def _combine(shipped: Whitening | None, learned: Whitening) -> Whitening:
    return shipped.then(learned) if shipped else learned


def learn(rows: np.ndarray, owners: np.ndarray) -> Whitening:
    """Return the map of these products, which need not help.

    Args:
        rows: (N, D) float32 or float64, unit rows.
        owners: (N,) int, product of each row.
    """
    products, owner, counts = np.unique(owners, return_inverse=True, return_counts=True)
    rows = np.asarray(rows, np.float64)
    means = np.zeros((len(products), rows.shape[1]))
    np.add.at(means, owner, rows)
    off = rows - (means / counts[:, None])[owner]
    scatter, freedom = off.T @ off, len(rows) - len(products)
    even = max(np.trace(scatter), LEAST_SCATTER) / len(scatter) / max(1, freedom)
    scatter += PRIOR_PICTURES * even * np.eye(len(scatter))
    return Whitening.from_scatter(scatter, FLOOR)


def measure_gain(rows: np.ndarray, owners: np.ndarray, seed: int = 0) -> float:
    """Return how much a map raises the mean log likelihood of the right products, on products it was not learned from.

    Args:
        rows: (N, D) float64, unit rows of products with several pictures.
        owners: (N,) int, product of each row.
        seed: Chooses the halves.
    """
    with_map, without = [], []
    for half in _halves(owners, np.random.default_rng(seed)):
        other, asked = np.flatnonzero(~half), np.flatnonzero(half)
        asked = asked[_choose_rows(owners[asked], MAX_ASKED_ROWS)]
        mapped = learn(rows[other], owners[other])(rows[asked])
        with_map.append(_log_likelihoods(mapped, owners[asked]))
        without.append(_log_likelihoods(rows[asked], owners[asked]))
    return float(np.concatenate(with_map, 1).mean(1).max() - np.concatenate(without, 1).mean(1).max())


def _halves(owners: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield masks of the rows of both halves of the products, (N,) bool, `ROUNDS` times."""
    products = np.unique(owners)
    for _ in range(ROUNDS):
        half = np.isin(owners, rng.permutation(products)[: len(products) // 2])
        yield half
        yield ~half


def _log_likelihoods(rows: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Leave out each row, and return how likely its product is among all.

    A product scores as a search scores it: by the mean of the cosines of its nearest row and of its mean.

    Args:
        rows: (N, D), unit rows.
        owners: (N,) int, each at least twice.
    Returns:
        (S, N) float64, log likelihoods for each of `SHARPNESSES`.
    """
    _, owner, counts = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.argsort(owner, kind="stable")
    rows, owner, each = rows[order].astype(np.float64), owner[order], np.arange(len(rows))
    cosines, starts = rows @ rows.T, np.cumsum(counts) - counts
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.maximum.reduceat(cosines, starts, axis=1)
    sums = np.add.reduceat(rows, starts, axis=0)
    products, lengths = rows @ sums.T, np.tile(np.linalg.norm(sums, axis=1), (len(rows), 1))
    products[each, owner] -= 1
    lengths[each, owner] = np.linalg.norm(sums[owner] - rows, axis=1)
    scores = (nearest + products / lengths.clip(1e-9)) / 2
    scores -= scores.max(1, keepdims=True)
    own = scores[each, owner]
    return np.stack([s * own - np.log(np.exp(s * scores).sum(1)) for s in SHARPNESSES])


def _choose_rows(owners: np.ndarray, most: int) -> np.ndarray:
    """Return the numbers of rows of products with several pictures, at most `most`, of evenly chosen products."""
    _, owner, counts = np.unique(owners, return_inverse=True, return_counts=True)
    several = np.flatnonzero(counts > 1)
    total = int(counts[several].sum())
    if total > most:
        several = several[:: -(-total // most)]
    return np.flatnonzero(np.isin(owner, several))
