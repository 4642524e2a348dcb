"""Translates what a cluster's API, its clients and its token service raise into a few errors: the one place that knows them all.

=================================================  ===============================================================
raised                                             becomes
=================================================  ===============================================================
no connection, no answer, 401, 408, 410, 429, 5xx  :class:`ApiUnreachable`: the same call may succeed later
Google: RetryError, TransportError, 429, 5xx       :class:`ApiUnreachable`
404 of a pod or node                               :class:`PodGone`
409 AlreadyExists                                  :class:`NameExists`
409 on a deletion (another pod has the name)       :class:`PodReplaced`
409 otherwise (quota changed meanwhile)            :class:`ApiUnreachable`
403, quota is used up                              :class:`QuotaUsedUp`: there will be room later
403, one pod is larger than the quota              ``PodInvalid``: it will never fit
400, 403, 404, 413, 422 on a creation              ``PodInvalid``, or ``ClusterRefused`` for rights and namespaces
any other refusal, revoked credentials             ``ClusterRefused``
a connection's secret that is refused              ``ClusterRefused``: no fault of the cluster, and it will be refused again
=================================================  ===============================================================

Source: Kubernetes API conventions, "HTTP Status codes" and "Response Status Kind"; messages of a quota:
``apiserver/pkg/admission/plugin/resourcequota/controller.go``; google-auth and google-api-core, ``exceptions``.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from blueprint_pipeline.compute.errors import ClusterRefused, PodInvalid
from blueprint_pipeline.errors import BlueprintError

PASSING = frozenset({401, 408, 410, 429})
"""Statuses below 500 after which the same call may succeed; 401: with credentials that are read again."""
_FORBIDDEN, _NOT_FOUND, _CONFLICT, _SERVER = 403, 404, 409, 500
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>.*), used: (?P<used>.*), limited: (?P<limited>.*)", re.DOTALL
)
CREATE, DELETE = "create a pod", "delete a pod"
"""What a call is for, where that decides what an answer means."""


class ApiUnreachable(Exception):
    """A cluster's API gave no usable answer. Caught by whoever chooses clusters."""


class QuotaUsedUp(Exception):
    """The namespace's quota has no room for a pod now."""


class PodGone(Exception):
    """A pod or node is missing."""


class NameExists(Exception):
    """There is a pod of this name."""


class PodReplaced(Exception):
    """Another pod has the name of the one that was meant."""


@contextmanager
def translated(cluster: str, call: str, pod: str = "") -> Iterator[None]:
    """Turn what clients raise within the block into the errors of this module.

    Args:
        cluster: For messages.
        call: What is asked for, as a verb and its object.
        pod: Name of the pod.
    """
    kinds = _kinds()
    try:
        yield
    except kinds.all as error:
        raise _translate(error, cluster, call, pod) from error


class _Kinds:
    """Classes of errors; imported when the first call is made, for a DAG is parsed without them."""

    def __init__(self) -> None:
        from aiohttp import ClientError
        from airflow.sdk.exceptions import AirflowException
        from google.api_core.exceptions import GoogleAPIError, RetryError
        from google.auth import exceptions as google_auth
        from kubernetes.client.exceptions import ApiException
        from kubernetes.config import ConfigException
        from kubernetes_asyncio.client import ApiException as AsyncApiException
        from kubernetes_asyncio.config import ConfigException as AsyncConfigException
        from urllib3.exceptions import HTTPError

        self.api = (ApiException, AsyncApiException)
        self.google_api, self.google_retry = GoogleAPIError, RetryError
        self.google_auth = google_auth.GoogleAuthError
        self.google_passing = (google_auth.TransportError, google_auth.TimeoutError, google_auth.ResponseError)
        self.connection = (ClientError, HTTPError, OSError, TimeoutError)
        self.configuration = (ConfigException, AsyncConfigException)
        self.airflow = AirflowException
        self.all = (*self.api, self.google_api, self.google_auth, *self.connection, *self.configuration, self.airflow)


@cache
def _kinds() -> _Kinds:
    return _Kinds()


def _translate(error: Exception, cluster: str, call: str, pod: str) -> Exception:
    kinds = _kinds()
    reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, kinds.api):
        return _of_answer(error, cluster, call, pod)
    if isinstance(error, kinds.google_auth):  # before OSError: one of Google's is both
        may_pass = error.retryable or any(isinstance(found, kinds.google_passing) for found in _causes(error))
        return ApiUnreachable(reason) if may_pass else ClusterRefused(cluster, call, reason)
    if isinstance(error, kinds.google_api):
        status = int(getattr(error, "code", None) or _SERVER)
        may_pass = isinstance(error, kinds.google_retry) or _may_pass(status)
        return ApiUnreachable(reason) if may_pass else ClusterRefused(cluster, call, reason)
    is_refused_secret = isinstance(error, BlueprintError) and not error.retryable  # before OSError: Airflow makes it a PermissionError
    if is_refused_secret or isinstance(error, kinds.airflow):  # or a connection that is missing or malformed
        return ClusterRefused(cluster, call, reason)
    return ApiUnreachable(reason)


def _causes(error: BaseException) -> Iterator[object]:
    """An error, what it was raised with and what it was raised from: google-auth hides a lost connection in a RefreshError."""
    yield error
    yield from error.args
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)


def _may_pass(status: int) -> bool:
    return status in PASSING or status >= _SERVER or status == 0


def _of_answer(error: Any, cluster: str, call: str, pod: str) -> Exception:
    """By status and reason of the API's answer."""
    status, body = int(error.status or 0), _parse(error.body)
    message = str(body.get("message") or error.reason or "no reason given")
    told = f"{status} {message}"
    if _may_pass(status):
        return ApiUnreachable(told)
    if status == _CONFLICT:
        return _conflict(call, str(body.get("reason")), told)
    kind = str((body.get("details") or {}).get("kind"))
    if status == _NOT_FOUND and call != CREATE and kind != "namespaces":
        return PodGone(told)
    if call != CREATE:
        return ClusterRefused(cluster, call, told)
    quota = _QUOTA.search(message)
    if status == _FORBIDDEN and quota is not None and _fits(quota):
        return QuotaUsedUp(message)
    is_of_cluster = status == _NOT_FOUND or " cannot create resource " in message or "is being terminated" in message
    return ClusterRefused(cluster, call, told) if is_of_cluster else PodInvalid(cluster, pod, told)


def _conflict(call: str, reason: str, told: str) -> Exception:
    if call == DELETE:
        return PodReplaced(told)
    return NameExists(told) if reason == "AlreadyExists" else ApiUnreachable(told)


def _fits(quota: re.Match[str]) -> bool:
    """Whether a pod would fit into an empty namespace."""
    from kubernetes.utils.quantity import parse_quantity

    parse: Callable[[str], Any] = parse_quantity
    requested, limited = _amounts(quota["requested"]), _amounts(quota["limited"])
    return all(parse(amount) <= parse(limited[name]) for name, amount in requested.items() if name in limited)


def _amounts(text: str) -> dict[str, str]:
    return {name: amount for name, _, amount in (part.strip().partition("=") for part in text.split(",")) if amount}


def _parse(body: Any) -> dict[str, Any]:
    """The ``Status`` object of an answer; empty where a proxy answered in its own words."""
    try:
        found = json.loads(body or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
