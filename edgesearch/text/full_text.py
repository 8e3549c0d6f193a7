"""Find and rank the products whose texts have some words (full-text search).

The index is one SQLite file of its own, beside the catalogue in the bundle, so that a store that is opened for photos
alone never copies it:

    word     FTS5, contentless: the terms (`terms.index_terms`) of name, kind (brand, category) and other (the rest)
    told     facts about the index, by name: "lengths" holds one byte a product, the number of terms in its name

The index returns product numbers per term; ranking happens here and not in bm25(). So filters apply before anything is
cut off, and products that a device learned count like those of the catalogue. A product scores the share of the query's
words that it has, weighted by how rare each word is (idf) and by the best field that has it.

Of 100,000 products (`tools/bench words`, on a machine busy with other work): 85 bytes a product beside 217 of the
catalogue. Building takes 21 s, which is why `build` does it and not the first query. A name takes 43 ms, a brand with a
filter 2 ms, the first misspelt word 490 ms (it reads the vocabulary once) and the next 3 ms.

P products, by number.
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
from .spelling import Vocabulary, variants
from .terms import index_terms, is_unspaced, query_terms, split_words

FILE = "words.sqlite"
FORMAT = 1
FIELDS = {"name": 1.0, "kind": 0.9, "other": 0.6}  # weight of a word in each
MAX_WORDS = 32  # in a query
_SCHEMA = f"""
PRAGMA user_version = {FORMAT};
CREATE VIRTUAL TABLE word USING fts5({", ".join(FIELDS)}, content='', detail=column, tokenize=ascii);
CREATE TABLE told (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_VOCABULARY = "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, word, row)"
_NO_FTS5 = "text: the SQLite of this Python has no FTS5; use another Python, or filters (--where) in place of words."


def is_available() -> bool:
    """Return whether the SQLite of this Python can search words."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute("CREATE VIRTUAL TABLE tried USING fts5(word)")
        except sqlite3.OperationalError:
            return False
        return True


def write(path: Path, products: Iterable[Product]) -> None:
    """Write the index of products, numbered 0, 1, 2, ...; raise sqlite3.Error if the file cannot be written."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        _fill_index(connection, products)
        connection.execute("VACUUM")


def _fill_index(connection: sqlite3.Connection, products: Iterable[Product]) -> None:
    """Fill an empty database; the same products always give the same bytes."""
    lengths = bytearray()

    def rows() -> Iterator[tuple[object, ...]]:
        for number, product in enumerate(products):
            terms = {field: index_terms(text) for field, text in searchable_texts(product).items()}
            lengths.append(min(255, len(terms["name"])))
            yield number, *(" ".join(terms[field]) for field in FIELDS)

    with connection:
        connection.executescript(_SCHEMA)
        connection.executemany(f"INSERT INTO word(rowid, {', '.join(FIELDS)}) VALUES (?, ?, ?, ?)", rows())
        connection.execute("INSERT INTO word(word) VALUES ('optimize')")
        connection.execute("INSERT INTO told VALUES ('lengths', ?)", (bytes(lengths),))


def searchable_texts(product: Product) -> dict[str, str]:
    """Return the texts of a product by the field they are indexed in."""
    other = (product.description, product.location, product.sku, product.barcode, *(v for _, v in product.attributes))
    return {
        "name": product.name,
        "kind": " ".join(filter(None, (product.brand, product.category))),
        "other": " ".join(filter(None, other)),
    }


class WordIndex:
    """The word index of a catalogue, read only. Safe to share between threads.

    Attributes: lengths: (P,) uint8; the number of terms in each product's name, at most 255.
    """

    def __init__(self, file: Path | bytes | None, products: Callable[[], Iterable[Product]]):
        """Open an index, or build it in memory.

        Args:    file: path or content of a file that `write` wrote; None to index `products()` in memory.
        Raises:  QueryError: SQLite has no FTS5.
                 BundleError: not a readable index.
        """
        if not is_available():
            raise QueryError(_NO_FTS5)
        self._file = SqliteReader(file, _SCHEMA, _damaged_error)
        self._query = self._file.query
        try:
            if file is None:
                _fill_index(self._file.connection, products())
            self._file.connection.execute(_VOCABULARY)
        except sqlite3.Error as error:
            raise _damaged_error(error) from error
        ((found,),) = self._query("PRAGMA user_version")
        if found != FORMAT:
            raise BundleError(f"{FILE}: format {found}; this version reads {FORMAT}, upgrade edgesearch.")
        lengths = self._query("SELECT value FROM told WHERE name = 'lengths'")
        if len(lengths) != 1 or not isinstance(lengths[0][0], bytes):
            raise _damaged_error("its lengths are missing")
        self.lengths = np.frombuffer(lengths[0][0], np.uint8)

    def products_with(self, field: str, term: str, prefix: bool = False) -> np.ndarray:
        """Find the products that have a term in a field.

        Args:    prefix: the term may also be the beginning of a longer one.
        Returns: (R,) int64, product numbers.
        Raises:  BundleError: the index is damaged.
        """
        phrase = f'{{{field}}} : "{term}"{" *" * prefix}'
        # As one text: fetching 100,000 rows one by one takes twice as long.
        ((text,),) = self._query("SELECT group_concat(rowid) FROM word WHERE word MATCH ?", phrase)
        numbers = np.fromstring(text or "", np.int64, sep=",")
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self.lengths):
            raise _damaged_error("it names products that do not exist")
        return numbers

    def document_count(self, term: str) -> int:
        """Return the number of products that have a term."""
        found = self._query("SELECT doc FROM temp.vocabulary WHERE term = ?", term)
        return int(found[0][0]) if found else 0

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words of the index, for correcting misspelt ones."""
        return Vocabulary((str(term), int(doc)) for term, doc in self._query("SELECT term, doc FROM temp.vocabulary"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Ranking:
    """The result of a word search.

    Attributes:
        scores: (P,) float32; the weighted share of the query's words that each product has, 0 to 1.
        complete: (P,) bool; the product has all the words.
        lengths: (P,) uint8; the number of terms in its name.
        corrected: the words that replaced a misspelt or unfinished one, by that word.
        unknown: words that no product has.
    """

    scores: np.ndarray
    complete: np.ndarray
    lengths: np.ndarray
    corrected: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...]

    def order(self, allowed: np.ndarray) -> np.ndarray:
        """Rank the allowed products that have at least one word.

        Products with all words come first, then higher scores, then shorter names, which hold fewer other words.

        Args:    allowed: (P,) bool.
        Returns: (R,) int64, product numbers, best first.
        """
        found = np.flatnonzero(allowed & (self.scores > 0))
        keys = (found, self.lengths[found], -np.round(self.scores[found], 4), ~self.complete[found])
        return found[np.lexsort(keys)]


class WordSearch:
    """The words of all visible products: those of the catalogue, and those that the device added or changed."""

    def __init__(self, index: WordIndex, changed: Mapping[int, Product], size: int):
        """Combine an index with changes.

        Args:    changed: by number, the products that are new or differ from the catalogue.
                 size: P, the number of products.
        """
        self._index, self._size = index, size
        self._changed_terms = {
            number: {field: set(index_terms(text)) for field, text in searchable_texts(product).items()}
            for number, product in changed.items()
        }
        self._unchanged = np.ones(size, bool)
        self._unchanged[list(changed)] = False
        self._lengths = np.zeros(size, np.uint8)
        self._lengths[: len(index.lengths)] = index.lengths
        for number, terms in self._changed_terms.items():
            self._lengths[number] = min(255, len(terms["name"]))

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        added = {term for terms in self._changed_terms.values() for found in terms.values() for term in found}
        return self._index.vocabulary.with_words(added) if added else self._index.vocabulary

    def rank(self, text: str) -> Ranking:
        """Search for a text; raise QueryError if it has no words, or more than `MAX_WORDS`."""
        words = list(dict.fromkeys(split_words(text)))
        if not 1 <= len(words) <= MAX_WORDS:
            raise QueryError(f"text {text[:60]!r}: {len(words)} words; give 1 to {MAX_WORDS}.")
        total, rarity_sum = np.zeros(self._size), 0.0
        complete, corrected, unknown = np.ones(self._size, bool), {}, []
        for word in words:
            read = self._interpret_word(word)
            if not read:
                unknown.append(word)
            elif read != (word,):
                corrected[word] = read
            for alternatives in [(term,) for term in query_terms(word)] if is_unspaced(word) else [read]:
                weights = self._best_field_weights(alternatives)
                rarity = float(np.log1p(self._size / max(1, int((weights > 0).sum()))))
                total, rarity_sum, complete = total + rarity * weights, rarity_sum + rarity, complete & (weights > 0)
        scores = (total / rarity_sum).astype(np.float32)
        return Ranking(scores, complete, self._lengths, corrected, tuple(unknown))

    def products_with(self, text: str, field: str) -> np.ndarray:
        """Return which products have all the words of a text, uncorrected, in a field: (P,) bool."""
        found = np.ones(self._size, bool)
        for term in (term for word in split_words(text) for term in query_terms(word)):
            found &= self._products_in_field(term, field)
        return found

    def _interpret_word(self, word: str) -> tuple[str, ...]:
        """Return a known word and its known variants, else its completions ("choc*") or corrections; may be empty."""
        if is_unspaced(word):
            return (word,) if any(self._is_known(term) for term in query_terms(word)) else ()
        read = (word,) if self._is_known(word) else self._vocabulary.suggest(word)
        varied = (other for one in read for other in variants(one) if self._is_known(other))
        return tuple(dict.fromkeys((*read, *varied)))

    def _is_known(self, term: str) -> bool:
        if is_unspaced(term) and len(term) == 1:
            return bool(self._best_field_weights((term,)).any())
        added = any(term in found for terms in self._changed_terms.values() for found in terms.values())
        return added or self._index.document_count(term) > 0

    def _best_field_weights(self, alternatives: Sequence[str]) -> np.ndarray:
        """Return the weight of the best field in which each product has one of these terms: (P,) float32."""
        weights = np.zeros(self._size, np.float32)
        for field, weight in sorted(FIELDS.items(), key=lambda pair: pair[1]):
            for term in alternatives:
                weights[self._products_in_field(term, field)] = weight
        return weights

    def _products_in_field(self, term: str, field: str) -> np.ndarray:
        """Return which products have a term in a field: (P,) bool.

        A single character of an unspaced script also matches the pairs that it begins.
        """
        prefix = is_unspaced(term) and len(term) == 1
        found = np.zeros(self._size, bool)
        found[self._index.products_with(field, term, prefix)] = True
        found &= self._unchanged
        for number, terms in self._changed_terms.items():
            found[number] = any(one.startswith(term) for one in terms[field]) if prefix else term in terms[field]
        return found


def _damaged_error(what: object) -> BundleError:
    return BundleError(f"{FILE}: not a readable word index ({what}); build the bundle again.")
