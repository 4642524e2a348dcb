"""A robot with two arms: mirrored, and each with a gripper of another build. Small enough to be read; it is on no record."""

from pathlib import Path

from blueprint_pipeline.robot.embodiment import Embodiment, load_embodiment

_ARM = """
      <body name="{side}_upper" pos="0 {y} 0.3">
        <joint name="{side}_shoulder" axis="0 0 1" range="-2.5 2.5" damping="2" armature="0.1"/>
        <geom type="capsule" fromto="0 0 0 0.3 0 0" size="0.03" mass="0.4"/>
        <body name="{side}_lower" pos="0.3 0 0">
          <joint name="{side}_slide" type="slide" axis="0 0 1" range="-0.2 0.2" damping="20" armature="0.1"/>
          <geom type="capsule" fromto="0 0 0 0.2 0 0" size="0.025" mass="0.3"/>
          <body name="{side}_hand" pos="0.2 0 0" quat="0 1 0 0">
            <geom type="box" size="0.02 0.05 0.02" mass="0.1"/>
            <site name="{side}_tcp" pos="0 0 0.1"/>{fingers}
          </body>
        </body>
      </body>"""
_SLIDING = """
            <body name="left_finger_a" pos="0 0.005 0.08">
              <joint name="left_a" type="slide" axis="0 1 0" range="0 0.03" damping="5"/>
              <geom type="box" size="0.01 0.005 0.03" mass="0.02"/>
            </body>
            <body name="left_finger_b" pos="0 -0.005 0.08">
              <joint name="left_b" type="slide" axis="0 1 0" range="-0.03 0" damping="5"/>
              <geom type="box" size="0.01 0.005 0.03" mass="0.02"/>
            </body>"""
_TURNING = """
            <body name="right_finger" pos="0 0.04 0.05">
              <joint name="right_finger" axis="1 0 0" range="0 1" damping="0.1"/>
              <geom type="box" size="0.01 0.005 0.03" pos="0 0 0.03" mass="0.02"/>
            </body>"""
_LEFT = _ARM.format(side="left", y=0.2, fingers=_SLIDING)
_RIGHT = _ARM.format(side="right", y=-0.2, fingers=_TURNING)
XML = f"""
<mujoco model="two_arms">
  <compiler angle="radian" autolimits="true"/>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <body name="torso">
      <geom type="cylinder" size="0.1 0.15" pos="0 0 0.15" mass="5"/>{_LEFT}{_RIGHT}
    </body>
  </worldbody>
  <tendon><fixed name="left_opening"><joint joint="left_a" coef="1"/><joint joint="left_b" coef="-1"/></fixed></tendon>
  <equality><joint joint1="left_a" joint2="left_b" polycoef="0 -1 0 0 0"/></equality>
  <actuator>
    <position name="right_gripper" joint="right_finger" kp="20" kv="1" ctrlrange="0 1"/>
    <position name="right_shoulder" joint="right_shoulder" kp="400" kv="40" ctrlrange="-2.5 2.5"/>
    <position name="right_slide" joint="right_slide" kp="4000" kv="200" ctrlrange="-0.2 0.2"/>
    <position name="left_shoulder" joint="left_shoulder" kp="400" kv="40" ctrlrange="-2.5 2.5"/>
    <position name="left_slide" joint="left_slide" kp="4000" kv="200" ctrlrange="-0.2 0.2"/>
    <position name="left_gripper" tendon="left_opening" kp="500" kv="10" ctrlrange="0 0.06"/>
  </actuator>
</mujoco>
"""
"""The actuators stand in another order than the arms, on purpose."""


def build_two_arms(folder: Path) -> Embodiment:
    """Write the model, and make its record."""
    path = folder / "two_arms.xml"
    path.write_text(XML, encoding="utf-8")
    panda = load_embodiment("franka_panda").arms[0]
    base = panda.gripper.model_dump()

    def arm(side: str, **gripper: object) -> dict[str, object]:
        limits = {"max_velocity_rad_s": 1.0, "max_acceleration_rad_s2": 5.0, "max_torque_nm": 50.0}
        return panda.model_dump() | {
            "name": side,
            "joints": [
                {"name": f"{side}_shoulder", "actuator": f"{side}_shoulder", "lower_rad": -2.5, "upper_rad": 2.5, **limits},
                {"name": f"{side}_slide", "actuator": f"{side}_slide", "unit": "m", "lower_rad": -0.2, "upper_rad": 0.2, **limits},
            ],
            "default_qpos_rad": (0.3, 0.05) if side == "left" else (-0.3, -0.05),
            "limit_margin_rad": 0.02,
            "tcp_site": f"{side}_tcp",
            "gripper": base | {"actuator": f"{side}_gripper", "hand_body": f"{side}_hand"} | gripper,
        }

    left = arm(
        "left",
        openings_m=(0.0, 0.06),
        ctrl=(0.0, 0.06),
        fingers=[{"name": "left_a", "positions": (0.0, 0.03)}, {"name": "left_b", "positions": (0.0, -0.03)}],
        finger_bodies=("left_finger_a", "left_finger_b"),
        hand_bodies=("left_hand", "left_finger_a", "left_finger_b"),
    )
    right = arm(
        "right",
        openings_m=(0.0, 0.03, 0.05),
        ctrl=(1.0, 0.4, 0.0),
        fingers=[{"name": "right_finger", "positions": (1.0, 0.4, 0.0)}],
        finger_bodies=("right_finger",),
        hand_bodies=("right_hand", "right_finger"),
        pad=base["pad"] | {"advance_m": (0.0, 0.0, 0.0)},
    )
    record = load_embodiment("franka_panda").model_dump() | {
        "name": "two_arms",
        "aliases": (),
        "mjcf": str(path),
        "base_body": "torso",
        "arms": [left, right],
        "wrist_cameras": [
            camera.model_dump() | {"name": f"{side}_wrist", "body": f"{side}_hand"}
            for side in ("left", "right")
            for camera in load_embodiment("franka_panda").wrist_cameras
        ],
    }
    return Embodiment.model_validate(record)
