"""What a lab may ask for are the rows of the formats, a new one too: it is packed without another line."""

import pytest
import yaml

from blueprint_pipeline.dataset.formats import FORMATS
from blueprint_pipeline.dataset.layout import DATASET_PATH, write_text
from blueprint_pipeline.delivery.lab import LABS_FOLDER, InvalidLabProfile, digest_profile, load_lab
from blueprint_pipeline.delivery.package import bundle_path, package_bundle
from blueprint_pipeline.delivery.requirements import LabRequirementUnmet
from blueprint_pipeline.delivery.verify import validate_bundle
from blueprint_pipeline.settings import DeliverySettings, Settings, WorkspaceSettings
from blueprint_pipeline.stage.contract import StageContext
from blueprint_pipeline.workspace.storage import Workspace
from tests.dataset.states_only import ROW
from tests.delivery.scene_workspace import SCENE_ID, write_workspace
from tests.temporary_rows import with_row

LAB = "aurora_robotics"


@pytest.fixture
def labs(tmp_path):
    """Profiles with a lab that asks for the tests' own format alone."""
    folder = tmp_path / "labs"
    folder.mkdir()
    wanted = yaml.safe_load((LABS_FOLDER / f"{LAB}.yaml").read_text()) | {"formats": [ROW.name]}
    (folder / f"{LAB}.yaml").write_text(yaml.safe_dump(wanted))
    return folder


def test_a_format_without_a_row_is_refused_with_those_that_exist(labs):
    """The message names the field, and the rows."""
    with pytest.raises(
        InvalidLabProfile, match=r"formats.*There is no dataset format 'states_only'\. Known: v3\.0, v2\.1, mimic, depth_segmentation\."
    ):
        load_lab(LAB, labs)


@pytest.fixture
def context(tmp_path, signing_key):
    """Of the stage that packs."""
    write_workspace(tmp_path / "workspace")
    settings = Settings(
        workspace=WorkspaceSettings(url=str(tmp_path / "workspace"), cache_dir=tmp_path / "cache"),
        delivery=DeliverySettings(signing_key=signing_key),
    )
    return StageContext(
        Workspace(settings.workspace).scene(SCENE_ID),
        staging=tmp_path / "staging",
        cache_dir=tmp_path / "cache",
        settings=settings,
        progress=lambda _done, _total: None,
        is_stopping=lambda: False,
    )


def test_a_format_that_nobody_asked_for_is_missed_in_words(context):
    """A lab takes one that is written on request, and the run did not ask for it."""
    lab = load_lab(LAB).model_copy(update={"formats": ("v3.0", "mimic")})
    with pytest.raises(LabRequirementUnmet, match=r"not written as mimic: the run must ask for it \(`more_formats`\)"):
        package_bundle(context, lab, digest_profile(LAB))


def test_a_lab_gets_the_format_that_it_asks_for(labs, tmp_path, context):
    """A signed bundle with that folder alone; its card says where it lies."""
    root = context.scene.local(DATASET_PATH) / ROW.name
    write_text(root / "index.json", "{}\n")
    write_text(root / "README.md", "# Kitchen\n")
    with with_row(FORMATS, ROW):
        package_bundle(context, load_lab(LAB, labs), digest_profile(LAB, labs))
    bundle = tmp_path / "staging" / bundle_path(LAB)
    validate_bundle(bundle)
    assert sorted(path.name for path in (bundle / "data/dataset").iterdir()) == [ROW.name]
    assert (bundle / "data/dataset" / ROW.name / "index.json").read_text() == "{}\n"
    card = yaml.safe_load((bundle / "data/dataset_card.json").read_text())
    assert card["package"]["datasets"] == {ROW.name: f"data/dataset/{ROW.name}"}
