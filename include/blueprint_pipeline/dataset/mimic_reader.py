"""Reads a folder of Isaac Lab Mimic's format back: what it says of itself, and whether its consumers could use it."""

import json
from pathlib import Path

from blueprint_pipeline.dataset.contract import DatasetDescription, DatasetFinding
from blueprint_pipeline.dataset.errors import NotADataset
from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.mimic_layout import CONVENTIONS, FILE


class MimicReader:
    """Reads it. The library is imported where a file is opened: a folder of another format needs none of it."""

    def mismatch(self, folder: Path) -> str | None:
        """Why a folder is not of this format; ``None``: it says that it is."""
        return None if (folder / FILE).is_file() else f"{FILE} is missing"

    def describe(self, folder: Path) -> DatasetDescription:
        """What a dataset says of itself.

        Raises:
            NotADataset: Its file cannot be read, or says nothing of itself.
        """
        import h5py  # noqa: PLC0415 -- folders of other formats need none of it

        try:
            with h5py.File(folder / FILE) as file:
                data = file["data"]
                known = json.loads(data.attrs[CONVENTIONS])
                observed = data["demo_0/obs"]
                return DatasetDescription(
                    folder=str(folder),
                    version="mimic",
                    robot_type=str(known["robot_type"]),
                    fps=int(known["fps"]),
                    episodes=len(data),
                    frames=int(data.attrs["total"]),
                    tasks=tuple(known["tasks"]),
                    features={
                        f"obs/{name}": {"dtype": str(item.dtype), "shape": list(item.shape[1:])}
                        for name, item in observed.items()
                        if isinstance(item, h5py.Dataset)
                    },
                    size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
                )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise NotADataset(str(folder), f"{FILE} cannot be read ({error})", list(FORMATS)) from error

    def check(self, folder: Path) -> list[DatasetFinding]:
        """Everything that Mimic or robomimic would stumble over; an empty list: nothing was found."""
        from blueprint_pipeline.dataset.mimic_check import check_file  # noqa: PLC0415 -- it imports h5py, which folders of other formats do not need

        return check_file(folder / FILE)


READER = MimicReader()
