"""Links on the pages of tasks: to the report and the bundle of a delivery, and to what on-call reads."""

from typing import Any

from airflow.sdk.bases.operatorlink import BaseOperatorLink

from blueprint_pipeline.settings import load_settings


class ReportLink(BaseOperatorLink):
    """The quality and cost report of the delivery."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Its URL, once it was delivered."""
        del ti_key
        return browser_url(delivered(operator).get("report_url"))


class BundleLink(BaseOperatorLink):
    """The delivered bundle."""

    name = "Bundle"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Its URL, once it was delivered."""
        del ti_key
        return browser_url(delivered(operator).get("location"))


class RunbookLink(BaseOperatorLink):
    """What on-call reads, where the installation says where that is."""

    name = "Runbook"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The runbook's URL."""
        del operator, ti_key
        return load_settings().messages.runbook_url or ""


def delivered(operator: Any) -> dict[str, Any]:
    """The result of the stage that the operator ran; nothing where it did not come to an end."""
    result = getattr(operator, "result", None)
    return result if isinstance(result, dict) else {}


def browser_url(url: object) -> str:
    """What a browser opens: an object of a bucket by Google's page of it; a folder of the worker by nothing."""
    if not isinstance(url, str):
        return ""
    bucket = url.removeprefix("gs://")
    if bucket != url:
        return f"https://storage.cloud.google.com/{bucket}"
    return url if url.startswith(("https://", "http://")) else ""
