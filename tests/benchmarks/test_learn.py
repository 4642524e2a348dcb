"""The learning benchmark works on a copy of the scene."""

from benchmarks.learn import borrow_scene


def test_the_scene_is_borrowed_and_its_jobs_are_left(tmp_path):
    """What was delivered of it stays as it is, and nothing of an earlier job is found done."""
    scene = tmp_path / "workspace/scenes/s"
    for name in ("mjcf/scene.xml", "geniesim/plan.json", "deliveries/lab/b", "commits/settle_scene.json", "commits/plan_tasks.json"):
        (scene / name).parent.mkdir(parents=True, exist_ok=True)
        (scene / name).write_text("x")
    borrow_scene(tmp_path / "workspace", "s", tmp_path / "borrowed")
    found = sorted(
        path.relative_to(tmp_path / "borrowed/scenes/s").as_posix() for path in (tmp_path / "borrowed").rglob("*") if path.is_file()
    )
    assert found == ["commits/settle_scene.json", "mjcf/scene.xml"]
