"""What of a catalogue is kept where all of it would be too large, and how that is told.

What finds products comes first: of the plans that fit, the one that found most of what was asked. What is left is spent
on what is only shown, or makes it quicker.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CHANCE = 2  # questions more or less that are answered rightly tell nothing
SURE_APART = 0.01
NEXT_TO_NOTHING = 0.02  # of the budget
TOO_LARGE_SHOWN = 4


@dataclass(frozen=True)
class Measured:
    """What asking gave.

    Attributes: recall: share of the questions whose product came first; sure: mean probability that it was given, 0
                where none was; questions: asked.
    """

    recall: float
    sure: float
    questions: int


@dataclass(frozen=True)
class Plan:
    """A way to search a catalogue.

    Attributes: code_bytes: of a row; rescored: int8 vectors are kept beside; features: of the print of each picture;
                size_bytes: of the bundle with the least of everything else; measured: None where it was not asked.
    """

    code_bytes: int
    rescored: bool
    features: int
    size_bytes: int
    measured: Measured | None = None

    @property
    def name(self) -> str:
        """In words."""
        print_ = f"{self.features} features" if self.features else "no print"
        return f"{self.code_bytes} B codes{' and int8' * self.rescored}, {print_}"

    @property
    def told(self) -> str:
        """Its size, and what asking gave."""
        found = self.measured
        sure = f", sure {found.sure:.3f}" if found and found.sure else ""
        return megabytes(self.size_bytes) + (f", recall@1 {found.recall:.3f}{sure}" if found else "")


@dataclass(frozen=True)
class Extra:
    """Something that is shown, or makes it quicker; size_bytes: by which the bundle grows."""

    name: str
    size_bytes: int


@dataclass(frozen=True)
class Fitted:
    """What was kept, and what it was chosen of.

    Attributes: size_bytes: of the bundle, at most; taken: how it is searched; plans: those that were asked or are too
                large, the largest first; whole: as it would be without a budget; kept, left_out: of what is shown.
    """

    limit_bytes: int
    size_bytes: int
    taken: Plan
    plans: tuple[Plan, ...]
    whole: Plan
    kept: tuple[Extra, ...]
    left_out: tuple[Extra, ...]

    def card(self) -> dict[str, object]:
        """For the accuracy card of the manifest."""
        assert self.taken.measured is not None
        found = self.taken.measured
        card: dict[str, object] = {
            "budget bytes": self.limit_bytes,
            "questions": found.questions,
            "recall@1": found.recall,
        }
        return card | {f"{how} {what}": told for how, what, told in self._rows()}

    def lines(self) -> list[str]:
        """A table."""
        rows = self._rows()
        width = max(len(what) for _, what, _ in rows)
        found = self.taken.measured
        sure = ", and the mean probability that the right product was given (sure)" if found and found.sure else ""
        given = (
            f"budget {megabytes(self.limit_bytes)}, at most {megabytes(self.size_bytes)} used; recall@1 of "
            f"{found.questions if found else 0} questions{sure}"
        )
        return [given, *(f"{how:14} {what:{width}}  {told}" for how, what, told in rows)]

    def _rows(self) -> list[tuple[str, str, str]]:
        worth = worth_more([plan for plan in self.plans if plan.measured])
        others = [plan for plan in worth[::-1] if plan != self.taken]
        others = [*others, *[plan for plan in self.plans if not plan.measured][-TOO_LARGE_SHOWN:]]
        return [
            ("without budget", self.whole.name, self.whole.told),
            ("taken", self.taken.name, self.taken.told),
            *(("refused" if plan.measured else "too large", plan.name, plan.told) for plan in others),
            *(("kept", extra.name, megabytes(extra.size_bytes)) for extra in self.kept),
            *(("left out", extra.name, megabytes(extra.size_bytes)) for extra in self.left_out),
        ]


def searched(plans: Sequence[Plan], limit_bytes: int) -> Plan | None:
    """The plan to take; None where none fits.

    Of those that find as much as the best and are as sure, the surest of the smallest: asking tells no more.
    """
    fitting = [plan for plan in plans if plan.measured and plan.size_bytes <= limit_bytes]
    alike = _alike(fitting)
    least = min((plan.size_bytes for plan in alike), default=0)
    small = [plan for plan in alike if plan.size_bytes <= least + NEXT_TO_NOTHING * limit_bytes]
    return max(small, key=lambda plan: (_found(plan).sure, -plan.size_bytes, plan.name), default=None)


def worth_more(plans: Sequence[Plan]) -> list[Plan]:
    """Measured plans without those of which a smaller one finds as much."""
    worth: list[Plan] = []
    for plan in sorted(plans, key=lambda plan: plan.size_bytes):
        if not any(one in _alike([one, plan]) for one in worth):
            worth.append(plan)
    return worth


def _alike(plans: Sequence[Plan]) -> list[Plan]:
    """Those that find as much as the best, and of these those that are as sure as the surest."""
    most = max((_found(plan).recall for plan in plans), default=0.0)
    plans = [plan for plan in plans if _found(plan).recall >= most - CHANCE / max(1, _found(plan).questions)]
    surest = max((_found(plan).sure for plan in plans), default=0.0)
    return [plan for plan in plans if _found(plan).sure >= surest - SURE_APART]


def _found(plan: Plan) -> Measured:
    assert plan.measured is not None
    return plan.measured


def limit_of(budget_mb: float) -> int:
    """Bytes; raises ValueError: no size."""
    if not 0 < budget_mb < math.inf:
        raise ValueError(f"budget_mb is {budget_mb}; expected a number of MB above 0.")
    return int(budget_mb * 1e6)


def megabytes(size_bytes: int) -> str:
    """In words."""
    return f"{size_bytes / 1e6:.2f} MB"


def least_mb(size_bytes: int) -> str:
    """A budget in which so many bytes fit."""
    return f"{math.ceil(size_bytes / 1e4) / 100:g}"
