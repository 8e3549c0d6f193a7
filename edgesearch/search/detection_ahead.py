"""Detect a photo's local features beside the network, if a search may use two threads.

The network runs on two crops of a photo, which locate its object, and then on a crop of the object. The detection needs
the object's crop, not its embedding, so it begins in a thread of its own while the network runs on that crop. It does
not begin for a photo that is sure after two crops already, because it costs battery.

D dimensions, H and W height and width in px.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ..images.crops import Crop
from ..local_features.descriptors import LocalFeatures, extract_query_features
from . import scoring
from .decision import CONSIDERED
from .gallery import Gallery


class DetectionAhead:
    """The local features of one photo, detected in a second thread or when they are first needed."""

    def __init__(self, gallery: Gallery, pixels: np.ndarray):
        """Detect nothing yet; pixels: (H, W, 3) uint8."""
        self._gallery, self._pixels = gallery, pixels
        self._found: Future[LocalFeatures | None] | None = None

    def begin(self, plain: np.ndarray, objects: list[Crop]) -> None:
        """Detect in a second thread, unless the photo is sure already; as `Embedder.embed_and_locate` calls it.

        Args:
            plain: (1, D) float32, unit row without whitening, of the first crops.
            objects: The crop around the object.
        """
        pool = ThreadPoolExecutor(1, "edgesearch-features")
        self._found = pool.submit(self._detect_if_unsure, plain, objects[0])
        pool.shutdown(wait=False)  # the pool gets no more work

    def extract(self, crop: Crop) -> LocalFeatures:
        """Return the features around the object; wait for the second thread if it detects them."""
        found = self._found.result() if self._found else None
        return extract_query_features(self._pixels, crop) if found is None else found

    def _detect_if_unsure(self, plain: np.ndarray, crop: Crop) -> LocalFeatures | None:
        embedding = self._gallery.base.embedder.whiten(plain)
        nearest = scoring.find_nearest(self._gallery, embedding, CONSIDERED)
        if scoring.leads_clearly([*scoring.best_by_product(self._gallery, nearest).values()]):
            return None
        return extract_query_features(self._pixels, crop)
