"""The one signed manifest: an in-toto Statement with SLSA provenance, from every file back to scene, licences and code.

Its subjects are *all* files of the bundle, by sha256, not a single root hash. So a lab can check one file that was taken
out of the bundle with any in-toto tool, and a changed byte is named by its file without trust in another list. The list
costs about 200 bytes a file; the bundle's own manifest is a subject too.

Source: in-toto Attestation Framework v1 (Statement), SLSA v1.0 (provenance predicate; own fields carry a vendor prefix).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import BuildDefinition
from in_toto_attestation.v1.statement import STATEMENT_TYPE_URI, Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from blueprint_pipeline.workspace.canonical import canonical_json
from blueprint_pipeline.workspace.checksums import FileDigest

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:blueprint_pipeline:build:scene-to-dataset:v1"
BUILDER_ID = "urn:blueprint_pipeline:builder:package-bundle:v1"


class Provenance(BaseModel):
    """What the predicate holds, as plain data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_version: str
    request: dict[str, JsonValue]
    """What the run chose: scene, lab, robot, number of episodes, seed, rates, tier."""
    seeds: dict[str, JsonValue]
    """Seed of each packed episode, by id."""
    dependencies: list[dict[str, JsonValue]]
    """in-toto resource descriptors of everything that the dataset was made from."""
    quality: dict[str, JsonValue]
    certification: dict[str, JsonValue]
    cost: dict[str, JsonValue]
    licence: dict[str, JsonValue]


class _Digest(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sha256: str


class _SubjectAnnotations(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size_bytes: int


class _Subject(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    digest: _Digest
    annotations: _SubjectAnnotations


class ParsedStatement(BaseModel):
    """A statement, as far as verification needs it."""

    model_config = ConfigDict(extra="ignore")
    subject: list[_Subject]
    predicate: dict[str, JsonValue]

    def digests(self) -> dict[str, FileDigest]:
        """Digest of each subject by name."""
        return {item.name: FileDigest(sha256=item.digest.sha256, size_bytes=item.annotations.size_bytes) for item in self.subject}


def descriptor(uri: str, sha256: str | None = None, **annotations: JsonValue) -> dict[str, JsonValue]:
    """One in-toto resource descriptor."""
    found: dict[str, JsonValue] = {"uri": uri}
    if sha256 is not None:
        found["digest"] = {"sha256": sha256}
    if annotations:
        found["annotations"] = dict(annotations)
    return found


def build_statement(subjects: Mapping[str, FileDigest], provenance: Provenance) -> bytes:
    """Build the statement as canonical JSON, and check it against in-toto's own and SLSA's own messages.

    Raises:
        ValueError: A subject has no digest, or there is none.
        ParseError: A dependency is no resource descriptor.
    """
    predicate = _predicate(provenance)
    statement: dict[str, JsonValue] = {
        "_type": STATEMENT_TYPE_URI,
        "subject": [
            {"name": name, "digest": {"sha256": digest.sha256}, "annotations": {"size_bytes": digest.size_bytes}}
            for name, digest in sorted(subjects.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    Statement.copy_from_pb(ParseDict(statement, StatementMessage())).validate()
    ParseDict(predicate["buildDefinition"], BuildDefinition())
    return canonical_json(statement)


def _predicate(provenance: Provenance) -> dict[str, Any]:
    dependencies: Sequence[dict[str, JsonValue]] = sorted(provenance.dependencies, key=lambda item: str(item["uri"]))
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": provenance.request,
            "internalParameters": {"seeds": provenance.seeds},
            "resolvedDependencies": list(dependencies),
        },
        "runDetails": {"builder": {"id": BUILDER_ID, "version": {"blueprint_pipeline": provenance.code_version}}},
        "blueprint_quality": provenance.quality,
        "blueprint_certification": provenance.certification,
        "blueprint_cost": provenance.cost,
        "blueprint_licence": provenance.licence,
    }


def parse_statement(payload: bytes) -> ParsedStatement:
    """Parse a statement that :func:`build_statement` made.

    Raises:
        ValueError: It is none.
    """
    try:
        return ParsedStatement.model_validate_json(payload)
    except ValidationError as error:
        raise ValueError(f"the signed payload is not one of our statements: {error.errors()[0]['msg']}") from error
