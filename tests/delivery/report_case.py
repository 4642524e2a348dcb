"""Facts and small videos for the report page, as a run gives them."""

from fractions import Fraction

import av
import numpy as np

from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.delivery.report_facts import (
    CertificateRow,
    CostFacts,
    CostRow,
    GateDot,
    KeptRow,
    LeftOutRow,
    MetricRow,
    ReportFacts,
    StartDot,
)
from blueprint_pipeline.licence.bundle import AssetOrigin, ComponentUse, compute_licence
from blueprint_pipeline.licence.policy import load_policy
from blueprint_pipeline.quality.explain import Reason
from blueprint_pipeline.task.coverage_facts import sum_combinations
from tests.task.coverage_cases import batch_with

ASSETS = [
    AssetOrigin(
        asset_id="dinner_plate",
        licence="CC BY 4.0",
        author="Google LLC",
        source="Google Scanned Objects",
        changes="texture 4096 to 1024 px",
    ),
    AssetOrigin(
        asset_id="lemon", licence="MIT", author="robosuite authors", source="robosuite 1.5.2", changes="scaled 1.725 x 1.15 x 1.15"
    ),
    AssetOrigin(asset_id="table", licence="CC0 1.0", author=None, source="made for this scene", changes=None),
]
COMPONENTS = [
    ComponentUse(component="mujoco", version="4.0.0", role="simulator"),
    ComponentUse(component="mink", version="1.3.0", role="planner"),
    ComponentUse(component="franka_panda_model", version="1.0", role="robot", licence="Apache-2.0"),
]


def write_video(path, seed, frames=60, width=320, height=240):
    """A ball that moves over a table, seen by nobody."""
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(0.2, 0.8, (2, 2))
    y, x = np.mgrid[0:height, 0:width]
    ground = np.stack([150 + 40 * y / height, 140 + 20 * x / width, 120 + 0 * x], axis=-1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = width, height, "yuv420p", Fraction(1, 30)
        stream.codec_context.thread_count = 1
        for index in range(frames):
            at = start + (end - start) * index / frames
            image = ground.copy()
            image[(x - at[0] * width) ** 2 + (y - at[1] * height) ** 2 < 400] = (230, 190, 30)
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def report_facts(kept=22, attempted=24):
    """Facts of a run on a table with some rejects."""
    rng = np.random.default_rng(3)
    targets = ["lemon", "dinner_plate", "soda_can"]
    rows = tuple(
        KeptRow(
            episode_id=f"ep_{index:04d}",
            instruction=f"put the {targets[index % 3].replace('_', ' ')} to the left of the bowl",
            target=targets[index % 3],
            duration_s=float(rng.uniform(7, 11)),
            frames=int(rng.integers(210, 330)),
            seed=index,
            tightest=f"arrived {rng.uniform(0.001, 0.02):.3g} m, at most 0.03" if index else "",
            replay="bit_identical",
            replay_evidence="",
        )
        for index in range(kept)
    )
    gates = ["penetration", "joint_velocity", "joint_position", "torque", "teleport", "goal_distance", "duration_max", "timestamps"]
    dots = tuple(
        GateDot(
            gate=gate, share_of_limit=float(rng.uniform(0.05, 0.9) if index < kept or gate != "penetration" else 2.4), kept=index < kept
        )
        for gate in gates
        for index in range(attempted)
    )
    reason = Reason(
        gate="penetration",
        cause="",
        count=attempted - kept,
        episode_ids=("ep_0022", "ep_0023"),
        limit=0.005,
        direction="at_most",
        unit="m",
        values=(0.0121, 0.0093),
        example="lemon|table 12.1 mm deep at frame 131 <script>alert(1)</script>",
    )
    cost = CostFacts(
        stages=(
            CostRow(stage="simulate_shard", measured_usd=0.0021, estimated_usd=0.0004, unknown_entries=0),
            CostRow(stage="render_shard", measured_usd=0.0062, estimated_usd=0.0009, unknown_entries=0),
            CostRow(stage="write_dataset", measured_usd=0.0004, estimated_usd=0.0001, unknown_entries=1),
            CostRow(stage="certify_dataset", measured_usd=0.0011, estimated_usd=0.0, unknown_entries=0),
        ),
        usd_per_kept_episode=0.00051,
        cpu_s_per_kept_episode=4.2,
        price_table="2026-11-23",
    )
    return ReportFacts(
        lab_name="Aurora Robotics",
        scene_id="tabletop_scanned",
        job_id="job-0123456789ab",
        robot="franka_panda",
        skills="pick and place, and push",
        simulator="MuJoCo 4.0.0",
        replays="22 episodes were executed again from their stored states and came out bit-identical.",
        replayed=kept - 1,
        certification="not certified: of 35 checks 31 did not run (lerobot), 4 passed",
        failures=None,
        tier="core",
        cameras=("scene", "wrist"),
        resolution="320 x 240",
        fps=30,
        variation="The scene looks and weighs the same in every episode.",
        formats=tuple(FORMATS[name] for name in ("v3.0", "v2.1")),
        attempted=attempted,
        rendered=kept,
        kept=rows,
        reasons=(reason,) if kept < attempted else (),
        left_out=(LeftOutRow(object_id="dinner_plate", skill="pick_place", reason="the gripper has no grasp of <it>"),),
        set_aside={"wobbly_vase": "it does not come to rest: it moved 90 mm"},
        coverage=tuple(sum_combinations([batch_with({("can", "left"): (2, {}), ("bowl", "left"): (0, {"plan_pick.no_path": 6})})])),
        gate_dots=dots,
        metrics=(
            MetricRow(name="path_efficiency", median=0.81, low=0.62, high=0.93, measured=kept),
            MetricRow(name="sparc", median=-2.1, low=-3.0, high=-1.7, measured=kept),
        ),
        starts=tuple(
            StartDot(
                target=targets[index % 3],
                start_m=(float(rng.uniform(0.3, 0.6)), float(rng.uniform(-0.3, 0.3))),
                goal_m=(float(rng.uniform(0.3, 0.6)), float(rng.uniform(-0.3, 0.3))),
                kept=index < kept,
            )
            for index in range(attempted)
        ),
        cost=cost,
        certificate=(
            CertificateRow(name="replay", status="passed", detail="22 of 22 episodes bit-identical"),
            CertificateRow(name="lerobot", status="not_run", detail="the certifying environment is not on this machine"),
            CertificateRow(name="robovet", status="passed", detail="no findings"),
        ),
        licence=compute_licence(load_policy(), ASSETS, COMPONENTS),
        dataset_size_bytes=41_234_567,
        signing_keyid="b" * 64,
        code_version="0.1.0+0123456789abcdef",
    )
