"""Stage write_dataset: kept episodes of a scene become two datasets with card and Croissant, or the reason why not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from upath import UPath

from blueprint_pipeline.dataset.asset_licences import LicenceUnknown, build_licence
from blueprint_pipeline.dataset.card import CardFacts, describe_coverage
from blueprint_pipeline.dataset.croissant_check import check_croissant
from blueprint_pipeline.dataset.errors import EpisodeUnusable, ProfilesMixed, RenderersMixed
from blueprint_pipeline.dataset.formats import FORMATS, usual_formats
from blueprint_pipeline.dataset.read import check_dataset
from blueprint_pipeline.dataset.stages import WRITE_DATASET, WriteDatasetRequest
from blueprint_pipeline.dataset.variation_words import describe_variation
from blueprint_pipeline.dataset.write import NothingToWrite
from blueprint_pipeline.quality.errors import TooAlike
from blueprint_pipeline.quality.report import RENDER_GATES_PATH, load_render_report, load_verdicts
from blueprint_pipeline.quality.verdicts import EpisodeVerdict
from blueprint_pipeline.simulation.render_profiles import FAST, RENDER_PROFILES
from blueprint_pipeline.task.coverage_facts import sum_combinations
from blueprint_pipeline.task.plan import PLAN_PATH, load_plan
from blueprint_pipeline.task.variation import VARIATIONS
from blueprint_pipeline.workspace import checksums
from blueprint_pipeline.workspace.checksums import digest_files, list_files
from blueprint_pipeline.workspace.storage import SceneFolder
from tests.dataset.conftest import load_json, stage_context, write_manifest
from tests.quality.gate_reports import write_report
from tests.task.coverage_cases import batch_with

REQUEST = WriteDatasetRequest(scene_id="tabletop")


@pytest.fixture
def scene(scene_with_episodes: SceneFolder, tmp_path: Path) -> SceneFolder:
    """A copy of the scene that a test may damage."""
    shutil.copytree(scene_with_episodes.root.path, tmp_path / "scenes" / "tabletop")
    return SceneFolder(UPath(tmp_path / "scenes" / "tabletop"), "tabletop", tmp_path / "cache")


def test_kept_episodes_become_two_datasets(scene: SceneFolder, tmp_path: Path) -> None:
    """Six of seven episodes are kept; both datasets are sound, and the same when written again over an unfinished attempt."""
    result = WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "one"))
    assert (result.episodes, result.frames, result.licence) == (6, 285, "Apache-2.0 AND CC-BY-4.0 AND CC0-1.0 AND MIT")
    assert result.cameras == ("observation.images.scene", "observation.images.wrist")
    folder = tmp_path / "one/geniesim/lerobot"
    for version in ("v3.0", "v2.1"):
        assert check_dataset(folder / version) == []
    leftover = tmp_path / "two/geniesim/lerobot/v3.0/data/chunk-000/.file-000.parquet.part"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"killed here")
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "two"))
    again = tmp_path / "two/geniesim/lerobot"
    assert digest_files(again, list_files(again)) == digest_files(folder, list_files(folder))


def test_videos_are_hashed_once(scene: SceneFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are read: a copy has the digest of what it was copied from, and a joined video is hashed while it is decoded."""
    hashed: list[Path] = []
    original = checksums._hash
    monkeypatch.setattr(checksums, "_hash", lambda path: hashed.append(Path(path)) or original(path))
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    assert [path for path in hashed if path.suffix == ".mp4" and path.is_relative_to(tmp_path / "staging")] == []
    folder = tmp_path / "staging/geniesim/lerobot"
    known = digest_files(folder, list_files(folder))
    checksums._known.clear()
    assert digest_files(folder, list_files(folder)) == known


def test_card_and_croissant_describe_it(scene: SceneFolder, tmp_path: Path) -> None:
    """The card's metadata are complete and its licence computed; mlcroissant finds Croissant valid, and its sums are right."""
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    root = tmp_path / "staging/geniesim/lerobot/v3.0"
    text = (root / "README.md").read_text()
    card = yaml.safe_load(text.split("---")[1])
    assert card["license"] == "other"
    assert card["license_name"] == "apache-2.0-and-cc-by-4.0-and-cc0-1.0-and-mit"
    assert card["size_categories"] == ["n<1K"]
    assert card["annotations_creators"] == ["machine-generated"]
    assert {"LeRobot", "robotics", "simulation"} <= set(card["tags"])
    assert "| lemon | MIT | maker of lemon; a package |" in text
    assert "6 episodes, 285 frames, 9.5 s in all, of 7 attempted" in text
    assert check_croissant(root / "croissant.json") == []
    croissant = load_json(root / "croissant.json")
    digests = {item["@id"]: item["sha256"] for item in croissant["distribution"] if item["@type"] == "cr:FileObject"}
    files = [name for name in list_files(root) if name not in {"croissant.json", "README.md"}]
    assert digests == {name: digest.sha256 for name, digest in digest_files(root, files).items()}


