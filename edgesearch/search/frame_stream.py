"""Answer the frames of a camera: the last frames of one scene together, so that one blurred frame does not decide."""

import collections
import threading
from collections.abc import Callable

from ..answer import Answer
from ..images.image import Photo
from . import pipeline
from .gallery import Gallery
from .pipeline import Observation
from .stage_timer import StageTimer

FRAMES = 5
LEARNED_FRAMES = 3  # of one scene, from which a barcode teaches
SCENE = 0.5  # cosine of two frames; below it the scene has changed


class Stream:
    """The last frames of a scene. Safe to share between threads."""

    def __init__(
        self,
        gallery: Callable[[], Gallery],
        frames: int,
        k: int,
        fast: bool,
        learn: Callable[[Answer, list[Observation]], Answer] | None = None,
    ):
        """Start without frames.

        Args:
            gallery: Returns what to search now.
            frames: How many frames answer together, at least 1.
            k: As for `Store.search`.
            fast: As for `Store.search`.
            learn: Learns from a frame's barcodes, and returns its answer; None learns nothing.
        Raises:
            ValueError: frames or k is below 1.
        """
        if frames < 1 or k < 1:
            raise ValueError(f"frames is {frames} and k is {k}; expected at least 1.")
        self._current_gallery, self._k, self._fast = gallery, k, fast
        self._learn, self._learned = learn, 0
        self._searched: Gallery | None = None
        self._observations: collections.deque[Observation] = collections.deque(maxlen=frames)
        self._lock = threading.Lock()

    def add(self, frame: Photo) -> Answer:
        """Add a frame and answer the last ones; `elapsed_ms` covers this frame. Raise as `Store.search` does."""
        with self._lock:
            gallery, timer = self._current_gallery(), StageTimer()
            observation = pipeline.observe(gallery, frame, self._k, self._fast, None, timer)
            is_same_scene = self._is_same_scene(observation)
            self._learned = self._learned if is_same_scene else 0
            if self._searched is not gallery or not is_same_scene:
                self._observations.clear()
            self._searched = gallery
            self._observations.append(observation)
            answer = pipeline.answer_observations(gallery, self._observations, self._k, timer=timer)
            if self._learn is None or not observation.barcodes or self._learned >= LEARNED_FRAMES:
                return answer
            self._learned += 1
            return self._learn(answer, [observation])

    def __len__(self) -> int:
        """Return how many frames answer together now."""
        return len(self._observations)

    def clear(self) -> None:
        """Forget the frames."""
        with self._lock:
            self._observations.clear()

    def _is_same_scene(self, observation: Observation) -> bool:
        if not self._observations:
            return True
        return float((self._observations[-1].embedding @ observation.embedding.T).item()) >= SCENE
