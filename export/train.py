"""Train an embedder: metric learning from pretrained weights, by one recipe file.

Two views of each product are pulled together and all other products of the batch pushed away (supervised contrastive
loss, Khosla et al. 2020, arXiv 2004.11362; a picture without a known product is its own product). Fine-tuning on few
kinds of products makes a network forget the others, so the cosines between different products are also held near
those of the frozen pretrained backbone on the clean pictures (relational distillation, Park et al. 2019, arXiv
1904.05068, in the row-wise KL form).
"""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from .augment import Augmenter, plain_views
from .backbones import Embedder, embedder
from .pictures import SIDE, Pictures
from .recipe import Recipe
from .weights import pretrained

CHUNK = 16  # views drawn together: their planes stay in the processor's cache
CHECKPOINT_EVERY = 100
TEACHER_DIM = 256
BFLOAT16 = torch.backends.cpu.get_cpu_capability() == "AVX512"  # emulated elsewhere, ten times slower than float32
Tensors = tuple[Tensor, ...] | list[Tensor]


class Sampler:
    """Draws the products of a step, and two pictures of each."""

    def __init__(self, pictures: Pictures, recipe: Recipe, seed: int):
        self.catalogue_probability = recipe.catalogue_probability
        self.rng = np.random.default_rng(seed)
        self.groups: list[list[np.ndarray]] = []
        self.weights: list[float] = []
        self.clean = pictures.clean
        usable = ~pictures.held_out
        for group, weight in recipe.share.items():
            rows = np.flatnonzero((pictures.group == group) & usable)
            limit = recipe.limit.get(group)
            if len(rows) and limit != 0:
                order = rows[np.argsort(pictures.label[rows], kind="stable")]
                cuts = np.flatnonzero(np.diff(pictures.label[order])) + 1
                self.groups.append(np.split(order, cuts)[:limit])
                self.weights.append(weight)
        self.backgrounds = np.flatnonzero(pictures.group == "background")

    def pairs(self, count: int) -> np.ndarray:
        """(count, 2) int64 rows; both of a row show one product, which no other row shows unless its group runs out."""
        numbers = self.rng.multinomial(count, np.array(self.weights) / sum(self.weights))
        chosen = [
            group[i]
            for group, number in zip(self.groups, numbers, strict=True)
            for i in self.rng.choice(len(group), number, replace=number > len(group))
        ]
        return np.stack([self._two(rows) for rows in chosen])

    def _two(self, rows: np.ndarray) -> np.ndarray:
        """Two different pictures where there are two; now and then one of them is a clean catalogue view."""
        clean = rows[self.clean[rows]]
        if len(clean) and len(clean) < len(rows) and self.rng.random() < self.catalogue_probability:
            return np.array([self.rng.choice(clean), self.rng.choice(rows[~self.clean[rows]])])
        return self.rng.choice(rows, 2, replace=len(rows) < 2)

    def behind(self, pictures: Pictures, count: int) -> np.ndarray:
        """(count,) rows to show as background: mostly surfaces, else any other picture."""
        surfaces = self.rng.choice(self.backgrounds, count)
        clutter = self.rng.integers(0, len(pictures.label), count)
        return np.where(self.rng.random(count) < 0.7, surfaces, clutter)


