"""Airflow loads one file of the plugins folder, and nothing else runs as a module of its own."""

import subprocess
import sys

from tests.airflow_home import HOME, ROOT


def in_a_process(code):
    """Run code in a fresh Airflow process of this home."""
    return subprocess.run(  # the plugins are loaded once a process
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HOME, env=None
    ).stdout.splitlines()[-1]


def test_only_the_plugin_file_is_loaded():
    """`.airflowignore` keeps Airflow from executing hooks and notifiers under their bare names."""
    code = (
        "import sys; from airflow.plugins_manager import _get_plugins; _get_plugins();"
        "print(sorted(n for n in sys.modules if n in {'failure', 'outbox', 'pools', 'blueprint_pipeline_plugin'}))"
    )
    assert in_a_process(code) == "[]" or "blueprint_pipeline_plugin" in in_a_process(code)
    assert not {"failure", "outbox", "pools"} & set(in_a_process(code).strip("[]").replace("'", "").split(", "))


def test_macro_gives_the_scenes_folder(monkeypatch, tmp_path):
    """Templates can link to a scene."""
    from blueprint_pipeline.settings import load_settings
    from plugins.blueprint_pipeline_plugin import BlueprintPipelinePlugin, scene_files

    monkeypatch.setenv("BPP__WORKSPACE__URL", str(tmp_path))
    load_settings.cache_clear()
    assert scene_files("s1") == f"{tmp_path}/scenes/s1"
    assert BlueprintPipelinePlugin.macros == [scene_files]
    load_settings.cache_clear()


def test_ignore_file_is_there():
    """Two lines, as measured on Airflow 3.3."""
    assert (ROOT / "plugins" / ".airflowignore").read_text() == "*.py\n!*_plugin.py\n"
