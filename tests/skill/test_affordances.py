"""Tests of affordances by rule."""

import pytest

from blueprint_pipeline.skill.affordances import InvalidAffordances, load_affordances


@pytest.mark.parametrize(
    ("texts", "affordances", "upright"),
    [
        (("can", "soda_can", "soda can"), ("Graspable", "Stackable"), True),
        (("fruit", "lemon", "yellow lemon"), ("Graspable",), False),
        (("carton", "milk_carton", ""), ("Graspable", "Pourable"), True),
        (("gadget", "obj_7", ""), ("Graspable",), True),
    ],
)
def test_first_rule_with_a_word_counts(texts, affordances, upright) -> None:
    """Category before id before description; nothing known is graspable."""
    found = load_affordances().of(*texts)
    assert (found.affordances, found.upright) == (affordances, upright)


def test_every_affordance_of_a_rule_is_known() -> None:
    """No rule names an affordance that the list lacks."""
    rules = load_affordances()
    assert {name for rule in rules.rules for name in rule.affordances} <= set(rules.known)


@pytest.mark.parametrize("text", ["rules: [", "schema_version: '2.0'", "schema_version: '1.0'\nsurprise: 1"])
def test_broken_rules_are_refused(tmp_path, text) -> None:
    """No YAML, another version, an unknown field: each names the file."""
    path = tmp_path / "affordances.yaml"
    path.write_text(text)
    with pytest.raises(InvalidAffordances, match=r"affordances\.yaml"):
        load_affordances(path)
