"""Buttons on a task's page: the report and the bundle once they are delivered, and the runbook."""

from types import SimpleNamespace

import pytest

from blueprint_pipeline.settings import load_settings
from operators.links import BundleLink, ReportLink, RunbookLink, browser_url
from operators.stage import StageOperator

RESULT = {"report_url": "gs://lab/in/x/index.html", "location": "https://lab.example/x"}


def test_links_of_a_delivery():
    """A page that a browser opens; nothing before there is one."""
    done, not_yet = SimpleNamespace(result=RESULT), SimpleNamespace(result=None)
    assert ReportLink().get_link(done, ti_key=None) == "https://storage.cloud.google.com/lab/in/x/index.html"
    assert BundleLink().get_link(done, ti_key=None) == "https://lab.example/x"
    assert ReportLink().get_link(not_yet, ti_key=None) == ""


@pytest.mark.parametrize("url", ["file:///b/index.html", "/b/index.html", None, 3])
def test_a_folder_of_the_worker_is_no_link(url):
    assert browser_url(url) == ""


def test_runbook_is_where_the_installation_says(monkeypatch):
    assert RunbookLink().get_link(None, ti_key=None) == ""
    monkeypatch.setenv("BPP__MESSAGES__RUNBOOK_URL", "https://wiki.example/on-call")
    load_settings.cache_clear()
    assert RunbookLink().get_link(None, ti_key=None) == "https://wiki.example/on-call"
    load_settings.cache_clear()


def test_only_the_delivery_has_a_report():
    names = {
        stage: [link.name for link in StageOperator(stage=stage, request={}).operator_extra_links]
        for stage in ("settle_scene", "deliver_bundle")
    }
    assert names == {"settle_scene": ["Runbook"], "deliver_bundle": ["Report", "Bundle", "Runbook"]}
