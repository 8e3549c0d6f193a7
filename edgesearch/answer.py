"""The result of a search."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .catalog.product import Product
from .images.quality import ADVICE, Flaw

Decision = Literal["match", "ambiguous", "unknown"]
CHOICES = 5  # products that an ambiguous answer offers


@dataclass(frozen=True)
class Match:
    """One product that was found.

    Attributes:
        product: Its details.
        score: Cosine of the photo and the product's nearest reference image, raised where local features agree.
        image: Source of the reference image whose local features agree most, or of the nearest one; "" if the product
            has none.
        row: Number of that image, for `Store.picture`; below 0 for a taught one, None without an image.
        base: Digest of the bundle that was searched.
        points: Number of local features that agree with the photo; 0 if too few do, or they were not compared.
        outline: Where they lie in the photo: four corners (x, y), shares of its width and height; none without points.
        mirrored: Whether they agree with the mirror image of the photo.
        probability: How likely the photo shows this product; 0 without a photo.
        words: Weighted share of the words that describe it, also the score without a photo; None without words.
    """

    product: Product
    score: float
    image: str
    row: int | None
    base: str = ""
    points: int = 0
    outline: tuple[tuple[float, float], ...] = ()
    mirrored: bool = False
    probability: float = 0.0
    words: float | None = None

    @property
    def sku(self) -> str:
        """The product's SKU."""
        return self.product.sku

    @property
    def name(self) -> str:
        """The product's name."""
        return self.product.name

    @property
    def price(self) -> float | None:
        """The product's price, in its currency; None if it is unknown."""
        return self.product.price

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form: the product's details, score, image and what agrees."""
        details = {one.name: getattr(self.product, one.name) for one in fields(Product) if one.name != "attributes"}
        found = {"sku": self.sku, "name": self.name, "score": round(self.score, 4), "image": self.image}
        found |= {"points": self.points, "outline": [[round(x, 4), round(y, 4)] for x, y in self.outline]}
        found |= {"mirrored": self.mirrored, "probability": round(self.probability, 4)}
        if self.words is not None:
            found["words"] = round(self.words, 4)
        return found | details | {"attributes": dict(self.product.attributes)}


@dataclass(frozen=True)
class Label:
    """A barcode in the photo.

    Attributes:
        text: Its content.
        format: Its kind, such as "EAN-13".
        skus: SKUs of the products that carry it.
    """

    text: str
    format: str
    skus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """A likely detail of an unknown product.

    Attributes:
        value: What most of the products like it have.
        share: Their share of the votes.
    """

    value: str
    share: float


@dataclass(frozen=True)
class Understood:
    """An interpretation of the words that were asked; `where` and `words` may be changed and searched again.

    Attributes:
        where: The filter, as `Store.search` takes it; "" for none.
        words: The words that were searched.
        notes: What was corrected or ignored, and why.
        ignored: Parts of the text that found nothing, as they were typed.
        corrected: The words that were searched for a word that was typed otherwise.
    """

    where: str
    words: str
    notes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    corrected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class EmptiedBy:
    """The conditions to blame for an empty answer to words or a filter.

    Attributes:
        where: The condition of the filter that no product meets which meets the others; "" if the words are to blame.
        words: The words that none of these products has; "" if the filter is to blame.
        others_leave: Number of products that the other conditions leave.
        hint: What would find something.
    """

    where: str
    words: str
    others_leave: int
    hint: str

    def __str__(self) -> str:
        """Return one sentence."""
        blamed = " and ".join(filter(None, (self.where, f"the words {self.words!r}" * bool(self.words))))
        left = "1 product is" if self.others_leave == 1 else f"{self.others_leave:,} products are"
        return f"without {blamed}, {left} left; {self.hint}"


@dataclass(frozen=True)
class Answer:
    """The result of one search.

    Attributes:
        photo: Its name; "" without a photo.
        decision: "match": act on it. "ambiguous": let a person choose among `choices`. "unknown": the catalogue lacks
            the product, or the photo shows nothing usable.
        matches: Best first; kept even if the decision is "unknown".
        elapsed_ms: Milliseconds by stage, and their `total`.
        known: Probability that the photo shows a product of the catalogue, also `probability_in_catalogue`; 0 without a
            photo.
        barcodes: Barcodes in the photo; a product that one of them names is the first match.
        conflict: What barcodes and appearance each say, if they disagree.
        understood: How words were understood; None without words.
        flaw: What is wrong with the photo, if the answer is no match.
        guesses: Likely category and brand, if the answer is no match.
        found: Number of products that words and filter find, or leave for the photo to be compared with; None without
            words and filter. `matches` has the first of them.
        emptied_by: If that is 0: each condition without which products would be left, the most first.
    """

    photo: str
    decision: Decision
    matches: tuple[Match, ...]
    elapsed_ms: dict[str, float]
    known: float = 0.0
    barcodes: tuple[Label, ...] = ()
    conflict: str = ""
    understood: Understood | None = None
    flaw: Flaw = ""
    guesses: Mapping[str, Guess] = field(default_factory=dict)
    found: int | None = None
    emptied_by: tuple[EmptiedBy, ...] = ()

    @property
    def advice(self) -> str:
        """Advice for a better photo, one sentence; "" if it is good enough."""
        return ADVICE[self.flaw]

    @property
    def probability(self) -> float:
        """Probability that the photo shows the first match."""
        return self.matches[0].probability if self.matches else 0.0

    @property
    def probability_in_catalogue(self) -> float:
        """Probability that the photo shows a product of the catalogue, and not an unknown one."""
        return self.known

    @property
    def by_words(self) -> bool:
        """True if words or a filter were asked without a photo, so that no probability is known."""
        return not self.photo and self.found is not None

    @property
    def choices(self) -> tuple[Match, ...]:
        """The products to choose from if the answer is ambiguous, else none."""
        return self.matches[:CHOICES] if self.decision == "ambiguous" else ()

    @property
    def by_barcode(self) -> bool:
        """True if it is a match because a barcode names the product."""
        return self.decision == "match" and any(label.skus == (self.matches[0].sku,) for label in self.barcodes)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able form, the output of `edgesearch search --json`."""
        table = {
            "photo": self.photo,
            "decision": self.decision,
            **dict.fromkeys(("known", "probability_in_catalogue"), None if self.by_words else round(self.known, 4)),
            "matches": [match.to_dict() | ({"probability": None} if self.by_words else {}) for match in self.matches],
            "elapsed_ms": {stage: round(ms, 3) for stage, ms in self.elapsed_ms.items()},
            "barcodes": [dict(vars(label)) for label in self.barcodes],
            "conflict": self.conflict,
            "flaw": self.flaw,
            "advice": self.advice,
            "guesses": {name: {"value": one.value, "share": round(one.share, 4)} for name, one in self.guesses.items()},
        }
        if self.understood:
            table |= {"understood": vars(self.understood), "found": self.found}
            table |= {"emptied_by": [vars(reason) | {"message": str(reason)} for reason in self.emptied_by]}
        return table
