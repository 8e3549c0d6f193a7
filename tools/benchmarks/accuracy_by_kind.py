"""Accuracy by kind of grocery: packages carry print, vegetables and fruit do not."""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

import edgesearch
from edgesearch.catalog.loader import read_queries
from edgesearch.evaluation import metrics
from edgesearch.evaluation.evaluate import QueryResult, evaluate

from .context import Results, add_data, add_model, require_photos
from .protocols import write_all

GROCERIES = "groceries"  # protocols whose names begin so
PROTOCOLS = ("groceries-catalogue", "groceries-catalogue-unseen", "groceries-5ref", "groceries-5ref-unseen")
KINDS = {"Packages": "packages", "Vegetables": "vegetables", "Fruit": "fruit"}  # by folder of the catalogue picture


def kinds_by_sku(groceries: Path) -> dict[str, str]:
    """Return the kind of each product of the protocols by SKU."""
    with open(groceries / "classes.csv", encoding="utf-8", newline="") as file:
        return {
            f"G{int(row['Class ID (int)']):02}": KINDS[Path(row["Iconic Image Path (str)"]).parts[1]]
            for row in csv.DictReader(file)
        }


def recall_by_kind(results: Sequence[QueryResult], kinds: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return recall@1, recall@5 and the number of queries of each kind, and of all together as "all"."""
    groups = {"all": list(results)}
    for kind in KINDS.values():
        groups[kind] = [result for result in results if kinds[result.sku] == kind]
    return {name: _recall([result.rank for result in group]) for name, group in groups.items() if group}


def _recall(ranks: Sequence[int]) -> dict[str, float]:
    return {f"recall@{k}": metrics.recall_at(np.array(ranks), k) for k in (1, 5)} | {"queries": len(ranks)}


def table(protocols: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return recall@1 (recall@5) as Markdown: a row a protocol, a column a kind."""
    columns = ("all", *KINDS.values())
    lines = [f"| protocol | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, groups in protocols.items():
        cells = [f"{groups[kind]['recall@1']:.3f} ({groups[kind]['recall@5']:.3f})" for kind in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data(parser)
    add_model(parser)


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Measure each protocol through bundle and store, with local features, as a device answers."""
    require_photos(options.data)
    kinds = kinds_by_sku(options.data / "groceries")
    protocols = {}
    for protocol in write_all(options.data, folder, list(PROTOCOLS)):
        edge = folder / f"{protocol.name}.edge"
        edgesearch.build(protocol.catalogue, edge, options.model)
        with edgesearch.open(edge) as store:
            evaluation = evaluate(store, read_queries(protocol.queries))
        protocols[protocol.name] = recall_by_kind(evaluation.results, kinds)
    return {"protocols": protocols, "markdown": table(protocols), "note": "Recall@1 (recall@5), as a device answers."}
