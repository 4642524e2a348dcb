"""Tests on a control plane run from any checkout: also from one below ``/tmp``, which a pod's own ``/tmp`` hides."""

from tests.shipping.conftest import ROOT, outside_of_tmp


def test_what_lies_in_tmp_is_shown_elsewhere(tmp_path):
    code = tmp_path / "include"
    code.mkdir()
    (code / "a.py").write_text("A = 1")
    with outside_of_tmp(code, ROOT / "include") as (moved, stayed):
        assert moved.is_relative_to("/var/tmp")
        assert (moved / "a.py").read_text() == "A = 1"
        assert stayed == (ROOT / "include").resolve() or not str(stayed).startswith("/tmp")
    assert not moved.exists()
    assert (code / "a.py").exists()
