"""Step robosuite's PickPlaceCan with small random actions: ``{"seconds": 2.0, "cameras": true}`` a line in, ``{"cpu_s": 1.3}`` a line out.

Runs in an environment that has robosuite, and nothing of ours. All settings are robosuite's defaults: Panda, its composite controller,
20 Hz, 2 ms a step; with cameras ``agentview`` and ``robot0_eye_in_hand``, 256 x 256. Making the environment and its first reset are not
counted; what a policy or planner would cost is not there.

Source: robosuite 1.5.2, ``robosuite.make``.
"""

import json
import sys
import time

import numpy as np
import robosuite

CAMERAS = ("agentview", "robot0_eye_in_hand")
SMALL = 0.3
"""Share of the allowed actions, so that the arm stays in its workspace."""


def make(*, cameras: bool) -> robosuite.environments.base.MujocoEnv:
    """The environment, reset."""
    seen = {"camera_names": list(CAMERAS)} if cameras else {}
    env = robosuite.make(
        "PickPlaceCan", robots="Panda", has_renderer=False, has_offscreen_renderer=cameras, use_camera_obs=cameras, ignore_done=True, **seen
    )
    env.reset()
    return env


def main() -> None:
    """Answer orders until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # robosuite prints what it loads
    environments = {}
    generator = np.random.default_rng(0)
    for line in sys.stdin:
        order = json.loads(line)
        cameras = order["cameras"]
        if cameras not in environments:
            environments[cameras] = make(cameras=cameras)
        env = environments[cameras]
        low, high = env.action_spec
        begun = time.process_time()
        for _ in range(round(order["seconds"] * env.control_freq)):
            env.step(SMALL * generator.uniform(low, high))
        print(json.dumps({"cpu_s": time.process_time() - begun}), file=answers, flush=True)


if __name__ == "__main__":
    main()
