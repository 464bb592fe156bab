"""Whether rsyslog's configuration lets another program's message begin a line of its own in the log that is read.

Such a line can pass for postgrey's; docs/bare-lines.md tells what was tried, and what its settings allow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from postgrey_exporter.doctor.check import Check, mend, unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from postgrey_exporter.doctor.machine import Machine

CONFIGURATION: Final = "/etc/rsyslog.conf"

_NAME: Final = "rsyslog"
_RESTART: Final = "then: systemctl restart rsyslog"
_MOST_FILES: Final = 200
_ARGUMENTS: Final = r'\s*\(((?:[^"()]|"(?:[^"\\]|\\.)*")*)\)'
_COMMENT: Final = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_INCLUDE: Final = re.compile(
    r'(?:^\s*\$IncludeConfig\s+|\binclude\s*\([^)]*file\s*=\s*")([^"\s]+)', re.MULTILINE | re.IGNORECASE
)
_KEEPS_BREAKS: Final = re.compile(
    r"^\s*\$EscapeControlCharactersOnReceive\s+off\b"
    r'|\bparser\.escapeControlCharactersOnReceive\s*=\s*"off"|\bescapeLF\s*=\s*"off"',
    re.MULTILINE | re.IGNORECASE,
)
_FROM_NETWORK: Final = re.compile(
    r'\binput\s*\([^)]*type\s*=\s*"im(?:p?tcp|udp|relp)"|^\s*\$(?:InputP?TCP|UDP|InputRELP)ServerRun\b',
    re.MULTILINE | re.IGNORECASE,
)
_TEMPLATE: Final = re.compile(
    r"\btemplate" + _ARGUMENTS + r'|^\s*\$template\s+([^,\s]+)\s*,\s*"([^\n]*)"', re.MULTILINE | re.IGNORECASE
)
_ACTION: Final = re.compile(r"\baction" + _ARGUMENTS + r"|^[^\n]+;[^\n]+$", re.MULTILINE | re.IGNORECASE)
_TAG: Final = re.compile(r"%(?:syslogtag|programname|app-name|rawmsg)\b", re.IGNORECASE)
# RSYSLOG_FileFormat has %msg:::sp-if-no-1st-sp% between the two.
_GLUED: Final = re.compile(r"%syslogtag[^%]*%%msg(?!:::sp-if-no-1st-sp)", re.IGNORECASE)


def checks(machine: Machine, logs: Sequence[Path]) -> list[Check]:
    """Check rsyslog's configuration where the exporter reads log files, which are ``logs``."""
    if not logs:
        return []
    made: list[Check] = []
    texts: dict[Path, str] = {}
    for path, text in _texts(machine):
        if isinstance(text, OSError):
            made.append(unknown(_NAME, f"{path}: {text.strerror}: whether it keeps line breaks can't be told"))
        else:
            texts[path] = text
    templates = [template for text in texts.values() for template in _templates(text)]
    headerless = {name for name, content in templates if "%msg" in content.lower() and not _TAG.search(content)}
    glued = {name for name, content in templates if _GLUED.search(content)}
    for path, text in texts.items():
        for check, found, what, remedy in (
            (
                mend,
                _KEEPS_BREAKS.finditer(text),
                "keeps line breaks in messages, so that any program's message can count as postgrey's",
                f"remove it, {_RESTART}",
            ),
            (
                mend,
                _uses(text, headerless, logs),
                "the template names no program, so that any program's message can count as postgrey's",
                f'use template="RSYSLOG_FileFormat", {_RESTART}',
            ),
            (
                mend,
                _uses(text, glued, logs),
                "the template has no blank behind the tag: a line break in one can begin a line of postgrey's",
                f'use template="RSYSLOG_FileFormat", {_RESTART}',
            ),
            (
                unknown,
                _FROM_NETWORK.finditer(text),
                "takes messages from the network; whoever can send there can write lines as postgrey's",
                "let your own hosts alone reach that port; see docs/bare-lines.md",
            ),
        ):
            made += [check(_NAME, f"{path}:{_line(text, place)}: {what}", remedy) for place in found]
    return made


def _texts(machine: Machine) -> Iterator[tuple[Path, str | OSError]]:
    """Yield the configuration and what it includes, without comments, or why a file can't be read."""
    ahead = [machine.path(CONFIGURATION)]
    seen: set[Path] = set()
    while ahead and len(seen) < _MOST_FILES:
        path = ahead.pop(0)
        if path in seen:
            continue
        seen.add(path)
        try:
            if not path.is_file():
                continue
            text = _COMMENT.sub("", path.read_text(errors="replace"))
        except OSError as error:
            yield path, error
            continue
        yield path, text
        for found in _INCLUDE.finditer(text):
            ahead += sorted(machine.root.glob(found[1].lstrip("/")))


def _templates(text: str) -> Iterator[tuple[str, str]]:
    """Yield the names and strings of templates."""
    for found in _TEMPLATE.finditer(text):
        yield found[2] or _argument("name", found[1]), found[3] or _argument("string", found[1])


def _uses(text: str, templates: Iterable[str], logs: Iterable[Path]) -> Iterator[re.Match[str]]:
    """Yield the actions that write one of the logs by one of the templates."""
    for action in _ACTION.finditer(text):
        target, _, after = action[0].rpartition(";")
        file = _argument("file", action[1]) or (target.split() or [""])[-1].lstrip("-")
        template = _argument("template", action[1]) or after.strip()
        if template in templates and any(str(log).endswith(file) for log in logs if file):
            yield action


def _argument(name: str, arguments: str | None) -> str:
    found = re.search(rf'\b{name}\s*=\s*"((?:[^"\\]|\\.)*)"', arguments or "", re.IGNORECASE)
    return found[1] if found else ""


def _line(text: str, place: re.Match[str]) -> int:
    blanks = len(place[0]) - len(place[0].lstrip())
    return text.count("\n", 0, place.start() + blanks) + 1
