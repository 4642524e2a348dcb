"""Parts of a surface in which targets start: each place lies in one, with the words that goals have."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.job.start_cells import (
    PART_STARTS,
    SURFACE_STARTS,
    middle_of_cell,
    narrow_range,
    on_cell,
    part_cell,
    surface_cells,
)
from blueprint_pipeline.skill.instruction import build_surface_frame
from blueprint_pipeline.skill.region import THIRDS, build_region

CORNERS_M = np.array([[0.0, 0.0], [0.9, 0.0], [0.9, 0.6], [0.0, 0.6]])
frames = st.builds(
    lambda x, y, yaw: build_surface_frame("table", np.array([x, y]), yaw, CORNERS_M), *[st.floats(-2, 2)] * 2, st.floats(-np.pi, np.pi)
)
SAYS = {"left side": "left", "right side": "right", "front": "front", "back": "back"}


@given(frame=frames, shares=st.tuples(*[st.floats(0, 1)] * 2))
def test_starts_and_goals_have_the_same_words(frame, shares):
    """A place is in the part of the surface that a goal of that name is, but at its very edge, and in no other part of nine."""
    lower, upper = frame.extent_m
    point = frame.to_world(lower + np.array(shares) * (upper - lower))[None]
    (name,) = surface_cells(frame, point)
    assert [cell for cell in SURFACE_STARTS if on_cell(frame, cell)(point)[0]] == [name]
    for goal in THIRDS:
        depth_m = build_region(frame, goal).depth_m(point[0])
        if abs(depth_m) > 1e-6:
            assert (depth_m > 0) == (name == "middle" if goal == "middle" else SAYS[goal] in name.split())


@given(frame=frames)
def test_the_middle_of_each_part_lies_in_it(frame):
    middles = np.array([middle_of_cell(frame, name) for name in SURFACE_STARTS])
    assert surface_cells(frame, middles).tolist() == list(SURFACE_STARTS)
    beside = frame.to_world(frame.extent_m[1] + 5.0)[None]
    assert surface_cells(frame, beside).tolist() == ["back left"]


@given(low=st.floats(0, 0.3), width=st.floats(0.01, 1.0), third=st.sampled_from(PART_STARTS), share=st.floats(0.01, 0.99))
def test_a_third_of_a_range_holds_what_is_drawn_from_it(low, width, third, share):
    first, last = narrow_range((low, low + width), third)
    assert part_cell(first + share * (last - first), (low, low + width)) == third


def test_a_part_that_begins_at_one_place_has_one_cell():
    assert part_cell(0.0, (0.0, 0.0)) == "as it is"
    assert narrow_range((0.0, 0.0), "as it is") == narrow_range((0.0, 0.0), None) == (0.0, 0.0)
