"""What a gate refused is evidence for people: no stage takes it for a result, whatever happens to its record."""

from dataclasses import replace

import pytest

from blueprint_pipeline.errors import GateError
from blueprint_pipeline.stage.attempt import NothingWritten
from blueprint_pipeline.workspace.refusals import InputRefused, RefusalUnreadable
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.sample_errors import Unavailable
from tests.stage import toy_stages


def test_no_stage_builds_on_the_evidence_of_a_refusal(toy, monkeypatch):
    """Run by hand, the next stage would take what a gate refused for a result; it is told why not, until the cause is corrected."""
    monkeypatch.setattr(toy_stages, "TOY_NOTHING", replace(toy_stages.TOY_NOTHING, reads=lambda _: ["report.json"]))
    toy("toy_intake")
    with pytest.raises(GateError):
        toy("toy_work", fail="gate")
    with pytest.raises(
        InputRefused, match=r"toy_work left as evidence when it refused to go on: \[sample.not_good_enough\] not good enough"
    ):
        toy("toy_nothing")
    toy("toy_work")
    assert toy.scene.files_under("refusals") == []
    with pytest.raises(NothingWritten):  # it ran
        toy("toy_nothing")


@pytest.fixture
def refused(toy, monkeypatch):
    """A stage that a gate ended, before one that reads what it left."""
    monkeypatch.setattr(toy_stages, "TOY_NOTHING", replace(toy_stages.TOY_NOTHING, reads=lambda _: ["report.json"]))
    toy("toy_intake")
    with pytest.raises(GateError):
        toy("toy_work", fail="gate")
    return toy


def test_evidence_that_could_not_be_removed_is_still_refused(refused, monkeypatch):
    """A store that goes away while an attempt clears up leaves evidence and refusal, or neither."""
    remove = SceneFolder.remove

    def break_down(scene, name):
        if name == "report.json":
            raise Unavailable("the store is away")
        remove(scene, name)

    with monkeypatch.context() as broken:
        broken.setattr(SceneFolder, "remove", break_down)
        with pytest.raises(Unavailable):
            refused("toy_work")
    with pytest.raises(InputRefused):
        refused("toy_nothing")


@pytest.mark.parametrize("damaged", [b"", b"{}"])
def test_a_damaged_refusal_counts_until_its_stage_ran_again(refused, damaged):
    """It does not keep that stage itself from running."""
    refused.scene.write_bytes("refusals/toy_work.json", damaged)
    with pytest.raises(RefusalUnreadable, match=r"refusals/toy_work\.json is damaged.*Run toy_work again"):
        refused("toy_nothing")
    refused.scene.write_bytes("refusals/toy_nothing.json", damaged)
    refused("toy_intake", units=1)  # reads nothing of the scene
    with pytest.raises(RefusalUnreadable, match=r"refusals/toy_nothing\.json"):
        refused("toy_work")
    refused.scene.remove("refusals/toy_nothing.json")
    refused("toy_work")
    with pytest.raises(NothingWritten):  # it ran
        refused("toy_nothing")
