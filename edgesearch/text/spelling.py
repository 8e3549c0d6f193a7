"""Words that are misspelt: which words of a catalogue may be meant.

The words of the catalogue itself are the only dictionary. One edit is forgiven from three letters on, two from six on
(as Lucene's and Elasticsearch's "AUTO" fuzziness); an edit is a letter that is missing, too many, another, or swapped
with its neighbour (optimal string alignment, Damerau 1964), worked out for all words of about that length at once.

V words, L letters of the longest.
"""

from collections.abc import Collection, Iterable

import numpy as np

MIN_LETTERS, TWO_EDITS_FROM = 3, 6  # letters
MAX_LETTERS = 24  # letters; of longer words, and those with digits, nothing is corrected
MAX_SUGGESTIONS = 5
MIN_PREFIX = 3  # letters that may be the beginning of a word


class Vocabulary:
    """The words of a catalogue that may be meant."""

    def __init__(self, words: Iterable[tuple[str, int]]):
        """words: each with the number of products that have it."""
        kept = [(word, count) for word, count in words if MIN_LETTERS <= len(word) <= MAX_LETTERS and word.isalpha()]
        self._counts = dict(kept)
        self._words = np.array([word for word, _ in kept] or [""])
        self._letters = self._words.view(np.uint32).reshape(len(self._words), -1)  # numpy keeps text as UTF-32
        self._lengths = np.char.str_len(self._words)

    def with_words(self, words: Collection[str]) -> "Vocabulary":
        """With words that are said of one product more."""
        return Vocabulary((self._counts | {word: self._counts.get(word, 0) + 1 for word in words}).items())

    def suggest(self, word: str) -> tuple[str, ...]:
        """What a word that is not here begins, else the words that fewest edits away; none where nothing is."""
        if not self._counts or not MIN_LETTERS <= len(word) <= MAX_LETTERS or not word.isalpha():
            return ()
        begun = self._words[np.char.startswith(self._words, word)] if len(word) >= MIN_PREFIX else self._words[:0]
        return self._most(begun) if len(begun) else self._most(self._nearest(word))

    def _nearest(self, word: str) -> np.ndarray:
        """The words with the fewest edits, up to those that are forgiven."""
        allowed = 2 if len(word) >= TWO_EDITS_FROM else 1
        near = np.flatnonzero(np.abs(self._lengths - len(word)) <= allowed)
        if not len(near):
            return self._words[:0]
        away = edit_distances(word, self._letters[near], self._lengths[near])
        least = away.min()
        return self._words[near[away == least]] if least <= allowed else self._words[:0]

    def _most(self, found: np.ndarray) -> tuple[str, ...]:
        """Those that most products have."""
        return tuple(sorted(found.tolist(), key=lambda word: (-self._counts[word], word))[:MAX_SUGGESTIONS])


def edit_distances(word: str, letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Edits between a word and each of many; letters: (V, L) uint32, code points; lengths: (V,); returns (V,) int8.

    Row by row of the usual table, for all words at once.
    """
    width = int(lengths.max())
    letters = letters[:, :width]
    before = row = np.tile(np.arange(width + 1, dtype=np.int8), (len(letters), 1))
    for i, letter in enumerate(map(ord, word)):
        previous, row = row, np.empty_like(row)
        row[:, 0] = i + 1
        other = (letters != letter).astype(np.int8)
        for j in range(width):
            row[:, j + 1] = np.minimum(np.minimum(previous[:, j + 1], row[:, j]) + 1, previous[:, j] + other[:, j])
            if i and j:
                swapped = (letters[:, j - 1] == letter) & (letters[:, j] == ord(word[i - 1]))
                row[swapped, j + 1] = np.minimum(row[swapped, j + 1], before[swapped, j - 1] + 1)
        before = previous
    return row[np.arange(len(row)), lengths]
