"""One JSON line per event; a failure that repeats is logged when it begins and when it ends, not every time.

Whatever an event carries, no secret and no personal data of a known kind gets into the line.
"""

from __future__ import annotations

import logging
from typing import TextIO

import structlog

from handrail.redact import redact

Logger = structlog.typing.FilteringBoundLogger


def configure(stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send all events as JSON lines with an ISO time stamp to `stream`."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redacted,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )


def _redacted(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    kept = ("event", "level", "timestamp", "part")
    return {name: value if name in kept else _redacted_value(value) for name, value in event.items()}


def _redacted_value(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


def get_logger(name: str) -> Logger:
    """A logger whose events carry the part that wrote them."""
    logger: Logger = structlog.get_logger(part=name)
    return logger


class LogOnce:
    """Remembers what is already known to be failing, so that a poll every few seconds does not fill the disk."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._failing: dict[str, str] = {}

    def failed(self, subject: str, reason: str, **details: object) -> None:
        """Log the failure of `subject`, unless the same reason was the last thing said about it."""
        if self._failing.get(subject) != reason:
            self._failing[subject] = reason
            self._logger.warning("failed", subject=subject, reason=reason, **details)

    def succeeded(self, subject: str) -> None:
        """Log the recovery of `subject`, if it was failing."""
        if (reason := self._failing.pop(subject, None)) is not None:
            self._logger.info("recovered", subject=subject, after=reason)
