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
from collections.abc import Iterator
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
from .backbones import EmbeddingNetwork, build_network, half_whitening
from .recipe import Recipe
from .training_pictures import SIDE, Pictures
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
        self.cut_out = pictures.cut_out
        self.surfaces = np.flatnonzero(pictures.group == "background")

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

    def behind(self, rows: np.ndarray) -> np.ndarray:
        """(B,) rows to show behind the products of `rows` (B,): a surface, or a photo of the same step.

        A photo that is in the step as a product of its own must then be told from the product that lies on it, so what
        lies behind comes to count for nothing.
        """
        photos = rows[~self.cut_out[rows]]
        surfaces = self.rng.choice(self.surfaces, len(rows))
        if not len(photos):
            return surfaces
        return np.where(self.rng.random(len(rows)) < 0.5, surfaces, self.rng.choice(photos, len(rows)))


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
        self.cut_out = torch.from_numpy(pictures.cut_out)
        self.aspect = torch.from_numpy(pictures.aspect)
        start = pretrained(recipe.backbone, recipe.convention, weights)
        self.weights = start.source
        self.model = build_network(recipe.backbone, recipe.dim, recipe.convention, start)
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
    def averaged(self) -> EmbeddingNetwork:
        """The network with the averaged weights."""
        assert isinstance(self.average.module, EmbeddingNetwork)
        return self.average.module

    def _provenance(self) -> dict[str, Any]:
        trained_on = np.isin(self.pictures.group, list(self.recipe.share)) & ~self.pictures.held_out
        groups, counts = np.unique(self.pictures.group[trained_on], return_counts=True)
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
        behind = sampler.behind(rows)
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
    def _embed_plain(self, rows: np.ndarray, model: EmbeddingNetwork, surfaces: np.ndarray | None = None) -> Tensor:
        """(len(rows), D) embeddings of the undisturbed pictures, cut-outs on white or on those surfaces."""
        return torch.cat([model.head(maps) for maps in self._plain_maps(rows, model, surfaces)])

    @torch.inference_mode()
    def _plain_maps(self, rows: np.ndarray, model: EmbeddingNetwork, surfaces: np.ndarray | None = None) -> Iterator[Tensor]:
        for part in np.array_split(np.arange(len(rows)), max(1, len(rows) // 32)):
            pixels, aspect, cut_out = (a[rows[part]] for a in (self.pictures.pixels, self.aspect, self.cut_out))
            behind = None if surfaces is None else torch.from_numpy(self.pictures.pixels[surfaces[part]])
            views = plain_views(torch.from_numpy(pixels), aspect, cut_out, SIDE, behind)
            with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
                maps = model.maps(views)
            yield maps.float()

    def _start_from_pca(self) -> Tensor:
        """Let the projection begin as PCA of every picture; returns the teacher, (N, C) float32 unit rows."""
        features = self._features()
        mean, axes = half_whitening(features, min(TEACHER_DIM, *features.shape))
        self.model.start_from(mean, axes)
        return F.normalize((features - mean) @ axes)

    def _features(self) -> Tensor:
        """(N, C) float32: the untrained backbone's pooled feature maps of every picture."""
        kept = self.out / "features.npy"  # minutes of work, and the same when a stopped run continues
        if not kept.exists():
            every = np.arange(len(self.pictures.label))
            np.save(kept, torch.cat([maps.mean((2, 3)) for maps in self._plain_maps(every, self.model)]).numpy())
        return torch.from_numpy(np.load(kept))

    def validate(self, model: EmbeddingNetwork) -> dict[str, float]:
        """Recall@1 by protocol; pictures that are asked lie on a surface if they are cut out, all others are plain."""
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
        """Like those of the test, on held-out pictures: rows of the gallery, and rows that are asked.

        A group is found by the clean pictures of all its products, `-unseen` by those of products never trained on,
        `-5ref` by five photos of each; `+photos` has photos of other things among them.
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
        photos = np.flatnonzero((pictures.group == "groceries") & ~pictures.clean)
        five = photos[_first_of_each(pictures.label[photos], 5)]
        found["groceries-5ref"] = five, np.setdiff1d(photos[pictures.held_out[photos]], five)
        return found

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
