"""What the tests rely on of their runner: a group of tests stays on one worker, so that its costly parts are made once."""

import pytest


@pytest.mark.xdist_group("a-group")
def test_groups_are_kept_together(request, worker_id):
    """The runner marks a test's group in its id; a pytest that it cannot mark so scatters groups without a word."""
    if worker_id == "master":
        assert "@" not in request.node.nodeid
    else:
        assert request.node.nodeid.endswith("@a-group")
