"""Canonical JSON and the keys that are hashed over it.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
from collections.abc import Mapping

import rfc8785
from pydantic import BaseModel


def canonical_json(value: BaseModel | Mapping[str, object]) -> bytes:
    """The one byte form of a value: keys sorted, no blanks, shortest numbers."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)
    return rfc8785.dumps(plain)  # type: ignore[arg-type]  # rfc8785 types JSON recursively; a Mapping of it is JSON


def key_of(value: BaseModel | Mapping[str, object]) -> str:
    """sha256 over the canonical JSON of ``value``, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
