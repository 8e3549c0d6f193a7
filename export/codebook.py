"""The codebook of local features: how descriptors of any print become codes and words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edgesearch.images import image
from edgesearch.local_features import descriptors as prints
from edgesearch.local_features.descriptors import Codebook

DESCRIPTORS = 40_000


def codebook(pictures: Sequence[Path], seed: int) -> Codebook:
    """Learn it from the strongest features of these pictures."""
    found = [
        prints.look(image.read(path, image.WORKING_SIDE), most=prints.KEPT).descriptors
        for path in tqdm(pictures, desc="codebook", unit="picture", disable=None)
    ]
    descriptors = np.concatenate(found)
    chosen = np.random.default_rng(seed).permutation(len(descriptors))[:DESCRIPTORS]
    return Codebook.fit(descriptors[chosen], seed)
