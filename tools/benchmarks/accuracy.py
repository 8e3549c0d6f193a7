"""Accuracy on real and drawn photos, from the float network to the shipped search with its compressed index."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

import edgesearch
from edgesearch import Store
from edgesearch.catalog.loader import read, read_queries
from edgesearch.embedding.embedder import Embedder, read_model, read_whitening
from edgesearch.embedding.whitening import Whitening
from edgesearch.evaluation import metrics
from edgesearch.evaluation.evaluate import evaluate

from .accuracy_by_kind import GROCERIES, KINDS, kinds_by_sku, recall_by_kind
from .context import Results, add_data, add_model, require_photos
from .protocols import DRAWN, LARGE, PROTOCOLS, Protocol, write_all

# Each system changes one thing in the one before it. SHIPPED is a device's search; FAST is the search with --fast.
WHITENED_BY_MODEL, WHITENED = "whitened by the model", "and by the catalogue"
VECTOR_ONLY, SHIPPED, FAST = "rescored int8", "with local features", "fast"
SYSTEMS = (
    "pretrained 1280-d",
    "float32, one crop",
    "augmented references",
    "three crops",
    "int8 network",
    WHITENED_BY_MODEL,
    WHITENED,
    "4-bit PQ",
    VECTOR_ONLY,
    SHIPPED,
    FAST,
)
NOTE = """\
The columns give recall@1, and each adds one thing to the column before. "rescored int8" is this model in the index;
"with local features" is what ships (they are not part of the model); "fast" is one crop with the model alone. Recall@1
of what ships by kind of grocery, recall@5, mAP and times follow."""
Figures = dict[str, float]
Embed = Callable[[list[Path]], np.ndarray]


@dataclass(frozen=True)
class _ProtocolPictures:
    """The pictures of one protocol: N in the gallery, Q queries; products are numbered."""

    gallery: list[Path]
    owner: np.ndarray  # (N,) int64
    queries: list[Path]
    right: np.ndarray  # (Q,) int64

    @classmethod
    def read(cls, protocol: Protocol) -> "_ProtocolPictures":
        entries, queries = read(protocol.catalogue).entries, read_queries(protocol.queries)
        number = {entry.product.sku: i for i, entry in enumerate(entries)}
        return cls(
            gallery=[Path(place) for entry in entries for _, place in entry.images],
            owner=np.array([number[entry.product.sku] for entry in entries for _ in entry.images]),
            queries=[path for path, _ in queries],
            right=np.array([number[sku] for _, sku in queries]),
        )

    def figures(self, scores: np.ndarray) -> Figures:
        """Return figures of (Q, N) float32 scores: a product scores as its best picture; the right one loses a tie."""
        products = np.full((len(scores), self.owner.max() + 1), -np.inf, np.float32)
        for row, owner in enumerate(self.owner):
            products[:, owner] = np.maximum(products[:, owner], scores[:, row])
        own = products[np.arange(len(scores)), self.right]
        return _figures((products >= own[:, None]).sum(1))


def accuracy(data: Path, weights: Path | None, model: Path, names: list[str]) -> dict[str, dict[str, Figures]]:
    """Measure every protocol with every system; with thousands of pictures, only the systems that use the index.

    Args:
        data:    folder of real photos.
        weights: of the pretrained backbone; None: leave the baseline out.
        model:   model folder; without a float network, the systems that run one are left out.
        names:   protocols.

    Returns: figures by protocol and system: recall@1, recall@5, map, for whole searches p50_ms and p95_ms, and for
             groceries as a device answers recall@1 of each of `KINDS`.
    """
    baseline = _cache_embeddings(_load_pretrained(weights)) if weights else None
    threads = os.cpu_count() or 1
    networks = {
        precision: _Network(Embedder.open(model, precision, threads)) for precision in read_model(model)[0].files
    }
    results: dict[str, dict[str, Figures]] = {}
    shipped = read_whitening(model)
    with tempfile.TemporaryDirectory() as temporary:
        for protocol in tqdm(write_all(data, Path(temporary), names), desc="accuracy", disable=None):
            asked, found = _ProtocolPictures.read(protocol), results.setdefault(protocol.name, {})
            if protocol.name not in LARGE:
                if baseline:
                    found[SYSTEMS[0]] = asked.figures(baseline(asked.queries) @ baseline(asked.gallery).T)
                found |= {name: asked.figures(scores) for name, scores in _exact_scores(networks, asked)}
            edge = Path(temporary) / f"{protocol.name}.edge"
            edgesearch.build(protocol.catalogue, edge, model)
            with edgesearch.open(edge) as store:
                maps = {WHITENED_BY_MODEL: shipped, WHITENED: store.base.embedder.whitening}
                if protocol.name not in LARGE:
                    found |= {
                        name: asked.figures(_whitened_scores(networks["int8"], asked, one))
                        for name, one in maps.items()
                    }
                queries = store.base.embedder.whiten(networks["int8"].photos(asked.queries))
                found["4-bit PQ"] = asked.figures(_code_scores(store, queries))
                kinds = kinds_by_sku(data / "groceries") if protocol.name.startswith(GROCERIES) else None
                found[SHIPPED] = _through_engine(store, protocol, fast=False, kinds=kinds)
                found[FAST] = _through_engine(store, protocol, fast=True)
                store.base.local = None
                found[VECTOR_ONLY] = _through_engine(store, protocol, fast=False)
    return results


class _Network:
    """One network's embeddings of files: as a query of one crop, as a query of several crops, and as a reference."""

    def __init__(self, embedder: Embedder):
        self.quick = _cache_embeddings(lambda paths: embedder.embed_photos(paths, fast=True))
        self.photos = _cache_embeddings(embedder.embed_photos)
        self.references = _cache_embeddings(
            lambda paths: np.concatenate([_embed_reference(embedder, path) for path in paths])
        )


