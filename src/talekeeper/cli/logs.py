"""The log: one line of JSON each, on standard error, with control characters escaped."""

import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

from talekeeper.settings import LogLevel

_LEVELS = logging.getLevelNamesMapping()


def configure_logs(level: LogLevel) -> None:
    """Everything that is logged from `level` on is written, other libraries' warnings too."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Forwarded()], force=True)


class _Unfailing:
    """Where the log goes, which may be a full disk: what logs must not fail for it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Forwarded(logging.Handler):
    """Lines of libraries that use Python's own logging, without their tracebacks: those repeat
    values, and values are what people wrote.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0] if record.exc_info else None
        structlog.stdlib.get_logger().log(
            record.levelno,
            "library",
            logger=record.name,
            message=record.getMessage()[:500],
            error=None if error is None else error.__name__,
        )
