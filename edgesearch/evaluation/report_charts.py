"""The charts of a report, each with its sentence and its numbers; B bins, T thresholds."""

import numpy as np

from ..html.charts import Axis, Plot, amount_axis, share_axis
from ..html.markup import Markup
from ..html.parts import figure, number, percent, table
from . import metrics
from .evaluate import Evaluation
from .metrics import ErrorCurve, Reliability

DEEPEST = 10  # of the recall curve
FALSE_ACCEPTS = (0.01, 0.02, 0.05, 0.1, 0.2)  # for which the false rejects are said
PERCENTILES = (5, 25, 50, 75, 95)
TOTAL = "total"
ROW = 38  # px
BARS, LONGEST = 25, 99  # of the histogram of times, and the percentile after which one bar holds all


def recall(evaluation: Evaluation) -> Markup:
    """How far down the right product is; of known products."""
    ranks = evaluation.ranks[evaluation.known]
    shares = [metrics.recall_at(ranks, k) for k in range(1, DEEPEST + 1)]
    places = [(k, str(k)) for k in range(1, DEEPEST + 1)]
    plot = Plot(Axis("products looked at", 0.5, DEEPEST + 0.5, places), share_axis("photos"))
    plot.line(enumerate(shares, 1), "right")
    for k, share in enumerate(shares, 1):
        plot.dot((k, share), "right", 4)
        if k in (1, 3, 5, DEEPEST):
            below = 20 if share > 0.85 else -11
            plot.text((k, share), f"{share:.0%}", "right", (0, below), "middle")
    said = f"Right product first: {percent(shares[0])}; among the first five: {percent(shares[4])}."
    rows = [(k, percent(share)) for k, share in enumerate(shares, 1)]
    chart = plot.svg(f"Recall at k, 1 to {DEEPEST}. {said}")
    return figure("Recall@k", chart, said, table("Recall@k", ("k", "Recall"), rows))


def thresholds(errors: ErrorCurve, evaluation: Evaluation) -> Markup:
    """Both errors at each threshold, and where the store stands."""
    figures, chosen = evaluation.to_dict(), _chosen(evaluation)
    ends = np.append(errors.thresholds[:-1], 1.0)
    plot = Plot(share_axis("least probability that is accepted"), share_axis("photos"))
    plot.line([(chosen, 0), (chosen, 1)], "mark")
    plot.key(("wrong", "false accepts"), ("second", "false rejects"), ("mark", "decided"))
    curves = {"wrong": errors.false_accept_rate, "second": errors.false_reject_rate}
    for kind, rates in curves.items():
        plot.line([(0, rates[0]), *zip(ends.tolist(), rates.tolist(), strict=True)], kind)
    accepts, rejects = figures["false_accept_rate"], figures["false_reject_rate"]
    plot.dot((chosen, accepts), "wrong")
    plot.dot((chosen, rejects), "second")
    said = (
        f"As it decides, {percent(accepts)} of the photos of unknown products are accepted and {percent(rejects)} of "
        "the known ones refused (the dots). A higher threshold accepts fewer of both."
    )
    rows = [(percent(rate), percent(errors.reject_rate_at(rate))) for rate in FALSE_ACCEPTS]
    numbers = table("Known products refused, for the unknown ones accepted", ("Accepted, at most", "Refused"), rows)
    chart = plot.svg(f"False accepts and false rejects at each threshold. {said}")
    return figure("Both errors, threshold by threshold", chart, said, numbers)


