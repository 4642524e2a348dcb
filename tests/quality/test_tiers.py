"""The limits are data that refuses to be incomplete."""

import pytest
import yaml

from blueprint_pipeline.config_file import load_config
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.quality.config_files import TIERS_FILE, config_digests
from blueprint_pipeline.quality.gates.registry import validate_config
from blueprint_pipeline.quality.tiers import InvalidQualityConfig, TierConfig, load_tiers


@pytest.fixture
def data():
    return yaml.safe_load((CONFIG_FOLDER / TIERS_FILE).read_text())


def refuse(tmp_path, data, match):
    path = tmp_path / "tiers.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(InvalidQualityConfig, match=match):
        validate_config(load_config(path, TierConfig, InvalidQualityConfig))


def test_the_shipped_limits_are_whole_and_get_stricter_by_tier():
    config = load_tiers()
    validate_config(config)
    assert [config.tiers[tier].min_score for tier in ("core", "plus", "full")] == [0.80, 0.90, 0.95]
    for name, rule in config.gates.items():
        sign = 1 if rule.direction == "at_most" else -1
        core, plus, full = (sign * config.limit(name, tier) for tier in ("core", "plus", "full"))
        assert core >= plus >= full, name


def test_the_config_is_part_of_the_key():
    assert set(config_digests()) == {"config/tiers.yaml", "config/third_party_policy.yaml"}


def test_a_gate_without_a_rule_is_refused(tmp_path, data):
    del data["gates"]["penetration"]
    refuse(tmp_path, data, "without a rule: \\['penetration'\\]")


def test_a_rule_without_a_gate_is_refused(tmp_path, data):
    data["gates"]["penetrations"] = data["gates"]["penetration"]
    refuse(tmp_path, data, "rules without a gate: \\['penetrations'\\]")


def test_a_missing_tier_is_refused(tmp_path, data):
    del data["gates"]["penetration"]["limits"]["full"]
    refuse(tmp_path, data, "core, plus and full")


def test_a_missing_set_of_tiers_is_refused(tmp_path, data):
    del data["tiers"]["full"]
    refuse(tmp_path, data, "tiers must be core, plus and full")


def test_a_band_after_rendering_is_refused(tmp_path, data):
    data["gates"]["sharpness"]["borderline_fraction"] = 0.1
    refuse(tmp_path, data, "nobody is asked after rendering")


def test_a_limit_without_a_reason_is_refused(tmp_path, data):
    data["gates"]["penetration"]["why"] = ""
    refuse(tmp_path, data, "why")


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InvalidQualityConfig, match=r"absent\.yaml cannot be used: it cannot be read"):
        load_config(tmp_path / "absent.yaml", TierConfig, InvalidQualityConfig)
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InvalidQualityConfig, match="not YAML"):
        load_config(tmp_path / "bad.yaml", TierConfig, InvalidQualityConfig)


def test_a_gate_on_a_set_without_a_measure_is_refused(tmp_path, data):
    data["set_gates"]["start_spreads"] = data["set_gates"]["start_spread"]
    refuse(tmp_path, data, "set_gates without a measure: \\['start_spreads'\\]")


def test_a_file_without_gates_on_the_set_is_refused(tmp_path, data):
    data["set_gates"] = {}
    refuse(tmp_path, data, "set_gates is empty")


def test_a_gate_on_a_set_names_all_tiers_and_asks_nobody(tmp_path, data):
    data["set_gates"]["start_spread"]["borderline_fraction"] = 0.1
    refuse(tmp_path, data, "nobody is asked about a set")
