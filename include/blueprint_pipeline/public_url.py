"""URLs as they may be shown: in commits, manifests, logs and to labs, without what lets their bearer in."""

import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

from pydantic import PlainSerializer

_URL = re.compile(r"(?:[a-z][\w+.-]*::)*[a-z][\w+.-]*://[^\s<>]+", re.IGNORECASE)


def public_url(url: str) -> str:
    """A URL without user, password, query (signed URLs carry their signature there) and fragment.

    A path of a local file system stays as it is. Links of a chain (``simplecache::https://...``) are treated one by one.
    """
    return "::".join(_public_link(link) for link in url.split("::"))


def public_origin(url: str) -> str:
    """Scheme, host and port of a URL, and that there is more: the path of a webhook is often itself what lets its bearer in."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/…" if parts.path.strip("/") else "", "", ""))


def public_text(text: str) -> str:
    """A text in which every URL is shown as :func:`public_url` shows it; one that is malformed keeps its scheme alone."""
    return _URL.sub(_public_match, text)


def public_fields(request: Mapping[str, object]) -> dict[str, object]:
    """Fields of a request, its URLs made public; of a webhook's, the origin."""
    return {name: _public_field(name, value) if isinstance(value, str) else value for name, value in request.items()}


def _public_field(name: str, value: str) -> str:
    return public_origin(value) if name.endswith("webhook_url") else public_url(value)


def _public_match(found: re.Match[str]) -> str:
    try:
        return public_url(found[0])
    except ValueError:
        return f"{found[0].partition('://')[0]}://…"


def _public_link(link: str) -> str:
    if "://" not in link:
        return link
    parts = urlsplit(link)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # urlunsplit drops the slashes of sqlite:///file


PrivateUrl = Annotated[str, PlainSerializer(public_url, return_type=str)]
"""A URL that is used as given, and written down (and keyed) as :func:`public_url` shows it."""

HookUrl = Annotated[str, PlainSerializer(public_origin, return_type=str)]
"""The address of a webhook: used as given, and written down (and keyed) as :func:`public_origin` shows it."""
