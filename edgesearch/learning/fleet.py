"""Choose which pictures that many devices learned go into the next bundle, though any device may be wrong.

A device is one witness however many pictures it has, for one mistake or one person may have made all of them.

- A picture that contradicts its label (`contradiction`) is left out. Here, the groups are devices.
- A picture whose label is not supported is left out, unless other devices learned pictures of the same product that are
  nearer to it than every other product is, and the trust of these devices adds up to `AGREED`. Another product speaks
  against a label by the catalogue's pictures, by what two devices learned of it, and by what one device learned if the
  catalogue's pictures are nearer than those of the own product, too.
- If more than `SPOILT` of a device's pictures contradict their labels, only those are used that others confirm so.
- Of the rest, each product keeps first those that are nearest to all others, then those that are farthest from what is
  kept (k-centre), times their trust. No device may outnumber the others and the catalogue.

Measured on photos of 40 groceries (the catalogue's pictures alone: recall@1 0.69; 1,082 photos, 2% of them with wrong
labels, on vectors): learned by one device 0.94, by two or ten 0.98. With only the farthest pictures, one device 0.84;
with only those nearest to all others, two devices 0.96. If one of ten devices says of all its photos of a product that
they show the product most like it, recall@1 of both falls by 0.01 on average and by 0.10 at worst; if one of two
devices says so, by 0.05 and 0.16.

R learned pictures, N pictures of the catalogue, D dimensions.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from . import contradiction, diverse_memory

AGREED = 1.0  # trust of other devices that confirm a picture, added up
SPOILT, LEAST_SPOILT = 0.1, 3  # share and number of a device's contradicting pictures
DOUBTED = 0.5  # trust below which another device must confirm a picture
BLOCK = 256  # pictures compared at once
NEAREST = 64  # pictures looked at for rivals
USUAL_ROWS = 64  # pictures of a rival, looked at for how near they are to each other
COMPARED = 1000  # of a product's pictures, for which the first ones stand
CATALOGUE = -1  # device of the catalogue's pictures
USED, LITTLE, CONTRADICTS, UNCONFIRMED = range(4)


@dataclass(frozen=True)
class Shared:
    """Pictures that devices learned.

    Attributes:
        vectors: (R, D) float32, unit rows.
        owners: (R,) int, product of each.
        devices: (R,) int, device of each, from 0.
        trust: (R,) float, 0 to 1.
    """

    vectors: np.ndarray
    owners: np.ndarray
    devices: np.ndarray
    trust: np.ndarray


def choose(shared: Shared, known: np.ndarray, known_owners: np.ndarray, limit: int) -> tuple[np.ndarray, list[int]]:
    """Choose the pictures to use.

    Args:
        shared: Learned pictures of products of the catalogue.
        known: (N, D) float32, unit rows: the catalogue's pictures.
        known_owners: (N,) int, product of each.
        limit: Learned pictures of a product to use at most.
    Returns:
        (R,) uint8, what becomes of each picture: `USED`, `LITTLE` (it adds little), `CONTRADICTS` or `UNCONFIRMED`; and
        the spoilt devices.
    """
    fates, agreement = np.full(len(shared.owners), LITTLE, np.uint8), np.zeros(len(shared.owners))
    for row, fate, agreed in _judge(shared, known, known_owners):
        fates[row], agreement[row] = fate, agreed
    spoilt = _find_spoilt(shared.devices, fates == CONTRADICTS)
    least = np.where(shared.trust < DOUBTED, DOUBTED, 0)
    least[np.isin(shared.devices, spoilt) | (fates == UNCONFIRMED)] = AGREED
    fates[fates != CONTRADICTS] = np.where(agreement < least, UNCONFIRMED, LITTLE)[fates != CONTRADICTS]
    fixed_rows = _by_product(known_owners)
    for owner, rows in _by_product(shared.owners, np.flatnonzero(fates == LITTLE)).items():
        fates[rows[_cover(shared, rows, known[fixed_rows.get(owner, np.empty(0, int))], limit)]] = USED
    return fates, spoilt


class _Rival(NamedTuple):
    """Another product that a picture resembles.

    Attributes:
        cosine: To the product's nearest picture of the catalogue, or that of a second device.
        contradicts: Whether the picture contradicts its label, as `contradiction` says.
    """

    cosine: float
    contradicts: bool


def _judge(shared: Shared, known: np.ndarray, known_owners: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """Yield each picture's number, its fate, and the trust of the devices that confirm it."""
    owners, first = np.concatenate([known_owners, shared.owners]), len(known_owners)
    order = np.argsort(owners, kind="stable")
    owners, vectors = owners[order], np.concatenate([known, shared.vectors])[order]
    devices = np.concatenate([np.full(first, CATALOGUE), shared.devices])[order]
    trust = np.concatenate([np.ones(first), shared.trust])[order]
    numbers = np.flatnonzero(order >= first)
    for start in range(0, len(numbers), BLOCK):
        rows = numbers[start : start + BLOCK]
        for row, cosines in zip(rows.tolist(), vectors[rows] @ vectors.T, strict=True):
            product = slice(*np.searchsorted(owners, [owners[row], owners[row] + 1]))
            others = devices[product] != devices[row]
            own = np.where(others, cosines[product], -1)
            stored = float(own[devices[product] == CATALOGUE].max(initial=-1))
            nearest = float(own.max(initial=0))
            cosines[product] = -1
            rival = _find_rival(nearest, stored, int(devices[row]), cosines, owners, devices, vectors)
            fate = CONTRADICTS if rival.contradicts else LITTLE
            if not rival.contradicts and rival.cosine > _nearer(nearest, contradiction.UNSUPPORTED):
                fate = UNCONFIRMED
            agreeing = product.start + np.flatnonzero((own > rival.cosine) & (devices[product] != CATALOGUE))
            yield int(order[row]) - first, fate, _add_trust(devices[agreeing], trust[agreeing])


