"""Make word_vectors.json: what Python finds by words, filters and barcodes, to which the browser is held.

python -m tests.browser.word_vectors writes it again.
"""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgesearch.answer import Answer, Decision, Label, Match
from edgesearch.catalog import barcode_text
from edgesearch.catalog.product import Product
from edgesearch.errors import QueryError
from edgesearch.search import barcode_labels
from edgesearch.text import filters, terms, text_query
from edgesearch.text.product_table import facets
from tests.text.shelf import SHELF, shelf
from tests.text.test_sentence import SENTENCES

PATH = Path(__file__).with_name("word_vectors.json")
TEXTS = (
    "Crème BRÛLÉE", "Straße", "ΟΔΟΣ", "İstanbul \u0131", "ﬁne ℡ Ⅳ", "Ørsted Łódź æon",
    "\uff21\uff22\u3000\uff11", "ガギ コーヒー", "250ml 1l x2", "纯牛奶250ml盒", "ผ้าไหม", "한국어", "a_b-c'd",
    "ᾳ ǆ", "\u0663 kg", "",
)  # fmt: skip
WHERES = (
    "category=Drinks", "price<30 and stock>0", "brand=Nord or not (colour=red and price>=5)", "sku in (A1, A4, A99)",
    "name~mug", "name ~ 'a\\'b'",
    'brand="and"', "colour=rouge", "colour=红色", "colour!=white", "price≤\uff14",
    "价格<10 AND 品牌=nord", "size<3", "order by price", "order by name desc", "category=Drinks order by price desc",
    "not brand in (Nord, Orange)", "stock=0", "price<1 and category=Drinks", "brand=Nrod",
    "brand=Adidas and brand=Nord",
    "price<abc", "brand<3", "nowhere=1", "category=", "(price<3", "price<3)", "price ! 3", "and", "a in b", "not",
    "price<3 order price", "(" * 30 + "price<3",
)  # fmt: skip
WORDS = (
    "juice", "mug 350", "jucie", "choc", "creme brulee", "orchad mug", "kitchen", "nord", "A3", "牛奶", "红",
    "巧克力",
    "コーヒー", "หอม", "juice tree", "qqqqqq", "red", "white mug not nord", "something like this", "!!!",
    "mug under two hundred and fifty", "under 5,50 euro", "more than 5 euro in stock", "一万二以内", "三块五以下",
    "at least 3 pieces in stock", "between 3 and 5", "under \u0665", "nord juice under 3 or more", "green juices",
    "no sugar juice", "flavoured colour mug", "yelow tea",
)  # fmt: skip
CODES = (
    "4006381333931", "4 006381 333931", "04006381333931", "036000291452", "123456", "01234565", "0012345678905",
    "]E04006381333931",
    "(01)04006381333931(10)A1", "0104006381333931\x1d10A1", "10A1\x1d0104006381333931",
    "https://id.example/01/04006381333931/10/A",
    "https://id.example/", "0-306-40615-2", "030640615X", "14006381333938", "9771234567003 05",
    "EAN: 4006381333931", "4006381333931.0",
    "F4006381333931", "\uff14006381333931", "AB-12", "", "0",
)  # fmt: skip
NAMED = {"A": (0.9, "4006381333931"), "B": (0.3, "036000291452"), "C": (0.05, None)}  # SKU: probability, barcode
LABELS = (  # decision by appearance, its products, labels with their products
    ("match", "AB", [("036000291452", "B")]), ("unknown", "BC", [("036000291452", "C")]), ("match", "A",
    [("4006381333931", "A")]),
    ("match", "AB", [("5901234123457", "")]), ("ambiguous", "BA", [("1", "A"), ("2", "B")]), ("unknown", "CB",
    [("1", "BC")]),
    ("unknown", "", [("1", "A")]), ("ambiguous", "BC", [("xyz", "")]),
)  # fmt: skip
BOTH = (("juice", "price<2"), ("mug", "brand=Nord"), ("mug", "category=Drinks"), ("red mug", "price<5 order by price"))


def make() -> dict[str, Any]:
    """Return all vectors."""
    with tempfile.TemporaryDirectory() as folder:
        table, words = shelf(Path(folder))
        asked = [(text, "") for text in (*SENTENCES, *WORDS) if text]
        asked += [("", where) for where in WHERES] + [*BOTH]
        return {
            "products": [_describe(product) for product in SHELF],
            "columns": list(table.names),
            "details": {sku: {"probability": p, "barcode": code} for sku, (p, code) in NAMED.items()},
            "terms": {text: [terms.fold(text), terms.split_words(text), terms.index_terms(text)] for text in TEXTS},
            "written": {where: _write(where) for where in WHERES},
            "queries": [{"text": text, "where": where, **_ask(table, words, text, where)} for text, where in asked],
            "facets": facets(table),
            "readings": {code: [sorted(forms) for forms in barcode_text.find_readings(code)] for code in CODES},
            "labels": [_combine(*case) for case in LABELS],
        }


def _describe(product: Product) -> dict[str, Any]:
    return asdict(product) | {"attributes": dict(product.attributes)}


def _write(where: str) -> str | None:
    try:
        return str(filters.parse(where))
    except QueryError:
        return None


def _combine(decision: Decision, skus: str, labels: list[tuple[str, str]]) -> dict[str, Any]:
    matches = {sku: Match(Product(sku, sku, barcode=code), p, "", 0, probability=p) for sku, (p, code) in NAMED.items()}
    read = [Label(text, "EAN-13", tuple(own)) for text, own in labels]
    named = sorted({sku for _, own in labels for sku in own}, key=lambda sku: -matches[sku].probability)
    answer = Answer("photo", decision, tuple(matches[sku] for sku in skus), {}, 0.5)
    found = barcode_labels.combine(answer, read, [matches[sku] for sku in named])
    return {
        "seen": [decision, list(skus)],
        "labels": [{"text": label.text, "skus": list(label.skus)} for label in read],
        "named": named,
        "decision": found.decision,
        "matches": [[match.sku, match.probability] for match in found.matches],
        "conflict": found.conflict,
        "known": found.known,
    }


def _ask(table: Any, words: Any, text: str, where: str) -> dict[str, Any]:
    try:
        query = text_query.interpret(table, lambda: words, text or None, where or None, False)
        found, decision = query.answer(table)
    except QueryError:
        return {"error": True}
    scores = [round(query.score(number), 4) for number in found.tolist()]
    understood = {name: value for name, value in vars(query.understood).items() if name != "notes"}
    return {
        "understood": understood | {"notes": len(query.understood.notes)},
        "found": [SHELF[number].sku for number in found.tolist()],
        "scores": scores,
        "decision": decision,
        "emptied_by": [vars(reason) for reason in query.emptied_by],
    }


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(part, ensure_ascii=False)}" for name, part in make().items())
    PATH.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
