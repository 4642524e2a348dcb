"""What can go wrong between us and Genie Sim's server."""

from collections.abc import Sequence

from blueprint_pipeline.errors import ConfigurationError, InputError, IntegrityError, MissingPartError, TransientError


class GenieSimRefused(InputError):
    """The server took a call and says that it failed."""

    code = "simulation.genie_sim_refused"
    template = (
        "Genie Sim at {address} answers {call} with: {said}. Its log tells more; a call that worked before may need a server started anew."
    )

    address: str
    call: str
    said: str


class AnswerUnusable(IntegrityError):
    """An answer cannot be what the call asks for."""

    code = "simulation.genie_sim_answer_unusable"
    template = "Genie Sim at {address} answers {call} with {problem}. Nothing can follow from that: start the server anew, and run again."

    address: str
    call: str
    problem: str


class AnswerOutstanding(TransientError):
    """A call was given up, and its answer would be taken for the next one's: the server has one place for a command."""

    code = "simulation.genie_sim_answer_outstanding"
    template = (
        "{call} was not answered by Genie Sim at {address}, and the next answer may be that call's: this connection makes no more calls. "
        "Start the server anew, and run again."
    )

    address: str
    call: str


class OtherScene(TransientError):
    """The server holds another scene, and knows no call that takes one away."""

    code = "simulation.genie_sim_other_scene"
    template = (
        "Genie Sim at {address} holds another scene, or this one with the robot or the camera elsewhere. A server takes one scene: "
        "start it anew for this one."
    )

    address: str


class RobotUnknown(InputError):
    """Genie Sim has no such robot, or it is not mapped here."""

    code = "simulation.genie_sim_robot_unknown"
    template = "Genie Sim does not act with {robot}; it does with {known}. Plan the job for one of these, or simulate with mujoco."

    robot: str
    known: Sequence[str]


class RobotCannotStand(InputError):
    """The robot's lower body does not carry its hip to where the plan has it."""

    code = "simulation.genie_sim_robot_cannot_stand"
    template = "The plan has the hip of {robot} at {height_m:.3f} m over {foot_m:.3f} m; {problem}. Plan for a support of another height."

    robot: str
    height_m: float
    foot_m: float
    problem: str


class RobotDiffers(MissingPartError):
    """The robot that the server loaded is not the one in which motions are planned."""

    code = "simulation.genie_sim_robot_differs"
    template = "Genie Sim's {robot} differs from the twin's: {problem}. Use a server whose robot is that of commit 0e659ad (v3.2.0)."

    robot: str
    problem: str


class NotPlaced(InputError):
    """Joints or objects do not stand where they were put."""

    code = "simulation.genie_sim_not_placed"
    template = (
        "Put into a state {tries} times, {worst} is still {off:.3g} times as far from there as it may be. Is the place free, and does it "
        "rest there?"
    )

    tries: int
    worst: str
    off: float
    """In what is allowed."""


class NotInStep(TransientError):
    """The server ran on while nothing was asked of it, and a motion would not be the one that was planned."""

    code = "simulation.genie_sim_not_in_step"
    template = (
        "Genie Sim made {late} physics steps more than it was asked for within a frame of {substeps}. Give client and server cores of "
        "their own on one machine, and run again."
    )

    late: int
    substeps: int


class FrameTooShort(InputError):
    """A frame has not enough physics steps to read every object, for each call takes one."""

    code = "simulation.genie_sim_frame_too_short"
    template = (
        "A frame has {substeps} physics steps, and {needed} calls are needed in it for {objects} objects. Start the server with a larger "
        "--physics_step, and say the same in BPP__GENIE_SIM__PHYSICS_HZ."
    )

    substeps: int
    needed: int
    objects: int


class RateDiffers(ConfigurationError):
    """The server's physics has another rate than the settings say."""

    code = "simulation.genie_sim_rate_differs"
    template = (
        "Genie Sim at {address} makes physics steps of 1/{found_hz:.1f} s; BPP__GENIE_SIM__PHYSICS_HZ is {expected_hz}. Start it with "
        "--physics_step {expected_hz}."
    )

    address: str
    found_hz: float
    expected_hz: int


class NoPictures(MissingPartError):
    """The server gives no pictures over the wire."""

    code = "simulation.genie_sim_no_pictures"
    template = (
        "Genie Sim at {address} does not answer get_camera_data, as no release since 3.0 does: {detail}. Pictures of its episodes are "
        "drawn in the twin; its own stand in its recordings."
    )

    address: str
    detail: str


class RecordingMissing(TransientError):
    """A recording did not come."""

    code = "simulation.genie_sim_recording_missing"
    template = (
        "Within {wait_s:.0f} s Genie Sim wrote no {missing} to {folder}. Is BPP__GENIE_SIM__RECORDINGS its recording_data folder, and "
        "was it started with --publish_ros? Look at extract.log there."
    )

    wait_s: float
    missing: str
    folder: str


class RecordingUnusable(IntegrityError):
    """A recording lacks what an episode needs, or is of something else."""

    code = "simulation.genie_sim_recording_unusable"
    template = "Genie Sim's recording {folder} cannot become an episode: {problem}. Attempt the episode again."

    folder: str
    problem: str
