"""The program's own log on standard error, as logfmt or JSON lines."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Literal

from postgrey_exporter.wording import as_json_text


def set_up(level: str, form: Literal["logfmt", "json"]) -> None:
    """Log this package's messages to standard error from a level of `settings.LOG_LEVELS` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(form))
    logger = logging.getLogger("postgrey_exporter")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel({"warn": "WARNING"}.get(level, level.upper()))


class _Formatter(logging.Formatter):
    def __init__(self, form: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "ts": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z",
            "level": "warn" if record.levelname == "WARNING" else record.levelname.lower(),
            "msg": record.getMessage(),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        if self._form == "json":
            return as_json_text(fields)
        return " ".join(f"{name}={_logfmt(value)}" for name, value in fields.items())


def _logfmt(value: str) -> str:
    if value and all(character.isalnum() or character in "-_.:/+" for character in value):
        return value
    return as_json_text(value)
