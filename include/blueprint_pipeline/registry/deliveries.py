"""Deliveries and the tries to announce them: what a lab got, when, and what it answered."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from blueprint_pipeline.errors import InputError
from blueprint_pipeline.registry.errors import RecordMissing
from blueprint_pipeline.registry.records import Delivery, DeliveryStatus, WebhookAttempt
from blueprint_pipeline.registry.sessions import Database, dialect_insert
from blueprint_pipeline.registry.tables import DeliveryRow, WebhookAttemptRow
from blueprint_pipeline.workspace.canonical import key_of

_ORDER: tuple[DeliveryStatus, ...] = ("staged", "verified", "promoted", "notified")


class DeliveryStateConflict(InputError):
    """A delivery cannot return to an earlier state."""

    code = "registry.delivery_state"
    template = "Delivery {delivery_id} is {found} and cannot become {asked}."

    delivery_id: str
    found: str
    asked: str


class DeliveryRepository:
    """Deliveries by id, and by lab and bundle."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def start(self, delivery_id: str, *, lab: str, scene_id: str, job_id: str, bundle_sha256: str, size_bytes: int, url: str) -> Delivery:
        """Begin a delivery, or find it (:func:`delivery_id_of`). A failed one begins again."""
        with self._database.write() as session:
            now = self._database.now(session)
            facts = {
                "lab": lab,
                "scene_id": scene_id,
                "job_id": job_id,
                "bundle_sha256": bundle_sha256,
                "size_bytes": size_bytes,
                "url": url,
            }
            row = {"delivery_id": delivery_id, "schema_version": "1.0", "status": "staged", "created_at": now, "updated_at": now, **facts}
            session.execute(dialect_insert(session, DeliveryRow).values(row).on_conflict_do_nothing())
            found = _load(session, delivery_id)
            if found.status == "failed":
                found.status, found.error, found.updated_at, found.url = "staged", None, now, url
                session.flush()
            return _record(found)

    def advance(
        self, delivery_id: str, status: DeliveryStatus, *, receipt: dict[str, object] | None = None, error: str | None = None
    ) -> Delivery:
        """Bring a delivery forward (staged, verified, promoted, notified), or mark it failed before it is promoted.

        The status that it has already changes nothing but adds a receipt that was not there.

        Raises:
            RecordMissing: There is no such delivery.
            DeliveryStateConflict: It would go back, or fail after it was promoted.
        """
        with self._database.write() as session:
            row = _load(session, delivery_id)
            if not _may_become(row.status, status):
                raise DeliveryStateConflict(delivery_id, row.status, status)
            if row.status != status:
                row.status, row.updated_at = status, self._database.now(session)
            row.error = error
            row.receipt = receipt or row.receipt
            session.flush()
            return _record(row)

    def find(self, delivery_id: str) -> Delivery | None:
        with self._database.read() as session:
            row = session.get(DeliveryRow, delivery_id)
            return None if row is None else _record(row)

    def all_of(self, *, lab: str | None = None, scene_id: str | None = None, status: DeliveryStatus | None = None) -> list[Delivery]:
        """Deliveries to a lab, of a scene, or that stand so; oldest first."""
        query = select(DeliveryRow).order_by(DeliveryRow.created_at, DeliveryRow.delivery_id)
        if lab is not None:
            query = query.where(DeliveryRow.lab == lab)
        if scene_id is not None:
            query = query.where(DeliveryRow.scene_id == scene_id)
        if status is not None:
            query = query.where(DeliveryRow.status == status)
        with self._database.read() as session:
            return [_record(row) for row in session.execute(query).scalars()]

    def record_attempt(self, attempt: WebhookAttempt) -> bool:
        """Keep a try to call a lab's webhook; ``False`` if this try of this message stands there already.

        Raises:
            RecordMissing: There is no such delivery.
        """
        with self._database.write() as session:
            _load(session, attempt.delivery_id)
            insert = dialect_insert(session, WebhookAttemptRow).values(attempt.model_dump()).on_conflict_do_nothing()
            return session.execute(insert.returning(WebhookAttemptRow.attempt)).first() is not None

    def attempts(self, delivery_id: str) -> list[WebhookAttempt]:
        """Tries to announce a delivery, in order of message and number."""
        query = select(WebhookAttemptRow).where(WebhookAttemptRow.delivery_id == delivery_id)
        with self._database.read() as session:
            rows = session.execute(query.order_by(WebhookAttemptRow.message_id, WebhookAttemptRow.attempt)).scalars()
            return [WebhookAttempt.model_validate({name: getattr(row, name) for name in WebhookAttempt.model_fields}) for row in rows]

    def is_acknowledged(self, message_id: str) -> bool:
        """Whether the lab has answered this message with 2xx, so that it need not be sent again."""
        query = select(WebhookAttemptRow.attempt).where(
            WebhookAttemptRow.message_id == message_id, WebhookAttemptRow.status_code.between(200, 299)
        )
        with self._database.read() as session:
            return session.execute(query).first() is not None


def delivery_id_of(lab: str, bundle_sha256: str, bucket: str) -> str:
    """The id of the delivery of a bundle to a lab, whether it was made or not.

    Brought to another bucket it is another delivery: the lab has to be told where it is now.
    """
    return f"dlv_{key_of({'lab': lab, 'bundle_sha256': bundle_sha256, 'bucket': bucket})[:12]}"


def _may_become(found: str, asked: DeliveryStatus) -> bool:
    if found == asked:
        return True
    if found == "failed":
        return False  # start() begins it again
    if asked == "failed":
        return found in {"staged", "verified"}
    return _ORDER.index(asked) > [*_ORDER].index(found)  # type: ignore[arg-type]  # the column holds only these


def _load(session: Session, delivery_id: str) -> DeliveryRow:
    row = session.execute(select(DeliveryRow).where(DeliveryRow.delivery_id == delivery_id).with_for_update()).scalar_one_or_none()
    if row is None:
        raise RecordMissing("delivery", delivery_id)
    return row


def _record(row: DeliveryRow) -> Delivery:
    return Delivery.model_validate({name: getattr(row, name) for name in Delivery.model_fields})
