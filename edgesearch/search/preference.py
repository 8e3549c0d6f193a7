"""Adjust a ranking a little to what a person picked, passed over and dismissed.

A product's traits are its brand, its category, its price range (each range doubles) and each of its colours. A trait
that was picked P times and passed over D times weighs

    log((P + SMOOTHING) / (D + SMOOTHING))

the smoothed log-odds of being picked. Older reactions count less: half after each `HALF_LIFE` reactions; time plays no
part. A product's weights add up, as in naive Bayes. They lift its score, or for the matches of a photo the logarithm of
its probability, by at most half a bound either way. So two products change places only if they differ by less than the
bound: `BOUND` among alternatives to a product, `PHOTO_BOUND` below the first match of a photo. A photo's matches stay
the same products, and the first never moves, whatever the decision: when preferences could reorder ambiguous matches,
or move the nearest of an unknown, the right product was first no more often, or less often.

The values were chosen on two drawn shops other than that of `tools/bench personal` (seeds 11 and 12, 12 shoppers each):
a BOUND of 0.06, 0.1, 0.15 gains nDCG@5 0.079, 0.129, 0.170; a half-life of 10, 30, 1000 gains 0.124, 0.129, 0.134 if
preferences stay the same, and 0.118, 0.117, 0.102 if they change after half of the reactions.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..answer import Match
from ..catalog.product import Product
from ..text import colour_words

BOUND = 0.1  # of cosine
PHOTO_BOUND = 0.4  # of the logarithm of a probability: one is at most 1.5 times the other
SMOOTHING = 1.0
HALF_LIFE = 30.0  # reactions
SCALE = 1.0  # of summed log-odds, where a lift reaches 3/4 of its maximum
Traits = Mapping[str, str]


@dataclass(frozen=True)
class Reaction:
    """A product that was picked or dismissed.

    Attributes:
        picked: Whether it was picked; False if it was dismissed.
        sku: Of the product.
        traits: Of the product.
        passed: SKU and traits of each product that was shown before it and passed over.
    """

    picked: bool
    sku: str
    traits: Traits
    passed: Sequence[tuple[str, Traits]] = ()


@dataclass(frozen=True)
class Weight:
    """Counts of products with a trait that were picked and passed over; older reactions count less."""

    picked: float = 0.0
    passed: float = 0.0

    @property
    def log_odds(self) -> float:
        """Smoothed log-odds of being picked; above 0 the trait is liked."""
        return math.log((self.picked + SMOOTHING) / (self.passed + SMOOTHING))


@dataclass(frozen=True)
class Preference:
    """The weights of traits, learned from reactions.

    Attributes:
        weights: By kind of trait and its value.
    """

    weights: Mapping[tuple[str, str], Weight] = field(default_factory=dict)

    @classmethod
    def of(cls, reactions: Iterable[Reaction]) -> "Preference":
        """Learn from reactions, newest first; all products passed over for one count together as much as that one."""
        weights: dict[tuple[str, str], Weight] = {}
        for age, reaction in enumerate(reactions):
            share = 0.5 ** (age / HALF_LIFE)
            _add(weights, reaction.traits, *((share, 0.0) if reaction.picked else (0.0, share)))
            for _, traits in reaction.passed:
                _add(weights, traits, 0.0, share / len(reaction.passed))
        return cls(weights)

    def lift(self, product: Product, bound: float = BOUND) -> float:
        """Return by how much a product's score rises, or falls if negative; at most half of the bound."""
        traits = _split_traits(traits_of(product))
        total = sum(self.weights[trait].log_odds for trait in traits if trait in self.weights)
        return bound / 2 * math.tanh(total / SCALE)

    def rerank(self, matches: Sequence[Match]) -> tuple[Match, ...]:
        """Return a photo's matches: the first one stays, the others that are possible follow by lifted probability."""
        likely = [match for match in matches[1:] if match.probability > 0]
        moved = sorted(likely, key=lambda one: -math.log(one.probability) - self.lift(one.product, PHOTO_BOUND))
        return (*matches[:1], *moved, *matches[1 + len(likely) :])


def traits_of(product: Product) -> dict[str, str]:
    """Return the traits of a product by kind; omit those that the catalogue lacks."""
    colours = (value for name, value in product.attributes if colour_words.is_colour_column(name))
    found = {"brand": product.brand, "category": product.category, colour_words.COLUMN: next(colours, None)}
    traits = {kind: value.strip().casefold() for kind, value in found.items() if value and value.strip()}
    return traits | ({} if product.price is None else {"price": _price_range(product.price, product.currency)})


def _price_range(price: float, currency: str | None) -> str:
    """Return the range from one power of two to the next that holds a price."""
    low = 2.0 ** math.floor(math.log2(price)) if price else 0.0
    return f"{low:g} to {2 * low:g} {currency or ''}".strip().casefold() if low else "nothing"


def _split_traits(traits: Traits) -> Iterator[tuple[str, str]]:
    """Yield kind and value of each trait; "red, white" gives two traits."""
    for kind, value in traits.items():
        yield from (
            (kind, one) for one in (colour_words.colour_terms(value) if kind == colour_words.COLUMN else [value])
        )


def _add(weights: dict[tuple[str, str], Weight], traits: Traits, picked: float, passed: float) -> None:
    for trait in _split_traits(traits):
        before = weights.get(trait, Weight())
        weights[trait] = Weight(before.picked + picked, before.passed + passed)
