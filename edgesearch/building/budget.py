"""Choose the parts of a bundle to keep if all of them would exceed the budget, and report the choice.

Accuracy comes first: of the search plans that fit, the one that finds most products is chosen. The remaining bytes go
to members that are only displayed or that save time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CHANCE_QUESTIONS = 2  # a difference of so many right answers is chance
CONFIDENCE_MARGIN = 0.01  # a smaller difference in confidence is chance
SMALL_SHARE = 0.02  # of the budget: plans whose sizes differ by less count as equally small
TOO_LARGE_LISTED = 4  # plans beyond the budget that the report lists, the smallest ones


@dataclass(frozen=True)
class PlanAccuracy:
    """The measured accuracy of a plan.

    Attributes:
        recall: Share of the questions whose product came first.
        confidence: Mean probability given to the right product, 0 if the evaluation computes none.
        questions: Number of questions.
    """

    recall: float
    confidence: float
    questions: int


@dataclass(frozen=True)
class Plan:
    """An index and a number of local features with which to search a catalogue.

    Attributes:
        code_bytes: Bytes of the code of a row.
        rescored: The bundle keeps int8 vectors to rescore the shortlist.
        features: Most local features kept of a picture.
        size_bytes: Size of the bundle with the least of everything else.
        accuracy: None if the plan was not evaluated.
    """

    code_bytes: int
    rescored: bool
    features: int
    size_bytes: int
    accuracy: PlanAccuracy | None = None

    @property
    def name(self) -> str:
        """The plan in words."""
        features = f"{self.features} features" if self.features else "no local features"
        return f"{self.code_bytes} B codes{' and int8' * self.rescored}, {features}"

    @property
    def summary(self) -> str:
        """The size, and the accuracy if it was measured."""
        accuracy = self.accuracy
        confidence = f", confidence {accuracy.confidence:.3f}" if accuracy and accuracy.confidence else ""
        return format_mb(self.size_bytes) + (f", recall@1 {accuracy.recall:.3f}{confidence}" if accuracy else "")


@dataclass(frozen=True)
class Extra:
    """A member, or a version of one, that is only displayed or saves time.

    Attributes:
        name: The extra in words.
        size_bytes: Bytes by which it enlarges the bundle.
    """

    name: str
    size_bytes: int


@dataclass(frozen=True)
class BudgetReport:
    """The choices of a build within a budget.

    Attributes:
        limit_bytes: The budget.
        size_bytes: Upper bound of the size of the bundle.
        chosen: The search plan of the bundle.
        plans: Plans that were evaluated or are too large, the largest first.
        whole: The plan of the bundle without a budget.
        kept: Extras in the bundle.
        left_out: Extras that did not fit.
    """

    limit_bytes: int
    size_bytes: int
    chosen: Plan
    plans: tuple[Plan, ...]
    whole: Plan
    kept: tuple[Extra, ...]
    left_out: tuple[Extra, ...]

    def card(self) -> dict[str, object]:
        """Return the entries for the accuracy card of the manifest."""
        accuracy = _accuracy_of(self.chosen)
        card: dict[str, object] = {
            "budget bytes": self.limit_bytes,
            "questions": accuracy.questions,
            "recall@1": accuracy.recall,
        }
        rows = self._rows()
        return card | {f"{label} {name}": summary for label, name, summary in rows}

    def lines(self) -> list[str]:
        """Return the report as lines of text: a heading and a table."""
        rows = self._rows()
        width = max(len(name) for _, name, _ in rows)
        accuracy = self.chosen.accuracy
        confidence = (
            ", and the mean probability given to the right product (confidence)"
            if accuracy and accuracy.confidence
            else ""
        )
        heading = (
            f"budget {format_mb(self.limit_bytes)}, at most {format_mb(self.size_bytes)} used; recall@1 of "
            f"{accuracy.questions if accuracy else 0} questions{confidence}"
        )
        return [heading, *(f"{label:14} {name:{width}}  {summary}" for label, name, summary in rows)]

    def _rows(self) -> list[tuple[str, str, str]]:
        """Return label, name and summary of each line of the table."""
        candidates = drop_dominated([plan for plan in self.plans if plan.accuracy])
        others = [plan for plan in candidates[::-1] if plan != self.chosen]
        others = [*others, *[plan for plan in self.plans if not plan.accuracy][-TOO_LARGE_LISTED:]]
        return [
            ("without budget", self.whole.name, self.whole.summary),
            ("taken", self.chosen.name, self.chosen.summary),
            *(("refused" if plan.accuracy else "too large", plan.name, plan.summary) for plan in others),
            *(("kept", extra.name, format_mb(extra.size_bytes)) for extra in self.kept),
            *(("left out", extra.name, format_mb(extra.size_bytes)) for extra in self.left_out),
        ]


def choose_plan(plans: Sequence[Plan], limit_bytes: int) -> Plan | None:
    """Return the best evaluated plan within the limit; None if none fits.

    Among plans as accurate as the best one, take the smallest; among equally small ones, the most confident.
    """
    fitting = [plan for plan in plans if plan.accuracy and plan.size_bytes <= limit_bytes]
    best = _as_accurate_as_best(fitting)
    least = min((plan.size_bytes for plan in best), default=0)
    small = [plan for plan in best if plan.size_bytes <= least + SMALL_SHARE * limit_bytes]
    return max(small, key=lambda plan: (_accuracy_of(plan).confidence, -plan.size_bytes, plan.name), default=None)


def drop_dominated(plans: Sequence[Plan]) -> list[Plan]:
    """Return evaluated plans, the smallest first, without those that a smaller plan equals in accuracy."""
    kept: list[Plan] = []
    for plan in sorted(plans, key=lambda plan: plan.size_bytes):
        if not any(smaller in _as_accurate_as_best([smaller, plan]) for smaller in kept):
            kept.append(plan)
    return kept


def _as_accurate_as_best(plans: Sequence[Plan]) -> list[Plan]:
    """Return the plans that find as much as the best, and among these the ones as confident as the most confident."""
    most = max((_accuracy_of(plan).recall for plan in plans), default=0.0)
    plans = [
        plan
        for plan in plans
        if _accuracy_of(plan).recall >= most - CHANCE_QUESTIONS / max(1, _accuracy_of(plan).questions)
    ]
    surest = max((_accuracy_of(plan).confidence for plan in plans), default=0.0)
    return [plan for plan in plans if _accuracy_of(plan).confidence >= surest - CONFIDENCE_MARGIN]


def _accuracy_of(plan: Plan) -> PlanAccuracy:
    assert plan.accuracy is not None
    return plan.accuracy


def budget_bytes(budget_mb: float) -> int:
    """Return a budget in bytes; raise ValueError if it is not a size."""
    if not 0 < budget_mb < math.inf:
        raise ValueError(f"budget_mb is {budget_mb}; expected a number of MB above 0.")
    return int(budget_mb * 1e6)


def format_mb(size_bytes: int) -> str:
    """Format a size with its unit."""
    return f"{size_bytes / 1e6:.2f} MB"


def sufficient_mb(size_bytes: int) -> str:
    """Format the smallest budget, in steps of 0.01 MB, that holds so many bytes."""
    return f"{math.ceil(size_bytes / 1e4) / 100:g}"
