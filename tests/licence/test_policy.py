"""What is not known to be sellable is not sold."""

import pytest
from pydantic import ValidationError

from blueprint_pipeline.licence.policy import ComponentRule, check_licences, load_policy


@pytest.mark.parametrize("name", ["CC-BY-4.0", "CC BY 4.0", "cc_by_4.0", "MIT", "Apache-2.0", "CC0 1.0"])
def test_common_licences_may_be_sold_however_they_are_written(name):
    assert load_policy().licence(name).commercial_ok


@pytest.mark.parametrize("name", ["CC-BY-NC-4.0", "CC BY-NC-SA 4.0"])
def test_non_commercial_licences_may_not(name):
    assert not load_policy().licence(name).commercial_ok


@pytest.mark.parametrize(
    ("component", "version"),
    [
        ("curobo", "0.7.6"),
        ("mano", "1.2"),
        ("cotracker3", "any"),
        ("partfield", "any"),
        ("genie_sim_assets", "3.0"),
        ("genie_sim", "3.2"),
    ],
)
def test_known_traps_are_blocked(component, version):
    assert not load_policy().component(component, version).commercial_ok


def test_curobo_may_be_sold_from_0_8_on():
    policy = load_policy()
    assert policy.component("curobo", "0.8.0").commercial_ok
    assert policy.component("curobo", "main") is None  # a version that cannot be read is unknown


def test_nothing_stands_against_known_assets():
    assert check_licences(load_policy(), [("can", "MIT"), ("bowl", "CC BY 4.0")], [("mujoco", "4.0.0")]) == []


def test_every_blocker_says_what_and_why():
    found = check_licences(
        load_policy(), [("mug", None), ("pan", "CC-BY-NC-4.0"), ("pot", "Homemade-1.0")], [("curobo", "0.7.8"), ("unity", "6")]
    )
    assert [(blocker.name, blocker.problem) for blocker in found] == [
        ("mug", "unknown"),
        ("pan", "non_commercial"),
        ("pot", "unknown"),
        ("curobo 0.7.8", "non_commercial"),
        ("unity 6", "unknown"),
    ]
    assert all(blocker.evidence for blocker in found)


def test_a_version_specifier_must_parse():
    with pytest.raises(ValidationError, match="no version specifier"):
        ComponentRule(component="x", versions="before 2", licence="MIT", commercial_ok=True, evidence="none")
