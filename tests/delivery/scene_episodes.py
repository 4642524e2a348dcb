"""Episodes of a small scene: really simulated, so that they replay, with videos of noise."""

import numpy as np

from blueprint_pipeline.episode.record import (
    CameraSight,
    EpisodeRecord,
    ReplayCertificate,
    VideoRecord,
    preview_name,
    recording_path,
    render_path,
)
from blueprint_pipeline.episode.states import StateRow, build_states_table, write_states
from blueprint_pipeline.geometry.pose import Pose
from blueprint_pipeline.origin import Origin
from blueprint_pipeline.robot.placement import RobotPlacement, View
from blueprint_pipeline.rollout.controller import observe_motion
from blueprint_pipeline.simulation.mujoco.backend import MujocoSimulator
from blueprint_pipeline.simulation.render_profiles import FAST
from blueprint_pipeline.skill.pick_place import SKILL
from blueprint_pipeline.task.outcome import Outcome, Phase
from blueprint_pipeline.workspace.checksums import digest_file
from tests.delivery.report_case import write_video

SCENE_ID, JOB_ID, FPS, FRAMES, ATTEMPTS, KEPT = "kitchen", "job-0123456789ab", 30, 20, 5, 3
PLACEMENT = RobotPlacement(
    embodiment="franka_panda",
    base_pose=Pose(position_m=(-0.55, 0.0, 0.6), quat_wxyz=(1.0, 0.0, 0.0, 0.0)),
    view=View(position_m=(0.1, -1.2, 1.4), quat_wxyz=(0.6, 0.4, 0.4, 0.5656854249492381), fovy_deg=52.0),
)
CAMERAS = ("scene", "wrist")
SIZE = {"width": 64, "height": 48}


def simulate_record(scene, spec):
    """Simulate a wiggle of the arm; the last attempt never moved, since its planning failed."""
    simulator = MujocoSimulator()
    loaded = simulator.load(scene, PLACEMENT, FPS)
    folder = scene / recording_path(spec.episode_index // 3, spec.episode_id)
    folder.mkdir(parents=True)
    moved = spec.episode_index < ATTEMPTS - 1
    if moved:
        state = simulator.reset(spec.object_poses, spec.robot_qpos)
        start = simulator.save_state()
        setpoints = np.tile(state.ctrl, (FRAMES, 1))
        setpoints[:, :7] += np.cumsum(np.random.default_rng(spec.seed).uniform(-0.02, 0.02, (FRAMES, 7)), axis=0)
        track = simulator.track(setpoints)
        states = [state, *track.states]
        contacts = [*track.contacts, ()]
        targets = [*setpoints, setpoints[-1]]
        rows = [
            StateRow(
                state=row,
                setpoint=target,
                robot_command=target[:7],
                gripper_command_m=np.array([0.08]),
                phase="approach",
                contacts=touched,
            )
            for row, target, touched in zip(states, targets, contacts, strict=True)
        ]
        write_states(folder / "states.parquet", build_states_table(rows, start, np.zeros((len(rows), 0))))
    failure = {"failure_stage": "predicate", "failure_code": "not_lifted", "failure_reason": "an arm that wiggles lifts nothing"}
    if not moved:
        failure = {"failure_stage": "plan_pick", "failure_code": "motion.no_grasp", "failure_reason": "no grasp is reachable"}
    checks = ()
    if moved:
        checks = SKILL.check(spec.task, observe_motion(spec.task, loaded.object_ids, states, contacts, arm=0, fps=FPS))
    record = EpisodeRecord(
        scene_id=SCENE_ID,
        job_id=JOB_ID,
        shard_index=spec.episode_index // 3,
        episode_id=spec.episode_id,
        spec=spec,
        robot=PLACEMENT,
        fps=FPS,
        frames=FRAMES if moved else 0,
        duration_s=FRAMES / FPS if moved else 0.0,
        object_ids=loaded.object_ids,
        phases=(Phase(name="approach", start_frame=0, end_frame=FRAMES),) if moved else (),
        outcome=Outcome(success=False, predicate=checks, **failure),
        simulator=loaded.info,
        capabilities=simulator.capabilities(),
        controller="test",
        model_sha256=loaded.model_sha256,
        states=digest_file(folder / "states.parquet") if moved else None,
        origins={"states": Origin.SIMULATED},
    )
    (folder / "episode.json").write_text(record.model_dump_json())
    return record


def write_render(scene, record, selection="kept"):
    folder = scene / render_path(record.shard_index, record.episode_id, selection)
    videos = {}
    for number, camera in enumerate(CAMERAS):
        path = write_video(folder / f"{camera}.mp4", record.spec.seed + 50 * number, frames=FRAMES, **SIZE)
        write_video(folder / preview_name(camera), record.spec.seed + 50 * number, frames=FRAMES // 4, width=160, height=120)
        videos[camera] = VideoRecord(
            digest=digest_file(path),
            frames=FRAMES,
            fps=FPS,
            codec="h264",
            pix_fmt="yuv420p",
            mean_luma=120.0,
            std_luma=20.0,
            frozen_frames=0,
            sight=CameraSight(target_visible_ratio=1.0, target_ends_px=(120, 90), emptiest_share=0.1, origin="measured"),
            sharpness=10.0,
            **SIZE,
        )
    certificate = ReplayCertificate(
        episode_id=record.episode_id,
        states_sha256=record.states.sha256,
        model_sha256=record.model_sha256,
        frames=FRAMES,
        rule="bit_identical",
        replayed=True,
        first_difference_frame=None,
        max_abs_qpos_difference=0.0,
        simulator=record.simulator,
        render_profile=FAST,
        renderer="none",
        videos=videos,
    )
    (folder / "certificate.json").write_text(certificate.model_dump_json())
