"""Where an object may be brought: the same sentence means nearly the same place, whatever else stands about."""

import numpy as np
import pytest

from blueprint_pipeline.robot.arm import WorkingRadius
from blueprint_pipeline.skill.goals import ASIDE_M, DEEP_M, GoalSearch, Reach, build_reach
from blueprint_pipeline.skill.instruction import build_surface_frame
from blueprint_pipeline.skill.support_surface import CELL_M, SupportSurface
from blueprint_pipeline.twin.footprint import Footprint

TOP_M = 0.7
SURFACE = SupportSurface(support="table", height_m=TOP_M, corner_m=np.array([0.0, -0.6]), level=np.ones((61, 121), dtype=bool))
CELLS_M = SURFACE.cells_m().reshape(-1, 2)
FRAME = build_surface_frame("table", np.array([-1.0, 0.0]), 0.0, CELLS_M)
REACH = Reach(center_m=np.array([-0.2, 0.0]), yaw_rad=0.0, nearest_m=0.1, farthest_m=2.0)
MIDDLE_M = CELLS_M.mean(axis=0)


def block(x_m: float, y_m: float) -> Footprint:
    """Six centimetres wide and high."""
    square = 0.03 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    return Footprint(origin_m=np.array([x_m, y_m, TOP_M]), polygon_m=square, bottom_m=TOP_M, top_m=TOP_M + 0.06)


def search(**others: Footprint) -> GoalSearch:
    """For a block that starts at the right."""
    return GoalSearch(
        surface=SURFACE,
        frame=FRAME,
        reach=REACH,
        target=block(0.3, -0.5),
        others=others,
        hand_m=0.05,
        hand_from_center_m=np.zeros(2),
        is_shown=lambda spots_m: np.ones(len(spots_m), dtype=bool),
    )


def test_the_middle_of_what_the_sentence_says_is_aimed_at() -> None:
    found = search().offers("middle", None)
    assert found is not None
    np.testing.assert_allclose(found.spot_m, MIDDLE_M, atol=CELL_M / 2)


@pytest.mark.parametrize(("beside_m", "is_offered"), [(0.105, True), (0.06, False)])
def test_a_goal_that_something_pushes_far_aside_is_not_offered(beside_m: float, is_offered: bool) -> None:
    """A goal that depends on where a third object stands is one that nobody reads off the sentence."""
    found = search(other=block(MIDDLE_M[0], MIDDLE_M[1] + beside_m)).offers("middle", None)
    assert (found is not None) == is_offered
    if found is not None:
        aside_m = float(np.linalg.norm(found.spot_m - MIDDLE_M))
        assert CELL_M < aside_m <= ASIDE_M
        assert found.region.depth_m(found.spot_m) >= DEEP_M


RADIUS = WorkingRadius(center_m=(0.1, 0.3), nearest_m=0.2, best_m=0.3, farthest_m=0.5)


@pytest.mark.parametrize(("yaw_rad", "center"), [(0.0, (1.1, 2.3)), (np.pi / 2, (0.7, 2.1)), (np.pi, (0.9, 1.7))])
def test_reach_is_measured_from_the_acting_arms_shoulder(yaw_rad, center):
    """Which the robot carries round as it is turned: left of its base, as it looks."""
    reach = build_reach(RADIUS, np.array([1.0, 2.0]), yaw_rad)
    np.testing.assert_allclose(reach.center_m, center, atol=1e-12)
    ahead = np.array([np.cos(yaw_rad), np.sin(yaw_rad)])
    points = np.array(center) + np.array([0.1, 0.3, 0.6])[:, None] * ahead
    assert reach.reaches(points).tolist() == [False, True, False]
