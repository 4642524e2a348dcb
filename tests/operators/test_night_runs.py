"""A run of a night says which night wanted it."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from blueprint_pipeline.registry.ids import shorten_id
from operators.night_runs import RUN_ID_CHARACTERS, night_of, run_id_of

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True)
RUN_IDS = st.from_regex(r"[A-Za-z0-9_.~:+-]{1,40}", fullmatch=True)


@given(RUN_IDS, IDS, IDS)
def test_the_night_of_a_run_is_the_one_that_named_it(night, scene_id, lab):
    """Whatever the ids are made of."""
    assert night_of(run_id_of(night, SimpleNamespace(scene_id=scene_id, lab=lab))) == night


def test_a_night_that_has_the_scene_in_its_id():
    """Somebody started a night by hand, for one scene."""
    row = SimpleNamespace(scene_id="kitchen", lab="l")
    assert night_of(run_id_of("rerun__kitchen", row)) == "rerun__kitchen"


def test_a_run_of_a_scenes_own_dag_is_its_own_also_where_its_id_was_cut_off():
    """Its one ``~`` and the digest behind it are part of the id that Airflow knows."""
    run_id = shorten_id(f"{'manual_' * 40}__kitchen__l", RUN_ID_CHARACTERS)
    assert run_id.count("~") == 1
    assert night_of(run_id) == run_id
