"""A camera's frames: the last ones of one scene are looked at together, so that a shaken one does not decide."""

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
SCENE = 0.5  # cosine of two frames; less alike, another thing is shown


class Stream:
    """The last frames of a scene. Safe to share between threads."""

    def __init__(self, gallery: Callable[[], Gallery], frames: int, k: int, fast: bool):
        """gallery: what is asked by now; frames: that answer together, at least 1; k, fast: as `Store.search`."""
        if frames < 1 or k < 1:
            raise ValueError(f"frames is {frames} and k is {k}; expected at least 1.")
        self._gallery, self._k, self._fast = gallery, k, fast
        self._asked: Gallery | None = None
        self._seen: collections.deque[Observation] = collections.deque(maxlen=frames)
        self._lock = threading.Lock()

    def add(self, frame: Photo) -> Answer:
        """One more frame, and the answer of the last ones, with what this one took; errors as of `Store.search`."""
        with self._lock:
            gallery = self._gallery()
            timer = StageTimer()
            seen = pipeline.observe(gallery, frame, self._k, self._fast, None, timer)
            if self._asked is not gallery or not self._is_one_scene(seen):
                self._seen.clear()
            self._asked = gallery
            self._seen.append(seen)
            return pipeline.answer_observations(gallery, self._seen, self._k, timer=timer)

    def __len__(self) -> int:
        """How many frames answer by now."""
        return len(self._seen)

    def clear(self) -> None:
        """Begin anew: something else is shown."""
        with self._lock:
            self._seen.clear()

    def _is_one_scene(self, seen: Observation) -> bool:
        return not self._seen or float((self._seen[-1].embedding @ seen.embedding.T).item()) >= SCENE
