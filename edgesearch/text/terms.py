"""Fold text for comparison, and split it into the terms of the word index.

Folding removes case, width, accents and ligatures (Unicode NFKD). It keeps Japanese voicing marks, which make other
syllables. Scripts without spaces become overlapping pairs of characters, as in Lucene's CJKAnalyzer. The last character
of a run is indexed too, so that a prefix search finds a single character at any position.
"""

import re
import unicodedata

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_VOICED = "\u3099\u309a"
_UNDECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe"})
# Patterns, compiled at first use: compiling takes 10 ms, which a search by photo need not wait for.
_WORD = rf"[{UNSPACED}]+|\d+(?=[^\W\d_{UNSPACED}])|[^\W_{UNSPACED}]+"
_RUN = rf"[{UNSPACED}]+"


def fold(text: str) -> str:
    """Return a text without case, width and accents; folding it again changes nothing."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)  # first, since the parts of a sign such as ℡ may be capitals
    decomposed = unicodedata.normalize("NFKD", decomposed.casefold()).translate(_UNDECOMPOSED)
    kept = (c for c in decomposed if c in _VOICED or not unicodedata.category(c).startswith("M"))
    return unicodedata.normalize("NFC", "".join(kept))


def split_words(text: str) -> list[str]:
    """Split a text into folded words.

    A run of a script without spaces is one word. A number directly before letters is a word of its own.
    """
    return re.findall(_WORD, fold(text))


def index_terms(text: str) -> list[str]:
    """Return the terms by which a text is found."""
    return [
        term for word in split_words(text) for term in (*query_terms(word), *(word[-1:] if is_unspaced(word) else ""))
    ]


def query_terms(word: str) -> list[str]:
    """Return the terms that all must match a word: the character pairs of an unspaced run, else the word itself."""
    return [word[n : n + 2] for n in range(len(word) - 1)] if is_unspaced(word) and len(word) > 1 else [word]


def is_unspaced(word: str) -> bool:
    """Return whether a word is of a script that is written without spaces."""
    return re.match(_RUN, word) is not None
