"""Draw the charts of a report, each with a sentence and a table of its numbers."""

import numpy as np

from ..html.charts import Axis, Plot, amount_axis, share_axis
from ..html.markup import Markup
from ..html.parts import figure, number, percent, table
from ..search.outcomes import risk_curve
from . import metrics
from .evaluate import Evaluation
from .metrics import ErrorCurve, Reliability

MAX_RANK = 10  # of the recall curve
FALSE_ACCEPTS = (0.01, 0.02, 0.05, 0.1, 0.2)  # at which the table lists the false rejects
TARGET, RISKS = 0.05, (0.01, 0.02, 0.05, 0.1, 0.2)  # shares of wrong answers
PERCENTILES = (5, 25, 50, 75, 95)
TOTAL = "total"
ROW_PX = 38
BARS, LAST_PERCENTILE = 25, 99  # of the time histogram; its last bar contains all times above this percentile


def recall_curve(evaluation: Evaluation) -> Markup:
    """Draw recall@k of known products."""
    ranks = evaluation.ranks[evaluation.known]
    shares = [metrics.recall_at(ranks, k) for k in range(1, MAX_RANK + 1)]
    ticks = [(k, str(k)) for k in range(1, MAX_RANK + 1)]
    plot = Plot(Axis("products considered", 0.5, MAX_RANK + 0.5, ticks), share_axis("photos"))
    plot.line(enumerate(shares, 1), "right")
    for k, share in enumerate(shares, 1):
        plot.dot((k, share), "right", 4)
        if k in (1, 3, 5, MAX_RANK):
            below = 20 if share > 0.85 else -11
            plot.text((k, share), f"{share:.0%}", "right", (0, below), "middle")
    caption = f"Right product first: {percent(shares[0])}; among the first five: {percent(shares[4])}."
    rows = [(k, percent(share)) for k, share in enumerate(shares, 1)]
    chart = plot.svg(f"Recall at k, 1 to {MAX_RANK}. {caption}")
    return figure("Recall@k", chart, caption, table("Recall@k", ("k", "Recall"), rows))


def risk_coverage(evaluation: Evaluation) -> Markup:
    """Draw the share of wrong answers against the share of photos that are answered, and the matches of the store."""
    answers = evaluation.answers
    coverage, risk, _ = risk_curve(answers.outcomes)
    plot = Plot(share_axis("photos answered at once"), share_axis("wrong answers"))
    plot.line([(0, TARGET), (1, TARGET)], "mark")
    plot.line(zip(coverage.tolist(), risk.tolist(), strict=True), "wrong")
    matched, wrong = float(answers.matched.mean()), answers.figures()["wrong_matches"]
    if wrong is not None:
        plot.dot((matched, wrong), "wrong")
        plot.text((matched, wrong), "store", "wrong", *(((10, -8), "start") if matched < 0.7 else ((-8, -8), "end")))
    rows = [(percent(1 - r), percent(answers.outcomes.coverage_at(1 - r))) for r in RISKS]
    caption = (
        f"The surest {percent(answers.outcomes.coverage_at(1 - TARGET))} of all photos can be answered at once if "
        f"{percent(TARGET)} of these answers may be wrong (line). The store answers {percent(matched)} at once; "
        f"{percent(wrong)} of these answers are wrong."
    )
    numbers = table("Photos that can be answered at a precision", ("Precision", "Photos"), rows)
    return figure("Risk and coverage", plot.svg(f"Risk-coverage curve. {caption}"), caption, numbers)


def known_curves(errors: ErrorCurve) -> Markup:
    """Draw the errors at each threshold of the probability that the catalogue has the product."""
    ends = np.append(errors.thresholds[:-1], 1.0)
    plot = Plot(share_axis("least probability of a known product"), share_axis("photos"))
    plot.key(("wrong", "unknown products kept"), ("second", "known products sent away"))
    curves = {"wrong": errors.false_accept_rate, "second": errors.false_reject_rate}
    for kind, rates in curves.items():
        plot.line([(0, rates[0]), *zip(ends.tolist(), rates.tolist(), strict=True)], kind)
    caption = "A higher threshold sends more photos away, of unknown products and of known ones."
    rows = [(percent(rate), percent(errors.reject_rate_at(rate))) for rate in FALSE_ACCEPTS]
    numbers = table("Known products sent away", ("Unknown products kept, at most", "Known sent away"), rows)
    chart = plot.svg(f"Errors at each threshold. {caption}")
    return figure("Both errors by threshold", chart, caption, numbers)


