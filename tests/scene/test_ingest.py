"""What was ingested stays what it was: later stages notice any other byte."""

import os
import sys

import pytest

from blueprint_pipeline.errors import IntegrityError
from blueprint_pipeline.price.usage import measure_usage
from blueprint_pipeline.scene.ingest import SourceStillChanging, digest_source, validate_source
from blueprint_pipeline.scene.stages import ESTIMATE_PHYSICS, INGEST_SCENE, PROCESS_MESHES, IngestSceneRequest, SceneRequest
from blueprint_pipeline.stage.runner import run_stage
from tests.scene.scene_files import SCENES, make_context


@pytest.fixture
def ingested(tmp_path):
    context = make_context(tmp_path / "ws", "s", tmp_path / "cache", SCENES / "minimal_ok")
    INGEST_SCENE.run(IngestSceneRequest(scene_id="s", source=str(SCENES / "minimal_ok")), context)
    return context


def test_untouched_source_is_valid(ingested):
    """Nothing to say."""
    assert validate_source(ingested.scene).scene_id == "s"


@pytest.mark.parametrize("stage", [ESTIMATE_PHYSICS, PROCESS_MESHES], ids=lambda stage: stage.name)
@pytest.mark.parametrize("how", ["changed", "missing", "added"])
def test_changed_source_is_refused_by_name(ingested, stage, how):
    """One byte, one file less, one file more."""
    name = "regen3d/objects/can/mesh.glb" if how != "added" else "regen3d/objects/can/more.json"
    path = ingested.input(name)
    if how == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    elif how == "missing":
        path.unlink()
    else:
        path.write_text("{}")
    with pytest.raises(IntegrityError, match=name) as caught:
        stage.run(SceneRequest(scene_id="s"), ingested)
    assert caught.value.code == "scene.source_changed"
    assert not ingested.scene.exists("assets/can/physics.json")


def test_digest_of_a_source_changes_with_it(small):
    """It is part of the key: a changed source is ingested again."""
    before = digest_source(str(small))
    assert before == digest_source(str(small))
    (small / "objects/can/label.json").write_text('{"category": "can", "description": "another"}')
    after = digest_source(str(small))
    assert {name for name in before if before[name] != after[name]} == {"regen3d/objects/can/label.json"}


@pytest.mark.parametrize("how", ["grown", "come", "gone"])
def test_a_source_that_is_still_uploading_is_not_taken_in(small, tmp_path, *, how):
    """What changed between the hash and the copy is named; nothing stays, and a retry takes in what is there then."""
    context = make_context(tmp_path / "ws", "s", tmp_path / "cache", small)
    late = small / "objects/can/label.json"
    if how == "grown":
        late.write_text('{"category": "can", "description": "whole now"}')
    elif how == "gone":
        late.unlink()
    else:
        late = small / "objects/can/more.json"
        late.write_text("{}")
    request = IngestSceneRequest(scene_id="s", source=str(small))
    with pytest.raises(SourceStillChanging, match=f"regen3d/objects/can/{late.name}") as caught:
        INGEST_SCENE.run(request, context)
    assert caught.value.retryable
    assert not context.scene.exists("regen3d")
    assert INGEST_SCENE.run(request, make_context(tmp_path / "ws", "s", tmp_path / "cache", small)).objects > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux counts bytes of a process")
def test_a_source_is_read_twice_and_written_once(small, settings):
    """Once for the key of the work, and once to be copied, hashed and checked; what was copied is not read again."""
    run_stage("ingest_scene", {"scene_id": "first", "source": str(small)}, settings)  # imports are read here
    (small / "source_image.png").write_bytes(os.urandom(20_000_000))
    with measure_usage() as measured:
        run_stage("ingest_scene", {"scene_id": "second", "source": str(small)}, settings)
    assert 40_000_000 < measured.usage.bytes_read < 42_000_000
    assert 20_000_000 < measured.usage.bytes_written < 21_000_000