def _nearer(cosine: float, share: float) -> float:
    """Return the cosine that is nearer by a share of the distance."""
    return cosine + share * (1 - cosine)


def _find_rival(
    nearest: float,
    own: float,
    device: int,
    cosines: np.ndarray,
    owners: np.ndarray,
    devices: np.ndarray,
    vectors: np.ndarray,
) -> _Rival:
    """Return the product that speaks most against a label.

    Args:
        nearest: Cosine to the own product's nearest picture of another device or the catalogue.
        own: Cosine to the own product's nearest picture in the catalogue, -1 if it has none.
        device: Of the picture, which is no witness against itself.
        cosines: (N + R,) float32, -1 for the own product.
        owners: (N + R,), ascending.
        devices: (N + R,).
        vectors: (N + R, D).
    """
    if cosines.max(initial=-1) <= nearest:
        return _Rival(float(cosines.max(initial=-1)), False)
    some = np.argpartition(-cosines, NEAREST)[:NEAREST] if len(cosines) > NEAREST else np.arange(len(cosines))
    groups = defaultdict[int, dict[int, float]](dict)
    for row in some[np.argsort(-cosines[some], kind="stable")].tolist():
        name = int(devices[row]) if devices[row] != CATALOGUE else -1 - row
        groups[int(owners[row])].setdefault(name, float(cosines[row]))
    stored = {owner: _nearest_stored(owner, cosines, owners, devices) for owner in groups}
    second = {owner: [*found.values()][1] for owner, found in groups.items() if len(found) > 1}
    against = {owner: max(stored[owner], second.get(owner, 0.0)) for owner in groups}
    for owner, found in groups.items():
        if stored[owner] > own:
            against[owner] = max(against[owner], *(cosine for name, cosine in found.items() if name != device), 0.0)
    highest = max(against.values())
    sure = max(second, key=lambda owner: second[owner], default=None)
    if sure is None or second[sure] <= _nearer(nearest, contradiction.NEARER):
        return _Rival(highest, False)
    if any(cosine >= second[sure] for owner, cosine in against.items() if owner != sure):
        return _Rival(highest, False)
    rows = np.arange(*np.searchsorted(owners, [sure, sure + 1]))
    is_usual = contradiction.is_usual(max(groups[sure].values()), vectors[rows[:: -(-len(rows) // USUAL_ROWS)]])
    return _Rival(highest, is_usual)


def _nearest_stored(owner: int, cosines: np.ndarray, owners: np.ndarray, devices: np.ndarray) -> float:
    """Return the cosine of a product's nearest picture in the catalogue; arguments as for `_find_rival`."""
    product = slice(*np.searchsorted(owners, [owner, owner + 1]))
    return float(cosines[product][devices[product] == CATALOGUE].max(initial=-1))


def _add_trust(devices: np.ndarray, trust: np.ndarray) -> float:
    """Add up the trust of devices, each by its most trusted picture."""
    best: dict[int, float] = {}
    for device, value in zip(devices.tolist(), trust.tolist(), strict=True):
        best[device] = max(best.get(device, 0.0), value)
    return sum(best.values())


def _find_spoilt(devices: np.ndarray, contradicts: np.ndarray) -> list[int]:
    """Return the devices of whose pictures too many contradict their labels."""
    if not len(devices):
        return []
    wrong, of_all = np.bincount(devices[contradicts], minlength=devices.max() + 1), np.bincount(devices)
    return np.flatnonzero((wrong >= LEAST_SPOILT) & (wrong > SPOILT * of_all)).tolist()


def _by_product(owners: np.ndarray, rows: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """Return the numbers of some rows, or of all, by product."""
    rows = np.arange(len(owners)) if rows is None else rows
    rows = rows[np.argsort(owners[rows], kind="stable")]
    products, starts = np.unique(owners[rows], return_index=True)
    return dict(zip(products.tolist(), np.split(rows, starts[1:]), strict=False))  # of no rows, one empty part


def _cover(shared: Shared, rows: np.ndarray, fixed: np.ndarray, limit: int) -> list[int]:
    """Return the positions of the rows to use of one product, whose pictures in the catalogue are `fixed`."""
    vectors, trust, devices = shared.vectors[rows], shared.trust[rows], shared.devices[rows]
    some = slice(None, None, -(-len(rows) // COMPARED))
    cosines, nearest = vectors[some] @ vectors.T, (vectors @ fixed.T).max(1, initial=0)
    chosen: list[int] = []
    while len(chosen) < limit:
        counts = Counter(devices[chosen].tolist())
        full = [one for one, count in counts.items() if count >= _most(limit, len(chosen) - count + len(fixed))]
        is_open = (nearest < diverse_memory.NOTHING_NEW) & ~np.isin(devices, full)
        if not is_open.any():
            break
        farther = 1 - nearest
        if len(chosen) < diverse_memory.FIRST:
            farther = trust[some] @ (cosines - nearest[some, None]).clip(0)
        chosen.append(int(np.where(is_open, farther * trust, -1).argmax()))
        nearest = np.maximum(nearest, vectors @ vectors[chosen[-1]])
    return chosen


def _most(limit: int, others: int) -> int:
    """Return how many pictures one device may have beside those of others, as in `diverse_memory`."""
    return max(1, min(int(diverse_memory.GROUP_SHARE * limit), max(diverse_memory.FIRST, others)))
