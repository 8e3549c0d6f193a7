"""Text as it is compared: folded, and split into the terms that are indexed and asked.

Case, width, accents and ligatures are folded (Unicode NFKD; Japanese voicing marks stay, they make other syllables).
Scripts that are written without spaces become overlapping pairs of characters, as Lucene's CJKAnalyzer has them, and
the last character of a run, so that one character is found by a prefix wherever it stands.
"""

import re
import unicodedata

UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_VOICED = "\u3099\u309a"
_UNDECOMPOSED = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "\u0131": "i", "æ": "ae", "œ": "oe"})
# Compiled when they are first used, which takes 10 ms that a search by a photo need not wait for.
_WORD = rf"[{UNSPACED}]+|\d+(?=[^\W\d_{UNSPACED}])|[^\W_{UNSPACED}]+"
_RUN = rf"[{UNSPACED}]+"


def fold(text: str) -> str:
    """Without case, width and accents; what is folded stays as it is."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text)  # first: the parts of a sign may be capitals, as of ℡
    apart = unicodedata.normalize("NFKD", apart.casefold()).translate(_UNDECOMPOSED)
    kept = (c for c in apart if c in _VOICED or not unicodedata.category(c).startswith("M"))
    return unicodedata.normalize("NFC", "".join(kept))


def split_words(text: str) -> list[str]:
    """The words of a text, folded; a run of an unspaced script is one, and a number before letters stands alone."""
    return re.findall(_WORD, fold(text))


def index_terms(text: str) -> list[str]:
    """The terms by which a text is found."""
    return [term for part in split_words(text) for term in (*query_terms(part), *(part[-1:] if is_unspaced(part) else ""))]


def query_terms(part: str) -> list[str]:
    """The terms that a part of a question must have, all of them: pairs of an unspaced run; itself otherwise."""
    return [part[n : n + 2] for n in range(len(part) - 1)] if is_unspaced(part) and len(part) > 1 else [part]


def is_unspaced(part: str) -> bool:
    """It is of a script that is written without spaces."""
    return re.match(_RUN, part) is not None
