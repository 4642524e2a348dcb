"""Tests of instructions in English."""

import re

import numpy as np
import pytest

from blueprint_pipeline.skill.instruction import (
    GOES,
    GOES_THERE,
    PARAPHRASES,
    PUSH,
    PUT,
    RESTS,
    RESTS_THERE,
    SLIDE,
    NamedObject,
    SurfaceFrame,
    name_object,
    noun_phrases,
    phrases_of,
    say,
    say_in_ways,
)
from blueprint_pipeline.skill.region import RELATIONS, THIRDS


def thing(object_id: str, noun: str, colour: str | None) -> NamedObject:
    return NamedObject(object_id=object_id, noun=noun, colour=colour)


SURFACE = SurfaceFrame(noun="table", origin_m=np.zeros(2), yaw_rad=0.0, extent_m=(np.array([0.2, -0.6]), np.array([0.8, 0.6])))
CAN = thing("soda_can", "soda can", "red")


@pytest.mark.parametrize(
    ("template", "words", "sentence"),
    [
        (PUT[0], "middle", "put the can in the middle of the table"),
        (PUT[1], "left side", "place the can on the left side of the table"),
        (PUT[2], "front", "set the can down at the front of the table"),
        (PUT[3], "back", "pick up the can and put it at the back of the table"),
        (PUT[4], "middle", "move the can to the middle of the table"),
        (PUSH[0], "right side", "push the can to the right side of the table"),
        (PUSH[1], "back", "move the can to the back of the table by pushing it"),
        (SLIDE[1], "front", "move the can to the front of the table without lifting it"),
    ],
)
def test_sentences_are_english(template, words, sentence) -> None:
    """A thing is put in a place, and moved to it."""
    assert say(template, "can", words, SURFACE) == sentence


@pytest.mark.parametrize(
    ("template", "words", "sentence"),
    [
        (PUT[0], "in", "put the can in the bowl"),
        (PUT[2], "on", "set the can down on the bowl"),
        (PUT[3], "in", "pick up the can and put it in the bowl"),
        (PUT[4], "in", "move the can into the bowl"),
        (PUT[4], "on", "move the can onto the bowl"),
    ],
)
def test_a_thing_is_put_in_another_and_moved_into_it(template, words, sentence) -> None:
    """The same for on and onto."""
    assert say(template, "can", words, SURFACE, "bowl") == sentence


@pytest.mark.parametrize("template", [*PUT, *PUSH, *SLIDE])
def test_every_place_can_be_said_in_every_template(template) -> None:
    """Parts of the surface by name, sides of an object with the object."""
    assert set(template.places) == set(THIRDS) == set(RESTS) == set(GOES)
    for words in RELATIONS:
        assert f" {words} the bowl" in say(template, "can", words, SURFACE, "bowl")
    assert set(template.bearers) == set(RESTS_THERE) == set(GOES_THERE)


BOWLS = ("bowl", "white bowl")


def test_an_episode_has_sentences_that_say_the_same() -> None:
    """All different, each with the same place and one of the names; drawn anew with another seed, alike with the same."""
    drawn = [say_in_ways(PUT, ("can", "soda can"), "in", SURFACE, rng=np.random.default_rng(seed), references=BOWLS) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    first, others = drawn[0]
    assert len({first, *others}) == 1 + PARAPHRASES
    assert all(re.search(r"(soda )?can .*in(to)? the (white )?bowl$", sentence) for sentence in (first, *others))


def test_what_can_be_said_in_two_ways_only_has_one_paraphrase() -> None:
    """Nothing is repeated to fill the list."""
    first, others = say_in_ways(PUSH, ("can",), "middle", SURFACE, rng=np.random.default_rng(0))
    assert {first, *others} == {"push the can to the middle of the table", "move the can to the middle of the table by pushing it"}


def test_twins_are_told_apart_by_colour_or_not_named() -> None:
    """Two bowls of two colours are named with them; two alike are not named at all, nor one without a colour beside one with."""
    red, blue, plain = thing("a", "bowl", "red"), thing("b", "bowl", "blue"), thing("c", "bowl", None)
    assert noun_phrases([CAN, red, blue]) == {"soda_can": "soda can", "a": "red bowl", "b": "blue bowl"}
    assert noun_phrases([CAN, red, thing("c", "bowl", "red")]) == {"soda_can": "soda can"}
    assert noun_phrases([red, plain]) == {"a": "red bowl"}


def test_a_shorter_name_that_fits_two_is_no_name() -> None:
    """A carton beside a milk carton."""
    assert noun_phrases([thing("a", "carton", None), thing("b", "milk carton", None)]) == {"b": "milk carton"}


def test_an_object_is_called_by_all_phrases_that_fit_it_alone() -> None:
    """With its colour and without, where both are true of no other."""
    assert phrases_of(CAN, [thing("b", "bowl", "red")]) == ("soda can", "red soda can")
    assert phrases_of(CAN, [thing("b", "soda can", "blue")]) == ("red soda can",)
    assert phrases_of(CAN, [thing("b", "soda can", "red")]) == ()


@pytest.mark.parametrize(
    ("object_id", "category", "description", "name"),
    [
        ("akita_black_bowl", "bowl", "black ceramic bowl, 16 cm wide", ("bowl", ("black",))),
        ("milk_carton", "carton", "slim white gable-top milk carton", ("milk carton", ("white",))),
        ("red_ramekin", "ramekin", "small red porcelain ramekin", ("ramekin", ("red",))),
        ("lemon", "fruit", "yellow lemon", ("lemon", ("yellow",))),
        ("plate", "plate", "white plate with a red ring", ("plate", ("white", "red"))),
        ("obj_17", "mug", "", ("mug", ())),
    ],
)
def test_names_come_from_words_that_people_wrote(object_id, category, description, name) -> None:
    """Ids that only machines use never reach an instruction."""
    assert name_object(object_id, category, description) == name
