"""What cannot be trained on or tried, and what to do about it."""

from collections.abc import Sequence

from blueprint_pipeline.errors import InputError


class NoPolicyKit(InputError):
    """A folder holds no replay kit that a policy can be tried in."""

    code = "policy.no_kit"
    template = "{folder} has no {missing}. Give the folder of a bundle whose episodes MuJoCo made: a policy is tried in its replay kit."

    folder: str
    missing: str


class KitRefused(InputError):
    """A kit cannot be used as it was asked for."""

    code = "policy.kit_refused"
    template = "The kit {folder} cannot be used: {reason}."

    folder: str
    reason: str


class PolicyNotWritten(InputError):
    """What is learnt would have no file."""

    code = "policy.not_written"
    template = "{path} cannot be written: {reason}. Name a file that ends in .npz, in a folder that is there."

    path: str
    reason: str


class SentenceNotRead(InputError):
    """The baseline does not find in a sentence which object it is about."""

    code = "policy.sentence_not_read"
    template = (
        "The baseline does not know what '{sentence}' is about: {reason}. It reads the last words of {object_ids}, and nothing else: "
        "train a policy of your own on this dataset."
    )

    sentence: str
    reason: str
    object_ids: Sequence[str]


class NoHeldOutStart(InputError):
    """A kit has too few starts to try a policy from."""

    code = "policy.too_few_starts"
    template = "{folder} has {found} held-out starts; {wanted} trials were asked for. Ask for fewer, or plan more (held_out of plan_tasks)."

    folder: str
    found: int
    wanted: int


class PolicyNotLoaded(InputError):
    """There is no such policy."""

    code = "policy.not_loaded"
    template = "The policy '{policy}' cannot be loaded: {reason}. Give MODULE:CALLABLE, or a file that `bpp policy train-baseline` wrote."

    policy: str
    reason: str


class DatasetNotTeachable(InputError):
    """A dataset lacks what the baseline learns from."""

    code = "policy.dataset_not_teachable"
    template = (
        "{folder} cannot be learnt from: {reason}. Found columns: {columns}. "
        "Give a bundle whose lab gets the format v3.0, made by this version."
    )

    folder: str
    reason: str
    columns: Sequence[str]


class TooFewDemonstrations(InputError):
    """The baseline needs demonstrations that are alike, one to learn from and one to choose a model by."""

    code = "policy.too_few_demonstrations"
    template = (
        "{alike} of {all} demonstrations pause equally often, and the baseline learns from those: at least {wanted} are needed. "
        "Give a bundle with more episodes of one skill."
    )

    alike: int
    all: int
    wanted: int


class PolicyFailed(InputError):
    """A policy raised an exception of its own."""

    code = "policy.failed"
    template = (
        "The policy ended in frame {frame} with {error}, at {where}. It sees observation.state, observation.object_poses, "
        "observation.ee_pose, task, and observation.images.NAME of each camera that is asked for."
    )

    frame: int
    error: str
    where: str
    """File and line."""


class ActionRefused(InputError):
    """A policy gave something that is no action."""

    code = "policy.action_refused"
    template = "The policy gave {found} as its action in frame {frame}; expected {expected} finite numbers, as the dataset's action has."

    frame: int
    found: str
    expected: int
