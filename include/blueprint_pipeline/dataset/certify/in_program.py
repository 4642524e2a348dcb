"""What the certifying programs share: how they are called, and what becomes of a dataset that a reader cannot load.

Runs in the certifying environment: ``python -m blueprint_pipeline.dataset.certify.in_<reader> REQUEST ANSWERS``.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from blueprint_pipeline.dataset.certify.in_compat import prepare_torchvision
from blueprint_pipeline.dataset.certify.in_expected import Refuted, answer
from blueprint_pipeline.dataset.certify.request import Answer, CertifyRequest, load_request, write_answers

READ_ERRORS = (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError)
"""What readers raise of a dataset that they do not understand.

A part of the machine that is missing (ImportError, MemoryError) is not among them: then the program ends, and its checks have not run."""


@contextmanager
def read_by(reader: str, *others: type[Exception]) -> Iterator[None]:
    """An error of a reader refutes the dataset.

    Args:
        reader: Its name, for people.
        others: Classes of its own beside :data:`READ_ERRORS`.

    Raises:
        Refuted: The reader raised one.
    """
    errors: tuple[type[Exception], ...] = (*READ_ERRORS, *others)
    try:
        yield
    except errors as error:
        raise Refuted(f"{reader} raised {type(error).__name__}: {error}") from error


def certify_loaded(
    check: str, load: Callable[[], Any], look: Callable[[Any], str], checks: dict[str, Callable[[Any], str]]
) -> list[Answer]:
    """Load a dataset once and look at it; where it does not load, that is the only answer.

    Args:
        check: Name of the check of loading.
        load: Loads it; raises :class:`Refuted` where that fails.
        look: What is checked of it at once.
        checks: All others by name.
    """
    loaded: list[Any] = []

    def load_and_look() -> str:
        loaded.append(load())
        return look(loaded[0])

    first = answer(check, load_and_look)
    if not loaded:
        return [first]
    return [first, *(answer(name, partial(one, loaded[0])) for name, one in checks.items())]


def run(certify: Callable[[CertifyRequest], list[Answer]]) -> None:
    """Read the request that the first argument names, and write the answers where the second says."""
    request_path, answers_path = (Path(argument) for argument in sys.argv[1:])
    prepare_torchvision()
    write_answers(answers_path, certify(load_request(request_path)))
