"""A sound scene rests where it was reconstructed; one that does not is refused with the object and the figures."""

import mujoco
import pytest

from blueprint_pipeline.scene.settle import (
    SceneNotStable,
    SettleLimits,
    check_settled,
    find_restless,
    find_worst,
    load_settled,
    settle,
    settle_patiently,
    validate_settled,
)

WORLD = """<mujoco><option timestep="0.002083333" integrator="implicitfast" cone="elliptic"/><worldbody>
<geom name="floor" type="plane" size="0 0 1"/>{}</worldbody></mujoco>"""
BOX = '<body name="box" pos="{}" euler="{}"><freejoint/><geom type="box" size="0.05 0.05 0.05" mass="0.5"/></body>'


def settled(*boxes, seconds=1.0):
    model = mujoco.MjModel.from_xml_string(WORLD.format("".join(boxes)))
    return settle(model, "s", duration_s=seconds)


def test_box_at_rest_is_stable():
    """All figures near 0, and it touches the floor."""
    record = settled(BOX.format("0 0 0.05", "0 0 0"))
    validate_settled(record)
    assert record.stable
    assert record.max_drift_m < 0.001
    assert record.objects[0].touches == ("floor",)
    assert record.poses["box"].position_m[2] == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(
    ("position", "euler", "seconds", "words"),
    [
        ("0 0 0.2", "0 0 0", 1.0, "moved"),
        ("0 0 0.075", "0 35 0", 1.0, "tilted"),
        ("0 0 3", "0 0 0", 0.1, "touches nothing"),
        ("0 0 3", "0 0 0", 0.1, "still moves"),
        ("0 0 0.03", "0 0 0", 0.003, "penetrates"),
    ],
)
def test_unstable_box_is_refused_with_figures(position, euler, seconds, words):
    """It falls, tips over, flies or sinks."""
    record = settled(BOX.format(position, euler), seconds=seconds)
    assert not record.stable
    with pytest.raises(SceneNotStable, match=rf"object box .*{words}") as caught:
        validate_settled(record)
    assert caught.value.code == "scene.not_stable"


def test_the_worst_object_is_named():
    """Among several."""
    calm = BOX.format("0 0 0.05", "0 0 0").replace('name="box"', 'name="calm"')
    falls = BOX.format("1 0 0.3", "0 0 0").replace('name="box"', 'name="falls"')
    with pytest.raises(SceneNotStable, match="falls"):
        validate_settled(settled(calm, falls))


def test_divergence_is_refused():
    """Two bodies in one place, held together by a constraint that cannot be: the state blows up."""
    model = mujoco.MjModel.from_xml_string(WORLD.format(BOX.format("0 0 0.05", "0 0 0")).replace("0.002083333", "5"))
    model.opt.gravity[2] = -1e12
    with pytest.raises(SceneNotStable):
        validate_settled(settle(model, "s", duration_s=50))


@pytest.mark.parametrize(("height_m", "worst"), [("0", "qpos"), ("9e9", "qvel")], ids=["positions run away first", "speeds run away first"])
def test_a_state_that_mujoco_reset_is_refused(height_m, worst):
    """It stands where it began again, finite and with a sound acceleration: only the warning tells."""
    text = WORLD.replace('<geom name="floor" type="plane" size="0 0 1"/>', "").replace("0.002083333", "0.5")
    model = mujoco.MjModel.from_xml_string(text.format(BOX.format(f"0 0 {height_m}", "0 0 0")))
    model.opt.gravity[2] = -9.9e9
    with pytest.raises(SceneNotStable, match=f"object box makes the simulation diverge: {worst} is not finite, or huge"):
        settle(model, "s", duration_s=2)


def test_the_one_that_diverges_is_named():
    """Not the first of the scene: what is set aside must be what blew up."""
    text = WORLD.replace('<geom name="floor" type="plane" size="0 0 1"/>', "").replace("0.002083333", "0.5")
    calm = BOX.format("5 0 0", "0 0 0").replace('name="box"', 'name="calm" gravcomp="1"')
    model = mujoco.MjModel.from_xml_string(text.format(calm + BOX.format("0 0 9e9", "0 0 0")))
    model.opt.gravity[2] = -9.9e9
    with pytest.raises(SceneNotStable, match="object box makes"):
        settle(model, "s", duration_s=2)


def test_limits_can_be_set_tighter():
    """Each limit is judged on its own."""
    record = settled(BOX.format("0 0 0.0505", "0 0 0"))
    assert check_settled(record.objects[0], record.limits) == []
    assert len(check_settled(record.objects[0], SettleLimits(drift_m=1e-6))) == 1


def test_scene_without_movable_things_is_stable():
    """Nothing can move."""
    record = settled()
    validate_settled(record)
    assert record.poses == {}


def test_small_scene_rests(finished):
    """Can and ramekin stay within a fraction of a millimetre; each touches the table, which is part of the background."""
    record = load_settled(finished[0].scene)
    assert record.stable
    assert record.duration_s == 2.0
    assert record.max_drift_m < 0.001
    assert record.max_penetration_m < 0.0001
    assert {item.touches for item in record.objects} == {("background",)}


BALL = '<body name="ball" pos="{}"><freejoint/><geom type="sphere" size="0.04" mass="0.1" condim="{}" friction="0.5 0.005 0.003"/></body>'


@pytest.mark.parametrize(("condim", "rests"), [(4, False), (6, True)])
def test_ball_rests_where_its_contacts_resist_rolling(condim, rests):
    """On a table that leans by a thousandth."""
    model = mujoco.MjModel.from_xml_string(WORLD.format(BALL.format("0 0 0.04", condim)))
    model.opt.gravity[0] = 0.01
    assert (find_restless(model, "s", duration_s=2.0) == set()) == rests
    assert settle(model, "s", duration_s=1.0).objects[0].resists_rolling == rests


def test_what_only_takes_longer_is_given_more_time():
    """A box that still sways from its first millimetre: no reason to refuse it, and forty others. One that falls is refused as before."""
    model = mujoco.MjModel.from_xml_string(WORLD.format(BOX.format("0 0 0.0505", "0 0 0")))
    assert not settle(model, "s", duration_s=0.06).stable
    record = settle_patiently(model, "s", duration_s=0.06)
    assert record.stable
    assert record.duration_s == pytest.approx(0.3)
    falling = mujoco.MjModel.from_xml_string(WORLD.format(BOX.format("0 0 0.2", "0 0 0")))
    assert settle_patiently(falling, "s", duration_s=0.1).duration_s == 0.1


def test_what_creeps_away_is_found_by_who_watches_long_enough():
    """On a slope soft contacts let a box creep, under the limit of speed: after two seconds it has not moved far, after twenty it has."""
    model = mujoco.MjModel.from_xml_string(WORLD.format(BOX.format("0 0 0.05", "0 0 0")))
    model.opt.gravity[0] = 3.0
    assert find_worst(model, "s", duration_s=2.0) is None
    assert "moved 15" in find_worst(model, "s", duration_s=20.0).message
