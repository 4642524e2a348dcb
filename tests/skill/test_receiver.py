"""What objects offer to one another: openings and tops, told from slopes, handles and gaps."""

import mujoco
import numpy as np
import pytest

from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.robot.placement import RobotPlacement
from blueprint_pipeline.skill.receiver import Receiver, Receivers
from blueprint_pipeline.skill.resting import let_go, lower_onto
from blueprint_pipeline.twin.model import SceneModel, build_scene_model
from tests.simulation.receiver_scene import BOWL, BOX, CAN, PLATE, RECEIVER_XML, body, ring, walls, with_bodies
from tests.simulation.small_scene import write_scene

FAR = RobotPlacement(embodiment="franka_panda", base_pose=Pose(position_m=(-3.0, 0.0, 0.7), quat_wxyz=(1.0, 0.0, 0.0, 0.0)))


def compiled(folder, xml: str = RECEIVER_XML) -> SceneModel:
    return build_scene_model(write_scene(folder, xml) / "mjcf" / "scene.xml", FAR, 30)


def receivers(folder, xml: str = RECEIVER_XML) -> Receivers:
    scene = compiled(folder, xml)
    return Receivers(scene, scene.model.qpos0)


def area_m2(receiver: Receiver) -> float:
    """Of the outline."""
    x, y = receiver.corners_m[:, 0], receiver.corners_m[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def test_a_bowl_has_an_opening_and_no_top(tmp_path) -> None:
    """Within its walls, to its rim, in its own frame."""
    seen = receivers(tmp_path)
    opening = seen.opening("bowl")
    assert opening is not None
    assert seen.top("bowl") is None
    assert area_m2(opening) == pytest.approx(0.168**2, rel=0.1)
    assert opening.corners_m[:, 2] == pytest.approx(0.06)
    assert opening.spots_m[:, 2] == pytest.approx(0.006)
    assert np.abs(opening.spots_m[:, :2]).max() < 0.084
    assert opening.inside_m.max() == pytest.approx(0.084, abs=0.006)


@pytest.mark.parametrize(("name", "height_m", "radius_m"), [("plate", 0.006, 0.09), ("box", 0.03, 0.03), ("can", 0.05, 0.03)])
def test_what_is_level_has_a_top_and_no_opening(tmp_path, name, height_m, radius_m) -> None:
    """A plate, a box, a can."""
    seen = receivers(tmp_path)
    top = seen.top(name)
    assert top is not None
    assert seen.opening(name) is None
    assert top.corners_m[:, 2] == pytest.approx(height_m, abs=1e-4)
    assert top.inside_m.max() == pytest.approx(radius_m, abs=0.006)


def test_a_turned_object_is_the_same_in_its_own_frame(tmp_path) -> None:
    """It is looked at once, wherever it stands."""
    turned = BOWL.replace('pos="0.0 0.12 0.7001"', 'pos="0.1 0.05 0.7001" euler="0 0 0.4"')
    straight = receivers(tmp_path / "a").opening("bowl")
    other = receivers(tmp_path / "b", with_bodies(CAN, turned, PLATE, BOX)).opening("bowl")
    assert straight is not None
    assert other is not None
    assert area_m2(other) == pytest.approx(area_m2(straight), rel=0.12)
    assert other.spots_m.mean(axis=0) == pytest.approx(straight.spots_m.mean(axis=0), abs=0.003)


@pytest.mark.parametrize(
    "shapes",
    [
        walls(0.09, 0.06, gap=True),
        walls(0.09, 0.018),
        walls(0.15, 0.04),
        ['type="box" size="0.05 0.05 0.03"', 'type="box" size="0.03 0.01 0.005" pos="0.08 0 0"'],
        ['type="sphere" size="0.05"'],
    ],
    ids=["open at a side", "too low", "a tray", "a box with a handle", "a ball"],
)
def test_what_does_not_hold_things_is_no_container(tmp_path, shapes) -> None:
    """Whatever lies low in it leads outside, or is too flat for one to say *in*."""
    assert receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.75", 0.4, shapes, "1 1 1 1"))).opening("bowl") is None


@pytest.mark.parametrize("top_m", [0.065, 0.08, 0.2])
def test_a_handle_above_the_rim_is_no_rim(tmp_path, top_m) -> None:
    """A pan's, a basket's: what lies across the walls is not in it."""
    stalk = f'type="box" size="0.005 0.01 {top_m / 2}" pos="0.09 0 {top_m / 2}"'
    arch = f'type="box" size="0.09 0.01 0.003" pos="0 0 {top_m - 0.003}"'
    shapes = [*walls(0.09, 0.06), stalk, *([stalk.replace("0.09 0 ", "-0.09 0 "), arch] if top_m > 0.1 else [])]
    opening = receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.7001", 0.4, shapes, "1 1 1 1"))).opening("bowl")
    assert opening is not None
    assert opening.corners_m[:, 2] == pytest.approx(0.06, abs=0.003)
    assert opening.depth_m == pytest.approx(0.054, abs=0.003)


def test_a_lower_side_is_the_rim(tmp_path) -> None:
    """A tub with one board half as high holds what lies below that."""
    shapes = walls(0.09, 0.08)
    shapes[1] = 'type="box" size="0.003 0.09 0.02" pos="0.087 0 0.02"'
    opening = receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.7001", 0.4, shapes, "1 1 1 1"))).opening("bowl")
    assert opening is not None
    assert opening.corners_m[:, 2] == pytest.approx(0.04, abs=0.003)


def test_a_notch_in_the_edge_lowers_the_rim(tmp_path) -> None:
    """One board has a gap of 6 cm down to half its height: the rim is there, and the whole floor lies below it."""
    parts = [f'type="box" size="0.003 0.03 0.03" pos="0.087 {y} 0.03"' for y in (-0.06, 0.06)]
    shapes = [*parts, 'type="box" size="0.003 0.09 0.022" pos="0.087 0 0.022"', *walls(0.09, 0.06)[:1], *walls(0.09, 0.06)[2:]]
    opening = receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.7001", 0.4, shapes, "1 1 1 1"))).opening("bowl")
    assert opening is not None
    assert opening.corners_m[:, 2] == pytest.approx(0.044, abs=0.003)
    assert opening.inside_m.max() == pytest.approx(0.084, abs=0.006)


def test_what_stands_up_in_a_hollow_takes_its_room(tmp_path) -> None:
    """A partition so thin that rays from above pass beside it."""
    board = 'type="box" size="0.0003 0.12 0.03" pos="0.0113 0 0.03"'
    seen = receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.7001", 0.4, [*walls(0.12, 0.06), board], "1 1 1 1")))
    opening = seen.opening("bowl")
    assert opening is not None
    assert (opening.inside_m <= np.abs(opening.spots_m[:, 0] - 0.0113) + 0.002).all()


@pytest.mark.parametrize("thick_m", [0.001, 0.002, 0.003, 0.004, 0.006])
@pytest.mark.parametrize("turn", [0.0, 0.4])
def test_walls_of_any_thickness_hold_things(tmp_path, thick_m, turn) -> None:
    """Square or round, wherever rays from above happen to fall: the same opening, and no top at its floor."""
    for number, shapes in enumerate((walls(0.08, 0.06, thick_m=thick_m), ring(0.08, 0.06, thick_m))):
        tub = body("bowl", f"{0.0013 * number} 0.12 0.7001", 0.4, shapes, "1 1 1 1")
        seen = receivers(tmp_path / str(number), with_bodies(CAN, tub.replace('0.7001">', f'0.7001" euler="0 0 {turn}">', 1)))
        opening = seen.opening("bowl")
        assert opening is not None
        assert opening.inside_m.max() == pytest.approx(0.08 - thick_m, abs=0.008)
        assert seen.top("bowl") is None


@pytest.mark.parametrize("shapes", [walls(0.09, 0.06, gap=True), walls(0.15, 0.06, gap=True, thick_m=0.002)], ids=["thick", "thin"])
def test_the_floor_of_a_hollow_is_no_top(tmp_path, shapes) -> None:
    """Also where a side is missing, so that nothing is held in it: one does not say *on* a box's floor."""
    seen = receivers(tmp_path, with_bodies(CAN, body("bowl", "0 0.12 0.75", 0.4, shapes, "1 1 1 1")))
    assert seen.opening("bowl") is None
    assert seen.top("bowl") is None


def test_a_ball_has_no_top(tmp_path) -> None:
    """A few square millimetres of it are level."""
    assert receivers(tmp_path, with_bodies(body("ball", "0 0 0.75", 0.2, ['type="sphere" size="0.04"'], "1 1 1 1"))).top("ball") is None


@pytest.mark.parametrize("half_m", [0.0002, 0.002, 0.006])
def test_what_is_thin_is_looked_at_without_an_error(tmp_path, half_m) -> None:
    """A needle between two rays, a ruler on its edge, one row of cells: whatever is found has an outline with an area."""
    shape = f'type="box" size="{half_m} 0.1 0.01" pos="0 0 0"'
    seen = receivers(tmp_path, with_bodies(CAN, body("ruler", "0.0012 0.12 0.71", 0.1, [shape], "1 1 1 1")))
    assert seen.opening("ruler") is None
    top = seen.top("ruler")
    assert top is None or area_m2(top) > 0.0005


@pytest.mark.parametrize(("name", "height_m"), [("bowl", 0.006), ("plate", 0.012), ("box", 0.06)])
def test_an_object_is_let_down_until_it_touches(tmp_path, name, height_m) -> None:
    """To the floor of the bowl, to the top of the others: half a millimetre from them at most."""
    scene = compiled(tmp_path)
    data = mujoco.MjData(scene.model)
    mujoco.mj_forward(scene.model, data)
    x, y, _ = data.body(name).xpos
    data.joint("can").qpos[:3] = (x, y, 1.0)
    down_m = lower_onto(scene, data.qpos.copy(), "can", name)
    assert down_m == pytest.approx(1.0 - 0.05 - 0.7001 - height_m, abs=0.0011)


def test_an_object_beside_the_other_passes_by(tmp_path) -> None:
    """Nothing below stops it."""
    scene = compiled(tmp_path)
    qpos = scene.model.qpos0.copy()
    qpos[scene.object_qpos[scene.object_ids.index("can")] + 2] = 1.0
    assert lower_onto(scene, qpos, "can", "bowl") is None


def test_what_is_let_go_rests_or_is_told_not_to(tmp_path) -> None:
    """A can in the bowl stays; one that is let go high above the floor still falls."""
    scene = compiled(tmp_path)
    bowl, ctrl = scene.model.body("bowl").pos, np.zeros(scene.model.nu)
    address = scene.object_qpos[scene.object_ids.index("can")]
    qpos = scene.model.qpos0.copy()
    qpos[address : address + 3] = (bowl[0], bowl[1], 0.7001 + 0.006 + 0.05 + 0.002)
    ended = let_go(scene, qpos, ctrl, ("can", "bowl"))
    assert ended is not None
    assert ended["can"][2] == pytest.approx(0.756, abs=0.002)
    qpos[address + 2] = 4.0
    assert let_go(scene, qpos, ctrl, ("can", "bowl")) is None
