"""A run writes every format that its lab takes, and derives episodes of demonstrations that are there, or is refused before any work."""

import pytest

from blueprint_pipeline.delivery.lab import load_lab
from operators import run_check
from operators.run_check import check_params
from operators.scene_params import build_params


def chosen(**changes):
    return {name: param.value for name, param in build_params({"lab": "aurora_robotics", **changes}).items()}


@pytest.fixture
def taker(monkeypatch):
    """A lab that takes a format which is written on request."""
    monkeypatch.setattr(run_check, "load_lab", lambda lab: load_lab(lab).model_copy(update={"formats": ("v3.0", "mimic")}))


@pytest.mark.usefixtures("taker")
def test_a_lab_that_takes_more_must_be_asked_for():
    """The message says which parameter, and what to add."""
    assert check_params(chosen()) == ["more_formats: lab aurora_robotics takes mimic, which is written on request; add it"]
    assert check_params(chosen(more_formats=["mimic"])) == []


def test_only_formats_on_request_can_be_asked_for():
    """The others are always written."""
    (problem,) = check_params(chosen(more_formats=["v2.1"]))
    assert problem.startswith("more_formats: ")
    assert check_params(chosen(more_formats=["mimic"])) == []


@pytest.mark.parametrize("drawn", ["depth", "segmentation"])
def test_a_format_of_what_is_drawn_beside_colour_needs_it_drawn(drawn):
    """Nothing is simulated before somebody notices."""
    (problem,) = check_params(chosen(more_formats=["depth_segmentation"]))
    assert problem == "more_formats: depth_segmentation holds depth and segmentation, and the run draws neither; set depth or segmentation"
    assert check_params(chosen(more_formats=["depth_segmentation"], **{drawn: True})) == []


def test_episodes_are_derived_of_something(tmp_path):
    """Both parameters or neither, and a folder that is there."""
    assert check_params(chosen(augment=3)) == ["augment: it is 3 and demonstrations is '': give both, or neither"]
    assert check_params(chosen(demonstrations=str(tmp_path)))[0].startswith("augment: it is 0 and demonstrations is")
    assert check_params(chosen(augment=3, demonstrations="/nowhere")) == ["demonstrations: there is no folder /nowhere"]
    assert check_params(chosen(augment=3, demonstrations=str(tmp_path))) == []
    assert check_params(chosen(augment=3, demonstrations="gs://bucket/demonstrations")) == []
