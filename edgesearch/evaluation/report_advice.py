"""Say what to do about what a report shows."""

from collections import defaultdict
from collections.abc import Iterable

from ..html.markup import Markup, join, tag
from ..html.parts import percent, pluralize
from . import report_misses
from .evaluate import Evaluation, QueryResult
from .report_tables import ADVICE, HELPED

NAMED = 5  # products or pairs
TOO_MANY_WRONG = 0.05  # of the matches, and of the photos of unknown products
MISSTATED = 0.1  # mean difference of stated and true probability
FLAWED = 0.1  # of the photos that are answered with no match


def steps(evaluation: Evaluation) -> Markup:
    """Return what to do, each with the figures that call for it, most helpful first."""
    found = [step for make in _STEPS for step in make(evaluation)]
    return tag("ol", *(tag("li", step) for step in found)) if found else tag("p", "Nothing stands out.")


def _take_photos(evaluation: Evaluation) -> Iterable[Markup]:
    of_product: dict[str, list[QueryResult]] = defaultdict(list)
    for result in evaluation.results:
        if result.known:
            of_product[result.sku].append(result)
    missed = {sku: sum(not one.right for one in results) for sku, results in of_product.items()}
    seldom = [sku for sku, results in of_product.items() if 1 - missed[sku] / len(results) < HELPED]
    if seldom:
        seldom.sort(key=lambda sku: -missed[sku])
        yield join(ADVICE.rstrip("."), ": ", _list([evaluation.products[sku].name for sku in seldom]))


def _tell_apart(evaluation: Evaluation) -> Iterable[Markup]:
    pairs = report_misses.confusions(evaluation)
    if pairs:
        names = [f"{evaluation.products[pair.sku].name} for {pair.found.name}" for pair in pairs]
        yield join(
            "Add pictures that show how these differ, or barcodes; merge them if they are one product: ", _list(names)
        )


def _improve_photos(evaluation: Evaluation) -> Iterable[Markup]:
    unsure = [result for result in evaluation.results if result.known and not result.accepted]
    flaws = [result.flaw for result in unsure if result.flaw]
    if unsure and len(flaws) / len(unsure) > FLAWED:
        kinds = ", ".join(f"{kind} {flaws.count(kind):,}" for kind in sorted(set(flaws), key=flaws.count, reverse=True))
        yield join(
            f"Improve the light, or hold the camera still and nearer: {len(flaws):,} of "
            f"{pluralize(len(unsure), 'photo')} without a match are flawed ({kinds})."
        )


def _calibrate(evaluation: Evaluation) -> Iterable[Markup]:
    figures = evaluation.to_dict()
    wrong, accepted = figures["wrong_matches"] or 0.0, figures["false_accept_rate"] or 0.0
    if max(wrong, accepted) > TOO_MANY_WRONG or figures["ece"] > MISSTATED:
        yield join(
            "Build again with ", tag("code", "--calibrate"), " and a list of such photos; to have fewer wrong matches, "
            "lower ", tag("code", "--wrong-matches"), f": {percent(wrong)} of the matches are wrong, "
            f"{percent(accepted)} of the photos of unknown products get a match, and stated probabilities differ by "
            f"{figures['ece']:.2f} from the true ones.",
        )  # fmt: skip


def _ask_more(evaluation: Evaluation) -> Iterable[Markup]:
    if evaluation.errors is None:
        which = "products that the catalogue lacks" if evaluation.known.any() else "products in the catalogue"
        yield join(
            f"Add photos of {which} to the queries: without them this page cannot say how well they are told apart."
        )


_STEPS = (_take_photos, _tell_apart, _improve_photos, _calibrate, _ask_more)


def _list(names: list[str]) -> Markup:
    more = f", and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    parts = [part for name in names[:NAMED] for part in (", ", tag("strong", tag("bdi", name)))]
    return join(*parts[1:], f"{more}.")