def roc_curve(errors: ErrorCurve) -> Markup:
    """Draw known products against unknown ones, by the least probability of a known product."""
    plot = Plot(share_axis("unknown products kept"), share_axis("known products kept"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.line(zip(errors.false_accept_rate.tolist(), (1 - errors.false_reject_rate).tolist(), strict=True), "right")
    plot.text((1, 0), f"AUROC {errors.auroc:.3f}", "big", (-10, -14), "end")
    plot.text((0.62, 0.62), "by chance", "quiet", (8, 14))
    caption = (
        f"In {percent(errors.auroc)} of all pairs of a known and an unknown product, the known one has the higher "
        f"probability (AUROC). Where 5% of the unknown are kept, {percent(errors.reject_rate_at(0.05))} of the known "
        "are sent away."
    )
    return figure("ROC", plot.svg(f"ROC curve. {caption}"), caption)


def reliability_diagram(reliability: Reliability) -> Markup:
    """Draw stated probability against the share of right first matches, with 95% intervals."""
    full = np.flatnonzero(reliability.counts)
    counts, stated, right = (
        values[full] for values in (reliability.counts, reliability.probability, reliability.right)
    )
    low, high = metrics.interval(right, counts)
    plot = Plot(share_axis("stated probability"), share_axis("right first matches"))
    plot.line([(0, 0), (1, 1)], "chance")
    plot.text((0.22, 0.22), "ideal", "quiet", (10, 14))
    for x, y, least, most, count in zip(stated, right, low, high, counts, strict=True):
        plot.line([(x, least), (x, most)], "whisker")
        plot.dot((x, y), "right", 3 + 7 * float(np.sqrt(count / counts.sum())))
    plot.text((0, 1), f"ECE {reliability.ece:.3f}", "big", (10, 20))
    sentence = (
        f"On average, stated and true probability differ by {percent(reliability.ece)} (expected calibration error). "
        "Above the diagonal, answers are right more often than stated. Large dots: many answers; lines: 95% confidence "
        "intervals."
    )
    rows = [(percent(x), percent(y), number(int(count))) for x, y, count in zip(stated, right, counts, strict=True)]
    numbers = table("Stated probability and right answers", ("Stated", "Right", "Photos"), rows)
    return figure("Reliability", plot.svg(f"Reliability diagram. {sentence}"), sentence, numbers)


def probability_histogram(reliability: Reliability) -> Markup:
    """Draw the number of answers by stated probability, and how many of them are right."""
    counts, right = reliability.counts, np.round(reliability.right * reliability.counts).astype(int)
    plot = Plot(share_axis("stated probability"), _photos_axis(counts))
    for number_of_bin, (right_count, count) in enumerate(zip(right.tolist(), counts.tolist(), strict=True)):
        least, most = (number_of_bin + 0.06) / metrics.BINS, (number_of_bin + 0.94) / metrics.BINS
        plot.bar((least, 0), (most, right_count), "right")
        plot.bar((least, right_count), (most, count), "wrong")
    plot.key(("right", "first match right"), ("wrong", "not right"))
    caption = f"Of {counts.sum():,} first matches, {right.sum():,} are right; for an unknown product none can be."
    return figure("Stated probabilities", plot.svg(f"Histogram of probabilities. {caption}"), caption)


def stage_times(evaluation: Evaluation) -> Markup:
    """Draw the time of a photo by stage."""
    longest = sorted((result.elapsed_ms for result in evaluation.results), key=len, reverse=True)  # has all stages
    names = dict.fromkeys(stage for elapsed_ms in longest for stage in elapsed_ms if stage != TOTAL)
    timed = [(stage, evaluation.elapsed_ms(stage)) for stage in (*names, TOTAL)]
    spreads = [(stage, values, np.percentile(values, PERCENTILES).tolist()) for stage, values in timed]
    highest = max(spread[-1] for _, _, spread in spreads)
    ticks = [(len(spreads) - 0.5 - row, text) for row, (text, _, _) in enumerate(spreads)]
    plot = Plot(amount_axis("ms", highest * 1.12), Axis("", 0, len(spreads), ticks), 78 + ROW_PX * len(spreads), 84)
    for (middle, _), (_, _, (p5, p25, p50, p75, p95)) in zip(ticks, spreads, strict=True):
        plot.line([(p5, middle), (p95, middle)], "whisker")
        plot.bar((p25, middle - 0.25), (p75, middle + 0.25), "right")
        plot.line([(p50, middle - 0.32), (p50, middle + 0.32)], "median")
        plot.text((p95, middle), f"{p50:.1f}", "", (6, 4))
    p50, p95 = spreads[-1][2][2], spreads[-1][2][-1]
    caption = (
        f"A photo takes {p50:.1f} ms at the median and {p95:.1f} ms at the 95th percentile. Boxes: the middle half; "
        "lines: 5% to 95%; numbers: the median of the photos that reached the stage."
    )
    rows = [(text, *(f"{value:.1f}" for value in spread), number(len(values))) for text, values, spread in spreads]
    head = ("Stage", *(f"p{percentile}" for percentile in PERCENTILES), "Photos")
    numbers = table("Time of a photo by stage, ms", head, rows)
    return figure("Time by stage", plot.svg(f"Time by stage. {caption}"), caption, numbers)


def time_histogram(evaluation: Evaluation) -> Markup:
    """Draw the number of photos by time."""
    values = evaluation.elapsed_ms()
    axis = amount_axis("ms", float(np.percentile(values, LAST_PERCENTILE)))
    counts, edges = np.histogram(np.minimum(values, axis.high), BARS, (0, axis.high))
    plot = Plot(axis, _photos_axis(counts))
    for count, least, most in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            plot.bar((least, 0), (most, count), "right")
    caption = f"Half the photos take less than {np.median(values):.0f} ms, the slowest {values.max():.0f} ms."
    slower = int((values > axis.high).sum())
    caption += f" The last bar contains {slower} that take longer than {axis.high:g} ms." if slower else ""
    return figure("All photos", plot.svg(f"Histogram of times. {caption}"), caption)


def _photos_axis(counts: np.ndarray) -> Axis:
    """Return an axis of photo counts (B,) with some room above."""
    return amount_axis("photos", max(5.0, float(counts.max()) * 1.1))
