"""Full text: which products have a word, and in what part of what is said of them.

One SQLite file of its own, a member of the bundle beside the catalogue, so that what opens a store for photos alone
never copies it:

    word     FTS5, contentless: the terms (`terms.terms`) of name, kind (brand, category) and other (the rest)
    told     name and value: "lengths", one byte a product, the terms of its name

A term asked gives the numbers of the products that have it; what they are worth is worked out here and not by bm25(),
so that filters hold before anything is cut off, and what a device was taught counts alike: the share of the asked
words, weighted by how rare they are (idf) and by the best field they are in, that a product has.

Of 100,000 products (`tools/bench words`, a machine busy with other work): 85 bytes a product beside 217 of the
catalogue, 21 s to build, which is why it is built before and not at the first question; a name 43 ms, the first
misspelt word 490 ms (the vocabulary is read once) and the next 3 ms, a brand with a filter 2 ms.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from .._util.sqlite_reader import SqliteReader
from ..catalog.product import Product
from ..errors import BundleError, QueryError
from .spelling import Vocabulary
from .terms import index_terms, is_unspaced, query_terms, split_words

FILE = "words.sqlite"
FORMAT = 1
FIELDS = {"name": 1.0, "kind": 0.9, "other": 0.6}  # what a word in each is worth
MAX_WORDS = 32  # asked at once
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE VIRTUAL TABLE word USING fts5({", ".join(FIELDS)}, content='', detail=column, tokenize=ascii);
CREATE TABLE told (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_VOCABULARY = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, word, row)"
_NO_FTS5 = "the SQLite of this Python has no FTS5, words cannot be searched; use another Python, or filters (--where)."


def is_available() -> bool:
    """The SQLite of this Python can search words."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE tried USING fts5(word)")
        except sqlite3.OperationalError:
            return False
        return True


