"""The program's own log: one line for each message, whatever is in it, in either form."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from typing import Any, Final

import pytest

from postgrey_exporter.cli import logs
from postgrey_exporter.settings import LOG_FORMATS

NASTY: Final = [
    pytest.param("plain", id="plain"),
    pytest.param("two words", id="blank"),
    pytest.param("", id="empty"),
    pytest.param('a "quoted" word', id="quotes"),
    pytest.param("line one\nline two\r\n", id="line-ends"),
    pytest.param("back\\slash and = sign", id="signs"),
    pytest.param("\x00\x1b[31mred\x7f", id="control"),
    pytest.param("caf\u00e9 \u4f60\u597d", id="not-ascii"),
    pytest.param("broken \udce9 byte", id="surrogate"),
]


class Log:
    """The program's log as it comes out on a terminal's standard error."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._raw = io.BytesIO()
        self.logger = logging.getLogger("postgrey_exporter.test")

    def __call__(
        self, form: Any, message: str, *arguments: object, level: int = logging.ERROR, least: str = "info"
    ) -> list[str]:
        """Log one message and return the lines that came out."""
        self.set_up(least, form)
        self.logger.log(level, message, *arguments)
        return self.lines()

    def set_up(self, least: str, form: Any) -> None:
        self._raw = io.BytesIO()
        terminal = io.TextIOWrapper(self._raw, "utf-8", errors="backslashreplace", write_through=True)
        self._monkeypatch.setattr(sys, "stderr", terminal)
        logs.set_up(least, form)

    def lines(self) -> list[str]:
        written = self._raw.getvalue().decode()
        assert written == "" or written.endswith("\n")
        return written.split("\n")[:-1]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


@pytest.mark.parametrize("message", NASTY)
def test_a_message_is_one_line_of_json_that_says_it(log: Log, message: str) -> None:
    (line,) = log("json", "%s", message)

    fields = json.loads(line)
    assert fields["msg"] == message
    assert fields["level"] == "error"


@pytest.mark.parametrize("message", NASTY)
def test_a_message_is_one_line_of_logfmt_that_says_it(log: Log, message: str) -> None:
    (line,) = log("logfmt", "%s", message)

    found = re.fullmatch(r'ts=\S+ level=error msg=(\S+|"(?:[^"\\]|\\.)*")', line)
    assert found is not None
    said = json.loads(found[1]) if found[1].startswith('"') else found[1]
    assert said == message


@pytest.mark.parametrize("form", LOG_FORMATS)
def test_the_time_is_rfc_3339_in_utc(log: Log, form: str) -> None:
    (line,) = log(form, "x")

    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line)


@pytest.mark.parametrize(
    ("level", "name"),
    [(logging.DEBUG, "debug"), (logging.INFO, "info"), (logging.WARNING, "warn"), (logging.ERROR, "error")],
)
def test_levels_are_named_as_prometheus_names_them(log: Log, level: int, name: str) -> None:
    (line,) = log("logfmt", "x", level=level, least="debug")

    assert f"level={name} " in line


@pytest.mark.parametrize(("least", "count"), [("debug", 4), ("info", 3), ("warn", 2), ("error", 1)])
def test_what_is_less_severe_is_left_out(log: Log, least: str, count: int) -> None:
    levels = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

    assert sum(len(log("logfmt", "x", level=level, least=least)) for level in levels) == count


@pytest.mark.parametrize("form", LOG_FORMATS)
def test_an_exception_is_part_of_the_line(log: Log, form: Any) -> None:
    log.set_up("info", form)
    try:
        raise ValueError("what went wrong")
    except ValueError:
        log.logger.exception("it failed")

    (line,) = log.lines()
    assert "it failed" in line
    assert "what went wrong" in line


def test_setting_up_twice_says_everything_once(log: Log) -> None:
    assert len(log("logfmt", "x")) == 1
    assert len(log("json", "x")) == 1
