"""A dataset format of the tests' own: all that a new one brings. One JSON Lines file an episode, and the videos as they were rendered."""

import json
import shutil

from blueprint_pipeline.dataset.contract import DatasetDescription, DatasetFinding
from blueprint_pipeline.dataset.formats import FormatRow
from blueprint_pipeline.dataset.layout import write_json, write_text

INDEX = "index.json"


class Writer:
    """Writes it."""

    def __init__(self, root, spec):
        self.root, self._spec = root, spec
        self._episodes = []

    def add(self, frames, position, videos):
        rows = [{key: values[row].tolist() for key, values in frames.vectors.items()} for row in range(frames.length)]
        write_text(self.root / f"{position.episode_index}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        for key, video in videos.items():
            shutil.copyfile(video.path, self.root / f"{position.episode_index}.{key}.mp4")
        self._episodes.append({"task": frames.task, "length": frames.length})
        return ()

    def record(self, episode):
        self._episodes[episode.position.episode_index]["mean"] = episode.statistics()["action"]["mean"]

    def finish(self, totals):
        known = {"format": "states_only", "fps": self._spec.fps, "robot": self._spec.robot_type, "episodes": self._episodes}
        write_json(self.root / INDEX, known)


class Reader:
    """Reads it."""

    def mismatch(self, folder):
        return None if (folder / INDEX).is_file() else f"{INDEX} is missing"

    def describe(self, folder):
        found = json.loads((folder / INDEX).read_text())
        return DatasetDescription(
            folder=str(folder),
            version="states_only",
            robot_type=found["robot"],
            fps=found["fps"],
            episodes=len(found["episodes"]),
            frames=sum(episode["length"] for episode in found["episodes"]),
            tasks=tuple(dict.fromkeys(episode["task"] for episode in found["episodes"])),
            features={},
            size_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        )

    def check(self, folder):
        lengths = [episode["length"] for episode in json.loads((folder / INDEX).read_text())["episodes"]]
        found = [len((folder / f"{index}.jsonl").read_text().splitlines()) for index in range(len(lengths))]
        return [
            DatasetFinding("dataset.rows_wrong", f"{index}.jsonl", f"{rows} rows, expected {length}")
            for index, (rows, length) in enumerate(zip(found, lengths, strict=True))
            if rows != length
        ]


READER = Reader()
ROW = FormatRow(
    name="states_only",
    title="States Only 1",
    writer=f"{__name__}:Writer",
    reader=f"{__name__}:READER",
    readers="For any reader of JSON Lines.",
    tags=("JSON Lines",),
)
