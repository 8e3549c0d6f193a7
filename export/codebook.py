"""Learn the codebook with which descriptors of local features become codes and visual words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from edgesearch.images import image
from edgesearch.local_features.descriptors import DEFAULT_FEATURES, Codebook, extract_query_features

DESCRIPTORS = 40_000


def codebook(pictures: Sequence[Path], seed: int) -> Codebook:
    """Learn a codebook from the strongest local features of some pictures.

    Args:
        pictures: paths of the pictures.
        seed: seed of the sample of descriptors.
    """
    found = [
        extract_query_features(image.read(path, image.WORKING_SIDE), limit=DEFAULT_FEATURES).descriptors
        for path in tqdm(pictures, desc="codebook", unit="picture", disable=None)
    ]
    descriptors = np.concatenate(found)
    chosen = np.random.default_rng(seed).permutation(len(descriptors))[:DESCRIPTORS]
    return Codebook.fit(descriptors[chosen], seed)
