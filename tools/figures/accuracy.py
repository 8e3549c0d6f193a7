"""Accuracy on real photos, from float to the compressed index, through the real bundle and engine."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import edgesearch
from edgesearch import Store, metrics
from edgesearch.catalog import read_csv, read_queries
from edgesearch.evaluate import evaluate

from .protocols import Protocol, write_all

SYSTEMS = ("pretrained 1280-d", "float32 exact", "int8 exact", "int8 + PQ", "int8 + PQ + rescoring")
Figures = dict[str, float]
Embed = Callable[[list[Path]], np.ndarray]


@dataclass(frozen=True)
class _Asked:
    """One protocol's pictures: N of the gallery, Q asked; products are numbered."""

    gallery: list[Path]
    owner: np.ndarray  # (N,) int64
    queries: list[Path]
    right: np.ndarray  # (Q,) int64

    @classmethod
    def read(cls, protocol: Protocol) -> "_Asked":
        entries, queries = read_csv(protocol.catalogue), read_queries(protocol.queries)
        number = {entry.product.sku: i for i, entry in enumerate(entries)}
        return cls(
            gallery=[path for entry in entries for _, path in entry.images],
            owner=np.array([number[entry.product.sku] for entry in entries for _ in entry.images]),
            queries=[path for path, _ in queries],
            right=np.array([number[sku] for _, sku in queries]),
        )

    def figures(self, scores: np.ndarray) -> Figures:
        """Figures of (Q, N) scores, a product's best picture speaking for it."""
        products = np.full((len(scores), self.owner.max() + 1), -np.inf, np.float32)
        for row, owner in enumerate(self.owner):
            products[:, owner] = np.maximum(products[:, owner], scores[:, row])
        own = products[np.arange(len(scores)), self.right]
        return _figures((products > own[:, None]).sum(1) + 1)


def accuracy(data: Path, weights: Path | None, model: Path, names: list[str]) -> dict[str, dict[str, Figures]]:
    """Measure every protocol with every system.

    Args:    data: folder of real photos; weights: of the pretrained backbone, None to leave the baseline out;
             model: model folder with both precisions; names: protocols.
    Returns: figures by protocol and system: recall@1, recall@5, map, and for the last system p50_ms, p95_ms.
    """
    baseline = _remembering(_pretrained(weights)) if weights else None
    exact: Embed | None = None
    results: dict[str, dict[str, Figures]] = {}
    remembered: dict[str, Embed] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for protocol in tqdm(write_all(data, Path(temporary), names), desc="accuracy", disable=None):
            asked, found = _Asked.read(protocol), {}
            if baseline:
                found[SYSTEMS[0]] = asked.figures(baseline(asked.queries) @ baseline(asked.gallery).T)
            for precision in ("fp32", "int8"):
                edge = Path(temporary) / f"{protocol.name}.{precision}.edge"
                edgesearch.build(protocol.catalogue, edge, model, precision=precision)
                with edgesearch.open(edge) as store:
                    # The same network embeds the same photos for several protocols: once is enough.
                    exact = remembered.setdefault(precision, _remembering(store.embed))
                    asked_scores = exact(asked.queries) @ exact(asked.gallery).T
                    found["float32 exact" if precision == "fp32" else "int8 exact"] = asked.figures(asked_scores)
                    if precision == "int8":
                        found["int8 + PQ"] = asked.figures(_code_scores(store, exact(asked.queries)))
                        found["int8 + PQ + rescoring"] = _through_engine(store, protocol)
            results[protocol.name] = found
    return results


def _code_scores(store: Store, queries: np.ndarray) -> np.ndarray:
    """(Q, D) -> (Q, N) scores of the codes alone."""
    hits = store.index.search(queries, len(store.index), rescored=False)
    scores = np.empty_like(hits.scores)
    np.put_along_axis(scores, hits.rows, hits.scores, 1)
    return scores


def _through_engine(store: Store, protocol: Protocol) -> Figures:
    figures = evaluate(store, read_queries(protocol.queries)).to_dict()
    return {name: figures[name] for name in ("recall@1", "recall@5", "map", "p50_ms", "p95_ms")}


def _figures(ranks: np.ndarray) -> Figures:
    return {
        "recall@1": metrics.recall_at(ranks, 1),
        "recall@5": metrics.recall_at(ranks, 5),
        "map": metrics.mean_average_precision(ranks),
    }


def _remembering(embed: Callable[[Any], np.ndarray]) -> Embed:
    """Embed each file once, whatever the number of protocols that ask it."""
    known: dict[str, np.ndarray] = {}

    def embed_new(paths: list[Path]) -> np.ndarray:
        # Files of different protocols may share a name, so the whole path is the key.
        new = [path for path in dict.fromkeys(paths) if str(path) not in known]
        known.update(zip(map(str, new), embed(new), strict=True))
        return np.stack([known[str(path)] for path in paths])

    return embed_new


def _pretrained(weights: Path) -> Embed:
    """The plain backbone: pooled 1280-d feature of the centre crop, float32."""
    import torch
    from torch.nn import functional as F

    from export import artifact
    from export.backbones import embedder

    features = embedder("mobilenet_v2", 128, weights).features.eval()

    def embed(paths: list[Path]) -> np.ndarray:
        with torch.inference_mode():
            parts = [
                F.normalize(features(torch.from_numpy(artifact.inputs(paths[i : i + 16]))).mean((2, 3)))
                for i in range(0, len(paths), 16)
            ]
        return torch.cat(parts).numpy() if parts else np.empty((0, 1280), np.float32)

    return embed


def table(results: dict[str, dict[str, Figures]]) -> str:
    """Markdown: recall@1 of each system, and what the shipped one reaches besides."""
    systems = [s for s in SYSTEMS if any(s in found for found in results.values())]
    lines = [
        f"| protocol | {' | '.join(systems)} | @5 | mAP | ms a photo, p50 (p95) |",
        "|---|" + "---|" * (len(systems) + 3),
    ]
    for name, found in results.items():
        last = found[SYSTEMS[-1]]
        cells = [f"{found[system]['recall@1']:.3f}" for system in systems]
        cells += [
            f"{last['recall@5']:.3f}",
            f"{last['map']:.3f}",
            f"{last['p50_ms']:.1f} ({last['p95_ms']:.1f})",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
