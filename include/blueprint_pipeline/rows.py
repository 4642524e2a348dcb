"""What exists of a kind, one row each: what others need to know of it, and where its code lies, imported when it is used."""

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any, Generic, Protocol, TypeVar

from blueprint_pipeline.errors import InputError, InternalError


class Row(Protocol):
    """Anything with a name of its own."""

    @property
    def name(self) -> str:
        """What settings, requests and files call it."""


RowT = TypeVar("RowT", bound=Row)


class UnknownRow(InputError):
    """Something is named that does not exist."""

    code = "rows.unknown"
    template = "There is no {kind} '{name}'. Known: {known}."

    kind: str
    name: str
    known: list[str]


class DuplicateRow(InternalError):
    """A second row has the name of another."""

    code = "rows.duplicate"
    template = "There are two rows for the {kind} '{name}'. Give one of them another name."

    kind: str
    name: str


class Rows(Mapping[str, RowT], Generic[RowT]):
    """The rows of a kind by name, in the order in which they were added.

    Args:
        kind: What a row is, for messages: ``simulator``.
        rows: The first ones.

    Raises:
        DuplicateRow: Two of them have one name.
    """

    def __init__(self, kind: str, *rows: RowT) -> None:
        self.kind = kind
        self._rows: dict[str, RowT] = {}
        for row in rows:
            self.add(row)

    def add(self, row: RowT) -> None:
        """Add a row.

        Raises:
            DuplicateRow: Its name is taken.
        """
        if row.name in self._rows:
            raise DuplicateRow(self.kind, row.name)
        self._rows[row.name] = row

    def remove(self, name: str) -> None:
        """Take a row away.

        Raises:
            UnknownRow: There is none of this name.
        """
        del self._rows[self[name].name]

    def checked(self, name: str) -> str:
        """The name, if it is known: a validator of settings, requests and profiles.

        Raises:
            ValueError: There is no row of this name.
        """
        if name not in self._rows:
            raise ValueError(UnknownRow(self.kind, name, list(self)).message)
        return name

    def __getitem__(self, name: str) -> RowT:
        """The row of a name.

        Raises:
            UnknownRow: There is none.
        """
        if name not in self._rows:
            raise UnknownRow(self.kind, name, list(self))
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def load_code(place: str) -> Any:
    """Import what a row names: ``package.module:attribute``.

    Raises:
        ImportError: The module does not import.
        AttributeError: It has no such attribute.
    """
    return resolve_name(place)
