"""A picture of the episodes that a person is asked about, drawn by a process of its own when the question is asked.

Whatever becomes of the picture changes nothing of the question: without one, the question says why.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from airflow.sdk.configuration import conf

from blueprint_pipeline.settings import environment_of_child
from plugins.pages.pictures import picture_path

DRAW_S = 120.0
"""For starting the process, finding what draws on this machine, and drawing [s]."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Picture:
    """A picture of episodes, or why there is none."""

    path: str | None = None
    """Below Airflow's address."""
    place: str = ""
    """Where the file lies."""
    missing: str = ""
    """Why there is none."""

    @property
    def link(self) -> str | None:
        """Its address; ``None`` without a picture, or where Airflow does not know its own address."""
        base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
        return f"{base}{self.path}" if base and self.path else None

    def describe(self) -> str:
        """For people who cannot see it where they read."""
        return self.place or f"There is no picture: {self.missing}"

    def markdown(self) -> str:
        """As a part of a question in Airflow's UI, which is where the path begins."""
        if self.path is None:
            return f"*{self.describe()}*"
        return f"![Start, first touch and end of each episode]({self.link or self.path})\n\n*Start, first touch, end. {self.place}*"


def draw_picture(scene_id: str, episode_ids: Sequence[str]) -> Picture:
    """Draw the first of these episodes."""
    try:
        drawn = _draw(scene_id, episode_ids)
    except (OSError, ValueError, KeyError) as error:
        drawn = Picture(missing=f"{type(error).__name__}: {error}")
    if drawn.missing:
        log.warning("the question is asked without a picture: %s", drawn.missing)
    return drawn


def _draw(scene_id: str, episode_ids: Sequence[str]) -> Picture:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = _run(["episode", "strip", scene_id, *episode_ids, "--json"], out, err)
        said, last = _read(out), (_read(err).strip().splitlines() or ["it said nothing"])[-1]
    if status is None:
        return Picture(missing=f"it was not drawn within {DRAW_S:.0f} s")
    if not said:
        return Picture(missing=f"the process that draws ended with status {status}: {last}")
    answer = json.loads(said)
    if status != 0:
        return Picture(missing=f"[{answer['error']['code']}] {answer['error']['message']}")
    return Picture(path=picture_path(scene_id, answer["name"]), place=answer["url"])


def _run(arguments: Sequence[str], out: IO[bytes], err: IO[bytes]) -> int | None:
    """Exit status of ``bpp``; ``None`` where it took too long, and was ended with all that it had started."""
    command = [sys.executable, "-m", "blueprint_pipeline", *arguments]
    process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True, env=environment_of_child({}))
    try:
        return process.wait(DRAW_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")
