"""The shipped DAG `nightly_scenes`, with the test's own file of scenes beside Airflow's logs."""

import runpy
from functools import partial
from pathlib import Path

from airflow.sdk.configuration import conf

from operators import nightly
from operators.scene_rows import check_scene_rows

nightly.check_scene_rows = partial(check_scene_rows, Path(conf.get("logging", "base_log_folder")).parent / "scenes.yaml")
dag = runpy.run_path(str(Path(__file__).resolve().parents[3] / "dags" / "nightly_scenes.py"))["dag"]
