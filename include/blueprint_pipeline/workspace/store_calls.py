"""Calls to a file system or an object store: retried while that can help, then reported as a BlueprintError."""

from collections.abc import Callable
from typing import TypeVar

import stamina
from upath import UPath

from blueprint_pipeline.errors import BlueprintError

LOCAL_PROTOCOLS = frozenset({"", "file", "local"})
_GOOGLE = frozenset({"gs", "gcs"})
_ATTEMPTS = 4
_WEB = frozenset({"http", "https"})
_DENIED = (401, 403)
_LATER = frozenset({408, 429, 500, 502, 503, 504})
"""HTTP statuses that may be others at the next try."""

Result = TypeVar("Result")


class StoreCalls:
    """Makes calls to one store.

    Args:
        protocol: fsspec's name of the store: ``gs``, ``file``, ...
        unreachable: Error of what may go well later, from (location, reason).
        refused: Error of what would be refused again: no rights, no such bucket or object.
    """

    def __init__(
        self, protocol: str, *, unreachable: Callable[[str, str], BlueprintError], refused: Callable[[str, str], BlueprintError]
    ) -> None:
        self._errors, self._is_transient = _error_kinds(protocol)
        self._unreachable, self._refused = unreachable, refused

    def __call__(self, location: str, work: Callable[[], Result]) -> Result:
        """What ``work`` gives; it must be safe to repeat.

        Raises:
            BlueprintError: ``unreachable`` after the last attempt, or ``refused``.
        """
        try:
            for attempt in stamina.retry_context(on=self._is_transient, attempts=_ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=10.0):
                with attempt:
                    return work()
        except self._errors as error:
            if self._is_transient(error):
                raise self._unreachable(location, _reason(error)) from error
            raise self._refused(location, _reason(error)) from error
        raise self._unreachable(location, "no attempt was made")


def look_up(path: UPath, work: Callable[[UPath], Result]) -> Result | None:
    """What ``work`` makes of a file or folder; ``None`` where it is not there.

    Raises:
        FileNotFoundError: Nor is its bucket, so that nothing can be said of what is in it.
    """
    is_local = path.protocol in LOCAL_PROTOCOLS
    if not is_local:
        path.fs.invalidate_cache()
    try:
        return work(path)
    except FileNotFoundError:
        if not is_local:
            path.fs.find(path.path)  # a bucket has a list, if an empty one
        return None


def _error_kinds(protocol: str) -> tuple[tuple[type[Exception], ...], Callable[[Exception], bool]]:
    """What a file system raises when it cannot, and whether another try can help."""
    if protocol in _GOOGLE:
        from gcsfs.retry import RETRIABLE_EXCEPTIONS, HttpError, is_retriable  # noqa: PLC0415 -- a second to import, for buckets alone
        from google.auth.exceptions import GoogleAuthError, TransportError  # noqa: PLC0415 -- comes with gcsfs

        # ValueError: what gcsfs makes of an answer that calls a name invalid
        kinds = (*RETRIABLE_EXCEPTIONS, HttpError, GoogleAuthError, OSError, ValueError)
        return kinds, lambda error: is_retriable(error) or isinstance(error, TransportError) or _is_transient_os(error)
    if protocol in _WEB:
        from aiohttp import ClientError, ClientResponseError  # noqa: PLC0415 -- for sources on the web alone

        def may_pass(error: Exception) -> bool:
            if isinstance(error, ClientResponseError):
                return error.status in _LATER
            return isinstance(error, ClientError | OSError) and not isinstance(error, ValueError | FileNotFoundError)

        return (ClientError, OSError, ValueError), may_pass
    return (OSError,), _is_transient_os


def _is_transient_os(error: Exception) -> bool:
    permanent = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
    return isinstance(error, OSError) and not isinstance(error, permanent) and not _is_denied(error)


def _is_denied(error: Exception) -> bool:
    return isinstance(error, PermissionError) or str(error).startswith("Forbidden") or getattr(error, "code", None) in _DENIED


def _reason(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, FileNotFoundError):
        return f"there is no such bucket or object ({said})"
    return f"access is denied ({said})" if _is_denied(error) else said
