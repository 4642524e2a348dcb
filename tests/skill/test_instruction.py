"""Tests of instructions in English."""

import numpy as np
import pytest

from blueprint_pipeline.skill.instruction import NamedObject, SurfaceFrame, build_instruction, name_object, noun_phrases


def thing(object_id: str, noun: str, colour: str | None, x: float, y: float) -> NamedObject:
    return NamedObject(object_id=object_id, noun=noun, colour=colour, center_m=np.array([x, y]))


SURFACE = SurfaceFrame(noun="table", origin_m=np.zeros(2), yaw_rad=0.0, extent_m=(np.array([0.2, -0.6]), np.array([0.8, 0.6])))
CAN = thing("soda_can", "soda can", "red", 0.5, 0.0)
BOWL = thing("bowl", "bowl", None, 0.4, 0.3)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        ((0.4, 0.45), "to the left of the bowl"),
        ((0.4, 0.15), "to the right of the bowl"),
        ((0.55, 0.3), "behind the bowl"),
        ((0.25, 0.3), "in front of the bowl"),
        ((0.5, -0.55), "to the right side of the table"),
        ((0.75, -0.55), "to the back right corner of the table"),
        ((0.25, -0.05), "to the front edge of the table"),
        ((0.5, 0.0), "to the middle of the table"),
    ],
)
def test_goal_is_said_by_the_nearest_object_or_part_of_the_surface(goal, words) -> None:
    """Left is the robot's left, in front is nearer to the robot."""
    assert build_instruction(CAN, np.array(goal), [BOWL], SURFACE, verb="move") == f"move the red soda can {words}"


def test_directions_turn_with_the_robot() -> None:
    """A robot on the other side calls the same goal right."""
    other_side = SurfaceFrame(noun="table", origin_m=np.array([1.0, 0.0]), yaw_rad=np.pi, extent_m=SURFACE.extent_m)
    assert build_instruction(CAN, np.array([0.4, 0.45]), [BOWL], other_side, verb="put").endswith("to the right of the bowl")


def test_twins_are_told_apart_by_colour_or_not_named() -> None:
    """Two bowls of two colours are named with them; two alike are no landmark."""
    red, blue = thing("a", "bowl", "red", 0, 0), thing("b", "bowl", "blue", 0, 1)
    assert noun_phrases([CAN, red, blue]) == {"soda_can": "soda can", "a": "red bowl", "b": "blue bowl"}
    assert noun_phrases([CAN, red, thing("c", "bowl", "red", 1, 1)]) == {"soda_can": "soda can"}


@pytest.mark.parametrize(
    ("object_id", "category", "description", "name"),
    [
        ("akita_black_bowl", "bowl", "black ceramic bowl, 16 cm wide", ("bowl", "black")),
        ("milk_carton", "carton", "slim white gable-top milk carton", ("milk carton", "white")),
        ("red_ramekin", "ramekin", "small red porcelain ramekin", ("ramekin", "red")),
        ("lemon", "fruit", "yellow lemon", ("lemon", "yellow")),
        ("obj_17", "mug", "", ("mug", None)),
    ],
)
def test_names_come_from_words_that_people_wrote(object_id, category, description, name) -> None:
    """Ids that only machines use never reach an instruction."""
    assert name_object(object_id, category, description) == name