def roc(errors: ErrorCurve, evaluation: Evaluation) -> Markup:
    """Known products accepted against unknown ones accepted."""
    figures = evaluation.to_dict()
    plot = Plot(share_axis("unknown products accepted"), share_axis("known products accepted"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.line(zip(errors.false_accept_rate.tolist(), (1 - errors.false_reject_rate).tolist(), strict=True), "right")
    here = figures["false_accept_rate"], 1 - figures["false_reject_rate"]
    plot.dot(here, "right")
    plot.text(here, "as it decides", "right", *(((10, 16), "start") if here[0] < 0.7 else ((-4, 20), "end")))
    plot.text((1, 0), f"AUROC {errors.auroc:.3f}", "big", (-10, -14), "end")
    plot.text((0.62, 0.62), "by chance", "quiet", (8, 14))
    said = (
        f"Of a known and an unknown product, the known one has the higher probability in {percent(errors.auroc)} of "
        f"all pairs (AUROC); with 5% of the unknown accepted, {percent(errors.reject_rate_at(0.05))} of the known are "
        "refused."
    )
    return figure("ROC", plot.svg(f"ROC curve. {said}"), said)


def meaning(reliability: Reliability) -> Markup:
    """What was said against what was so, with where the truth of so few may lie."""
    full = np.flatnonzero(reliability.counts)
    counts, said, right = (values[full] for values in (reliability.counts, reliability.probability, reliability.right))
    low, high = metrics.interval(right, counts)
    plot = Plot(share_axis("probability that was said"), share_axis("first matches that are right"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.text((0.22, 0.22), "as said", "quiet", (10, 14))
    for x, y, least, most, count in zip(said, right, low, high, counts, strict=True):
        plot.line([(x, least), (x, most)], "whisker")
        plot.dot((x, y), "right", 3 + 7 * float(np.sqrt(count / counts.sum())))
    plot.text((0, 1), f"ECE {reliability.ece:.3f}", "big", (10, 20))
    sentence = (
        f"On average what is said is {percent(reliability.ece)} away from what is so (expected calibration error). "
        "Above the diagonal more is right than was said, below it less. Large dots: many answers; lines: where the "
        "truth of so few may lie, with 95%."
    )
    rows = [(percent(x), percent(y), number(int(count))) for x, y, count in zip(said, right, counts, strict=True)]
    numbers = table("Probability said and found", ("Said", "Right", "Photos"), rows)
    return figure("Reliability", plot.svg(f"Reliability diagram. {sentence}"), sentence, numbers)


def sureness(reliability: Reliability) -> Markup:
    """How many answers say how much, and how many of them are right."""
    counts, right = reliability.counts, np.round(reliability.right * reliability.counts).astype(int)
    plot = Plot(share_axis("probability that was said"), _photos(counts))
    for place, (held, count) in enumerate(zip(right.tolist(), counts.tolist(), strict=True)):
        least, most = (place + 0.06) / metrics.BINS, (place + 0.94) / metrics.BINS
        plot.bar((least, 0), (most, held), "right")
        plot.bar((least, held), (most, count), "wrong")
    plot.key(("right", "first match right"), ("wrong", "not right"))
    said = f"Of {counts.sum():,} first matches {right.sum():,} are right; of an unknown product none can be."
    return figure("How sure the answers are", plot.svg(f"Histogram of probabilities. {said}"), said)


def stages(evaluation: Evaluation) -> Markup:
    """Where the time of a photo goes."""
    whole = sorted((one.elapsed_ms for one in evaluation.asked), key=len, reverse=True)  # has them in their order
    names = dict.fromkeys(stage for elapsed_ms in whole for stage in elapsed_ms if stage != TOTAL)
    timed = [(stage, evaluation.elapsed_ms(stage)) for stage in (*names, TOTAL)]
    spreads = [(stage, values, np.percentile(values, PERCENTILES).tolist()) for stage, values in timed]
    highest = max(spread[-1] for _, _, spread in spreads)
    ticks = [(len(spreads) - 0.5 - row, text) for row, (text, _, _) in enumerate(spreads)]
    plot = Plot(amount_axis("ms", highest * 1.12), Axis("", 0, len(spreads), ticks), 78 + ROW * len(spreads), 84)
    for (middle, _), (_, _, (p5, p25, p50, p75, p95)) in zip(ticks, spreads, strict=True):
        plot.line([(p5, middle), (p95, middle)], "whisker")
        plot.bar((p25, middle - 0.25), (p75, middle + 0.25), "right")
        plot.line([(p50, middle - 0.32), (p50, middle + 0.32)], "median")
        plot.text((p95, middle), f"{p50:.1f}", "", (6, 4))
    p50, p95 = spreads[-1][2][2], spreads[-1][2][-1]
    said = (
        f"A photo takes {p50:.1f} ms at the median and {p95:.1f} ms at the 95th percentile. Boxes: the middle half; "
        "lines: 5% to 95%; numbers: the median of the photos that went through it."
    )
    rows = [(text, *(f"{value:.1f}" for value in spread), number(len(values))) for text, values, spread in spreads]
    head = ("Stage", *(f"p{place}" for place in PERCENTILES), "Photos")
    numbers = table("Time of a photo by stage, ms", head, rows)
    return figure("Stage by stage", plot.svg(f"Time by stage. {said}"), said, numbers)


def times(evaluation: Evaluation) -> Markup:
    """How many photos take how long."""
    values = evaluation.elapsed_ms()
    axis = amount_axis("ms", float(np.percentile(values, LONGEST)))
    counts, edges = np.histogram(np.minimum(values, axis.high), BARS, (0, axis.high))
    plot = Plot(axis, _photos(counts))
    for count, least, most in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            plot.bar((least, 0), (most, count), "right")
    said = f"Half the photos take less than {np.median(values):.0f} ms, the slowest {values.max():.0f} ms."
    slower = int((values > axis.high).sum())
    said += f" The last bar holds {slower} that take longer than {axis.high:g} ms." if slower else ""
    return figure("All photos", plot.svg(f"Histogram of times. {said}"), said)


def _photos(counts: np.ndarray) -> Axis:
    """Whole ones, with some room above."""
    return amount_axis("photos", max(5.0, float(counts.max()) * 1.1))


def _chosen(evaluation: Evaluation) -> float:
    """The threshold of probability that accepts about as many photos as the store did."""
    ordered = np.sort([one.inside for one in evaluation.asked])
    refused = int((~evaluation.accepted).sum())
    return float(np.append(ordered, 1.0)[refused])
