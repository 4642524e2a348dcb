"""What can go wrong with the registry's database and with the promises kept in it."""

from collections.abc import Sequence

from blueprint_pipeline.errors import ConfigurationError, InputError, IntegrityError, InternalError, MissingPartError, TransientError


class RegistryUnavailable(TransientError):
    """The database does not answer, or is busy for longer than we wait."""

    code = "registry.unavailable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"The registry at {url} did not answer: {reason}. Check that the database runs, then try again.", url=url, reason=reason
        )


class RegistryUrlInvalid(ConfigurationError):
    """The database URL cannot be used."""

    code = "registry.url_invalid"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(
            f"BPP__REGISTRY__URL={url} cannot be used: {reason}. Expected sqlite:///path/to/file.db or postgresql+psycopg2://user@host/database.",
            url=url,
            reason=reason,
        )


class RegistryDriverMissing(MissingPartError):
    """The Python driver of the database is not installed."""

    code = "registry.driver_missing"

    def __init__(self, url: str, module: str) -> None:
        super().__init__(
            f"The registry at {url} needs the Python package '{module}', which is not installed. Install it.", url=url, module=module
        )


class RegistryUnreadable(IntegrityError):
    """The file is no database, or a damaged one."""

    code = "registry.unreadable"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"The registry at {url} cannot be read: {reason}. Restore a backup or move the file.", url=url, reason=reason)


class RegistryTooNew(ConfigurationError):
    """The database was migrated by a newer version of this package."""

    code = "registry.too_new"

    def __init__(self, url: str, found: str, known: Sequence[str]) -> None:
        super().__init__(
            f"The registry at {url} has schema revision {found}; this version knows {', '.join(known)}."
            " Update blueprint_pipeline, or give it a database of its own.",
            url=url,
            found=found,
            known=list(known),
        )


class RegistryDamaged(InternalError):
    """A migration left rows that refer to nothing."""

    code = "registry.damaged"

    def __init__(self, url: str, tables: Sequence[str]) -> None:
        super().__init__(
            f"After the migration of {url}, rows in {', '.join(tables)} refer to rows that are not there;"
            " nothing was changed. Restore a backup.",
            url=url,
            tables=list(tables),
        )


class LeaseLost(TransientError):
    """A lease that this process held has been taken over or released."""

    code = "registry.lease_lost"

    def __init__(self, name: str, holder: str, token: int) -> None:
        super().__init__(
            f"{holder} no longer holds {name} (token {token}): it expired and another took it over. "
            "Nothing was published by this process after that; "
            "run the stage again.",
            name=name,
            holder=holder,
            token=token,
        )


class RecordMissing(InputError):
    """A row that was asked for by its id is not in the registry."""

    code = "registry.record_missing"

    def __init__(self, kind: str, record_id: str) -> None:
        super().__init__(f"The registry has no {kind} '{record_id}'. Check the id.", kind=kind, record_id=record_id)


class ApprovalDecided(InputError):
    """Somebody (or the clock) has decided already."""

    code = "registry.approval_decided"

    def __init__(self, request_id: str, status: str, actor: str, decision: str) -> None:
        super().__init__(
            f"Approval {request_id} is already {status} (by {actor}), so it cannot become {decision}. A decision is final: ask anew.",
            request_id=request_id,
            status=status,
            actor=actor,
            decision=decision,
        )


class EpisodesNotAsked(InputError):
    """A decision names episodes that the request did not ask about."""

    code = "registry.episodes_not_asked"

    def __init__(self, request_id: str, episodes: Sequence[str]) -> None:
        super().__init__(
            f"Approval {request_id} does not ask about {', '.join(episodes)}. Decide only on the episodes in the request.",
            request_id=request_id,
            episodes=list(episodes),
        )


class DeliveryStateConflict(InputError):
    """A delivery cannot go back."""

    code = "registry.delivery_state"

    def __init__(self, delivery_id: str, found: str, asked: str) -> None:
        super().__init__(f"Delivery {delivery_id} is {found} and cannot become {asked}.", delivery_id=delivery_id, found=found, asked=asked)


class LedgerConflict(InternalError):
    """The same cost was booked twice with different amounts."""

    code = "registry.ledger_conflict"

    def __init__(self, commit_key: str, item: str, found: str, given: str) -> None:
        super().__init__(
            f"The ledger has {found} for item '{item}' of commit {commit_key[:12]}, and {given} was given. "
            "Entries are never changed; book a correction as an item of its own.",
            commit_key=commit_key,
            item=item,
            found=found,
            given=given,
        )
