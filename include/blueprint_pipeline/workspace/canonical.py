"""Canonical JSON and the keys that are hashed over it.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
from collections.abc import Mapping

import rfc8785
from pydantic import BaseModel

from blueprint_pipeline.errors import InputError

MAX_INTEGER = 2**53 - 1
"""Largest integer of canonical JSON: those above lose digits where numbers are doubles."""


class NotCanonical(InputError):
    """A value has no canonical JSON form."""

    code = "workspace.not_canonical"
    template = "A value cannot be written as canonical JSON (RFC 8785): {problem}. Integers go up to 2^53 - 1, and numbers are finite."

    problem: str


def canonical_json(value: BaseModel | Mapping[str, object]) -> bytes:
    """The one byte form of a value: keys sorted, no blanks, shortest numbers.

    Raises:
        NotCanonical: An integer is too large, or a number is not finite.
    """
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)
    try:
        return rfc8785.dumps(plain)  # type: ignore[arg-type]  # rfc8785 types JSON recursively; a Mapping of it is JSON
    except rfc8785.CanonicalizationError as error:
        raise NotCanonical(str(error)) from error


def key_of(value: BaseModel | Mapping[str, object]) -> str:
    """sha256 over the canonical JSON of ``value``, 64 hex digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
