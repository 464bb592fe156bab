"""The text forms of the systemd journal, JSON and export, as log lines.

So print ``journalctl --output=json`` (also json-pretty, json-seq and json-sse) and ``--output=export``; the latter is
described at https://systemd.io/JOURNAL_EXPORT_FORMATS/. Memory is bounded whatever an entry holds: of a long text the
first `LONGEST_FIELD` bytes are kept, of JSON nothing beyond `LONGEST_JSON`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from postgrey_exporter.sources.journal.entry import Entry, Renderer, trusted_accounts

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

Form = Literal["json", "export"]

LONGEST_FIELD: Final = 64 << 10
"""Bytes of a field that are kept. Postfix hands over less than 8 KiB."""
LONGEST_JSON: Final = 8 << 20
"""Bytes of an entry in JSON that is looked at: 1 MB of binary text, as JSON's list of numbers, takes 5 MB."""
BLOCK_BYTES: Final = 256 << 10
"""Bytes of lines that are handed on together."""

_EXPORT_START: Final = re.compile(rb"\s*(?:__CURSOR|__REALTIME_TIMESTAMP|__MONOTONIC_TIMESTAMP|_BOOT_ID)=")
_JSON_START: Final = re.compile(rb"[\s\x1e]*(?:data: )?\{")
_JSON_FIELD: Final = re.compile(rb'"(?:__CURSOR|__REALTIME_TIMESTAMP|__MONOTONIC_TIMESTAMP|_BOOT_ID|MESSAGE)" ?: ?')
_USUAL_ENTRY: Final = re.compile(
    rb"__CURSOR=([^\n]*)\n__REALTIME_TIMESTAMP=([0-9]{1,18})\n"
    rb"(?:__(?:MONOTONIC_TIMESTAMP|SEQNUM|SEQNUM_ID)=[^\n]*\n)*"
    rb"((?:(?!MESSAGE=|__)[A-Z0-9_]+=[^\n]*\n)*)"
    rb"MESSAGE=([^\n]*)\n"
    rb"((?:(?!MESSAGE=|__)[A-Z0-9_]+=[^\n]*\n)*)\n"
)
"""An entry all in text, in the order of journalctl: cursor, time, other fields, message, other fields."""
_FIELD_NAME: Final = re.compile(rb"[A-Z0-9_]{1,64}\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")


def form_of(head: bytes) -> Form | None:
    """Tell by a stream's first bytes (a few thousand) which form it has; ``None``: no journal's."""
    if _EXPORT_START.match(head):
        return "export"
    return "json" if _JSON_START.match(head) and _JSON_FIELD.search(head) else None


def journal_lines(stream: io.BufferedReader, form: Form, tag: str) -> Iterator[bytes]:
    """Yield blocks of log lines, one line an entry, postgrey's under the tag ``tag``."""
    renderer = Renderer(tag, trusted_accounts(tag))
    block: list[bytes] = []
    size = 0
    for entry in entries(stream, form):
        line = renderer.line(entry)
        block.append(line)
        size += len(line)
        if size >= BLOCK_BYTES:
            yield b"".join(block)
            block.clear()
            size = 0
    if block:
        yield b"".join(block)


def entries(stream: io.BufferedReader, form: Form) -> Iterator[Entry]:
    """Yield the entries of a stream; the end of the stream ends the last one. What is no entry is passed over."""
    return _json_entries(stream) if form == "json" else export_entries(stream)


def export_entries(stream: io.BufferedReader, *, ended: bool = True) -> Iterator[Entry]:
    """Yield the entries of the export format. With ``ended=False`` a last one without its blank line is none."""
    while ahead := stream.peek():
        at = 0
        while True:
            if usual := _USUAL_ENTRY.match(ahead, at):
                at = usual.end()
                cursor, realtime, before, message, after = usual.groups()
                yield Entry(cursor.decode("ascii", "replace"), int(realtime), *_origin(before + after), message)
                continue
            if (end := ahead.find(b"\n\n", at)) < 0:
                break
            try:
                fields = dict([line.split(b"=", 1) for line in ahead[at:end].split(b"\n")])
            except ValueError:
                break  # a value that is told by its length, and may hold anything: to be read from its start
            at = end + 2
            yield _entry(fields)
        if at:
            stream.read(at)
        else:
            fields, whole = _read_fields(stream)
            if fields and (whole or ended):
                yield _entry(fields)


