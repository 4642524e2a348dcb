"""Croissant 1.1 metadata of a dataset: every file with its sha256, every column with its meaning.

Source: MLCommons, "Croissant Format Specification" 1.1 (2026-01-29).
"""

from pathlib import Path, PurePosixPath

from blueprint_pipeline.dataset.card import CardFacts
from blueprint_pipeline.dataset.features import DONE, INDEX_COLUMNS, SUBTASK, SUCCESS, VectorFeature
from blueprint_pipeline.dataset.formats import FormatRow
from blueprint_pipeline.dataset.writer import DatasetSummary
from blueprint_pipeline.workspace.checksums import FileDigest

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_CONTEXT: dict[str, object] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_ENCODINGS = {
    ".parquet": "application/vnd.apache.parquet",
    ".mp4": "video/mp4",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
}


def build_croissant(
    row: FormatRow, facts: CardFacts, vectors: tuple[VectorFeature, ...], summary: DatasetSummary, files: dict[str, FileDigest]
) -> dict[str, object]:
    """The content of ``croissant.json``.

    There is no ``datePublished``: the dataset is published when it is delivered, and made again it is the same, byte by byte.

    Args:
        row: Format of the dataset.
        facts: What the card says too.
        vectors: The float columns.
        summary: What was written.
        files: Every file of the dataset by its path in it.
    """
    name = "-".join([facts.scene_id, facts.job_id, *row.title.lower().split()])
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        "description": (
            f"{summary.episodes} simulated pick-and-place episodes ({summary.frames} frames) of one robot in scene {facts.scene_id}, "
            f"{row.title}. {facts.replays}"
        ),
        "version": "1.0.0",
        "license": facts.licence.expression,
        "url": f"urn:blueprint_pipeline:{facts.scene_id}:{facts.job_id}:{row.name}",
        "creator": {"@type": "sc:Organization", "name": "Blueprint"},
        "citeAs": f"@misc{{{facts.job_id}, title={{{name}}}, note={{simulated with Blueprint}}}}",
        "isLiveDataset": False,
        "keywords": ["robotics", "simulation", *row.tags, row.name],
        "rai:dataCollection": f"Simulated with {facts.simulator}, controller {facts.controller}, seed {facts.seed}. {facts.pictures}",
        "rai:dataCollectionType": "Software Collection",
        "rai:personalSensitiveInformation": "None: no person was recorded.",
        "prov:wasGeneratedBy": {"@type": "prov:Activity", "name": facts.job_id},
        "distribution": [*_file_objects(files), *([_file_set(row.tables, files)] if row.tables else [])],
        "recordSet": [_record_set(vectors)] if row.tables else [],
    }


def _file_objects(files: dict[str, FileDigest]) -> list[dict[str, object]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{digest.size_bytes} B",
            "encodingFormat": _ENCODINGS.get(Path(path).suffix, "application/octet-stream"),
            "sha256": digest.sha256,
        }
        for path, digest in files.items()
    ]


def _file_set(pattern: str, files: dict[str, FileDigest]) -> dict[str, object]:
    """The tables of frames."""
    return {
        "@type": "cr:FileSet",
        "@id": "frames",
        "name": "frames",
        "containedIn": [{"@id": path} for path in files if PurePosixPath(path).match(pattern)],
        "encodingFormat": _ENCODINGS[".parquet"],
        "includes": pattern,
    }


def _record_set(vectors: tuple[VectorFeature, ...]) -> dict[str, object]:
    fields = [_field(vector.key, "cr:Float32", ", ".join(vector.names), vector.size) for vector in vectors]
    fields.append(_field("timestamp", "cr:Float32", "Time from the start of the episode [s].", None))
    meanings = (
        "Number of the frame in its episode.",
        "Number of the episode.",
        "Number of the frame in the dataset.",
        "Number of the instruction.",
    )
    fields += [_field(name, "cr:Int64", meaning, None) for name, meaning in zip(INDEX_COLUMNS, meanings, strict=True)]
    fields.append(_field(SUBTASK, "cr:Int64", "Number of the motion's phase.", None))
    fields.append(_field(DONE, "sc:Boolean", "Whether the episode ends with this frame.", None))
    fields.append(_field(SUCCESS, "sc:Boolean", "Whether the task is done when the episode ends with this frame.", None))
    return {"@type": "cr:RecordSet", "@id": "frame", "name": "frame", "description": "One record a frame.", "field": fields}


def _field(column: str, data_type: str, description: str, size: int | None) -> dict[str, object]:
    field: dict[str, object] = {
        "@type": "cr:Field",
        "@id": f"frame/{column}",
        "name": column,
        "description": description,
        "dataType": data_type,
        "source": {"fileSet": {"@id": "frames"}, "extract": {"column": column}},
    }
    return field if size is None else field | {"isArray": True, "arrayShape": str(size)}
