"""The receipt of a delivery: what went where, proven by the digest of the signed statement."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from blueprint_pipeline.workspace.storage import Id

RECEIPT_NAME = "receipt.json"


class Receipt(BaseModel):
    """``deliveries/{lab}/receipt.json`` of the scene, and ``receipt.json`` beside the bundle in the lab's bucket.

    It is not signed itself: it names the signed statement by digest, and the statement names every byte. Whoever may write to the bucket
    may write another receipt, so a lab trusts what it says of time and place no more than the bucket, and of the data the statement alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal["1.0"] = "1.0"
    delivery_id: Id
    """From lab and statement: delivering the same bundle to the same lab is the same delivery."""
    lab: Id
    scene_id: Id
    job_id: Id
    location: str
    """The bundle's folder, as the bucket's URL was given."""
    report_url: str
    """``index.html`` of the delivered bundle."""
    dataset_card_url: str
    statement_sha256: str
    signing_keyid: str
    files: int
    size_bytes: int
    trust: Literal["unsigned; verify the bundle"] = "unsigned; verify the bundle"
    """What a receipt is worth, for those who read nothing else."""
    read_back: Literal["sha256"] = "sha256"
    """How the upload was verified before it became visible."""
    delivered_at: datetime


def receipt_path(lab: str) -> str:
    """Where a lab's receipt lies in the scene's folder."""
    return f"deliveries/{lab}/{RECEIPT_NAME}"
