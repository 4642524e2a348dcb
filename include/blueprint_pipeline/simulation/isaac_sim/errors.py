"""What can go wrong between us and Isaac Sim."""

from blueprint_pipeline.errors import InputError, IntegrityError, InternalError, MissingPartError


class IsaacSimMissing(MissingPartError):
    """This Python is not Isaac Sim's."""

    code = "simulation.isaac_sim_missing"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Isaac Sim is not in this Python ({reason}). Run in the image isaac: docs/simulators.md.",
            reason=reason,
        )


class IsaacSimUnsupported(MissingPartError):
    """This version of Isaac Sim is not one whose API is known here."""

    code = "simulation.isaac_sim_unsupported"

    def __init__(self, version: str, known: list[str]) -> None:
        super().__init__(
            f"Isaac Sim {version} is installed; the API is known for {', '.join(known)}. Use an image of one of these.",
            version=version,
            known=known,
        )


class StageMissing(InputError):
    """The scene has no USD stage."""

    code = "simulation.stage_missing"

    def __init__(self, path: str) -> None:
        super().__init__(f"There is no stage at {path}. Assemble the scene (assemble_scene) first.", path=path)


class StageNotUsable(InputError):
    """The stage lacks something, or says something that PhysX would not simulate as the twin does."""

    code = "simulation.stage_not_usable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The stage {path} cannot be simulated: {reason}. Assemble the scene again (assemble_scene).", path=path, reason=reason
        )


class RobotNotMapped(InternalError):
    """Isaac Sim's joints are not the robot's joints."""

    code = "simulation.robot_not_mapped"

    def __init__(self, found: list[str], expected: list[str]) -> None:
        super().__init__(
            f"Isaac Sim loaded an articulation with the joints {', '.join(found) or 'none'}; expected {', '.join(expected)}. "
            "The stage that was written for it is wrong: report it with the evidence file.",
            found=found,
            expected=expected,
        )


class NoFrame(MissingPartError):
    """The renderer gave no picture."""

    code = "simulation.no_frame"

    def __init__(self, camera: str, tries: int) -> None:
        super().__init__(
            f"Isaac Sim drew nothing for camera {camera} in {tries} tries. Look for VK_ERROR_DEVICE_LOST in its log; "
            "run `bpp simulator check --preflight`: a GPU without RT cores or a driver below the minimum draws nothing.",
            camera=camera,
            tries=tries,
        )


class SessionUnreadable(InputError):
    """A file is no recorded session, or of another version."""

    code = "simulation.session_unreadable"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is no recorded session that can be played: {reason}. Record it again.", path=path, reason=reason)


class SessionDiverged(IntegrityError):
    """A call differs from the one that was recorded at this point: its answer would be made up."""

    code = "simulation.session_diverged"

    def __init__(self, index: int, found: str, recorded: str) -> None:
        super().__init__(
            f"Call {index} is {found}; recorded was {recorded}. What is asked of Isaac Sim has changed since: record the session again.",
            index=index,
            found=found,
            recorded=recorded,
        )