def test_a_croissant_without_names_is_not_valid(tmp_path: Path) -> None:
    """The library mlcroissant refuses metadata that lack what they must have."""
    (tmp_path / "croissant.json").write_text(json.dumps({"@context": {"@vocab": "https://schema.org/"}, "@type": "Dataset"}))
    assert check_croissant(tmp_path / "croissant.json")
    assert check_croissant(tmp_path / "absent.json") == ["absent.json is missing"]


def test_the_sidecar_has_what_a_replay_needs(scene: SceneFolder, tmp_path: Path) -> None:
    """Seed, start, integration state in full precision, margins, gates and certificate stand beside each episode."""
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    root = tmp_path / "staging/geniesim/lerobot"
    lines = [json.loads(line) for line in (root / "v3.0/meta/blueprint_pipeline/episodes.jsonl").read_text().splitlines()]
    assert [line["episode_index"] for line in lines] == list(range(6))
    first = lines[0]
    assert (first["spec"]["seed"], first["success"], first["certificate"]["replayed"]) == (1000, True, True)
    assert first["outcome"]["predicate"][0]["limit"] == 0.03
    assert first["gates"][0]["gate"] == "replay"
    assert len(first["integration_state"]) == 50
    assert (root / "v2.1/meta/blueprint_pipeline/episodes.jsonl").read_bytes() == (
        root / "v3.0/meta/blueprint_pipeline/episodes.jsonl"
    ).read_bytes()


def _edit(scene: SceneFolder, name: str, change: Callable[[dict], None]) -> None:
    value = json.loads(scene.read_bytes(name))
    change(value)
    scene.write_bytes(name, json.dumps(value).encode())


def _judge_anew(scene: SceneFolder, change: Callable[[list[EpisodeVerdict]], list[EpisodeVerdict]]) -> None:
    report = load_render_report(scene)
    write_report(
        scene.write_bytes, "render_verdicts", change(list(load_verdicts(scene, report))), scene_id=report.scene_id, job_id=report.job_id
    )


def test_episodes_stand_in_the_order_of_the_selection(scene: SceneFolder, tmp_path: Path) -> None:
    """Not in that of their ids, which begin with the skill."""
    _judge_anew(scene, lambda verdicts: verdicts[::-1])
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    lines = (tmp_path / "staging/geniesim/lerobot/v3.0/meta/blueprint_pipeline/episodes.jsonl").read_text().splitlines()
    assert [json.loads(line)["episode_id"] for line in lines] == [f"ep_{index:04d}" for index in range(5, -1, -1)]


