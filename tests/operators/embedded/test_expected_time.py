"""The expected time is a measured one, and says which."""

from operators.embedded.expected_time import TIMINGS, Timing, add_timing, expected_time, load_timings

WORK = {"scene_id": "s", "source": "None", "robot": "r", "skills": "['push']", "episodes": "24", "seed": "0", "lab": "l"}


def test_without_a_run_on_this_machine_nothing_is_claimed(tmp_path):
    """A figure of another machine and another day would be made up here."""
    assert expected_time(tmp_path, WORK, "c").startswith(
        "not known; no run of this scene, robot and these skills has ended on this machine yet."
    )


def test_more_episodes_are_expected_from_the_last_whole_run_here(tmp_path):
    add_timing(tmp_path, Timing(work=WORK, certify_environment="c", stages=20, found_done=0, wall_s=240.0))
    add_timing(tmp_path, Timing(work=WORK, certify_environment="c", stages=20, found_done=20, wall_s=9.0))
    assert expected_time(tmp_path, {**WORK, "episodes": "48"}, "c") == "about 8 min 0 s, from the last run on this machine."
    for name in ("scene_id", "robot", "skills"):  # how long that takes, no run has shown
        assert expected_time(tmp_path, {**WORK, name: "other"}, "c").startswith("not known")


def test_the_same_work_is_expected_to_be_found_done(tmp_path):
    add_timing(tmp_path, Timing(work=WORK, certify_environment="c", stages=20, found_done=0, wall_s=240.0))
    assert expected_time(tmp_path, WORK, "c").startswith("less than 4 min 0 s")
    add_timing(tmp_path, Timing(work=WORK, certify_environment="c", stages=20, found_done=20, wall_s=9.0))
    assert expected_time(tmp_path, WORK, "c").startswith("9.0 s: ")


def test_another_certify_environment_is_work_that_no_run_has_done(tmp_path):
    """The certify stage is new then, so what a run took that found all done says nothing of it."""
    add_timing(tmp_path, Timing(work=WORK, certify_environment="", stages=20, found_done=0, wall_s=240.0))
    add_timing(tmp_path, Timing(work=WORK, certify_environment="", stages=20, found_done=20, wall_s=9.0))
    assert expected_time(tmp_path, WORK, "c").startswith(
        "not known; the last run of the same work took 9.0 s, with another certify environment"
    )


def test_a_line_of_another_version_is_left_out(tmp_path):
    (tmp_path / TIMINGS).write_text('{"took": 3}\nnot json\n')
    timing = Timing(work=WORK, certify_environment="c", stages=2, found_done=1, wall_s=3.0)
    add_timing(tmp_path, timing)
    assert load_timings(tmp_path) == [timing]
