"""What somebody seems to like, from what was picked, passed over and dismissed: a number that moves a ranking a little.

What a product is, its traits, are its brand, its category, its price in steps that double, and its colours, each for
itself. Each trait that was picked P times and passed over D times weighs

    log((P + SMOOTHING) / (D + SMOOTHING))

the log-odds that it is picked of what is shown, drawn towards even. What lies back counts less: half after each
`HALF_LIFE` times that something was said; no clock is asked. A product's weights add up, as in naive Bayes, and lift
its score, or of a photo's matches the logarithm of the probability, by at most half of a bound either way. So two
products change places only where they differ by less than that: `BOUND` among alternatives to a product, `PHOTO_BOUND`
below the first match of a photo. What is shown of a
photo stays, and its first match never moves, whatever was decided: where taste was free to choose between ambiguous
ones or to move the nearest of an unknown, the right product was first no more often, or less.

Chosen on two drawn shops that are not that of `tools/bench personal` (seeds 11 and 12, 12 shoppers each): a BOUND of
0.06, 0.1, 0.15 gains nDCG@5 0.079, 0.129, 0.170; a half-life of 10, 30, 1000 gains 0.124, 0.129, 0.134 where a taste
stays the same, 0.118, 0.117, 0.102 where it is another after half of what was said.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..answer import Match
from ..catalog.product import Product
from ..text import colour_words

BOUND = 0.1  # of cosine
PHOTO_BOUND = 0.4  # of the logarithm of a probability: the one is at most 1.5 times the other
SMOOTHING = 1.0
HALF_LIFE = 30.0  # times
SCALE = 1.0  # of summed log-odds; at it a lift is 3/4 of the most
Traits = Mapping[str, str]


@dataclass(frozen=True)
class Said:
    """One thing that was said of products.

    Attributes: picked: it, or None where it was dismissed; sku: of the product; traits: its own; passed: SKU and traits
                of what was shown before it, and not picked.
    """

    picked: bool
    sku: str
    traits: Traits
    passed: Sequence[tuple[str, Traits]] = ()


@dataclass(frozen=True)
class Weight:
    """What is held of one trait; picked, passed: how often, less what lies back."""

    picked: float = 0.0
    passed: float = 0.0

    @property
    def log_odds(self) -> float:
        """Above 0: liked."""
        return math.log((self.picked + SMOOTHING) / (self.passed + SMOOTHING))


@dataclass(frozen=True)
class Preference:
    """All that is held; weights: by kind of trait and its value."""

    weights: Mapping[tuple[str, str], Weight] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Iterable[Said]) -> "Preference":
        """said: newest first. What was passed over for one product counts once together, as that product does."""
        weights: dict[tuple[str, str], Weight] = {}
        for age, one in enumerate(said):
            share = 0.5 ** (age / HALF_LIFE)
            _count(weights, one.traits, share if one.picked else 0.0, 0.0 if one.picked else share)
            for _, traits in one.passed:
                _count(weights, traits, 0.0, share / len(one.passed))
        return cls(weights)

    def lift(self, product: Product, bound: float = BOUND) -> float:
        """What a product's score rises by, of cosine; below 0 it falls; at most half of the bound."""
        total = sum(self.weights[trait].log_odds for trait in _each(traits_of(product)) if trait in self.weights)
        return bound / 2 * math.tanh(total / SCALE)

    def rerank(self, matches: Sequence[Match]) -> tuple[Match, ...]:
        """What a photo found, the first as it is, the others that are likely at all by their lifted probabilities."""
        likely = [match for match in matches[1:] if match.probability > 0]
        moved = sorted(likely, key=lambda one: -math.log(one.probability) - self.lift(one.product, PHOTO_BOUND))
        return (*matches[:1], *moved, *matches[1 + len(likely) :])


def traits_of(product: Product) -> dict[str, str]:
    """What is looked at in a product, by its kind: as far as the catalogue says it."""
    coloured = (value for name, value in product.attributes if colour_words.is_colour_column(name))
    found = {"brand": product.brand, "category": product.category, colour_words.COLUMN: next(coloured, None)}
    traits = {kind: value.strip().casefold() for kind, value in found.items() if value and value.strip()}
    return traits | ({} if product.price is None else {"price": _step(product.price, product.currency)})


def _step(price: float, currency: str | None) -> str:
    """From a power of two to the next."""
    low = 2.0 ** math.floor(math.log2(price)) if price else 0.0
    return f"{low:g} to {2 * low:g} {currency or ''}".strip().casefold() if low else "nothing"


def _each(traits: Traits) -> Iterator[tuple[str, str]]:
    """Kind and value; of "red, white" red is one trait, and white another."""
    for kind, value in traits.items():
        yield from (
            (kind, one) for one in (colour_words.colour_terms(value) if kind == colour_words.COLUMN else [value])
        )


def _count(weights: dict[tuple[str, str], Weight], traits: Traits, picked: float, passed: float) -> None:
    for trait in _each(traits):
        before = weights.get(trait, Weight())
        weights[trait] = Weight(before.picked + picked, before.passed + passed)
