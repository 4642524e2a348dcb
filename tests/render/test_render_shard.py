"""Tests of rendering a shard: what is selected is drawn once, what does not replay is refused, and a rerun does nothing twice."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from blueprint_pipeline.episode.record import EpisodeRecord, ReplayCertificate, recording_path, render_path
from blueprint_pipeline.quality.replay_rule import load_replay_rule
from blueprint_pipeline.render.render_shard import RenderChoice, RenderSummary, render_shard
from blueprint_pipeline.rollout.shard import simulate_shard
from blueprint_pipeline.simulation.render_profiles import RENDER_PROFILES
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.task.plan import JobPlan
from blueprint_pipeline.workspace import checksums
from tests.simulation.small_job import small_context, small_folder, write_job

pytestmark = pytest.mark.slow

EPISODES = 3


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> tuple[Path, JobPlan]:
    """A simulated job."""
    folder = tmp_path_factory.mktemp("job")
    plan = write_job(folder, EPISODES)
    simulate_shard(0, small_context(folder))
    return folder, plan


@pytest.fixture
def select(monkeypatch):
    """Decides which episodes the gates let through."""

    def choose(*episode_ids: str) -> None:
        monkeypatch.setattr("blueprint_pipeline.render.render_shard.load_shard_selection", lambda _scene, _shard_index: list(episode_ids))

    return choose


def render(folder: Path, context: StageContext | None = None, **asked: object) -> dict[str, RenderSummary]:
    context = context or small_context(folder)
    summaries = render_shard(0, context, RenderChoice(simulator="mujoco", replay_rule=load_replay_rule(), **asked))
    context.publish(f"{render_path(0)}/shard.json")
    return {summary.episode_id: summary for summary in summaries}


def certificate(folder: Path, episode_id: str) -> ReplayCertificate:
    return ReplayCertificate.model_validate_json(small_folder(folder).read_bytes(f"{render_path(0, episode_id)}/certificate.json"))


def test_only_what_is_selected_is_drawn(job, select) -> None:
    """Each with both videos as certified; a rerun leaves the files alone."""
    folder, plan = job
    first, second = plan.episodes[0].episode_id, plan.episodes[2].episode_id
    select(first, second)
    assert {name: summary.replayed for name, summary in render(folder).items()} == {first: True, second: True}
    root = small_folder(folder)
    for episode_id in (first, second):
        found = certificate(folder, episode_id)
        for camera, video in found.videos.items():
            data = root.read_bytes(f"{render_path(0, episode_id)}/{camera}.mp4")
            assert sha256(data).hexdigest() == video.digest.sha256
            assert video.frames == found.frames
    assert not root.files_under(render_path(0, plan.episodes[1].episode_id))
    before = {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("*.mp4")}
    render(folder)
    assert {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("*.mp4")} == before


def test_what_workers_drew_is_not_read_again(job, select, monkeypatch) -> None:
    """They give its digests along with it; videos and certificate come to the scene's folder by their names alone."""
    folder, plan = job
    small_folder(folder).remove(render_path(0))
    hashed: list[str] = []
    original = checksums._hash
    monkeypatch.setattr(checksums, "_hash", lambda path: hashed.append(str(path)) or original(path))
    select(plan.episodes[0].episode_id)
    render(folder)
    made = small_folder(folder).files_under(render_path(0, plan.episodes[0].episode_id))
    assert len(made) == 2 * len(plan.cameras) + 2
    known = small_folder(folder).digests(made)
    assert [path for path in hashed if "renders" in path] == []
    checksums._known.clear()
    assert small_folder(folder).digests(made) == known


def drawn(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("*.mp4")}


def test_another_selection_draws_only_what_was_never_drawn(job, select) -> None:
    """A late approval adds one; a stricter tier leaves the others' pictures where they are; the list is of those selected."""
    folder, plan = job
    names = [spec.episode_id for spec in plan.episodes]
    select(names[0])
    render(folder)
    before = drawn(folder)
    select(names[0], names[1])
    assert set(render(folder)) == {names[0], names[1]}
    later = drawn(folder)
    assert before.items() <= later.items()
    assert len(later.keys() - before.keys()) == (0 if names[1] in str(before) else 2 * len(plan.cameras))
    select(names[1])
    context = small_context(folder)
    assert set(render(folder, context)) == {names[1]}
    assert [kept.folder for kept in context.kept] == [render_path(0, names[1])], (
        "pictures that stay for another selection cost this run nothing"
    )
    assert context.kept[0].usage.cpu_s > 0
    select(*names[:2])
    render(folder)
    assert drawn(folder) == later