def _embed_reference(embedder: Embedder, path: Path) -> np.ndarray:
    """Embed a file as a reference image: (1, D) float32."""
    return embedder.embed_references([embedder.read(path)])[0]


def _exact_scores(networks: dict[str, _Network], asked: _ProtocolPictures) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and (Q, N) float32 scores of every system that compares exact cosines with all rows."""
    coarse = networks["int8"]
    if exact := networks.get("fp32"):
        references = exact.references(asked.gallery)
        yield SYSTEMS[1], exact.quick(asked.queries) @ exact.quick(asked.gallery).T
        yield SYSTEMS[2], exact.quick(asked.queries) @ references.T
        yield SYSTEMS[3], exact.photos(asked.queries) @ references.T
    yield SYSTEMS[4], coarse.photos(asked.queries) @ coarse.references(asked.gallery).T


def _whitened_scores(network: _Network, asked: _ProtocolPictures, whitening: Whitening | None) -> np.ndarray:
    """Return (Q, N) float32 exact cosines, after a map if there is one."""
    queries, references = network.photos(asked.queries), network.references(asked.gallery)
    return whitening(queries) @ whitening(references).T if whitening else queries @ references.T


def _code_scores(store: Store, queries: np.ndarray) -> np.ndarray:
    """Score (Q, D) float32 queries by the codes alone: (Q, N) float32."""
    hits = store.base.index.search(queries, len(store.base.index), rescored=False)
    scores = np.empty_like(hits.scores)
    np.put_along_axis(scores, hits.rows, hits.scores, 1)
    return scores


def _through_engine(store: Store, protocol: Protocol, fast: bool, kinds: Mapping[str, str] | None = None) -> Figures:
    """Answer the queries as a device does; kinds: by SKU, to return recall@1 of each kind too."""
    evaluation = evaluate(store, read_queries(protocol.queries), fast)
    figures = evaluation.to_dict()
    found = {name: figures[name] for name in ("recall@1", "recall@5", "map", "p50_ms", "p95_ms")}
    by_kind = recall_by_kind(evaluation.results, kinds) if kinds else {}
    return found | {kind: by_kind[kind]["recall@1"] for kind in KINDS.values() if kind in by_kind}


def _figures(ranks: np.ndarray) -> Figures:
    return {
        "recall@1": metrics.recall_at(ranks, 1),
        "recall@5": metrics.recall_at(ranks, 5),
        "map": metrics.mean_average_precision(ranks),
    }


def _cache_embeddings(embed: Callable[[Any], np.ndarray]) -> Embed:
    """Return a function that embeds each file only once, even if several protocols use it."""
    known: dict[str, np.ndarray] = {}

    def embed_new(paths: list[Path]) -> np.ndarray:
        # Files of different protocols may share a name; the key is the whole path.
        new = [path for path in dict.fromkeys(paths) if str(path) not in known]
        if new:
            known.update(zip(map(str, new), embed(new), strict=True))
        return np.stack([known[str(path)] for path in paths])

    return embed_new


def _load_pretrained(weights: Path) -> Embed:
    """Load the plain backbone: float32, pooled 1280-d embedding of the centre crop."""
    import torch
    from torch.nn import functional as F

    from export import model_folder
    from export.backbones import build_network
    from export.weights import pretrained

    start = pretrained("mobilenet_v2", "tensorflow", weights)
    features = build_network("mobilenet_v2", 128, "tensorflow", start).features.eval()

    def embed(paths: list[Path]) -> np.ndarray:
        with torch.inference_mode():
            parts = [
                F.normalize(features(torch.from_numpy(model_folder.inputs(paths[i : i + 16]))).mean((2, 3)))
                for i in range(0, len(paths), 16)
            ]
        return torch.cat(parts).numpy() if parts else np.empty((0, 1280), np.float32)

    return embed


def table(results: dict[str, dict[str, Figures]]) -> str:
    """Return Markdown: recall@1 of each system; of the shipped one also recall@1 by kind, recall@5, mAP and time."""
    systems = [s for s in SYSTEMS if any(s in found for found in results.values())]
    times = ("ms a photo, p50 (p95)", "without local features", "`--fast`")
    heads = ("protocol", *systems, *KINDS.values(), "@5", "mAP", *times)
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, found in results.items():
        cells = [f"{found[system]['recall@1']:.3f}" if system in found else "" for system in systems]
        last = found[SHIPPED]
        cells += [f"{last[kind]:.3f}" if kind in last else "" for kind in KINDS.values()]
        cells += [f"{last['recall@5']:.3f}", f"{last['map']:.3f}"]
        cells += [
            f"{found[system]['p50_ms']:.1f} ({found[system]['p95_ms']:.1f})" for system in (SHIPPED, VECTOR_ONLY, FAST)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_data(parser)
    parser.add_argument("--weights", type=Path, default=Path("../shared/models/mobilenet_v2_imagenet.npz"))
    add_model(parser)
    parser.add_argument(
        "--protocol",
        action="append",
        choices=list(PROTOCOLS),
        help="may be repeated (default: all but those with thousands of pictures)",
    )


def run(options: argparse.Namespace, folder: Path) -> Results:
    """Run the benchmark."""
    if options.protocol != [DRAWN]:
        require_photos(options.data)
    weights = options.weights if options.weights.exists() else None
    if weights is None:
        print(
            f"tools/bench: {options.weights} is missing; leaving out the pretrained baseline.",
            file=sys.stderr,
        )
    names = options.protocol or [name for name in PROTOCOLS if name not in LARGE]
    results = accuracy(options.data, weights, options.model, names)
    return {"protocols": results, "markdown": table(results), "note": NOTE}
