"""Pictures of surfaces: of their kind, without seams, and from a seed alone."""

import numpy as np
import pytest

from blueprint_pipeline.kit.textures import KINDS, paint
from blueprint_pipeline.task.variation import SurfaceTexture

SIZE = 256
CELLS = {"wood": 6, "stone": 3, "tiles": 4, "cloth": 64, "plaster": 4}
REDS = {
    "wood": (130, 147, 135),
    "stone": (117, 159, 108),
    "tiles": (170, 160, 161),
    "cloth": (161, 161, 135),
    "plaster": (146, 127, 119),
}
"""Of three pixels of every kind, 0 to 255."""


def texture(kind, **other):
    plain = {"kind": kind, "seed": 7, "cells": CELLS[kind], "turned": False, "low_rgb": (0.3, 0.2, 0.1), "high_rgb": (0.7, 0.5, 0.4)}
    return SurfaceTexture(**(plain | other)).model_dump(mode="json")


@pytest.fixture(scope="module", params=sorted(KINDS))
def kind(request):
    return request.param


def test_every_kind_of_a_plan_can_be_painted():
    assert set(SurfaceTexture.model_fields["kind"].annotation.__args__) == set(KINDS) == set(CELLS)


def test_the_same_seed_gives_the_same_bytes_everywhere(kind):
    """What episodes of years ago were drawn with: whoever changes this makes recorded pictures others than those that acted."""
    reds = paint(texture(kind), SIZE, SIZE)[[5, 90, 200], [5, 170, 31], 0]
    assert reds == pytest.approx(REDS[kind], abs=1)
    assert not np.array_equal(paint(texture(kind, seed=8), SIZE, SIZE), paint(texture(kind), SIZE, SIZE))


def test_colours_lie_between_the_two_that_are_recorded(kind):
    picture = paint(texture(kind), SIZE, SIZE) / 255
    low, high = np.array([0.3, 0.2, 0.1]), np.array([0.7, 0.5, 0.4])
    assert (picture >= low - 0.003).all()
    assert (picture <= high + 0.003).all()
    assert picture.std(axis=(0, 1)).min() > 0.005
    flat = paint(texture(kind, high_rgb=(0.3, 0.2, 0.1)), SIZE, SIZE)
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) == 1


def test_it_may_be_repeated_without_a_seam(kind):
    """Across its edges it changes no more than it does somewhere within."""
    picture = paint(texture(kind), SIZE, SIZE).astype(int)
    for axis in (0, 1):
        steps = np.abs(picture - np.roll(picture, 1, axis)).mean(axis=(1 - axis, 2))
        assert steps[0] <= steps[1:].max() * 1.01


def test_a_turned_one_lies_across(kind):
    straight, turned = paint(texture(kind), 128, SIZE), paint(texture(kind, turned=True), SIZE, 128)
    np.testing.assert_array_equal(turned, straight.transpose(1, 0, 2))


def test_there_are_as_many_tiles_as_is_said():
    """Joints, all across, are as many as tiles."""
    for cells in (1, 3, 5):
        dark = (paint(texture("tiles", cells=cells), 300, 300)[..., 0] < 80).all(axis=1)
        assert np.count_nonzero(dark & ~np.roll(dark, 1)) == cells
