"""What a search says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .catalog.product import Product
from .images.quality import ADVICE, Flaw

Decision = Literal["match", "ambiguous", "unknown"]


@dataclass(frozen=True)
class Match:
    """One product that was found.

    Attributes: score: cosine of the photo and its nearest reference image, raised where the print of one agrees;
                image: the one whose print agrees, or the nearest, as the catalogue names it; row: its number, for
                `Store.picture`, of a taught one below 0; base: digest of the bundle that was asked; points: places of
                its print that agree with the photo, 0 where there are none or it was not compared; outline: where the
                print is in the photo, four corners (x, y) in shares of its width and height, none without points;
                mirrored: it is the photo's mirror image whose print agrees; probability: that the photo shows this
                product; words: the share of the words asked that is said of it, weighted, and the score where no photo
                was asked; None where no words were.
    """

    product: Product
    score: float
    image: str
    row: int
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
        """The product's price, in its currency."""
        return self.product.price

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form: the product's details, score, image and what agrees."""
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

    Attributes: text: as it was read; format: "EAN-13" for instance; skus: of the products that it belongs to.
    """

    text: str
    format: str
    skus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guess:
    """What a product seems to be, as those like it are; share: of their votes."""

    value: str
    share: float


@dataclass(frozen=True)
class Understood:
    """What was asked in words, as it was understood; `where` and `words` may be changed and asked again.

    Attributes: where: the filter, as `Store.search` takes it, "" for none; words: those that were searched; notes: what
                was read otherwise, or not used, and why.
    """

    where: str
    words: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What one question found.

    Attributes: photo: its name, "" where there was none; matches: best first, kept even when the decision is "unknown";
                elapsed_ms: by stage; known: probability that the photo shows a product of the catalogue; barcodes: that
                were read in it, a product that one names being the first match; conflict: where they and the look
                disagree, what each says; understood: what was asked in words, None where nothing was; of what is no
                match besides, flaw: of the photo, guesses: its category and brand, where products like it have some.
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

    @property
    def advice(self) -> str:
        """What to do about the photo, in words; "" where it is good enough."""
        return ADVICE[self.flaw]

    @property
    def probability(self) -> float:
        """That the photo shows the first match."""
        return self.matches[0].probability if self.matches else 0.0

    @property
    def by_barcode(self) -> bool:
        """It is a match because a barcode says so."""
        return self.decision == "match" and any(label.skus == (self.matches[0].sku,) for label in self.barcodes)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, as `edgesearch search --json` prints it."""
        table = {
            "photo": self.photo,
            "decision": self.decision,
            "known": round(self.known, 4),
            "matches": [match.to_dict() for match in self.matches],
            "elapsed_ms": {stage: round(ms, 3) for stage, ms in self.elapsed_ms.items()},
            "barcodes": [dict(vars(label)) for label in self.barcodes],
            "conflict": self.conflict,
            "flaw": self.flaw,
            "advice": self.advice,
            "guesses": {name: {"value": one.value, "share": round(one.share, 4)} for name, one in self.guesses.items()},
        }
        return table | ({"understood": vars(self.understood)} if self.understood else {})
