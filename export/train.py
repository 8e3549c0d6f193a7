"""Train an embedding network by metric learning from pretrained weights, as one recipe file says.

A supervised contrastive loss (Khosla et al. 2020, arXiv 2004.11362) pulls two views of each product together and pushes
all other products of the batch away; a picture without a known product is its own product. Fine-tuning on few kinds of
products makes a network forget the others. A second loss therefore holds the cosines between different products near
those of a teacher on the clean pictures (relational distillation, Park et al. 2019, arXiv 1904.05068, in the row-wise
KL form); a third may pull each view to the teacher's vector itself. The teacher is the frozen pretrained backbone, or
several networks (`teacher.py`).

B batch, D embedding dimensions, C feature channels, N pictures, R rows of them.
"""

import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from edgesearch.errors import ModelError

from .augment import Augmenter, plain_views
from .backbones import JOINED, EmbeddingNetwork, build_network, half_whitening, join
from .recipe import Recipe
from .sampler import Sampler, projected_rows, trained_rows
from .to_onnx import load_any
from .training_pictures import SIDE, Pictures
from .weights import pretrained

CHUNK = 16  # views drawn at a time, so that their planes fit the processor's cache
CHECKPOINT_EVERY, VALIDATE_EVERY = 50, 200  # steps
TEACHER_DIM = 256
RIDGE = 0.01  # of the mean variance of the features
FITTED_EVERY = 3  # pictures: a third of them fits the first projection
# Where the processor does not multiply bfloat16 itself, it is emulated: three to ten times slower than float32.
BFLOAT16 = any(torch.cpu.get_capabilities().get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
Tensors = tuple[Tensor, ...] | list[Tensor]


def contrastive_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Return the supervised contrastive loss.

    Args:
        embeddings: (B, D) float32, unit rows.
        labels: (B,) int64, each at least twice.
        temperature: divisor of the cosines.
    Returns:
        () float32.
    """
    own = torch.eye(len(labels), dtype=torch.bool)
    positive = (labels[:, None] == labels[None]) & ~own
    scores = (embeddings @ embeddings.T / temperature).masked_fill(own, -torch.inf)
    log_probability = scores.log_softmax(1).masked_fill(~positive, 0)
    return -(log_probability.sum(1) / positive.sum(1)).mean()


def relational_loss(
    embeddings: Tensor, teacher: Tensor, labels: Tensor, temperature: float, teacher_temperature: float
) -> Tensor:
    """Return the KL divergence between rows of the teacher's and the student's cosines of different products.

    Args:
        embeddings: (B, D) float32, unit rows.
        teacher: (B, C) float32, unit rows.
        labels: (B,) int64.
        temperature: divisor of the student's cosines.
        teacher_temperature: divisor of the teacher's cosines.
    Returns:
        () float32.
    """
    same = labels[:, None] == labels[None]
    student = (embeddings @ embeddings.T / temperature).masked_fill(same, -1e4).log_softmax(1)
    target = (teacher @ teacher.T / teacher_temperature).masked_fill(same, -1e4).softmax(1)
    return F.kl_div(student, target, reduction="batchmean")


class Trainer:
    """A training run, which continues from its last checkpoint in `out`."""

    def __init__(
        self, recipe: Recipe, pictures: Pictures, weights: Sequence[Path], out: Path, teacher: np.ndarray | None = None
    ):
        """Start a run, or continue it.

        Args:
            recipe: its settings.
            pictures: the N pictures.
            weights: for each tower its pretrained weights, or the folder of a model or a run to go on from; empty for
                those that `pretrained` fetches.
            out: folder of its checkpoints and results.
            teacher: (N, K) float32, unit rows, K at least D; None for the backbone's own features.
        """
        torch.manual_seed(recipe.seed)
        self.recipe, self.pictures, self.out = recipe, pictures, out
        out.mkdir(parents=True, exist_ok=True)
        self.cut_out = torch.from_numpy(pictures.cut_out)
        self.aspect = torch.from_numpy(pictures.aspect)
        self.model, self.weights, trained = _start(recipe, weights)
        if teacher is None:
            self.teacher = self._start_from_pca(trained)
        else:
            self.teacher = self._align(teacher) if len(trained) == 1 else self._start_from_teacher(teacher)
        for tower in self.model.towers:
            for stage in list(tower.children())[: recipe.frozen_stages]:
                stage.requires_grad_(False)
        self.average = AveragedModel(self.model, multi_avg_fn=self._average)
        self.optimizer = torch.optim.AdamW(
            [
                {
                    "params": [p for p in self.model.features.parameters() if p.requires_grad],
                    "lr": recipe.backbone_rate,
                },
                {"params": self.model.projection.parameters(), "lr": recipe.projection_rate},
            ],
            weight_decay=recipe.weight_decay,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.step = 0

    def run(self) -> Path:
        """Train to the end of the recipe, from the last checkpoint if there is one; return the file of weights."""
        self._resume()
        sampler = Sampler(self.pictures, self.recipe, self.recipe.seed + self.step)
        augmenter = Augmenter(self.recipe.seed + self.step)
        progress = tqdm(range(self.step, self.recipe.total_steps), desc="train", disable=None)
        for self.step in progress:
            if self.step % CHECKPOINT_EVERY == 0:
                self._checkpoint()
            losses = self._train_step(sampler, augmenter)
            progress.set_postfix({name: f"{value:.3f}" for name, value in losses.items()})
        self.step = self.recipe.total_steps
        self._checkpoint()
        final = self.out / "weights.pt"
        torch.save({"provenance": self._provenance(), "state": self.averaged.state_dict()}, final)
        return final

    @property
    def averaged(self) -> EmbeddingNetwork:
        """The network with the averaged weights."""
        assert isinstance(self.average.module, EmbeddingNetwork)
        return self.average.module

    def _provenance(self) -> dict[str, Any]:
        rows = trained_rows(self.pictures, self.recipe)
        groups, counts = np.unique(self.pictures.group[rows], return_counts=True)
        return {
            "weights": f"{self.recipe.pretrained}; {self.weights}",
            "recipe": asdict(self.recipe),
            "pictures": dict(zip(groups.tolist(), counts.tolist(), strict=True)),
            "products": len(np.unique(self.pictures.label[rows])),
            "torch": str(torch.__version__),
        }

    def _train_step(self, sampler: Sampler, augmenter: Augmenter) -> dict[str, float]:
        recipe = self.recipe
        rows = sampler.pairs(recipe.products).T.reshape(-1)
        views = self._views(rows, sampler, augmenter, recipe.side_at(self.step))
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            maps = self.model.maps(views)
        embeddings = self.model.head(maps.float())
        labels = torch.from_numpy(self.pictures.label[rows])
        contrast = contrastive_loss(embeddings, labels, recipe.temperature)
        relation = relational_loss(
            embeddings, self.teacher[rows], labels, recipe.temperature, recipe.distill_temperature
        )
        target = self.teacher[rows, : recipe.dim]
        regression = 1 - F.cosine_similarity(embeddings, target).mean()
        self.optimizer.zero_grad()
        (contrast + recipe.distill_weight * relation + recipe.regression_weight * regression).backward()
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.model)
        return {"contrast": contrast.item(), "relation": relation.item(), "regression": regression.item()}

    def _views(self, rows: np.ndarray, sampler: Sampler, augmenter: Augmenter, side: int) -> Tensor:
        backgrounds = sampler.backgrounds(rows)
        shelf = augmenter.chance(len(rows), self.recipe.shelf_probability)
        parts = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            pixels = torch.from_numpy(self.pictures.pixels[part])
            background = torch.from_numpy(self.pictures.pixels[backgrounds[start : start + CHUNK]])
            shelves = shelf[start : start + CHUNK]
            parts.append(augmenter.views(pixels, self.aspect[part], self.cut_out[part], shelves, background, side))
        return torch.cat(parts).contiguous(memory_format=torch.channels_last)

    def _rate(self, step: int) -> float:
        """Return the factor of the learning rate: linear warm-up, then half a cosine down to a hundredth."""
        warm = min(1.0, (step + 1) / self.recipe.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, self.recipe.total_steps)))))

    def _average(self, averaged: Tensors, current: Tensors, number: Tensor | int) -> None:
        """Update the moving average of the weights; its memory is short at first, to forget the untrained ones."""
        decay = min(self.recipe.average_decay, (1 + int(number)) / (10 + int(number)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    @torch.inference_mode()
    def _embed_plain(self, rows: np.ndarray, model: EmbeddingNetwork, surfaces: np.ndarray | None = None) -> Tensor:
        """Embed pictures without augmentation, cut-outs on white or on the given surfaces; returns (B, D) float32."""
        return torch.cat([model.head(maps) for maps in plain_maps(model, self.pictures, rows, surfaces)])

    def _start_from_pca(self, trained: Sequence[nn.Linear]) -> Tensor:
        """Initialize the projection as PCA of the pictures to fit it to; return the teacher, (N, K) float32 unit rows.

        All other rows stay zero. Trained towers are projected as each was trained, all equally long.
        """
        rows = projected_rows(self.pictures, self.recipe)
        features = self._features(rows)
        before = _stack(trained, features) if len(trained) > 1 else torch.eye(features.shape[1])
        projected = features @ before
        mean, axes = half_whitening(projected, min(TEACHER_DIM, *projected.shape))
        self.model.start_from(features.mean(0), before @ axes)
        teacher = torch.zeros(len(self.pictures.label), axes.shape[1])
        teacher[torch.from_numpy(rows)] = F.normalize((projected - mean) @ axes)
        return teacher

    def _start_from_teacher(self, teacher: np.ndarray) -> Tensor:
        """Initialize the projection by ridge regression onto the teacher's first D components; return the teacher."""
        rows = projected_rows(self.pictures, self.recipe)[::FITTED_EVERY]
        features, target = self._features(rows), torch.from_numpy(teacher[rows, : self.recipe.dim])
        mean = features.mean(0)
        centred = features - mean
        scatter = centred.T @ centred
        scatter.diagonal().add_(RIDGE * scatter.diagonal().mean())
        self.model.start_from(mean, torch.linalg.solve(scatter, centred.T @ (target - target.mean(0))))
        return torch.from_numpy(teacher)

    def _align(self, teacher: np.ndarray) -> Tensor:
        """Return the teacher's first D components, (N, D) float32, rotated onto the network's own embeddings.

        A network that goes on thus keeps its projection (orthogonal Procrustes, Schoenemann 1966).
        """
        rows, targets = projected_rows(self.pictures, self.recipe)[::FITTED_EVERY], teacher[:, : self.recipe.dim]
        with torch.inference_mode():
            own = F.normalize(self.model.projection(self._features(rows)))
        left, _, right = torch.linalg.svd(torch.from_numpy(targets[rows]).T @ own)
        return F.normalize(torch.from_numpy(targets) @ (left @ right))

    def _features(self, rows: np.ndarray) -> Tensor:
        """Return the untrained backbone's pooled feature maps of R pictures, (R, C) float32."""
        file = self.out / "features.npy"  # takes minutes, and is the same when a stopped run continues
        if not file.exists():
            np.save(file, pooled_features(self.model, self.pictures, rows).numpy())
        return torch.from_numpy(np.load(file))

    def validate(self, model: EmbeddingNetwork) -> dict[str, float]:
        """Return recall@1 of each protocol; cut-out queries lie on a surface, all other pictures are unchanged."""
        protocols = self._protocols()
        gallery = np.unique(np.concatenate([rows for rows, _ in protocols.values()]))
        queries = np.unique(np.concatenate([rows for _, rows in protocols.values()]))
        surfaces = np.resize(np.flatnonzero(self.pictures.group == "background"), len(queries))
        known, asked = self._embed_plain(gallery, model), self._embed_plain(queries, model, surfaces)
        found = {}
        for name, (rows, right) in protocols.items():
            scores = asked[np.searchsorted(queries, right)] @ known[np.searchsorted(gallery, rows)].T
            best = self.pictures.label[rows[scores.argmax(1).numpy()]]
            found[name] = round(float((best == self.pictures.label[right]).mean()), 4)
        return found

    def _protocols(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the rows of gallery and queries of each protocol, which resemble those of the test.

        The gallery of a group holds the clean pictures of all its products, that of `-unseen` only of products never
        trained on, that of `-5ref` five photos of each; `+photos` adds photos of other things. The gallery of
        `products` holds the first picture of some, and its queries are the other pictures of those held out.
        """
        pictures, found = self.pictures, {}
        others = np.flatnonzero(np.isin(pictures.group, ("clothing", "packaging")))[::8]
        for group in ("groceries", "objects"):
            own = pictures.group == group
            clean, asked = own & pictures.clean, own & pictures.held_out & ~pictures.clean
            found[group] = np.flatnonzero(clean), np.flatnonzero(asked)
            unseen = np.flatnonzero(clean & pictures.unseen), np.flatnonzero(asked & pictures.unseen)
            found[f"{group}-unseen"] = unseen
            found[f"{group}-unseen+photos"] = np.concatenate([unseen[0], others]), unseen[1]
        first = np.zeros(len(pictures.label), bool)
        first[_first_of_each(pictures.label, 1)] = True
        shelf = pictures.group == "products"
        chosen = shelf & pictures.held_out
        shown = np.union1d(np.flatnonzero(shelf & first)[::8], np.flatnonzero(chosen & first))
        found["products"] = shown, np.flatnonzero(chosen & ~first)
        photos = np.flatnonzero((pictures.group == "groceries") & ~pictures.clean)
        five = photos[_first_of_each(pictures.label[photos], 5)]
        found["groceries-5ref"] = five, np.setdiff1d(photos[pictures.held_out[photos]], five)
        return {name: (known, asked) for name, (known, asked) in found.items() if len(asked)}

    def _checkpoint(self) -> None:
        state = {"step": self.step, "model": self.model.state_dict(), "average": self.average.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        torch.save(state, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")
        if self.step % VALIDATE_EVERY and self.step < self.recipe.total_steps:
            return
        entry = {
            "step": self.step,
            "time": time.strftime("%H:%M:%S"),
            "recall@1": self.validate(self.averaged),
        }
        with open(self.out / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def _resume(self) -> None:
        kept = self.out / "checkpoint.pt"
        if not kept.exists():
            return
        state = torch.load(kept, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step = state["step"]


def pooled_features(model: EmbeddingNetwork, pictures: Pictures, rows: np.ndarray) -> Tensor:
    """Return the pooled feature maps, (R, C) float32, of pictures without augmentation."""
    return torch.cat([maps.mean((2, 3)) for maps in plain_maps(model, pictures, rows)])


@torch.inference_mode()
def plain_maps(
    model: EmbeddingNetwork, pictures: Pictures, rows: np.ndarray, surfaces: np.ndarray | None = None
) -> Iterator[Tensor]:
    """Yield the feature maps of pictures without augmentation, cut-outs on white or on the given surfaces."""
    for views in plain_pictures(pictures, rows, surfaces):
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            maps = model.maps(views)
        yield maps.float()


def plain_pictures(pictures: Pictures, rows: np.ndarray, surfaces: np.ndarray | None = None) -> Iterator[Tensor]:
    """Yield inputs of the network, (B, 3, S, S) float32, of the pictures that `plain_maps` describes."""
    for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // 32)):
        pixels, aspect, cut_out = (
            torch.from_numpy(array[rows[part]]) for array in (pictures.pixels, pictures.aspect, pictures.cut_out)
        )
        background = None if surfaces is None else torch.from_numpy(pictures.pixels[surfaces[part]])
        yield plain_views(pixels, aspect, cut_out, SIDE, background)


@torch.no_grad()
def _stack(trained: Sequence[nn.Linear], features: Tensor) -> Tensor:
    """Return the projections of all towers in one, (C, sum of D), for their joint features, (R, C) float32."""
    parts = features.split([one.in_features for one in trained], 1)
    scaled = [one.weight.T / one(part).norm(dim=1).mean() for one, part in zip(trained, parts, strict=True)]
    return torch.block_diag(*scaled)


def _start(recipe: Recipe, weights: Sequence[Path]) -> tuple[EmbeddingNetwork, str, list[nn.Linear]]:
    """Return the network to train, where its weights come from, and the projections of towers that are trained already.

    `weights` are as `Trainer` takes them.
    """
    names = recipe.backbone.split(JOINED)
    if weights and len(weights) != len(names):
        raise ModelError(
            f"--weights: {len(weights)} given, and {recipe.backbone} has {len(names)} towers; name one each."
        )
    given: list[Path | None] = list(weights) or [None] * len(names)
    towers, sources = [], []
    for name, path in zip(names, given, strict=True):
        if path and path.is_dir():
            tower, source = load_any(path)[0], path.name
        else:
            start = pretrained(name, recipe.convention, path)
            tower, source = build_network(name, recipe.dim, recipe.convention, start), start.source
        if tower.backbone != name:
            raise ModelError(f"{path}: holds {tower.backbone}, and the recipe wants {name}; correct one of them.")
        towers.append(tower)
        sources.append(source)
    trained = [tower.projection for tower, path in zip(towers, given, strict=True) if path and path.is_dir()]
    network = towers[0] if len(towers) == 1 else join(towers, recipe.dim)
    return network.train(), "; ".join(sources), trained if len(trained) == len(towers) else []


def _first_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the positions, (P,) int64, of the first `count` of every label in (N,) int64."""
    return np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
