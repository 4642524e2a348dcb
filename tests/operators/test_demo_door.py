"""What the demo is asked for is refused at its door, in a sentence, before Airflow starts."""

import pytest

from operators import demo


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--robot", "figure_01"], "The closest available robot is unitree_g1"),
        (["--episodes", "0"], "episodes"),
        (["--seed", "-1"], "seed"),
        (["--scene-id", "../elsewhere"], "scene_id"),
    ],
)
def test_what_no_plan_can_have_is_refused_at_once(arguments, words, tmp_path, monkeypatch, capsys):
    """No process is started, and nothing is written."""
    monkeypatch.setattr("subprocess.Popen", None)
    assert demo.main([*arguments, "--airflow-home", str(tmp_path / "airflow")]) == 65
    assert words in " ".join(capsys.readouterr().out.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--lab", "nobody"], ["--robot", "r2d2"], ["--skills", "juggle"]])
def test_what_is_not_known_is_refused_with_what_is(arguments, capsys):
    """As every command line does it."""
    with pytest.raises(SystemExit) as ended:
        demo.parse_arguments(arguments)
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err


def test_help_describes_every_option(capsys):
    """With its default."""
    with pytest.raises(SystemExit):
        demo.parse_arguments(["--help"])
    told = capsys.readouterr().out
    assert told.count("(default:") >= 8
    assert "DEMO_ARGS" in told
