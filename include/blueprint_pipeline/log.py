"""Structured logs: one JSON object a line, with run, scene, stage, attempt and correlation ids bound once."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from blueprint_pipeline.settings import LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Send structlog's events to stderr as JSON lines (or coloured text for people); stdout stays for results."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if writes_json(settings) else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # the stderr of the moment, not of the first call
        cache_logger_on_first_use=False,
    )


def writes_json(settings: LogSettings) -> bool:
    """Whether programs read the log: it was asked for, or nobody looks at stderr."""
    return settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())


@contextmanager
def log_context(**ids: object) -> Iterator[None]:
    """Bind ids (``run_id``, ``scene_id``, ``stage``, ``attempt``, ``correlation_id``) to every event within."""
    with structlog.contextvars.bound_contextvars(**ids):
        yield


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """The logger of this process."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger
