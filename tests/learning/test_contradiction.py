"""Check when a picture contradicts its label."""

import numpy as np

from edgesearch.learning import contradiction
from edgesearch.learning.contradiction import Neighbour

OWN, RIVAL, THIRD = 1, 2, 3
NEAR = [Neighbour(RIVAL, 0.9, "monday"), Neighbour(RIVAL, 0.85, "tuesday"), Neighbour(OWN, 0.3, "row 1")]


def test_two_groups_of_one_other_product_contradict() -> None:
    assert contradiction.find_rival(OWN, "today", NEAR) == (RIVAL, 0.9)


def test_one_group_is_not_enough_however_many_pictures_it_has() -> None:
    same = [Neighbour(RIVAL, 0.9 - i / 100, "monday") for i in range(8)]
    assert contradiction.find_rival(OWN, "today", [*same, NEAR[2]]) is None


def test_pictures_of_its_own_group_do_not_speak_for_a_picture() -> None:
    neighbours = [*NEAR, *[Neighbour(OWN, 0.95, "today")] * 8]
    assert contradiction.find_rival(OWN, "today", neighbours) == (RIVAL, 0.9)
    assert contradiction.find_rival(OWN, "later", neighbours) is None


def test_a_third_product_as_near_leaves_it_open() -> None:
    assert contradiction.find_rival(OWN, "today", [*NEAR, Neighbour(THIRD, 0.86, "row 9")]) is None


def test_a_picture_near_its_own_product_is_never_doubted() -> None:
    assert contradiction.find_rival(OWN, "today", [*NEAR, Neighbour(OWN, 0.84, "monday")]) is None
    assert contradiction.find_rival(OWN, "today", []) is None
    assert contradiction.find_rival(OWN, "today", NEAR[2:]) is None


def test_a_label_is_supported_unless_another_product_is_much_nearer() -> None:
    assert not contradiction.is_supported(OWN, "today", NEAR)
    assert contradiction.is_supported(OWN, "today", [*NEAR, Neighbour(OWN, 0.87, "monday")])
    assert not contradiction.is_supported(OWN, "today", [*NEAR, Neighbour(OWN, 0.95, "today")])  # its own group
    assert contradiction.is_supported(OWN, "today", NEAR[2:])


def test_usual_means_as_near_as_the_pictures_are_to_each_other() -> None:
    turns = np.array([0.0, 0.1, 0.2, 0.3])
    vectors = np.column_stack([np.cos(turns), np.sin(turns)]).astype(np.float32)
    assert contradiction.is_usual(0.999, vectors)
    assert not contradiction.is_usual(0.9, vectors)
    assert not contradiction.is_usual(0.999, vectors[:2])  # too few to know