def test_nothing_kept_is_an_error(scene: SceneFolder, tmp_path: Path) -> None:
    """An empty dataset is never written."""
    _judge_anew(scene, lambda verdicts: [verdict.model_copy(update={"verdict": "rejected"}) for verdict in verdicts])
    with pytest.raises(NothingToWrite):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_a_set_that_its_gates_refused_is_an_error(scene: SceneFolder, tmp_path: Path) -> None:
    """The report of a gate that failed lies there as evidence: whoever marks its task as success by hand gets no dataset of it."""
    gate = {"gate": "start_spread", "tier": "core", "passed": False, "value": 0.1, "limit": 0.3, "direction": "at_least"}
    gate |= {"unit": "share of the surface", "origin": "measured", "message": ""}
    _edit(scene, RENDER_GATES_PATH, lambda report: report.update(set_gates=[gate]))
    with pytest.raises(TooAlike, match="start_spread"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_an_episode_that_did_not_replay_is_refused(scene: SceneFolder, tmp_path: Path) -> None:
    """A certificate that says no stops the dataset."""
    _edit(scene, "geniesim/renders/shard_0000/ep_0002/certificate.json", lambda certificate: certificate.update(replayed=False))
    with pytest.raises(EpisodeUnusable, match="ep_0002"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_an_episode_with_other_objects_is_refused(scene: SceneFolder, tmp_path: Path) -> None:
    """Columns of poses would hold another object's."""
    path = "geniesim/recordings/shard_0000/ep_0002/episode.json"
    _edit(scene, path, lambda record: record.update(object_ids=record["object_ids"][::-1]))
    with pytest.raises(EpisodeUnusable, match=r"ep_0002.*object_ids.*lemon, bowl.*bowl, lemon, as in ep_0000"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_pictures_of_two_profiles_are_never_mixed(scene: SceneFolder, tmp_path: Path) -> None:
    """One episode that was drawn otherwise stops the dataset, and is named with both profiles."""
    other = RENDER_PROFILES["realistic"].model_dump(mode="json")
    _edit(scene, "geniesim/renders/shard_0000/ep_0003/certificate.json", lambda certificate: certificate.update(render_profile=other))
    with pytest.raises(ProfilesMixed, match="ep_0003 was drawn with the render profile realistic, the episodes before it with fast"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_pictures_of_two_renderers_are_not_mixed(scene: SceneFolder, tmp_path: Path) -> None:
    """A node without EGL drew one episode with OSMesa: the same scene, other pixels."""
    _edit(scene, "geniesim/renders/shard_0000/ep_0003/certificate.json", lambda certificate: certificate.update(renderer="mujoco-other"))
    with pytest.raises(RenderersMixed, match="ep_0003 was drawn by mujoco-other, the episodes before it by egl"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_the_profile_and_its_settings_stand_in_every_format(scene: SceneFolder, tmp_path: Path) -> None:
    """In info.json, on the card, in Croissant and in each episode's certificate in the sidecar."""
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    expected = FAST.model_dump(mode="json")
    for name in usual_formats():
        root = tmp_path / "staging/geniesim/lerobot" / name
        assert load_json(root / "meta/info.json")["render_profile"] == expected
        assert "render profile `fast`: 1 sample(s) a pixel, no shadows, no reflections" in (root / "README.md").read_text()
        assert "`fast`" in load_json(root / "croissant.json")["rai:dataCollection"]
        lines = (root / "meta/blueprint_pipeline/episodes.jsonl").read_text().splitlines()
        assert [json.loads(line)["certificate"]["render_profile"] for line in lines] == [expected] * 6


@pytest.mark.parametrize("name", ["geniesim/recordings/shard_0000/ep_0001/states.parquet", "geniesim/renders/shard_0000/ep_0001/wrist.mp4"])
def test_changed_bytes_are_refused(scene: SceneFolder, tmp_path: Path, name: str) -> None:
    """States and videos must be the ones that the certificate speaks of."""
    scene.write_bytes(name, scene.read_bytes(name) + b" ")
    with pytest.raises(EpisodeUnusable, match="sha256"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))


def test_an_asset_without_a_licence_is_refused(scene: SceneFolder, tmp_path: Path) -> None:
    """A licence is never guessed."""
    write_manifest(scene, bowl="CC-BY-4.0", lemon="unknown")
    with pytest.raises(LicenceUnknown, match="lemon"):
        WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    with pytest.raises(LicenceUnknown):
        build_licence([])


def test_card_tells_what_cannot_move() -> None:
    """An object of the pictures that never came to rest, with the reason."""
    from blueprint_pipeline.dataset.card import describe_set_aside

    assert describe_set_aside({}) == ""
    assert describe_set_aside({"ball": "it rolls on"}) == "`ball` is fixed where it was reconstructed: it rolls on. "


def test_the_card_counts_what_is_derived() -> None:
    """Of how many demonstrations, and how many of one at most; nothing where nothing is."""
    from blueprint_pipeline.dataset.card import describe_derived

    assert describe_derived({}, 24) == ""
    assert describe_derived({"a": 7, "b": 9}, 24).startswith("16 of the 24 repeat the motions of 2 demonstration(s)")
    assert "(at most 9 of one)" in describe_derived({"a": 7, "b": 9}, 24)


def test_the_card_says_how_many_episodes_show_a_recovery(scene: SceneFolder, tmp_path: Path) -> None:
    """How many, and how many of them on purpose; their lines in the sidecar have the frames."""
    plan = load_plan(scene)
    recovery = {"failed_from_frame": 0, "seen_frame": 3, "again_frame": 5, "seen": "it is not lifted"}
    provoked = {"kind": "high", "from_frame": 0, "offset_hand_m": [0.0, 0.0, -0.03]}
    _edit(scene, PLAN_PATH, lambda document: document.update(recoveries=0.5))
    kept = plan.episodes[0].episode_id
    path = next(name for name in scene.files_under("geniesim/recordings") if f"/{kept}/episode.json" in name)
    _edit(scene, path, lambda document: document.update(recoveries=[recovery], provoked=provoked))
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    for version in ("v3.0", "v2.1"):
        root = tmp_path / "staging/geniesim/lerobot" / version
        card = (root / "README.md").read_text()
        assert "In 50% of the planned episodes the first try was to fail on purpose. In 1 of them a try was seen to fail" in card
        assert "in 1 of these the first try failed on purpose" in card
        lines = [json.loads(line) for line in (root / "meta/blueprint_pipeline/episodes.jsonl").read_text().splitlines()]
        assert [line["tries"] for line in lines] == [2, *[1] * (len(lines) - 1)]
        assert lines[0]["recoveries"] == [recovery]
        assert lines[0]["provoked"]["kind"] == "high"


def test_the_card_names_objects_that_are_no_targets(scene: SceneFolder, tmp_path: Path) -> None:
    """With the skill and the reason, in every format."""
    left_out = {"pick_place": {"bowl": "the gripper has no grasp of it"}}
    _edit(scene, PLAN_PATH, lambda plan: plan.update(left_out=left_out))
    WRITE_DATASET.run(REQUEST, stage_context(scene, tmp_path / "staging"))
    for version in usual_formats():
        card = (tmp_path / "staging/geniesim/lerobot" / version / "README.md").read_text()
        assert "`bowl` is no target of pick place: the gripper has no grasp of it." in card


def test_one_licence_stands_by_its_hub_name() -> None:
    """Where all assets have one licence the Hub's own id of it is used."""
    from blueprint_pipeline.dataset.card import _metadata
    from blueprint_pipeline.dataset.writer import DatasetSummary

    licence = build_licence([("a", "CC-BY-4.0", ""), ("b", "CC-BY-4.0", "")])
    facts = CardFacts(
        variation="none",
        set_aside={},
        left_out={},
        scene_id="s",
        job_id="job-1",
        seed=0,
        tier="core",
        simulator="isaac_sim 6.1.0",
        pictures="",
        replays="r",
        controller="c",
        skills="push",
        attempted=1,
        recoveries="",
        licence=licence,
        coverage=(),
        spread={"start_spread": 0.7},
        formats=("v3.0",),
        failures=None,
        derived={},
    )
    summary = DatasetSummary(episodes=1, frames=20_000, duration_s=1.0, tasks=("t",), subtasks=("p",), videos=(), contract=None)
    found = _metadata(FORMATS["v3.0"], facts, summary)
    assert found["license"] == "cc-by-4.0"
    assert found["pretty_name"] == "s: simulated push, job-1 (LeRobot v3.0)"
    assert found["tags"] == ["LeRobot", "robotics", "simulation", "isaac_sim", "v3.0"]
    assert found["size_categories"] == ["10K<n<100K"]


def test_the_card_says_which_cells_are_empty() -> None:
    """Of each axis and pair: how many are filled of those that were declared, and the others by name."""
    told = describe_coverage(sum_combinations([batch_with({("can", "left"): (2, {}), ("bowl", "back right"): (0, {"gate.detour": 1})})]))
    assert "| pick place | object x start | 1 of 2 | bowl, back right |" in told
    assert "| pick place | goal | 1 of 1 |  |" in told


def test_the_card_says_how_far_scenes_vary() -> None:
    """Every range of the row, in words; nothing of a scene that does not vary."""
    told = describe_variation(VARIATIONS["wide"])
    looks = ("up to 8 cm", "2.86°", "12% wider", "0.55 to 1 times as bright", "18% less of blue", "46°", "40% darker")
    assert "40% are away" in told
    assert "up to 8 mm from their place to each side, up, down and ahead, are turned by up to 1.72°" in told
    assert "about each axis, and see up to 8% wider or narrower" in told
    pictures = ("85% show wood, stone, tiles, cloth", "up to 100% of the way from the surface's own", "up to 100% of the way to that of")
    for words in (*looks, *pictures, "0.7 to 1.3 times their friction"):
        assert words in told
    assert "0.75 to 1.25 times their mass" in told
    assert describe_variation(VARIATIONS["none"]) == "The scene looks and weighs the same in every episode."
