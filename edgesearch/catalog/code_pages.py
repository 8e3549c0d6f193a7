"""Tell Windows' Western code page (cp1252) from those of Central Europe, the Baltic and Turkey.

Any of them decodes any text, to letters. The letters of a text belong together in one language or another.
"""

from collections import Counter
from typing import BinaryIO

# The letters beyond ASCII of languages that people write in cp1252, and in each of the other code pages.
_WESTERN = (
    "äöüß",  # German
    "àâæçéèêëîïôùûüÿœ",  # French
    "áéíóúüñ¿¡ºª",  # Spanish
    "áâãàçéêíóôõúüºª",  # Portuguese
    "àèéìíîòóùú",  # Italian
    "àçéèíïòóúü·",  # Catalan
    "áéíóúàèëïöüê",  # Dutch, Irish
    "æøåéèòôüä",  # Danish, Norwegian
    "åäöéü",  # Swedish, Finnish
    "äöõüšž",  # Estonian
    "áðéíóúýþæö",  # Icelandic
)
_EASTERN = {
    "cp1250": (
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "áéíóöőúüű",  # Hungarian
        "ąćęłńóśźż",  # Polish
        "ăâîşţ",  # Romanian
        "čćđšž",  # Croatian, Slovenian, Serbian
    ),
    "cp1254": ("çğ\u0131iöşüâîû",),  # Turkish
    "cp1257": ("ąčęėįšųūž", "āčēģīķļņšūž"),  # Lithuanian, Latvian
}
COVERED = 0.95  # share of the letters that one language must have
MIN_DISTINCT = 2  # letters that the two code pages must decode differently
CHUNK_BYTES = 1 << 20


def is_eastern(file: BinaryIO) -> bool:
    """Return whether the letters beyond ASCII in a file fit a language of another code page, and no Western one."""
    file.seek(0)
    counts: Counter[int] = Counter()
    while part := file.read(CHUNK_BYTES):
        counts.update(byte for byte in part if byte >= 0x80)
    western = _letters(counts, "cp1252")
    if max(_coverage(western, language) for language in _WESTERN) >= COVERED and not _is_rare(western):
        return False
    for encoding, languages in _EASTERN.items():
        letters = _letters(counts, encoding)
        different = sum((letters - western).values())
        if different >= MIN_DISTINCT and max(_coverage(letters, language) for language in languages) >= COVERED:
            return True
    return False


def _letters(counts: Counter[int], encoding: str) -> Counter[str]:
    """Return how often each letter beyond ASCII occurs, in lower case."""
    found: Counter[str] = Counter()
    for byte, count in counts.items():
        letter = bytes([byte]).decode(encoding, "replace").lower()[0]
        if letter.isalpha():
            found[letter] += count
    return found


def _coverage(letters: Counter[str], language: str) -> float:
    """Return the share of the letters that a language has."""
    total = sum(letters.values())
    return sum(count for letter, count in letters.items() if letter in language) / total if total else 0.0


def _is_rare(western: Counter[str]) -> bool:
    """Return whether few Icelandic or Estonian letters are there, which Turkish, Baltic or Hungarian words show too."""
    letters = set(western)
    is_icelandic = letters <= set("ðþýöü") and not letters <= set("öü")
    return is_icelandic or ("õ" in letters and not letters & set("äã"))
