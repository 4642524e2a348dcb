"""Parts of a surface that a sentence can name."""

import numpy as np
import pytest

from blueprint_pipeline.skill.instruction import SurfaceFrame
from blueprint_pipeline.skill.region import RELATIONS, THIRDS, Region, build_beside, build_region
from blueprint_pipeline.twin.footprint import Footprint

SQUARE = Region(np.array([[0.0, 0.0], [0.3, 0.0], [0.3, 0.3], [0.0, 0.3]]))
EXTENT = (np.array([0.1, -0.6]), np.array([0.7, 0.6]))


def frame(yaw_rad: float) -> SurfaceFrame:
    return SurfaceFrame(noun="table", origin_m=np.array([0.5, 0.2]), yaw_rad=yaw_rad, extent_m=EXTENT)


@pytest.mark.parametrize(("point", "depth"), [((0.1, 0.15), 0.1), ((0.15, 0.15), 0.15), ((0.35, 0.15), -0.05), ((0.0, 0.1), 0.0)])
def test_depth_is_the_distance_to_the_nearest_edge(point, depth):
    """Positive inside, negative outside."""
    assert SQUARE.depth_m(np.array(point)) == pytest.approx(depth)


@pytest.mark.parametrize(
    ("start", "direction", "crossing"),
    [
        ((-0.1, 0.15), (1.0, 0.0), (0.12, 0.38)),
        ((-0.1, 0.15), (-1.0, 0.0), None),
        ((-0.1, 0.15), (0.0, 1.0), None),
        ((-0.1, 0.01), (1.0, 0.0), None),
        ((0.1, 0.1), (0.0, 1.0), (0.0, 0.18)),
    ],
)
def test_a_way_crosses_what_lies_deep_enough(start, direction, crossing):
    """Into it, away from it, past it, too near to its edge, and from within."""
    found = SQUARE.crossing_m(np.array(start), np.array(direction), 0.02)
    assert found == (None if crossing is None else pytest.approx(crossing))


@pytest.mark.parametrize("yaw_rad", [0.0, 0.7, -np.pi / 2])
def test_left_and_back_are_the_viewers(yaw_rad):
    """Whatever way the viewer faces: left lies to its left, the front near it."""
    left, right, front, back = (build_region(frame(yaw_rad), words) for words in ("left side", "right side", "front", "back"))
    seen = {name: frame(yaw_rad).to_viewer(region.middle_m) for name, region in {"l": left, "r": right, "f": front, "b": back}.items()}
    assert seen["l"][1] == pytest.approx(0.4)
    assert seen["r"][1] == pytest.approx(-0.4)
    assert seen["f"][0] == pytest.approx(0.2)
    assert seen["b"][0] == pytest.approx(0.6)


@pytest.mark.parametrize("words", THIRDS)
def test_corners_run_counter_clockwise(words):
    """So that the inside is inside."""
    region = build_region(frame(0.3), words)
    assert region.depth_m(region.middle_m) > 0


BOWL = Footprint(
    origin_m=np.array([1.0, 0.5, 0.7]),
    polygon_m=np.array([[-0.05, -0.05], [0.05, -0.05], [0.05, 0.05], [-0.05, 0.05]]),
    bottom_m=0.7,
    top_m=0.8,
)


@pytest.mark.parametrize("yaw_rad", [0.0, 0.7, -2.0])
@pytest.mark.parametrize("words", RELATIONS)
def test_beside_an_object_is_farther_to_that_side_than_to_any_other(words, yaw_rad):
    """By the viewer's axes, and no farther than a hand's breadth and a half from outline to outline."""
    region = build_beside(frame(yaw_rad), words, BOWL, 0.04)
    points = np.random.default_rng(0).uniform(0.0, 1.5, (500, 2)) + np.array([0.25, -0.25])
    steps = frame(yaw_rad).to_viewer(points) - frame(yaw_rad).to_viewer(BOWL.center_m)
    along = steps @ np.array(RELATIONS[words])
    aside = np.abs(steps @ np.array(RELATIONS[words])[::-1])
    far = BOWL.radius_m + 0.04 + 0.15
    np.testing.assert_array_equal(region.depths_m(points) >= 0, (along >= aside) & (along <= far))
    assert region.depths_m(points).max() > 0
