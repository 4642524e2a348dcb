"""The rule for an episode of a deterministic simulator that is executed again on another class of machine than it was made on.

There the last bits of sines differ, contacts amplify that, and no comparison of bits can say whether the episode replays. So the task must
be done again, and every state must stay within a bound of the recorded one; the pictures then show the recorded states. On the class of the
recording nothing but equal bits counts.
"""

import math
from dataclasses import replace
from pathlib import Path

from blueprint_pipeline.episode.record import EpisodeRecord, KOfN
from blueprint_pipeline.render.errors import NotReplayed
from blueprint_pipeline.render.k_of_n_replay import execute_episode
from blueprint_pipeline.render.replay import ReplayVerdict, Watch, replay_episode
from blueprint_pipeline.simulation.platform_class import platform_class
from blueprint_pipeline.simulation.protocol import LoadedScene, Simulator

BOUND = 0.005
"""Largest difference of any position [m], angle [rad] or part of a quaternion, in any frame. 24 episodes that were made with FMA differ by
0.00044 at most where it is switched off."""
ONCE = KOfN(needed=1, attempts=1, spread_m=BOUND)


def replay_anywhere(
    simulator: Simulator, loaded: LoadedScene, record: EpisodeRecord, states: Path, *, watch: Watch | None = None
) -> ReplayVerdict:
    """Replay an episode bit by bit; where bits differ, and may, because the machine is of another class: by the bounded rule.

    Args:
        simulator: With the scene of the episode loaded.
        loaded: What it loaded.
        record: The episode; one that does not say where it was made must replay bit by bit.
        states: Its ``states.parquet``.
        watch: See :func:`~blueprint_pipeline.render.replay.replay_episode`; what it drew is to be thrown away unless the rule is
            ``bit_identical`` and the verdict ``replayed``.
    """
    verdict = replay_episode(simulator, loaded, record, states, watch=watch)
    if verdict.first_difference_frame is None or record.platform in {None, platform_class()}:
        return verdict
    executed = execute_episode(simulator, loaded, record, states, ONCE)
    bounded = replace(executed, rule="bounded", first_difference_frame=verdict.first_difference_frame)
    difference = math.inf if executed.max_abs_qpos_difference is None else executed.max_abs_qpos_difference
    if not executed.replayed or difference <= BOUND:
        return bounded
    reason = f"on another class of machine than it was made on, states differ by up to {difference:.3g}, and {BOUND:g} is allowed"
    return replace(bounded, replayed=False, refusal=NotReplayed(record.episode_id, reason))
