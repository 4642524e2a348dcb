"""The dataset formats: one row each. To add one: a module that writes and reads it, and a row here.

A row imports nothing: labs' profiles and requests name formats where no writer is loaded. Every format is written from the same episodes,
into a folder of its name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from blueprint_pipeline.rows import Rows


@dataclass(frozen=True, kw_only=True)
class Certifier:
    """A program of the certifying environment that looks at a dataset of one format."""

    module: str
    """Run as ``python -m MODULE REQUEST ANSWERS``."""
    checks: tuple[str, ...]
    """All that it answers, each required."""
    reader: str = "lerobot"
    """The package that it looks with; where the environment lacks it, its checks do not run."""
    oldest: bool = False
    """It runs with the oldest readers that the format is for, not with the environment's own."""


@dataclass(frozen=True, kw_only=True)
class FormatRow:
    """A format, as everything outside its module knows it."""

    name: str
    """What profiles, folders and reports call it."""
    title: str
    """In cards and reports for people."""
    writer: str
    """``module:class``: a :class:`~blueprint_pipeline.dataset.contract.FormatWriter` of a new folder and a specification."""
    reader: str
    """``module:attribute``: a :class:`~blueprint_pipeline.dataset.contract.FormatReader`."""
    readers: str
    """Who loads it, in a sentence of the card and the report."""
    example: str | None = None
    """Python that loads it, with ``{folder}`` in the place of its folder."""
    tags: tuple[str, ...] = ()
    """For the card and Croissant, beside its name."""
    tables: str | None = None
    """Pattern of its Parquet files with one row a frame; ``None``: it has no such files."""
    annotated: bool = False
    """Its rows carry GR00T's annotation column."""
    certifiers: tuple[Certifier, ...] = ()
    graded: bool = False
    """The public graders read it."""
    on_request: bool = False
    """Written only where a run asks for it: few take it, and it costs time and space."""
    drawn: tuple[str, ...] = ()
    """What it holds of what a run draws beside colour, by the names of the run's parameters; one of them must be on."""
    frames_of: str | None = None
    """The format in which graders see its frames: its certifiers prove that they are the same. ``None``: they see its own."""


FORMATS = Rows(
    "dataset format",
    FormatRow(
        name="v3.0",
        title="LeRobot v3.0",
        writer="blueprint_pipeline.dataset.lerobot_v30:V30Writer",
        reader="blueprint_pipeline.dataset.lerobot_v30:READER",
        readers="For lerobot 0.4.0 and later.",
        example=(
            "from lerobot.datasets.lerobot_dataset import LeRobotDataset\n\n"
            'dataset = LeRobotDataset("local/dataset", root="{folder}")\nprint(dataset[0])'
        ),
        tags=("LeRobot",),
        tables="data/*/*.parquet",
        certifiers=(
            Certifier(
                module="blueprint_pipeline.dataset.certify.in_lerobot",
                checks=(
                    "lerobot.loads",
                    "lerobot.frames_match_states",
                    "lerobot.videos_match_renders",
                    "lerobot.items_load",
                    "lerobot.windows_load",
                    "lerobot.statistics_agree",
                ),
            ),
        ),
        graded=True,
    ),
    FormatRow(
        name="v2.1",
        title="LeRobot v2.1",
        writer="blueprint_pipeline.dataset.lerobot_v21:V21Writer",
        reader="blueprint_pipeline.dataset.lerobot_v21:READER",
        readers="For openpi, lerobot up to 0.3.3, and Isaac-GR00T, whose meta/modality.json it has.",
        tags=("LeRobot",),
        tables="data/*/*.parquet",
        annotated=True,
        certifiers=(
            Certifier(
                module="blueprint_pipeline.dataset.certify.in_twin",
                checks=(
                    "twin.lerobot_refuses",
                    "twin.frames_match_states",
                    "twin.lerobot_converts",
                    "twin.datasets_reads",
                    "twin.modality_fits",
                    "twin.videos_decode",
                ),
            ),
            Certifier(
                module="blueprint_pipeline.dataset.certify.in_oldest",
                checks=("oldest.datasets_reads", "oldest.lerobot_loads", "oldest.frames_match_states", "oldest.items_load"),
                oldest=True,
            ),
        ),
        graded=True,
        frames_of="v3.0",
    ),
    FormatRow(
        name="mimic",
        title="Isaac Lab Mimic HDF5",
        writer="blueprint_pipeline.dataset.mimic:MimicWriter",
        reader="blueprint_pipeline.dataset.mimic_reader:READER",
        readers="For Isaac Lab Mimic, which makes more demonstrations of these, and for robomimic. Without pictures: LeRobot has them.",
        example=(
            "import h5py\n\n"
            'with h5py.File("{folder}/dataset.hdf5") as file:\n'
            '    print(dict(file["data/demo_0"].attrs), list(file["data/demo_0/obs"]))'
        ),
        tags=("robomimic", "Isaac Lab"),
        certifiers=(
            Certifier(
                module="blueprint_pipeline.dataset.certify.in_robomimic",
                checks=("robomimic.loads", "robomimic.frames_match_states"),
                reader="robomimic",
            ),
        ),
        on_request=True,
    ),
    FormatRow(
        name="depth_segmentation",
        title="depth and segmentation",
        writer="blueprint_pipeline.dataset.pixels:PixelWriter",
        reader="blueprint_pipeline.dataset.pixels_reader:READER",
        readers="Lossless FFV1 videos that PyAV and ffmpeg read; pixel by pixel they fit the colour videos of the other formats.",
        example=(
            "from pathlib import Path\n\nimport av\nimport numpy as np\n\n"
            'path = next(Path("{folder}").glob("*/*/episode_000000.mkv"))\n'
            "with av.open(str(path)) as video:\n"
            "    values = np.stack([picture.to_ndarray() for picture in video.decode(video=0)])\n"
            "print(path.parts[-3:], values.shape, values.dtype)"
        ),
        on_request=True,
        drawn=("depth", "segmentation"),
    ),
)
STORE = "v3.0"
"""The format that is always written, and read back: statistics in every format come from it."""

FormatName = Annotated[str, AfterValidator(FORMATS.checked)]
"""The name of a row."""


def usual_formats() -> tuple[str, ...]:
    """Names of the formats in which every dataset is written."""
    return tuple(row.name for row in FORMATS.values() if not row.on_request)


def requested_formats() -> tuple[str, ...]:
    """Names of those that a run must ask for."""
    return tuple(row.name for row in FORMATS.values() if row.on_request)


def join_titles(names: Iterable[str]) -> str:
    """Formats in words.

    >>> join_titles(("v3.0", "v2.1"))
    'LeRobot v3.0 and LeRobot v2.1'
    """
    return " and ".join(FORMATS[name].title for name in names)
