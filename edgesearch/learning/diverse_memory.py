"""Choose which learned pictures of a product to keep: those that cover its looks best.

This is the greedy k-centre rule (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985), applied in
reverse: of the two pictures that are nearest to each other, one goes. A group (`contradiction`) may not outnumber the
product's other pictures, for one mistake may have made all of it.

R learned pictures, F others, D dimensions.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

NOTHING_NEW = 0.97  # cosine to a known picture; a nearer one adds nothing
GROUP_SHARE = 0.5  # of a product's memory at most for one group
FIRST = 2  # pictures of a group that are kept anyway
TIE = 1e-6


def adds_nothing(vector: np.ndarray, known: np.ndarray) -> bool:
    """Return whether a picture, (D,) float32, is nearly one of the known ones, (R, D) float32, unit rows."""
    return bool(len(known) and (known @ vector).max() >= NOTHING_NEW)


def choose_dropped(vectors: np.ndarray, fixed: np.ndarray, groups: Sequence[str], limit: int) -> list[int]:
    """Return the learned pictures to drop so that at most `limit` stay, and no group has too many.

    Args:
        vectors: (R, D) float32, unit rows, the oldest first.
        fixed: (F, D) float32, unit rows: the product's other pictures, which stay.
        groups: Of each learned picture.
        limit: Number of learned pictures to keep.
    """
    kept = [*range(len(vectors))]
    dropped: list[int] = []
    cosines = vectors @ np.concatenate([vectors, fixed]).T
    cosines[kept, kept] = -1
    while kept:
        (name, count), *_ = Counter(groups[i] for i in kept).most_common(1)
        others = len(kept) - count + len(fixed)
        most = max(1, min(int(GROUP_SHARE * limit), max(FIRST, others)))
        crowded = [i for i in kept if groups[i] == name] if count > most else kept
        if crowded is kept and len(kept) <= limit:
            break
        columns = [*kept, *range(len(vectors), len(vectors) + len(fixed))]
        nearest = cosines[np.ix_(crowded, columns)].max(1)
        going = crowded[int(np.flatnonzero(nearest >= nearest.max() - TIE)[0])]  # of equals, the oldest
        kept.remove(going)
        dropped.append(going)
    return dropped
