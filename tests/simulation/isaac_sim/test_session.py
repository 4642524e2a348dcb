"""Recorded sessions: what was asked and answered comes back, and nothing else is ever answered."""

import gzip
import json

import numpy as np
import pytest

from blueprint_pipeline.simulation.isaac_sim.calls import ContactPoint, Placement, Readout, Shot, StageBinding
from blueprint_pipeline.simulation.isaac_sim.session import RecordingApi, ReplayedApi, SessionDiverged, SessionUnreadable
from tests.simulation.isaac_sim.record_session import SESSION

BINDING = StageBinding(articulation="/World/robot", objects=("/World/objects/can",), links=("/World/robot/hand",), timestep_s=1 / 480)
SHOT = Shot(camera="/World/scene_camera", width=4, height=3, horizontal_aperture_mm=32.0)
TARGETS = np.array([[0.5, -1.25]], dtype=np.float32)


def rows(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) / 7


class Answers:
    """An engine with fixed answers."""

    version, origin = "9.9 of a test", "stand_in"
    readout = Readout(
        dof_positions=rows(2), dof_velocities=rows(2), dof_efforts=rows(2),
        object_transforms=rows(1, 7), object_velocities=rows(1, 6), link_transforms=rows(1, 7),
    )  # fmt: skip
    contacts = ((ContactPoint(actors=("/World/objects/can", "/World/floor"), normal_impulse_ns=0.25, separation_m=-0.001),),)
    image = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)

    def open_stage(self, path, binding):
        return ("b", "a")

    def read(self):
        return self.readout

    def place(self, placement):
        self.placed = placement

    def advance(self, targets):
        return self.contacts

    def draw(self, shot):
        return self.image

    def close_stage(self):
        pass


PLACEMENT = Placement(
    dof_positions=rows(2), dof_velocities=rows(2), dof_targets=rows(2), object_transforms=rows(1, 7), object_velocities=rows(1, 6)
)


def use(api, tmp_path):
    """Every call once."""
    return (
        api.open_stage(tmp_path / "stage.usda", BINDING),
        api.read(),
        api.place(PLACEMENT),
        api.advance(TARGETS),
        api.draw(SHOT),
        api.close_stage(),
    )


@pytest.fixture
def session(tmp_path):
    path = tmp_path / "session.jsonl.gz"
    with RecordingApi(Answers(), path, "every call once") as api:
        use(api, tmp_path)
    return path


def test_every_answer_comes_back(session, tmp_path):
    joints, readout, nothing, contacts, image, end = use(ReplayedApi(session), tmp_path)
    assert (joints, nothing, end) == (("b", "a"), None, None)
    assert all(np.array_equal(getattr(readout, name), getattr(Answers.readout, name)) for name in vars(readout))
    assert tuple(contacts) == Answers.contacts
    assert np.array_equal(image, Answers.image)


def test_the_header_says_what_answered(session):
    header = ReplayedApi(session).header
    assert header.model_dump() == {
        "format": "blueprint_pipeline.isaac_sim.session",
        "version": 1,
        "origin": "stand_in",
        "answered_by": "9.9 of a test",
        "content": "every call once",
    }


def test_the_same_session_is_the_same_file(session, tmp_path):
    """So that a recording made again shows in a diff only if something changed."""
    path = tmp_path / "again.jsonl.gz"
    with RecordingApi(Answers(), path, "every call once") as api:
        use(api, tmp_path)
    assert path.read_bytes() == session.read_bytes()


def test_rounding_is_no_difference(session, tmp_path):
    api = ReplayedApi(session)
    api.open_stage(tmp_path, BINDING)
    api.read()
    api.place(PLACEMENT)
    assert tuple(api.advance(TARGETS + np.float32(1e-6))) == Answers.contacts


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda api, path: api.read(), "read"),
        (
            lambda api, path: api.open_stage(path, StageBinding(articulation="/World/other", objects=(), links=(), timestep_s=1 / 480)),
            "other",
        ),
        (lambda api, path: api.open_stage(path, StageBinding(**{**vars(BINDING), "timestep_s": 1 / 240})), "0.00416"),
    ],
)
def test_another_call_is_never_answered(session, tmp_path, call, told):
    """Its answer would be made up."""
    with pytest.raises(SessionDiverged, match=told):
        call(ReplayedApi(session), tmp_path)


def test_other_targets_are_never_answered(session, tmp_path):
    api = ReplayedApi(session)
    api.open_stage(tmp_path, BINDING)
    api.read()
    api.place(PLACEMENT)
    with pytest.raises(SessionDiverged, match="advance"):
        api.advance(TARGETS + np.float32(1e-3))


def test_after_the_end_nothing_is_answered(session, tmp_path):
    api = ReplayedApi(session)
    use(api, tmp_path)
    with pytest.raises(SessionDiverged, match="the end"):
        api.read()


def test_other_files_are_refused(tmp_path):
    empty, text, cut, later = (tmp_path / name for name in ("empty", "text", "cut", "later"))
    empty.write_bytes(gzip.compress(b""))
    text.write_text("no gzip")
    cut.write_bytes(SESSION.read_bytes()[:5000])
    later.write_bytes(gzip.compress(json.dumps({"format": "blueprint_pipeline.isaac_sim.session", "version": 2}).encode()))
    for path in (empty, text, cut, later, tmp_path / "absent"):
        with pytest.raises(SessionUnreadable, match="Record it again"):
            ReplayedApi(path)
