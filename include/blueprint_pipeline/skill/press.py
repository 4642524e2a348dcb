"""Press a button or a switch: all the way in, and let it come back, or leave it in where it stays."""

from typing import Literal

import numpy as np

from blueprint_pipeline.geometry.arrays import FloatArray
from blueprint_pipeline.kit.predicates import Condition
from blueprint_pipeline.motion.errors import CandidateRejected
from blueprint_pipeline.motion.scene import MotionScene
from blueprint_pipeline.robot.layout import home_qpos
from blueprint_pipeline.robot.names import ROBOT_PREFIX
from blueprint_pipeline.skill.conditions import LAST_FRAMES, nothing_else_touched, untouched
from blueprint_pipeline.skill.contract import NotOffered, Skill, StartState, Steps, Workplace
from blueprint_pipeline.skill.homing import plan_home
from blueprint_pipeline.skill.part_query import require_free_start
from blueprint_pipeline.skill.part_task import JointTask, find_unsuitable_part, say_of_part
from blueprint_pipeline.skill.pressing import PressQuery, find_presses, no_press, plan_press
from blueprint_pipeline.skill.subtasks import Subtask
from blueprint_pipeline.twin.body_names import object_of

PRESSED_SHARE = 0.7
"""Of its way in: a button that was pushed so far or farther was pressed."""
BACK_SHARE = 0.25
"""Of its way in: a button that springs back is out no farther in than this."""
AIM_SHARE = 0.95
"""How far the demonstration pushes: short of the stop, against which an arm would press with all its might."""
REST_PER_S = 0.02
"""Of its way a second: how fast a part may move that is at rest."""
TEMPLATES = ("press the {part}", "push the {part}", "press the {part} once", "give the {part} a press")
STAYS_TEMPLATES = ("press the {part}", "push the {part} in", "press the {part} in", "push in the {part}")


class PressTask(JointTask):
    """Press one button."""

    task_type: Literal["press"] = "press"
    springs_back: bool
    """Whether it comes out again by itself; else it stays in."""

    @property
    def end_position(self) -> float:
        return self.line.position_at(0.0 if self.springs_back else AIM_SHARE)


class Press(Skill[PressTask]):
    """Pushes a button in with closed fingers."""

    moves = "part"
    name = "press"
    version = "press-1"
    difficulty = 0.35
    phases = ("approach", "reach", "press", "leave", "home")
    travel_phases = ("approach", "reach", "leave", "home")
    touch_phases = frozenset({"press", "leave"})
    subtasks = (
        Subtask(name="reach", reference="target", phases=("approach", "reach"), ways=frozenset({"approach"})),
        Subtask(name="press", reference="target", phases=("press", "leave", "home"), ways=frozenset({"home"})),
    )
    task = PressTask

    def comes_back(self, task: PressTask) -> bool:
        """Whether the button has a spring."""
        return task.springs_back

    def find_unsuitable(self, place: Workplace, target: str) -> str | None:
        """A part that did not pass its motion test, is no button, or is smaller than a fingertip."""
        if (problem := find_unsuitable_part(place, target, "button")) is not None:
            return problem
        return None if place.planner.handle_of(target) is not None else "it is too small for a fingertip"

    def propose(self, place: Workplace, start: StartState, target: str, rng: np.random.Generator) -> PressTask:
        """How to say it, where the arm can do it in this start state."""
        joint, planner = place.planner.parts[target], place.planner
        springs_back = bool(planner.model.jnt_stiffness[joint.index] > 0)
        instruction, paraphrases = say_of_part(place, target, TEMPLATES if springs_back else STAYS_TEMPLATES, rng)
        qpos = place.twin.qpos_at(start.poses, home_qpos(place.embodiment))
        rejected = list[CandidateRejected]()
        query = PressQuery(scene=planner, qpos=qpos, joint=joint, goal=joint.line.position_at(AIM_SHARE))
        if next(find_presses(query, rejected), None) is None:
            raise NotOffered(no_press(target, rejected).reason)
        return PressTask(
            instruction=instruction,
            paraphrases=paraphrases,
            target_object=target,
            support_object=object_of(target),
            line=joint.line,
            springs_back=springs_back,
        )

    def plan(self, scene: MotionScene, qpos: FloatArray, task: PressTask, *, seed: int) -> Steps:
        """In and out again, then home."""
        controls = scene.holding(qpos)
        require_free_start(scene, qpos, "plan_press")
        goal = task.line.position_at(AIM_SHARE)
        step = plan_press(PressQuery(scene=scene, qpos=qpos, joint=scene.parts[task.target_object], goal=goal), controls, seed=seed)
        qpos = yield step
        yield plan_home(scene, qpos, step.setpoints[-1], seed=seed)

    def conditions(self, task: PressTask) -> tuple[Condition, ...]:
        """Pushed beyond its point by the robot, once, and nothing else touched; then out again, or still in; at rest and untouched."""
        joint, target = task.line.as_measure(), task.target_object
        by_robot = {"target": target, "robot_prefix": ROBOT_PREFIX, **joint}
        once = {"beyond": PRESSED_SHARE, "below": BACK_SHARE, **joint}
        pace = {"frames": LAST_FRAMES, **joint}
        return (
            Condition(name="pressed", measure="pushed_share", arguments=by_robot, limit=PRESSED_SHARE, direction="at_least", unit="share"),
            Condition(name="pressed_once", measure="pushes", arguments=once, limit=1.0, direction="at_most", unit="times"),
            Condition(name="came_back", measure="end_share", arguments=joint, limit=BACK_SHARE, direction="at_most", unit="share")
            if task.springs_back
            else Condition(name="stays_in", measure="end_share", arguments=joint, limit=PRESSED_SHARE, direction="at_least", unit="share"),
            Condition(name="at_rest", measure="end_pace", arguments=pace, limit=REST_PER_S, direction="at_most", unit="share/s"),
            nothing_else_touched(target),
            untouched(target),
        )


SKILL = Press()
