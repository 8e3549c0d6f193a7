"""Fit a staged bundle to a budget.

The network and the product data always stay. The search plan is chosen first (`search_plans`, `budget`), beside a
packed catalogue and the few pictures of the golden queries. The remaining bytes go to the word index, then to
pictures, the larger the better, then to a catalogue that a device need not unpack whenever it opens the bundle.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from .._util import progress
from ..bundle import bundle_file
from ..bundle.golden_queries import FILE as GOLDEN_FILE
from ..bundle.golden_queries import GoldenQueries
from ..catalog import packed_catalog
from ..errors import BundleError
from ..index.compact_index import ARRAYS_FILE
from ..local_features.local_index import FILE as LOCAL_FILE
from ..search.open_bundle import INDEX
from .budget import BudgetReport, Plan, choose_plan, format_mb, sufficient_mb
from .optional_members import OptionalMembers
from .search_plans import SUBQUANTIZER_COUNTS, Evaluate, SearchPlans
from .staged_bundle import HEAD_BYTES, StagedBundle

MIN_ROW_BYTES = min(SUBQUANTIZER_COUNTS) // 2 + 4  # its code and its number


def check_feasible(output: Path, model_bytes: int, pictures: int, limit_bytes: int) -> None:
    """Raise BundleError if network and rows alone exceed the limit, before any picture is read."""
    least = model_bytes + pictures * MIN_ROW_BYTES + HEAD_BYTES
    if least > limit_bytes:
        fewer = ", or fewer pictures" if model_bytes + HEAD_BYTES < limit_bytes else ""
        raise BundleError(
            f"{output}: the budget is {format_mb(limit_bytes)}, but the network takes {format_mb(model_bytes)} and "
            f"{pictures:,} pictures {format_mb(pictures * MIN_ROW_BYTES)} more, whatever else is left out; give more "
            f"than --budget-mb {sufficient_mb(least)}{fewer}."
        )


def fit_to_budget(
    staged: StagedBundle,
    output: Path,
    limit_bytes: int,
    evaluate: Evaluate,
    plans: SearchPlans | None = None,
    asked: StagedBundle | None = None,
) -> tuple[StagedBundle, BudgetReport]:
    """Reduce a staged bundle that exceeds a budget to what finds most within it.

    Args:
        staged: The bundle; the files in its folder are changed.
        output: Name of the bundle in errors.
        limit_bytes: The budget.
        evaluate: Measures an index with an index of local features.
        plans: Search plans of `asked`, to share them between several budgets; None makes them.
        asked: The same bundle with another whitening, to evaluate instead of `staged`; None evaluates `staged`.
    Raises:
        BundleError: It cannot be made so small; its folder is of no use then.
    """
    all_bytes = staged.size_bytes
    asked = asked or staged
    search_plans = plans or _search_plans(asked)
    with tempfile.TemporaryDirectory(prefix="edgesearch-build-") as removed:
        optional = OptionalMembers(staged, Path(removed))
        rest = {name: size for name, size in staged.sizes().items() if name not in (INDEX + ARRAYS_FILE, LOCAL_FILE)}
        candidates = search_plans.enumerate(staged.folder, bundle_file.size_bytes(rest, HEAD_BYTES))
        if candidates[-1].size_bytes > limit_bytes:
            raise _too_small(output, rest, candidates[-1], limit_bytes)
        candidates = search_plans.evaluate(candidates, limit_bytes, evaluate)
        best = choose_plan(candidates, limit_bytes)
        assert best is not None
        accuracy = evaluate(asked.index, asked.local)
        most_features = max(plan.features for plan in candidates)
        whole = Plan(staged.index.code_bytes, True, most_features, all_bytes, accuracy)
        final = search_plans if asked is staged else _search_plans(staged)
        chosen = replace(staged, index=final.index(best), local=search_plans.local_index(best.features))
        _write_indexes(chosen)
        with progress.stage("fill the budget with words and pictures"):
            kept, left_out = optional.spend(limit_bytes)
        golden = GoldenQueries.record(chosen.embedder, chosen.index, optional.picture, optional.pictured)
        golden.write(chosen.folder / GOLDEN_FILE)
    return chosen, BudgetReport(limit_bytes, chosen.size_bytes, best, tuple(candidates), whole, kept, left_out)


def _search_plans(staged: StagedBundle) -> SearchPlans:
    return SearchPlans(staged.embeddings, staged.index, staged.local, staged.seed, staged.keeps_codebook)


def _write_indexes(staged: StagedBundle) -> None:
    shutil.rmtree(staged.folder / INDEX)
    (staged.folder / INDEX).mkdir()
    staged.index.write(staged.folder / INDEX)
    (staged.folder / LOCAL_FILE).unlink(missing_ok=True)
    if staged.local:
        staged.local.write(staged.folder / LOCAL_FILE)


def _too_small(output: Path, rest: dict[str, int], plan: Plan, limit_bytes: int) -> BundleError:
    network = sum(size for name, size in rest.items() if name.startswith("model/"))
    catalog = rest[packed_catalog.FILE]
    other, least = plan.size_bytes - network - catalog, sufficient_mb(plan.size_bytes)
    return BundleError(
        f"{output}: {format_mb(limit_bytes)} were given and {least} MB are the least, without local features, "
        f"pictures, index of words and int8 vectors (network {format_mb(network)}, packed catalogue "
        f"{format_mb(catalog)}, {plan.name} and all else {format_mb(other)}); give --budget-mb {least}, or fewer "
        "products."
    )
