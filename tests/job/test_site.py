"""Which objects stand together on one level of a support."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.job.placement import NoRoomForRobot
from blueprint_pipeline.job.site import Film, NothingToDo, _commonest, _where_they_stand, choose_site
from blueprint_pipeline.job.tiers import TIER_M, Tier, group_by_height
from blueprint_pipeline.motion.errors import PlanningFailed
from blueprint_pipeline.robot.embodiment import load_embodiment
from blueprint_pipeline.skill.contract import NotOffered
from blueprint_pipeline.skill.support_surface import CELL_M, scan_surface
from blueprint_pipeline.twin.footprint import Footprint
from tests.simulation.small_job import task_scene


def standing_at(bottom_m: float) -> Footprint:
    square = np.array([[-0.03, -0.03], [0.03, -0.03], [0.03, 0.03], [-0.03, 0.03]])
    return Footprint(origin_m=np.array([0.0, 0.0, bottom_m + 0.05]), polygon_m=square, bottom_m=bottom_m, top_m=bottom_m + 0.1)


def test_tiers_of_a_shelf_are_apart():
    """The median height of both would be level with neither."""
    found = list(group_by_height({"can": standing_at(1.1), "mug": standing_at(0.7), "jar": standing_at(1.1 + TIER_M / 2)}))
    assert [sorted(group) for group in found] == [["mug"], ["can", "jar"]]
    assert Tier(support="shelf", prints=found[0]).height_m == pytest.approx(0.7)


def test_each_object_is_told_why_not_where_it_stands():
    """And not why not on the tier that was tried first."""
    low, high = (Tier(support="shelf", prints={name: standing_at(at_m)}) for name, at_m in (("mug", 0.7), ("can", 1.1)))
    covered = NothingToDo("s", "pick_place", {"mug": "it is covered", "can": "it stands on another tier of 'shelf'"})
    told = _where_they_stand([(low, covered), (high, NoRoomForRobot("ur10e", "shelf", 9, 3))])
    assert told == {"mug": "it is covered", "can": "ur10e finds no free place beside 'shelf' at that height"}


def test_a_refusal_names_what_was_met_most_often():
    """Not what the last of its start states happened to be about."""
    blocked = [PlanningFailed("plan_pick", "grasp_blocked", f"the table is {depth} mm deep in the hand") for depth in (31, 35)]
    assert _commonest([blocked[0], NotOffered("no free spot"), blocked[1], NotOffered("out of reach")]) == blocked[1].reason
    assert _commonest([NotOffered("no free spot"), blocked[0], NotOffered("no free spot")]) == "no free spot"


def test_a_support_above_what_a_robots_lift_reaches_is_refused_with_both_heights(tmp_path, monkeypatch):
    """A table of 0.7 m, and a robot that works at 0.9 m and higher."""
    tall = load_embodiment("franka_panda").model_copy(update={"name": "tall", "support_heights_m": (0.9, 1.2)})
    monkeypatch.setattr("blueprint_pipeline.robot.embodiment._records", lambda: {"tall": tall})
    with pytest.raises(NothingToDo, match=r"it stands 0.70 m high; tall works at 0.90 to 1.20 m"):
        choose_site(task_scene(tmp_path), "tall", ["pick_place"], Film(fps=30, width=160, height=120), seed=0)


def test_a_slightly_uneven_top_is_one_tier():
    heights = {f"object_{index}": standing_at(0.75 + 0.01 * index) for index in range(3)}
    assert [len(group) for group in group_by_height(heights)] == [3]


def test_a_support_of_one_piece_that_towers_above_where_things_stand_has_no_level_there() -> None:
    """A tray that one hull closes: no crash, no level cell within it; its rim is level as a whole."""
    spec = mujoco.MjSpec()
    tray = spec.worldbody.add_body(name="tray", pos=(0, 0, 0.5))
    tray.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.2, 0.2, 0.15), pos=(0, 0, 0.15))
    model = spec.compile()
    assert not scan_surface(model, np.empty(0), "tray", 0.51).level.any()
    rim = scan_surface(model, np.empty(0), "tray", 0.8)
    assert rim.level.sum() * CELL_M**2 == pytest.approx(0.4**2, rel=0.06)
    assert rim.at(rim.level, np.array([[0.0, 0.0], [0.19, 0.19], [0.22, 0.0]])).tolist() == [True, True, False]
