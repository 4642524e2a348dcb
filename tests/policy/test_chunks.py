"""What the baseline's figures rest on: sentences are read, demonstrations are cut, and intervals are right."""

import numpy as np
import pytest

from blueprint_pipeline.policy.chunks import KNOTS, _ridge, knots_of, rests
from blueprint_pipeline.policy.intervals import wilson
from blueprint_pipeline.policy.network import build_network, train
from blueprint_pipeline.policy.observation import nearest_rotation, read_sentence

IDS = ("soda_can", "akita_black_bowl")


def test_the_interval_is_wilsons():
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; none of 20 gives 0 to 0.1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)


def test_the_first_object_is_the_target_and_the_second_the_reference():
    found = read_sentence("pick up the black bowl and put it to the left of the red soda can", IDS)
    assert (found.target, found.reference) == (1, 0)
    assert found.words == ("left of",)


def test_a_part_of_the_surface_is_another_word_than_a_side_of_an_object():
    found = read_sentence("put the can at the front of the table", IDS)
    assert (found.target, found.reference) == (0, None)
    assert found.words == ("front",)


def test_colours_and_verbs_do_not_say_where_to():
    """The same place, said otherwise, is the same to the policy; words that say nothing are inputs that only overfit."""
    said = (
        "put the white can in the middle of the table",
        "pick up the can and put it in the middle of the table",
        "move the can to the middle",
    )
    assert {read_sentence(text, IDS).words for text in said} == {("middle",)}


def test_a_rare_sentence_is_no_outlier():
    """Six of a hundred demonstrations end 35 cm away because a word says so, among eighty inputs that say nothing: that is learnt."""
    rng = np.random.default_rng(0)
    inputs = np.column_stack([np.arange(100) < 6, rng.standard_normal((100, 80))])
    shift, scale = inputs.mean(axis=0), inputs.std(axis=0) + 0.01
    seen = np.column_stack([(inputs - shift) / scale, np.ones(100)])
    wanted = np.zeros((100, KNOTS * 9 + 1))
    place = np.s_[:, -10:-7]
    wanted[place] = 0.35 * inputs[:, :1] + rng.normal(scale=0.01, size=(100, 3))
    said = np.append((np.eye(81)[0] - shift) / scale, 1.0)
    np.testing.assert_allclose((said[None] @ _ridge(seen, wanted, 2e-3))[place], 0.35, atol=0.03)


def test_demonstrations_are_cut_where_the_arm_rests():
    """Two movements from rest to rest, and five frames of standing between them: the first and the last of those."""
    move = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 31))
    commands = np.concatenate([move[1:], np.full(5, 1.0), 1.0 + move[1:]])[:, None]
    ends = rests(commands)
    assert len(ends) == 3
    assert 28 <= ends[0] <= 30
    assert 33 <= ends[1] <= 35
    assert ends[2] == len(commands) - 1


def test_a_chunk_ends_where_the_arm_rests():
    commands = np.arange(20.0)[:, None]
    knots = knots_of(np.array([0, 10]), np.array([9, 19]), commands)
    assert knots[:, -1, 0].tolist() == [9.0, 19.0]


def test_an_interpolated_matrix_becomes_a_rotation():
    found = nearest_rotation(np.eye(3) * 0.7)
    np.testing.assert_allclose(found, np.eye(3), atol=1e-12)


def test_the_network_learns_a_line():
    rng = np.random.default_rng(0)
    network = build_network((1, 16, 1), rng)

    def draw():
        inputs = rng.uniform(-1, 1, (64, 1)).astype(np.float32)
        return inputs, 2 * inputs + 1

    train(network, draw, steps=400, rate=0.01)
    assert network.predict(np.array([[0.5]], dtype=np.float32))[0, 0] == pytest.approx(2.0, abs=0.1)
