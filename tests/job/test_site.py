"""Which objects stand together on one level of a support."""

import numpy as np
import pytest

from blueprint_pipeline.job.site import TIER_M, Tier, _by_height
from blueprint_pipeline.twin.footprint import Footprint


def standing_at(bottom_m: float) -> Footprint:
    square = np.array([[-0.03, -0.03], [0.03, -0.03], [0.03, 0.03], [-0.03, 0.03]])
    return Footprint(origin_m=np.array([0.0, 0.0, bottom_m + 0.05]), polygon_m=square, bottom_m=bottom_m, top_m=bottom_m + 0.1)


def test_tiers_of_a_shelf_are_apart():
    """The median height of both would be level with neither."""
    found = list(_by_height({"can": standing_at(1.1), "mug": standing_at(0.7), "jar": standing_at(1.1 + TIER_M / 2)}))
    assert [sorted(group) for group in found] == [["mug"], ["can", "jar"]]
    assert Tier(support="shelf", prints=found[0]).height_m == pytest.approx(0.7)


def test_a_slightly_uneven_top_is_one_tier():
    heights = {f"object_{index}": standing_at(0.75 + 0.01 * index) for index in range(3)}
    assert [len(group) for group in _by_height(heights)] == [3]
