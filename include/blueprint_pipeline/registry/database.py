"""Open the registry: one object with a repository for each kind of record.

>>> registry = open_registry(load_settings().registry)  # doctest: +SKIP
>>> with registry.leases.hold("scene_a/settle_scene", holder="host:42", ttl_s=900) as lease:  # doctest: +SKIP
...     lease.validate()
"""

from contextlib import AbstractContextManager
from typing import Self

from blueprint_pipeline.registry.approvals import ApprovalRepository
from blueprint_pipeline.registry.baselines import BaselineRepository
from blueprint_pipeline.registry.commits import CommitRepository
from blueprint_pipeline.registry.coverage import CoverageRepository
from blueprint_pipeline.registry.deliveries import DeliveryRepository
from blueprint_pipeline.registry.leases import LeaseRepository
from blueprint_pipeline.registry.ledger import LedgerRepository
from blueprint_pipeline.registry.migrate import migrate
from blueprint_pipeline.registry.outbox import Outbox
from blueprint_pipeline.registry.runs import RunRepository
from blueprint_pipeline.registry.scenes import SceneRepository
from blueprint_pipeline.registry.sessions import BUSY_TIMEOUT_S, Clock, Database, build_engine
from blueprint_pipeline.settings import RegistrySettings


class Registry:
    """All repositories on one database; close it, or use it in a ``with`` block. Not to be carried over a fork."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.commits = CommitRepository(database)
        self.leases = LeaseRepository(database)
        self.approvals = ApprovalRepository(database)
        self.ledger = LedgerRepository(database)
        self.deliveries = DeliveryRepository(database)
        self.scenes = SceneRepository(database)
        self.baselines = BaselineRepository(database)
        self.coverage = CoverageRepository(database)
        self.outbox = Outbox(database)
        self.runs = RunRepository(database)

    def together(self) -> AbstractContextManager[None]:
        """Make one transaction of a block: a change of state and the message about it are both written, or neither.

        Send messages after the block: the transaction would wait for the receiver.
        """
        return self.database.together()

    def close(self) -> None:
        """Close all connections."""
        self.database.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def open_registry(settings: RegistrySettings, clock: Clock | None = None, *, wait_s: float = BUSY_TIMEOUT_S) -> Registry:
    """Connect, and migrate an empty or older database to the newest revision; parallel processes wait for the first.

    Args:
        settings: With the database's URL.
        clock: Gives the time [UTC] instead of the database, to try what happens later.
        wait_s: How long to wait for a busy database [s].

    Raises:
        RegistryUrlInvalid: The URL cannot be used.
        RegistryUnavailable: The database does not answer.
        RegistryTooNew: The database was migrated by a newer version.
    """
    database = Database(build_engine(settings.url, wait_s), clock)
    migrate(database)
    return Registry(database)
