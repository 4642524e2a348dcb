"""The file of profiles and clusters: as shipped, and what it refuses."""

import pytest
import yaml

from blueprint_pipeline.compute.profiles import LOCAL, SIMULATOR_VARIABLE, ComputeConfigInvalid, acting_simulator, load_compute
from blueprint_pipeline.config_folder import CONFIG_FOLDER
from blueprint_pipeline.price.table import PRICES_DIR
from blueprint_pipeline.settings import ComputeSettings, Settings, SimulationSettings

SHIPPED = CONFIG_FOLDER / "compute.yaml"
TWO_SIMULATORS = {"cpu": {"environment": {SIMULATOR_VARIABLE: "isaac_sim"}}, "gpu": {}}
CLUSTER = {"name": "a", "region": "a", "connection": "a", "namespace": "n", "machines": {"cpu": "x", "gpu": "y"}}


def write(tmp_path, **changes):
    path = tmp_path / "compute.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(SHIPPED.read_text()), **changes}))
    return path


def test_the_shipped_file_is_sound():
    """Heavy stages have a profile, all others run in the worker; Isaac Sim asks for RT cores."""
    compute = load_compute(SHIPPED)
    assert compute.profile_of("simulate_shard").name == "cpu"
    assert compute.profile_of("render_shard").resources.gpus == 1
    assert compute.profile_of("notify_lab").name == LOCAL
    assert compute.profiles["isaac"].needs_rt_cores
    assert {profile.grace_s for name, profile in compute.profiles.items() if name != LOCAL} == {15}
    assert compute.profile_of("notify_lab").timeout_s <= 12 * 3600


def test_isaac_sim_acts_in_its_profile_and_nobody_accepts_its_licence():
    """What acts is set as settings read it; the image's own entry point starts the job, so that exit codes survive; no ACCEPT_EULA."""
    isaac = load_compute(SHIPPED).profiles["isaac"]
    variables = {name.removeprefix("BPP__SIMULATION__").lower(): value for name, value in isaac.environment.items() if "__" in name}
    assert SimulationSettings(**variables).simulator == "isaac_sim"
    assert isaac.command == ()
    assert isaac.template == "isaac.yaml"
    assert "ACCEPT_EULA" not in isaac.environment


def test_an_installation_that_uses_isaac_sim_is_sound(tmp_path):
    """Both stages take the profile, which names the image and, if the deployer agrees, the licence."""
    profiles = yaml.safe_load(SHIPPED.read_text())["profiles"]
    isaac = {**profiles["isaac"], "image": "r/isaac@sha256:0", "environment": {**profiles["isaac"]["environment"], "ACCEPT_EULA": "Y"}}
    stages = {"simulate_shard": "isaac", "render_shard": "isaac"}
    compute = load_compute(write(tmp_path, profiles={**profiles, "isaac": isaac}, stages=stages))
    assert compute.profile_of("render_shard").environment["ACCEPT_EULA"] == "Y"


def test_the_example_of_a_cluster_names_machines_that_have_prices(tmp_path):
    """What people copy works."""
    lines = SHIPPED.read_text().split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("#  - name:"))
    example = [line[1:] for line in lines[start:] if line.startswith("# ")]
    clusters = yaml.safe_load("\n".join(example))
    compute = load_compute(write(tmp_path, clusters=clusters))
    table = yaml.safe_load(max(PRICES_DIR.glob("*.yaml")).read_text())
    known = {machine["machine_id"] for machine in table["machines"]}
    (cluster,) = compute.clusters
    assert {*cluster.machines.values(), *cluster.instance_types.values()} <= known
    assert cluster.machine_of("g2-standard-8", spot=True) == "gce_g2_standard_8_spot"
    assert cluster.machine_of("n1-standard-1", spot=False) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stages": {"simulate_sherd": "cpu"}}, "'simulate_sherd' is no stage"),
        ({"stages": {"simulate_shard": "tpu"}}, "no profile 'tpu'"),
        ({"clusters": [{**CLUSTER, "machines": {"cpu": "x"}}]}, "no machine for profile 'gpu'"),
        ({"clusters": [CLUSTER, CLUSTER]}, "not unique"),
        ({"failover": {"unreachable_s": 0}}, "greater than 0"),
        ({"regions": []}, "Extra inputs"),
        ({"stages": {"simulate_shard": "isaac", "render_shard": "isaac"}}, "no `image` is named"),
        ({"profiles": TWO_SIMULATORS}, "what simulates must render.*simulate_shard isaac_sim, render_shard none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, changes, said):
    with pytest.raises(ComputeConfigInvalid, match=said):
        load_compute(write(tmp_path, **changes))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ComputeConfigInvalid, match="nowhere"):
        load_compute(tmp_path / "nowhere.yaml")


def test_what_acts_is_told_by_the_shards_profile_where_they_are_pods(tmp_path):
    """A job is planned in the worker, whose own simulator is another one."""
    stages = {"simulate_shard": "isaac", "render_shard": "isaac"}
    shipped = yaml.safe_load(SHIPPED.read_text())
    isaac = {**shipped["profiles"]["isaac"], "image": "registry.example/isaac@sha256:" + "0" * 64}
    machines = dict.fromkeys(shipped["profiles"], "local_laptop")
    clusters = [{**CLUSTER, "machines": machines}]
    path = write(tmp_path, stages=stages, profiles={**shipped["profiles"], "isaac": isaac}, clusters=clusters)
    worker = Settings(simulation=SimulationSettings(simulator="mujoco"))
    assert acting_simulator(worker) == "mujoco"
    pods = worker.model_copy(update={"compute": ComputeSettings(kind="kubernetes", config=path)})
    assert acting_simulator(pods) == "isaac_sim"
    assert acting_simulator(pods.model_copy(update={"compute": ComputeSettings(kind="kubernetes", config=SHIPPED)})) == "mujoco"