def _read_fields(stream: io.BufferedReader) -> tuple[dict[bytes, bytes], bool]:
    """Read one entry field by field; tell also whether its end was there."""
    fields: dict[bytes, bytes] = {}
    while line := stream.readline(LONGEST_FIELD):
        if line == b"\n":
            return fields, True
        name, equals, value = line.partition(b"=")
        if equals:
            fields[name] = value.removesuffix(b"\n")
            _skip_line(stream, line)
        elif _FIELD_NAME.fullmatch(line):
            fields[line[:-1]] = _binary_value(stream)
        else:
            _skip_line(stream, line)
    return fields, False


def _skip_line(stream: io.BufferedReader, begun: bytes) -> None:
    while begun and not begun.endswith(b"\n"):
        begun = stream.readline(LONGEST_FIELD)


def _binary_value(stream: io.BufferedReader) -> bytes:
    """Read a value that is told by its length: eight bytes, the least significant first, then a newline after it."""
    size = int.from_bytes(stream.read(8), "little")
    kept = stream.read(min(size, LONGEST_FIELD))
    left = size - len(kept) + 1
    while left and (passed := stream.read(min(left, LONGEST_FIELD))):
        left -= len(passed)
    return kept


@lru_cache(maxsize=256)
def _origin(lines: bytes) -> tuple[bytes, bytes, bytes]:
    """Return identifier, unit and account; most entries have the same lines about them."""
    fields = dict([line.split(b"=", 1) for line in lines.split(b"\n") if line])
    return fields.get(b"SYSLOG_IDENTIFIER", b""), fields.get(b"_SYSTEMD_UNIT", b""), fields.get(b"_UID", b"")


def _entry(fields: dict[bytes, bytes]) -> Entry:
    return Entry(
        cursor=fields.get(b"__CURSOR", b"").decode("ascii", "replace"),
        realtime=_microseconds(fields.get(b"__REALTIME_TIMESTAMP", b"")),
        identifier=fields.get(b"SYSLOG_IDENTIFIER", b""),
        unit=fields.get(b"_SYSTEMD_UNIT", b""),
        uid=fields.get(b"_UID", b""),
        message=fields.get(b"MESSAGE", b""),
    )


def _microseconds(text: bytes) -> int:
    return int(text) if _NUMBER.fullmatch(text) else -1


def _json_entries(stream: io.BufferedReader) -> Iterator[Entry]:
    import json  # noqa: PLC0415 - only this form needs it

    for text in _json_texts(stream):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield _entry_of_json(found)


def _json_texts(stream: io.BufferedReader) -> Iterator[bytes]:
    """Yield the text of each object: a line, or what json-pretty spreads from a line ``{`` to a line ``}``."""
    spread: list[bytes] = []
    size = 0
    while line := stream.readline(LONGEST_JSON):
        _skip_line(stream, line)
        text = line.strip(b"\x1e\r\n")
        if text == b"{":
            spread, size = [text], 0
        elif not spread:
            yield text.removeprefix(b"data: ")
        elif text == b"}":
            yield b"".join([*spread, text])
            spread = []
        elif text[:1].isspace() and size < LONGEST_JSON:
            spread.append(text)
            size += len(text)
        else:
            spread = []
            yield text


def _entry_of_json(found: dict[str, Any]) -> Entry:
    return Entry(
        cursor=_json_bytes(found.get("__CURSOR", "")).decode("ascii", "replace"),
        realtime=_microseconds(_json_bytes(found.get("__REALTIME_TIMESTAMP", ""))),
        identifier=_json_bytes(found.get("SYSLOG_IDENTIFIER", "")),
        unit=_json_bytes(found.get("_SYSTEMD_UNIT", "")),
        uid=_json_bytes(found.get("_UID", "")),
        message=None if found.get("MESSAGE", "") is None else _json_bytes(found.get("MESSAGE", "")),
    )


def _json_bytes(value: Any) -> bytes:
    """Return a field's bytes: JSON has them as text, as a list of numbers if they are none, or a list of such."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        value = value[-1]  # a field that was given several times
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")[:LONGEST_FIELD]
    if isinstance(value, list):
        try:
            return bytes(value[:LONGEST_FIELD])
        except (TypeError, ValueError):
            return b""
    return str(value).encode() if isinstance(value, int) else b""
