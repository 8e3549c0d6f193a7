"""Suggest the catalogue words that a misspelt word may mean.

The catalogue's own words are the only dictionary. One edit is forgiven in words of three letters or more, two in words
of six or more (the "AUTO" fuzziness of Lucene and Elasticsearch). An edit is a missing, extra or wrong letter, or a
swap of two neighbours (optimal string alignment, Damerau 1964). All words of similar length are compared at once.

V words; L letters of the longest one.
"""

from collections.abc import Collection, Iterable

import numpy as np

MIN_LETTERS, TWO_EDITS_FROM = 3, 6
MAX_LETTERS = 24  # longer words, and words with digits, are not corrected
MAX_SUGGESTIONS = 5
MIN_PREFIX = 3  # letters that count as the beginning of a word
VARIED_FROM = 5  # letters of a word that is also written otherwise
_VARIANTS = (("gh", "g"), ("our", "or"), ("ll", "l"), ("tt", "t"), ("ey", "y"), ("ae", "e"), ("ph", "f"))


def variants(word: str) -> list[str]:
    """Return other ways to write a word, most of which do not exist: "yoghurt" for "yogurt", "fillet" for "filet"."""
    if len(word) < VARIED_FROM:
        return []
    both = [pair for long, short in _VARIANTS for pair in ((long, short), (short, long)) if pair[0] in word]
    return [*dict.fromkeys(other for one, by in both if (other := word.replace(one, by)) != word)]


class Vocabulary:
    """The words of a catalogue, with the number of products that have each."""

    def __init__(self, words: Iterable[tuple[str, int]]):
        """Take (word, number of products) pairs."""
        kept = [(word, count) for word, count in words if MIN_LETTERS <= len(word) <= MAX_LETTERS and word.isalpha()]
        self._counts = dict(kept)
        self._words = np.array([word for word, _ in kept] or [""])
        self._letters = self._words.view(np.uint32).reshape(len(self._words), -1)  # numpy stores text as UTF-32
        self._lengths = np.char.str_len(self._words)

    def with_words(self, words: Collection[str]) -> "Vocabulary":
        """Return a vocabulary in which one more product has each of these words."""
        return Vocabulary((self._counts | {word: self._counts.get(word, 0) + 1 for word in words}).items())

    def suggest(self, word: str) -> tuple[str, ...]:
        """Return the words that an unknown word begins, else the words with the fewest edits; may be empty."""
        if not self._counts or not MIN_LETTERS <= len(word) <= MAX_LETTERS or not word.isalpha():
            return ()
        completions = self._words[np.char.startswith(self._words, word)] if len(word) >= MIN_PREFIX else self._words[:0]
        return self._most_common(completions if len(completions) else self._nearest(word))

    def _nearest(self, word: str) -> np.ndarray:
        """Return the words with the fewest edits, if these are forgiven: (R,) str."""
        allowed = 2 if len(word) >= TWO_EDITS_FROM else 1
        near = np.flatnonzero(np.abs(self._lengths - len(word)) <= allowed)
        if not len(near):
            return self._words[:0]
        edits = edit_distances(word, self._letters[near], self._lengths[near])
        least = edits.min()
        return self._words[near[edits == least]] if least <= allowed else self._words[:0]

    def _most_common(self, found: np.ndarray) -> tuple[str, ...]:
        """Return the words that most products have."""
        return tuple(sorted(found.tolist(), key=lambda word: (-self._counts[word], word))[:MAX_SUGGESTIONS])


def edit_distances(word: str, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Count the edits between a word and each of many, row by row of the usual table for all words at once.

    Args:    letters: (V, L) uint32, code points, 0 after the end of a word.
             lengths: (V,) int, letters of each word.
    Returns: (V,) int8.
    """
    width = int(lengths.max())
    letters = letters[:, :width]
    before = row = np.tile(np.arange(width + 1, dtype=np.int8), (len(letters), 1))
    for i, letter in enumerate(map(ord, word)):
        previous, row = row, np.empty_like(row)
        row[:, 0] = i + 1
        differs = (letters != letter).astype(np.int8)
        for j in range(width):
            row[:, j + 1] = np.minimum(np.minimum(previous[:, j + 1], row[:, j]) + 1, previous[:, j] + differs[:, j])
            if i and j:
                swapped = (letters[:, j - 1] == letter) & (letters[:, j] == ord(word[i - 1]))
                row[swapped, j + 1] = np.minimum(row[swapped, j + 1], before[swapped, j - 1] + 1)
        before = previous
    return row[np.arange(len(row)), lengths]
