"""``bpp registry``: an empty database, one that is behind, one that is there, one that is too new; SQLite and PostgreSQL."""

import json
from datetime import UTC, datetime

import pytest
from sqlalchemy import URL, create_engine, text
from typer.testing import CliRunner

from blueprint_pipeline.cli.app import app
from blueprint_pipeline.registry.database import open_registry
from blueprint_pipeline.registry.errors import SceneNotListed
from blueprint_pipeline.registry.migrate import HEAD, REVISIONS, RegistryTooNew, migrate
from blueprint_pipeline.registry.records import Message, SceneSource
from blueprint_pipeline.registry.sessions import Database, RegistryUnavailable, build_engine
from blueprint_pipeline.settings import RegistrySettings, load_settings

runner = CliRunner()


@pytest.fixture
def use(monkeypatch):
    """Makes the settings name a database."""

    def name(url):
        monkeypatch.setenv("BPP__REGISTRY__URL", url)
        load_settings.cache_clear()

    yield name
    load_settings.cache_clear()


def ask(word):
    """The command's exit code and its document."""
    ended = runner.invoke(app, ["registry", word, "--json"])
    return ended.exit_code, json.loads(ended.stdout) if ended.stdout else ended.exception


def test_an_empty_database_is_due_and_then_migrated(url, use):
    """Status ends with 64 until migrate was run; the second migration does nothing."""
    use(url)
    code, found = ask("status")
    assert (code, found["revision"], found["pending"]) == (64, None, list(REVISIONS))
    code, found = ask("migrate")
    assert (code, found["before"], found["revision"], found["pending"]) == (0, None, HEAD, [])
    code, found = ask("status")
    assert (code, found["revision"]) == (0, HEAD)
    code, found = ask("migrate")
    assert (code, found["before"], found["revision"]) == (0, HEAD, HEAD)


def test_a_database_that_is_behind(url, use):
    """Only what is missing is due."""
    use(url)
    migrate(Database(build_engine(url)), REVISIONS[0])
    code, found = ask("status")
    assert (code, found["revision"], found["pending"]) == (64, REVISIONS[0], list(REVISIONS[1:]))
    assert ask("migrate")[1]["before"] == REVISIONS[0]
    words = runner.invoke(app, ["registry", "status"]).stdout
    assert HEAD in words
    assert "Nothing is due" in words


@pytest.mark.parametrize("word", ["status", "migrate"])
def test_a_database_that_is_too_new(url, use, word):
    """Neither looks away nor migrates backwards."""
    use(url)
    ask("migrate")
    with create_engine(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    _code, error = ask(word)
    assert isinstance(error, RegistryTooNew)


def test_status_makes_no_file(tmp_path, use):
    """Looking changes nothing."""
    use(f"sqlite:///{tmp_path}/none.db")
    assert ask("status")[0] == 64
    assert not (tmp_path / "none.db").exists()


def test_a_database_that_does_not_answer(use):
    """The hook's job then fails, and with it the install."""
    url = URL.create("postgresql+psycopg2", "nobody", "hidden", "127.0.0.1", 1, "none")
    use(url.render_as_string(hide_password=False))
    _code, error = ask("migrate")
    assert isinstance(error, RegistryUnavailable)
    assert "hidden" not in str(error)


def test_the_chart_migrates_by_this_command():
    """The hook gives words that the command line knows."""
    import typer

    from tests.shipping.conftest import load_values, render

    (job,) = (manifest for manifest in render(load_values("production")) if manifest["kind"] == "Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "command" not in container  # the image's entry point is blueprint_pipeline
    command = typer.main.get_command(app)
    for word in container["args"]:
        command = command.commands[word]
    assert not hasattr(command, "commands")


@pytest.fixture
def filled(url, use):
    """A registry in which a run has a scene, and one message was sent."""
    use(url)
    with open_registry(RegistrySettings(url=url)) as registry:
        registry.scenes.sync([SceneSource(scene_id="kitchen", source_url="sample", lab="acme")], datetime.now(UTC))
        registry.scenes.mark_started("kitchen", "n1__kitchen__acme")
        registry.leases.acquire("kitchen/simulate_shard", "n1__kitchen__acme", 600)
        registry.runs.start(dag_id="d", run_id="n1__kitchen__acme", scene_id="kitchen", lab="acme")
        registry.outbox.add(Message(message_id="x", kind="failure", text="it failed"))
        registry.outbox.mark_sent("x", "slack_default")


def test_claims_are_shown_and_freed(filled):
    """Who has what since when; freed, the scene is due again, and freeing it twice changes nothing."""
    _, found = ask("claims")
    assert [scene["running_run_id"] for scene in found["scenes"]] == ["n1__kitchen__acme"]
    assert [lease["name"] for lease in found["leases"]] == ["kitchen/simulate_shard"]
    assert "kitchen/simulate_shard" in runner.invoke(app, ["registry", "claims"]).stdout
    for had in ("n1__kitchen__acme", None):
        ended = runner.invoke(app, ["registry", "free-scene", "kitchen", "--json"])
        assert json.loads(ended.stdout)["freed_from"] == had
    assert ask("claims")[1]["scenes"] == []


def test_a_scene_that_is_not_there_cannot_be_freed(filled):
    """A misspelt name, or a scene of a run by hand, which no night has listed: no run can have it."""
    failed = runner.invoke(app, ["registry", "free-scene", "kitchn"]).exception
    assert isinstance(failed, SceneNotListed)
    assert str(failed).startswith("[registry.scene_not_listed] The registry lists no scene 'kitchn'")


def test_messages_and_runs_are_shown(filled):
    assert [item["channel"] for item in ask("messages")[1]["messages"]] == ["slack_default"]
    assert "it failed" in runner.invoke(app, ["registry", "messages"]).stdout
    assert json.loads(runner.invoke(app, ["registry", "messages", "--status", "waiting", "--json"]).stdout) == {"messages": []}
    assert runner.invoke(app, ["registry", "messages", "--status", "lost"]).exit_code == 2
    assert [run["status"] for run in ask("runs")[1]["runs"]] == ["running"]
    assert "kitchen" in runner.invoke(app, ["registry", "runs"]).stdout


def test_a_run_that_kept_nothing_says_so(filled, url):
    """It is no run of which that is not known yet."""
    with open_registry(RegistrySettings(url=url)) as registry:
        registry.runs.note("d", "n1__kitchen__acme", kept=0, attempted=24)
    assert "0 of 24" in runner.invoke(app, ["registry", "runs"]).stdout