def contrastive_loss(embeddings: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss.

    Args:    embeddings: (B, D) float32, unit rows; labels: (B,) int64, every one at least twice.
    Returns: () float32.
    """
    own = torch.eye(len(labels), dtype=torch.bool)
    positive = (labels[:, None] == labels[None]) & ~own
    scores = (embeddings @ embeddings.T / temperature).masked_fill(own, -torch.inf)
    log_probability = scores.log_softmax(1).masked_fill(~positive, 0)
    return -(log_probability.sum(1) / positive.sum(1)).mean()


def relational_loss(
    embeddings: Tensor, teacher: Tensor, labels: Tensor, temperature: float, teacher_temperature: float
) -> Tensor:
    """KL between the rows of the teacher's and the student's cosines, over pairs of different products.

    Args:    embeddings: (B, D), teacher: (B, C) float32, unit rows; labels: (B,) int64.
    Returns: () float32.
    """
    same = labels[:, None] == labels[None]
    student = (embeddings @ embeddings.T / temperature).masked_fill(same, -1e4).log_softmax(1)
    target = (teacher @ teacher.T / teacher_temperature).masked_fill(same, -1e4).softmax(1)
    return F.kl_div(student, target, reduction="batchmean")


class Trainer:
    """One training run; its state is a checkpoint in `out`, from which it continues."""

    def __init__(self, recipe: Recipe, pictures: Pictures, weights: Path | None, out: Path):
        torch.manual_seed(recipe.seed)
        self.recipe, self.pictures, self.out = recipe, pictures, out
        out.mkdir(parents=True, exist_ok=True)
        self.cut_out = torch.from_numpy((pictures.pixels[:, 3] < 128).mean((1, 2)) > 0.01)
        self.aspect = torch.from_numpy(pictures.aspect)
        state, self.weights = pretrained(recipe.backbone, recipe.convention, weights)
        self.model = embedder(recipe.backbone, recipe.dim, recipe.convention, state)
        self.teacher = self._start_from_pca()
        for stage in list(self.model.features.children())[: recipe.frozen_stages]:
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
        """Train to the end of the recipe, from the last checkpoint if there is one; returns the final weights' file."""
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
    def averaged(self) -> Embedder:
        """The network with the averaged weights."""
        assert isinstance(self.average.module, Embedder)
        return self.average.module

    def _provenance(self) -> dict[str, Any]:
        groups, counts = np.unique(self.pictures.group[~self.pictures.held_out], return_counts=True)
        return {
            "weights": f"{self.recipe.pretrained}; {self.weights}",
            "recipe": asdict(self.recipe),
            "pictures": dict(zip(groups.tolist(), counts.tolist(), strict=True)),
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
        self.optimizer.zero_grad()
        (contrast + recipe.distill_weight * relation).backward()
        self.optimizer.step()
        self.schedule.step()
        self.average.update_parameters(self.model)
        return {"contrast": contrast.item(), "relation": relation.item()}

    def _views(self, rows: np.ndarray, sampler: Sampler, augmenter: Augmenter, side: int) -> Tensor:
        behind = sampler.behind(self.pictures, len(rows))
        shelf = augmenter.chance(len(rows), self.recipe.shelf_probability)
        parts = []
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            pixels = torch.from_numpy(self.pictures.pixels[part])
            background = torch.from_numpy(self.pictures.pixels[behind[start : start + CHUNK]])
            shelves = shelf[start : start + CHUNK]
            parts.append(augmenter.views(pixels, self.aspect[part], self.cut_out[part], shelves, background, side))
        return torch.cat(parts).contiguous(memory_format=torch.channels_last)

    def _rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to a hundredth."""
        warm = min(1.0, (step + 1) / self.recipe.warmup_steps)
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / self.recipe.total_steps))))

    def _average(self, averaged: Tensors, current: Tensors, number: Tensor | int) -> None:
        """Exponential moving average; a short memory at first, so that the untrained weights are soon forgotten."""
        decay = min(self.recipe.average_decay, (1 + int(number)) / (10 + int(number)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    @torch.inference_mode()
    def _embed_plain(self, rows: np.ndarray, model: Embedder, pooled: bool = False) -> Tensor:
        """(len(rows), D) embeddings, or (len(rows), C) pooled features, of the undisturbed pictures."""
        parts = []
        for part in np.array_split(rows, max(1, len(rows) // 32)):
            views = plain_views(
                torch.from_numpy(self.pictures.pixels[part]), self.aspect[part], self.cut_out[part], SIDE
            )
            with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
                maps = model.maps(views)
            parts.append(maps.float().mean((2, 3)) if pooled else model.head(maps.float()))
        return torch.cat(parts).float().clone()

    def _whitening(self) -> tuple[Tensor, Tensor]:
        """Mean (C,) and half-whitened principal axes (C, D) of the untrained backbone's features of every picture.

        Axes divided by the square root of their standard deviation: between PCA, where a few directions drown the
        others, and whitening, where noise counts as much as products (Jegou and Chum, ECCV 2012, whiten fully).
        """
        rows = np.arange(len(self.pictures.label))
        kept = self.out / "features.npy"  # minutes of work, and the same when a stopped run continues
        if not kept.exists():
            np.save(kept, self._embed_plain(rows, self.model, pooled=True).numpy())
        self.features = torch.from_numpy(np.load(kept))
        mean = self.features.mean(0)
        _, spread, axes = torch.pca_lowrank(
            self.features - mean, q=min(TEACHER_DIM, len(mean), len(self.features)), center=False, niter=6
        )
        return mean, axes * spread**-0.5

    def _start_from_pca(self) -> Tensor:
        """Let the projection begin as PCA; returns the teacher, (N, TEACHER_DIM) float32 unit rows."""
        mean, axes = self._whitening()
        first = axes[:, : self.recipe.dim]
        first = first * (self.recipe.dim**0.5 / first.norm())  # lost in the L2 norm, but steps of AdamW are absolute
        with torch.no_grad():
            self.model.projection.weight.copy_(first.T)
            self.model.projection.bias.copy_(-first.T @ mean)
        return F.normalize((self.features - mean) @ axes)

    def validate(self, model: Embedder) -> dict[str, float]:
        """Recall@1 of held-out products among all of their group (-unseen: among themselves)."""
        pictures, found = self.pictures, {}
        for group in ("groceries", "objects"):
            gallery = np.flatnonzero((pictures.group == group) & pictures.clean)
            queries = np.flatnonzero((pictures.group == group) & pictures.held_out & ~pictures.clean)
            scores, unseen = self._scores(gallery, queries, model), pictures.held_out[gallery]
            found[group] = self._recall(scores, gallery, queries)
            found[f"{group}-unseen"] = self._recall(scores[:, unseen], gallery[unseen], queries)
        photos = np.flatnonzero((pictures.group == "groceries") & ~pictures.clean)
        gallery = photos[_first_of_each(pictures.label[photos], 5)]
        queries = np.setdiff1d(photos[pictures.held_out[photos]], gallery)
        scores = self._scores(gallery, queries, model)
        return found | {"groceries-5ref": self._recall(scores, gallery, queries)}

    def _scores(self, gallery: np.ndarray, queries: np.ndarray, model: Embedder) -> np.ndarray:
        """(len(queries), len(gallery)) float32."""
        return (self._embed_plain(queries, model) @ self._embed_plain(gallery, model).T).numpy()

    def _recall(self, scores: np.ndarray, gallery: np.ndarray, queries: np.ndarray) -> float:
        best = self.pictures.label[gallery[scores.argmax(1)]]
        return round(float((best == self.pictures.label[queries]).mean()), 4)

    def _checkpoint(self) -> None:
        state = {"step": self.step, "model": self.model.state_dict(), "average": self.average.state_dict()}
        state |= {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        torch.save(state, self.out / "checkpoint.tmp")
        (self.out / "checkpoint.tmp").replace(self.out / "checkpoint.pt")
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


def _first_of_each(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of the first `count` of every label."""
    return np.concatenate([np.flatnonzero(labels == label)[:count] for label in np.unique(labels)])
