"""The one error tree: what went wrong, whether a retry can help, and how a process ends.

::

    BlueprintError
    ├── InputError            the given data is wrong; mend it and run again      exit 65
    ├── ConfigurationError    a setting, credential or option is wrong           exit 78
    ├── IntegrityError        bytes are not the bytes that were recorded         exit 66
    ├── GateError             everything ran, and the result is not good enough  exit 64
    ├── MissingPartError      a program, package or device is not on the machine exit 69
    ├── InternalError         a promise of our own code was broken               exit 70
    └── TransientError        the same call may succeed later         retryable  exit 75
        └── PreemptedError    the machine was taken away; resume      retryable  exit 143

Every class stands beside what raises it; what several modules of a room raise stands in ``<room>/errors.py``. A class
has a stable ``code`` (``noun.what``), which alerts, runbooks and labs may rely on. Constructors take facts and compose the message.

Source: exit codes follow ``sysexits.h`` (BSD), 143 is 128 + SIGTERM.
"""


class BlueprintError(Exception):
    """Base of every error that this package raises on purpose.

    Args:
        message: What was found, what was expected, where, and what to do.
        facts: The same facts for machines: they go into structured logs and ``--json`` output.
    """

    code: str = "blueprint_pipeline.error"
    """Stable; of the class, but for a failure that another process told: that one has its own."""
    retryable: bool = False
    exit_code: int = 70

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"

    def as_dict(self) -> dict[str, object]:
        """The error as JSON-compatible data: code, message, retryable, exit_code, facts."""
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "exit_code": self.exit_code,
            "facts": {name: _plain(value) for name, value in self.facts.items()},
        }


def _plain(value: object) -> object:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
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
    """Everything ran, and the result is not good enough to go on with."""

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


def error_classes() -> list[type[BlueprintError]]:
    """Every error class that is loaded, base first, in order of code."""
    found: list[type[BlueprintError]] = []
    waiting: list[type[BlueprintError]] = [BlueprintError]
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting.extend(current.__subclasses__())
    return sorted(set(found), key=lambda cls: cls.code)