def test_failures_are_drawn_in_folders_of_their_own(job, select, monkeypatch) -> None:
    """What is kept is left alone, nothing is done twice, and the pictures of both are those of the same replay."""
    folder, plan = job
    names = [spec.episode_id for spec in plan.episodes]
    select(names[0])
    render(folder)
    before = drawn(folder)
    monkeypatch.setattr("blueprint_pipeline.render.render_shard.load_shard_failures", lambda _scene, _shard_index: [names[1]])
    choice = RenderChoice(simulator="mujoco", replay_rule=load_replay_rule())
    (summary,) = render_shard(0, small_context(folder), choice, "failures")
    assert (summary.episode_id, summary.replayed) == (names[1], True)
    made = drawn(folder)
    assert before.items() <= made.items()
    new = {path.parent.relative_to(small_folder(folder).root.path).as_posix() for path in made.keys() - before.keys()}
    assert new == {render_path(0, names[1], "failures")}
    again = small_context(folder)
    render_shard(0, again, choice, "failures")
    assert drawn(folder) == made
    assert [kept.folder for kept in again.kept] == [render_path(0, names[1], "failures")]
    render(folder)
    assert drawn(folder) == made


def test_other_pictures_of_the_same_episode_are_drawn(job, select) -> None:
    """With depth asked for, what was drawn without it does not count."""
    folder, plan = job
    select(plan.episodes[0].episode_id)
    render(folder)
    before = drawn(folder)
    render(folder, depth=True)
    changed = {path for path, at in drawn(folder).items() if before.get(path) != at}
    assert {path.parent.name for path in changed} == {plan.episodes[0].episode_id}


def test_damaged_video_is_drawn_again(job, select) -> None:
    """To the bytes that the certificate tells."""
    folder, plan = job
    episode_id = plan.episodes[0].episode_id
    select(episode_id)
    render(folder)
    name = f"{render_path(0, episode_id)}/scene.mp4"
    before = small_folder(folder).read_bytes(name)
    small_folder(folder).write_bytes(name, before[:-10])
    render(folder)
    assert small_folder(folder).read_bytes(name) == before


def test_episode_with_changed_states_is_refused_and_never_drawn(job, select) -> None:
    """The shard goes on, and its list says so."""
    folder, plan = job
    tampered, sound = plan.episodes[1].episode_id, plan.episodes[2].episode_id
    root = small_folder(folder)
    name = f"{recording_path(0, tampered)}/states.parquet"
    original = root.read_bytes(name)
    root.write_bytes(name, original + b" ")
    select(tampered, sound)
    summaries = render(folder)
    root.write_bytes(name, original)
    assert (summaries[tampered].replayed, summaries[sound].replayed) == (False, True)
    assert "workspace.file_changed" in (certificate(folder, tampered).refused or "")
    assert root.files_under(render_path(0, tampered)) == [
        f"{render_path(0, tampered)}/{name}" for name in ("certificate.json", "commit.json")
    ]
    listed = json.loads(root.read_bytes(f"{render_path(0)}/shard.json"))
    assert {item["episode_id"]: item["replayed"] for item in listed["episodes"]} == {tampered: False, sound: True}


def test_shard_without_selected_episodes_says_so(job, select) -> None:
    """An empty list is written, not nothing."""
    folder, _ = job
    select()
    assert render(folder) == {}
    assert json.loads(small_folder(folder).read_bytes(f"{render_path(0)}/shard.json"))["episodes"] == []


def test_record_is_that_of_the_certificate(job, select) -> None:
    """States and model are named by the same hashes."""
    folder, plan = job
    episode_id = plan.episodes[2].episode_id
    select(episode_id)
    render(folder)
    record = EpisodeRecord.model_validate_json(small_folder(folder).read_bytes(f"{recording_path(0, episode_id)}/episode.json"))
    found = certificate(folder, episode_id)
    assert (found.states_sha256, found.model_sha256) == (record.states.sha256 if record.states else None, record.model_sha256)


def test_another_profile_draws_anew_and_stands_in_the_certificate(job, select) -> None:
    """What was drawn with one profile is not taken for the other's."""
    folder, plan = job
    episode_id = plan.episodes[0].episode_id
    select(episode_id)
    drawn = []
    for name in ("fast", "realistic", "realistic"):
        render(folder, profile=RENDER_PROFILES[name])
        found = certificate(folder, episode_id)
        assert found.render_profile == RENDER_PROFILES[name]
        drawn.append(found.videos["scene"].digest)
    assert drawn[0] != drawn[1] == drawn[2]
    render(folder)
