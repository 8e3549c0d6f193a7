"""Draw what a training step sees.

B pictures of a step, N pictures in all, R pictures of one product or of several that look alike.
"""

from collections.abc import Iterable

import numpy as np

from .recipe import Recipe
from .training_pictures import Pictures


def units_of(pictures: Pictures, recipe: Recipe, group: str) -> list[np.ndarray]:
    """Return the rows, (R,) int64, of every product of a group that a recipe trains on, or of its look-alikes."""
    rows = np.flatnonzero((pictures.group == group) & ~pictures.held_out)
    order = rows[np.argsort(pictures.unit[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(pictures.unit[order])) + 1
    return np.split(order, cuts)[: recipe.limit.get(group)] if len(rows) else []


def trained_rows(pictures: Pictures, recipe: Recipe) -> np.ndarray:
    """Return the rows of all pictures that a recipe trains on, (N,) int64, ascending."""
    return _rows_of(pictures, recipe, recipe.share)


def projected_rows(pictures: Pictures, recipe: Recipe) -> np.ndarray:
    """Return the rows of all pictures that the first projection is fitted to, (N,) int64, ascending."""
    return _rows_of(pictures, recipe, {*recipe.share, *recipe.projected})


def _rows_of(pictures: Pictures, recipe: Recipe, groups: Iterable[str]) -> np.ndarray:
    return np.sort(np.concatenate([rows for group in groups for rows in units_of(pictures, recipe, group)]))


class Sampler:
    """Draw the products of a step, and two pictures of each."""

    def __init__(self, pictures: Pictures, recipe: Recipe, seed: int):
        self.catalogue_probability = recipe.catalogue_probability
        self.rng = np.random.default_rng(seed)
        self.groups: list[list[np.ndarray]] = []
        self.weights: list[float] = []
        self.clean, self.label = pictures.clean, pictures.label
        for group, weight in recipe.share.items():
            units = units_of(pictures, recipe, group)
            if units:
                self.groups.append(units)
                self.weights.append(weight)
        self.cut_out = pictures.cut_out
        self.surfaces = np.flatnonzero(pictures.group == "background")

    def pairs(self, count: int) -> np.ndarray:
        """Draw pairs of pictures of one product, (count, 2) int64 row numbers.

        No product comes twice, nor one of its look-alikes, unless its group has too few.
        """
        numbers = self.rng.multinomial(count, np.array(self.weights) / sum(self.weights))
        chosen = [
            group[i]
            for group, number in zip(self.groups, numbers, strict=True)
            for i in self.rng.choice(len(group), number, replace=number > len(group))
        ]
        return np.stack([self._draw_pair(rows) for rows in chosen])

    def _draw_pair(self, rows: np.ndarray) -> np.ndarray:
        """Draw two pictures of one product, different ones if possible; sometimes one is a clean catalogue view.

        rows: (R,) int64, the pictures of a product or of several that look alike.
        """
        rows = rows[self.label[rows] == self.label[self.rng.choice(rows)]]
        clean = rows[self.clean[rows]]
        if len(clean) and len(clean) < len(rows) and self.rng.random() < self.catalogue_probability:
            return np.array([self.rng.choice(clean), self.rng.choice(rows[~self.clean[rows]])])
        return self.rng.choice(rows, 2, replace=len(rows) < 2)

    def backgrounds(self, rows: np.ndarray) -> np.ndarray:
        """Draw a background for each product: a surface, or a photo of the same step.

        The network must then distinguish such a photo, itself a product of the step, from the product in front of it,
        and so learns to ignore the background.

        Args:
            rows: (B,) int64, row numbers of the products' pictures.
        Returns:
            (B,) int64, row numbers of the backgrounds.
        """
        photos = rows[~self.cut_out[rows]]
        surfaces = self.rng.choice(self.surfaces, len(rows))
        if not len(photos):
            return surfaces
        return np.where(self.rng.random(len(rows)) < 0.5, surfaces, self.rng.choice(photos, len(rows)))
