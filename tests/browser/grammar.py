"""Make grammar.js: the words and patterns of `edgesearch.text`, so that the browser reads sentences by the same rules.

python -m tests.browser.grammar writes it again.
"""

import json
import re

from edgesearch.browser.site import STATIC
from edgesearch.text import amounts, colour_words, filters, full_text, product_table, sentence, spelling, terms

PATH = STATIC / "grammar.js"
_HEAD = "// The words and patterns of `edgesearch/text`, made from it by `python -m tests.browser.grammar`.\n"
_LETTER = r"[\p{L}\p{N}]"


def make() -> str:
    """Return the content of the module."""
    lines = (f"export const {name} = {json.dumps(value, ensure_ascii=False)};\n" for name, value in _tables().items())
    return _HEAD + "".join(lines)


def _tables() -> dict[str, object]:
    return {
        "UNSPACED": terms.UNSPACED.replace(r"\U00020000-\U0003ffff", "\U00020000-\U0003ffff"),
        "VOICED": terms._VOICED,
        "UNDECOMPOSED": {chr(code): text for code, text in terms._UNDECOMPOSED.items()},
        "WORD": convert(terms._WORD),
        "VARIANTS": spelling._VARIANTS,
        "FIELDS": full_text.FIELDS,
        "TOKEN": convert(filters._TOKEN.pattern),
        "SIGNS": filters._SIGNS,
        "KEYWORDS": filters.KEYWORDS,
        "TERM_OF_WORD": colour_words.TERM_OF_WORD,
        "COLOUR_COLUMNS": colour_words._COLUMN_NAMES,
        "COLUMN_SYNONYMS": product_table._COLUMN_SYNONYMS,
        "FACETS": product_table.FACETS,
        "SENTENCE": {
            name: convert(getattr(sentence, f"_{name}"))
            for name in (
                "LIKE_THIS", "CHEAPEST", "DEAREST", "CHEAPER", "NO_STOCK", "STOCK", "WITHOUT", "NEITHER", "AFTER_NOT",
                "UNKNOWN_NEGATION", "OR", "HAN_FILLERS", "LETTER",
            )
        },
        "FILLERS": sorted(sentence._FILLERS),
        "BOUNDS": [[convert(pattern), operators, sure] for pattern, operators, sure in amounts._BOUNDS],
        "AMOUNTS": {
            name: convert(getattr(amounts, f"_{name}")) for name in ("LEAD", "UNIT", "MEASURE", "BARE", "SPELT")
        },
        "CURRENCIES": {code: convert(words) for code, words in amounts._CURRENCIES.items()},
        "DIGITS": amounts._DIGITS,
        "HAN": amounts._HAN,
        "HAN_TENS": amounts._HAN_TENS,
    }  # fmt: skip


def convert(pattern: str | re.Pattern[str]) -> str:
    """Return a pattern as JavaScript reads it with the flag "u": there, \\w and \\d know ASCII alone."""
    text = pattern if isinstance(pattern, str) else pattern.pattern
    unspaced = f"[{terms.UNSPACED}]"
    text = text.replace(rf"[^\W\d_{terms.UNSPACED}]", rf"(?:(?!{unspaced}|\p{{Nd}}){_LETTER})")
    text = text.replace(rf"[^\W_{terms.UNSPACED}]", f"(?:(?!{unspaced}){_LETTER})")
    text = text.replace(r"[^的\W]", r"(?:(?!的)[\p{L}\p{N}_])")
    assert not re.search(r"\\[wW]", text), text
    return text.replace("(?P<", "(?<").replace(r"\d", r"\p{Nd}")


if __name__ == "__main__":
    PATH.write_text(make(), encoding="utf-8")
