"""Lab profiles are data, and strict."""

import pytest
import yaml

from blueprint_pipeline.delivery.lab import LABS_FOLDER, InvalidLabProfile, UnknownLab, digest_profile, list_labs, load_lab


def test_the_sample_labs_load():
    """Two labs ship with the package; none of their files holds a secret."""
    assert list_labs() == ["aurora_robotics", "northwind_ai"]
    for lab in list_labs():
        assert load_lab(lab).webhook.secret_connection == f"lab_{lab}"
        assert "whsec_" not in (LABS_FOLDER / f"{lab}.yaml").read_text()


def test_an_unknown_lab_lists_those_that_exist():
    """The error helps to find the right name."""
    with pytest.raises(UnknownLab, match="aurora_robotics, northwind_ai"):
        load_lab("aurora")
    with pytest.raises(UnknownLab):
        digest_profile("../aurora_robotics")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"buckett": "x"}, "buckett"),
        ({"formats": ["v9"]}, "formats"),
        ({"formats": []}, "formats"),
        ({"id": "somebody_else"}, "somebody_else"),
        ({"contact": {"name": "x", "email": "nobody"}}, "email"),
        ({"webhook": {"url": "https://x.example", "secret": "whsec_x"}}, "webhook.secret"),
        ({"commercial": "perhaps"}, "commercial"),
    ],
)
def test_a_wrong_profile_is_refused_with_the_field(tmp_path, change, named):
    """Unknown keys, wrong values and secrets in the file: the message names the field."""
    data = yaml.safe_load((LABS_FOLDER / "aurora_robotics.yaml").read_text())
    (tmp_path / "aurora_robotics.yaml").write_text(yaml.safe_dump({**data, **change}))
    with pytest.raises(InvalidLabProfile, match=named):
        load_lab("aurora_robotics", tmp_path)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    """Also a profile that cannot be parsed has a typed error."""
    (tmp_path / "lab.yaml").write_text("a: [")
    with pytest.raises(InvalidLabProfile):
        load_lab("lab", tmp_path)