def write(path: Path, products: Iterable[Product]) -> None:
    """Write the index of products, which get the numbers 0, 1, 2, ...; raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        _fill_index(connection, products)
        connection.execute("VACUUM")


def _fill_index(connection: sqlite3.Connection, products: Iterable[Product]) -> None:
    """The same products always give the same bytes."""
    lengths = bytearray()

    def rows() -> Iterator[tuple[object, ...]]:
        for number, product in enumerate(products):
            said = {field: index_terms(text) for field, text in searchable_texts(product).items()}
            lengths.append(min(255, len(said["name"])))
            yield number, *(" ".join(said[field]) for field in FIELDS)

    with connection:
        connection.executescript(_SCHEMA)
        connection.executemany(f"INSERT INTO word(rowid, {', '.join(FIELDS)}) VALUES (?, ?, ?, ?)", rows())
        connection.execute("INSERT INTO word(word) VALUES ('optimize')")
        connection.execute("INSERT INTO told VALUES ('lengths', ?)", (bytes(lengths),))


def searchable_texts(product: Product) -> dict[str, str]:
    """What is said of a product, by field."""
    other = (product.description, product.location, product.sku, product.barcode, *(v for _, v in product.attributes))
    return {
        "name": product.name,
        "kind": " ".join(filter(None, (product.brand, product.category))),
        "other": " ".join(filter(None, other)),
    }


class WordIndex:
    """The index of a catalogue, read only. Safe to share between threads."""

    def __init__(self, file: Path | bytes | None, products: Callable[[], Iterable[Product]]):
        """
        Args:    file: path or content of what `write` writes; None: it is made in memory, of these products.
        Raises:  QueryError: SQLite has no FTS5; BundleError: not such a file.
        """
        if not is_available():
            raise QueryError(_NO_FTS5)
        self._file = SqliteReader(file, _damaged_error)
        self._query = self._file.query
        try:
            if file is None:
                _fill_index(self._file.connection, products())
            self._file.connection.execute(_VOCABULARY)
        except sqlite3.Error as error:
            raise _damaged_error(error) from error
        ((found,),) = self._query("PRAGMA user_version")
        if found != FORMAT:
            raise BundleError(f"{FILE}: format {found}, where {FORMAT} is read; upgrade edgesearch.")
        lengths = self._query("SELECT value FROM told WHERE name = 'lengths'")
        if len(lengths) != 1 or not isinstance(lengths[0][0], bytes):
            raise _damaged_error("its lengths are missing")
        self.lengths = np.frombuffer(lengths[0][0], np.uint8)

    def products_with(self, field: str, term: str, prefix: bool = False) -> np.ndarray:
        """(n,) int64: the numbers of the products that have a term in a field, or one that begins so."""
        phrase = f'{{{field}}} : "{term}"{" *" * prefix}'
        # As one text: to hand over 100,000 rows one after the other takes twice as long.
        ((text,),) = self._query("SELECT group_concat(rowid) FROM word WHERE word MATCH ?", phrase)
        numbers = np.fromstring(text or "", np.int64, sep=",")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self.lengths):
            raise _damaged_error("it names products that are not there")
        return numbers

    def document_count(self, term: str) -> int:
        """Of how many products something is said with this term."""
        found = self._query("SELECT doc FROM temp.vocabulary WHERE term = ?", term)
        return int(found[0][0]) if found else 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Its words, for those that are misspelt."""
        return Vocabulary((str(term), int(doc)) for term, doc in self._query("SELECT term, doc FROM temp.vocabulary"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Ranking:
    """What words found; P products, by number.

    Attributes: scores (P,) float32: the share of the words that each has, weighted, 0 to 1; whole (P,) bool: it has
                all of them; lengths (P,) uint8: terms of its name; corrected: words that were read otherwise, and how;
                unknown: words that no product has.
    """

    scores: np.ndarray
    complete: np.ndarray
    lengths: np.ndarray
    corrected: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]

    def order(self, allowed: np.ndarray) -> np.ndarray:
        """The numbers of the allowed products that have some word, best first; allowed: (P,) bool.

        Those with all words, then those with more of them; among equals the shorter name, which says less else.
        """
        found = np.flatnonzero(allowed & (self.scores > 0))
        keys = (found, self.lengths[found], -np.round(self.scores[found], 4), ~self.complete[found])
        return found[np.lexsort(keys)]


class WordSearch:
    """The words of all products that are shown: of a catalogue, and of what was taught beside."""

    def __init__(self, index: WordIndex, changed: Mapping[int, Product], size: int):
        """
        Args:    changed: products of which something else is said than in the catalogue, by number; size: P.
        """
        self._index, self._size = index, size
        self._own = {
            number: {field: set(index_terms(text)) for field, text in searchable_texts(product).items()}
            for number, product in changed.items()
        }
        self._base = np.ones(size, bool)
        self._base[list(changed)] = False
        self._lengths = np.zeros(size, np.uint8)
        self._lengths[: len(index.lengths)] = index.lengths
        for number, said in self._own.items():
            self._lengths[number] = min(255, len(said["name"]))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        own = {term for said in self._own.values() for found in said.values() for term in found}
        return self._index.vocabulary.with_words(own) if own else self._index.vocabulary

    def rank(self, text: str) -> Ranking:
        """What a text finds; raises QueryError: there is no word in it, or too many."""
        words = list(dict.fromkeys(split_words(text)))
        if not 1 <= len(words) <= MAX_WORDS:
            raise QueryError(f"text {text[:60]!r}: {len(words)} words; give 1 to {MAX_WORDS}.")
        total, sought = np.zeros(self._size), 0.0
        whole, corrected, unknown = np.ones(self._size, bool), {}, []
        for word in words:
            read = self._read(word)
            if read != (word,):
                corrected[word] = read
            if not read:
                unknown.append(word)
                del corrected[word]
            for term in query_terms(word) if is_unspaced(word) else [""]:
                worth = self._best_field_weight(read if not term else (term,))
                rare = float(np.log1p(self._size / max(1, int((worth > 0).sum()))))
                total, sought, whole = total + rare * worth, sought + rare, whole & (worth > 0)
        return Ranking((total / sought).astype(np.float32), whole, self._lengths, corrected, tuple(unknown))

    def products_with(self, text: str, field: str) -> np.ndarray:
        """(P,) bool: has all the words of a text, as they stand, in a field."""
        found = np.ones(self._size, bool)
        for term in (term for part in split_words(text) for term in query_terms(part)):
            found &= self._products_in_field(term, field)
        return found

    def _read(self, word: str) -> tuple[str, ...]:
        """A word, what it begins ("choc*"), or the words that may be meant; none where nothing is like it."""
        if is_unspaced(word):
            return (word,) if any(self._is_known(term) for term in query_terms(word)) else ()
        if self._is_known(word):
            return (word,)
        return self._vocabulary.suggest(word)

    def _is_known(self, term: str) -> bool:
        if is_unspaced(term) and len(term) == 1:
            return bool(self._best_field_weight((term,)).any())
        own = any(term in found for said in self._own.values() for found in said.values())
        return own or self._index.document_count(term) > 0

    def _best_field_weight(self, read: Sequence[str]) -> np.ndarray:
        """(P,) float32: what the best field is worth in which one of these is."""
        worth = np.zeros(self._size, np.float32)
        for field, value in sorted(FIELDS.items(), key=lambda pair: pair[1]):
            for term in read:
                worth[self._products_in_field(term, field)] = value
        return worth

    def _products_in_field(self, term: str, field: str) -> np.ndarray:
        """(P,) bool; one character of an unspaced script begins a pair, or ends a run."""
        prefix = is_unspaced(term) and len(term) == 1
        found = np.zeros(self._size, bool)
        found[self._index.products_with(field, term, prefix)] = True
        found &= self._base
        for number, said in self._own.items():
            found[number] = any(one.startswith(term) for one in said[field]) if prefix else term in said[field]
        return found


def _damaged_error(what: object) -> BundleError:
    return BundleError(f"{FILE}: not a readable index of words ({what}); build the bundle again.")
