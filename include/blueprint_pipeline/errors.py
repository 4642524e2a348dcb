"""The one error tree: what went wrong, whether a retry can help, and how a process ends.

::

    BlueprintError
    ├── InputError            the given data is wrong; correct it and run again   exit 65
    ├── ConfigurationError    a setting, credential or option is wrong           exit 78
    ├── IntegrityError        bytes are not the bytes that were recorded         exit 66
    ├── GateError             everything ran, and the result is not good enough  exit 64
    ├── MissingPartError      a program, package or device is not on the machine exit 69
    ├── InternalError         a promise of our own code was broken               exit 70
    └── TransientError        the same call may succeed later         retryable  exit 75
        └── PreemptedError    the machine was taken away; resume      retryable  exit 143

An error stands beside what raises it; what several modules of a room raise stands in ``<room>/errors.py``. It declares a
stable code (``noun.what``), which alerts, runbooks and labs may rely on, one message and its facts, and nothing else::

    class LeaseHeld(TransientError):
        code = "registry.lease_held"
        template = "{name} is run by {holder} until {expires_at}. Wait, or end that process."

        name: str
        holder: str
        expires_at: str

    raise LeaseHeld(name, holder, expires_at)

The annotated facts are the arguments of the constructor, as in a dataclass. A list is written with ``, `` between its items,
or with the format specification in place of it (``{problems:; }``), a mapping as ``name: value``; what is empty or ``None`` is
written "none". A template may also name a property or a class variable; a class whose words depend on its facts overrides
:meth:`BlueprintError.describe`. Facts carry no secrets: user, password and query are cut out of every URL.

Source: exit codes follow ``sysexits.h`` (BSD), 143 is 128 + SIGTERM.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from string import Formatter
from typing import Any, dataclass_transform

from blueprint_pipeline.public_url import public_text


class _MessageFormatter(Formatter):
    """Fills a template with the attributes of an error."""

    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> object:  # noqa: ARG002 -- Formatter passes it
        """The attribute of this name."""
        return getattr(kwargs["error"], str(key))

    def format_field(self, value: object, format_spec: str) -> str:
        """A fact in words: lists joined, absent ones named, the rest as Python formats it."""
        if isinstance(value, Mapping):
            value = [f"{name}: {item}" for name, item in value.items()]
        if isinstance(value, list | tuple):
            return (format_spec or ", ").join(map(str, value)) or "none"
        return "none" if value is None else format(value, format_spec)


@dataclass_transform(eq_default=False, field_specifiers=(field,))
class BlueprintError(Exception):
    """Base of every error that this package raises on purpose; see the module's docstring for how to declare one."""

    code: str = "blueprint_pipeline.error"
    retryable: bool = False
    exit_code: int = 70
    template: str = ""
    """What was found, what was expected, where, and what to do."""

    def __init_subclass__(cls) -> None:
        """Make a dataclass of every subclass: equality and hash stay those of an exception."""
        super().__init_subclass__()
        dataclass(eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        """Take out of the facts what lets the bearer of a URL in, for errors are logged, stored and sent to labs."""
        for name in self._own_names():
            setattr(self, name, _public(getattr(self, name)))
        self.args = (self.message,)

    def _own_names(self) -> tuple[str, ...]:
        return tuple(item.name for item in fields(self))  # type: ignore[arg-type]  # every subclass is a dataclass, this base is not

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as its class and its facts, so that it crosses a process pool."""
        return _restore, (type(self), self.__dict__)

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

    @property
    def message(self) -> str:
        """The error in one or more sentences for people."""
        return self.describe()

    @property
    def facts(self) -> dict[str, object]:
        """The same facts for machines: they go into structured logs and ``--json`` output."""
        return {name: getattr(self, name) for name in self._own_names()}

    def describe(self) -> str:
        """The message: the template, filled with the facts."""
        return _MessageFormatter().vformat(self.template, (), {"error": self})

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-compatible data: code, message, retryable, exit_code, facts."""
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "exit_code": self.exit_code,
            "facts": {name: _plain(value) for name, value in self.facts.items()},
        }


def _restore(cls: type[BlueprintError], state: dict[str, Any]) -> BlueprintError:
    error = cls.__new__(cls)
    error.__dict__.update(state)
    error.args = (error.message,)
    return error


def _public(fact: object) -> object:
    if isinstance(fact, str):
        return public_text(fact)
    if isinstance(fact, tuple):
        return tuple(map(_public, fact))
    if isinstance(fact, list):
        return [_public(item) for item in fact]
    if isinstance(fact, Mapping):
        return {name: _public(value) for name, value in fact.items()}
    return fact


def _plain(value: object) -> object:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return str(value)


class InputError(BlueprintError):
    """The given data is wrong: a retry with the same data fails again."""

    code = "input.invalid"
    exit_code = 65


class ConfigurationError(BlueprintError):
    """A setting, a credential or an option is wrong or absent."""

    code = "configuration.invalid"
    exit_code = 78


class IntegrityError(BlueprintError):
    """Bytes on disk are not the bytes that were recorded."""

    code = "integrity.mismatch"
    exit_code = 66


class GateError(BlueprintError):
    """Everything ran, and the result is not good enough to continue with."""

    code = "gate.failed"
    exit_code = 64


class MissingPartError(BlueprintError):
    """A program, package, device or server that this step needs is not on this machine."""

    code = "machine.part_missing"
    exit_code = 69


class InternalError(BlueprintError):
    """A promise of our own code was broken: report it."""

    code = "internal.error"
    exit_code = 70


class TransientError(BlueprintError):
    """The same call may succeed later."""

    code = "transient.error"
    retryable = True
    exit_code = 75


class PreemptedError(TransientError):
    """The process was asked to end (SIGTERM); finished units are committed, so a new run resumes."""

    code = "transient.preempted"
    exit_code = 143


class Interrupted(PreemptedError):
    """The process was asked to end between two units of its work."""

    code = "transient.interrupted"
    template = "{what} was asked to end (SIGTERM). Finished units are kept: run it again to resume."

    what: str


class RelayedError(BlueprintError):
    """An error that another process raised: code, exit status, message and facts are the ones that it gave."""

    code = "blueprint_pipeline.relayed"

    error: Mapping[str, Any]
    """What :meth:`BlueprintError.as_dict` gave there."""

    def __post_init__(self) -> None:
        """Take over the code and what it means."""
        self.code = str(self.error["code"])
        self.retryable = bool(self.error["retryable"])
        self.exit_code = int(self.error["exit_code"])
        super().__post_init__()

    @property
    def facts(self) -> dict[str, object]:
        """The facts of the other process, and who it was."""
        own = super().facts
        return {**(self.error.get("facts") or {}), **{name: own[name] for name in own if name != "error"}}

    def describe(self) -> str:
        """The other process's message."""
        return str(self.error["message"])


def error_classes() -> list[type[BlueprintError]]:
    """Every error class that is loaded, base first, in order of code."""
    found: list[type[BlueprintError]] = []
    waiting: list[type[BlueprintError]] = [BlueprintError]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting.extend(current.__subclasses__())
    return sorted(set(found), key=lambda cls: cls.code)
