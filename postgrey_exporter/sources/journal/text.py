"""Reads the text forms of the systemd journal: JSON and the export format.

``journalctl --output=json`` prints JSON (also json-pretty, json-seq and json-sse); ``--output=export`` prints the
export format, see https://systemd.io/JOURNAL_EXPORT_FORMATS/. Memory is bounded whatever an entry holds: only the
first `LONGEST_FIELD` bytes of a field are kept, and an entry in JSON is read up to `LONGEST_JSON` bytes.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from postgrey_exporter.sources.blocks import joined
from postgrey_exporter.sources.journal.entry import Entry, Renderer, trusted_accounts

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

Form = Literal["json", "export"]

LONGEST_FIELD: Final = 64 << 10
"""Bytes of a field that are kept. postgrey gets less than 8 KiB from Postfix."""
LONGEST_JSON: Final = 8 << 20
"""Bytes of an entry in JSON that are read: 1 MB of binary text takes 5 MB as JSON's list of numbers."""
BLOCK_BYTES: Final = 256 << 10
"""Bytes of lines in one block."""

# The first entry may be cut: the text is a ring buffer's, or the end of another one.
_EXPORT_START: Final = re.compile(rb"(?:\A\s*|\n\n)(?:__CURSOR|__REALTIME_TIMESTAMP|__MONOTONIC_TIMESTAMP|_BOOT_ID)=")
_JSON_START: Final = re.compile(rb"\A(?:[^\n]*\}\s*\n)?[\s\x1e]*(?:data: )?\{")
_JSON_FIELD: Final = re.compile(rb'"(?:__CURSOR|__REALTIME_TIMESTAMP|__MONOTONIC_TIMESTAMP|_BOOT_ID|MESSAGE)" ?: ?')
_USUAL_ENTRY: Final = re.compile(
    rb"__CURSOR=([^\n]*)\n__REALTIME_TIMESTAMP=([0-9]{1,18})\n"
    rb"(?:__(?:MONOTONIC_TIMESTAMP|SEQNUM|SEQNUM_ID)=[^\n]*\n)*"
    rb"((?:(?!MESSAGE=|__)[A-Z0-9_]+=[^\n]*\n)*)"
    rb"MESSAGE=([^\n]*)\n"
    rb"((?:(?!MESSAGE=|__)[A-Z0-9_]+=[^\n]*\n)*)\n"
)
"""An entry without binary fields, in journalctl's order: cursor, time, other fields, message, other fields."""
_FIELDS: Final = ("__CURSOR", "__REALTIME_TIMESTAMP", "SYSLOG_IDENTIFIER", "_SYSTEMD_UNIT", "_UID", "MESSAGE")
_FIELD_NAME: Final = re.compile(rb"[A-Z0-9_]{1,64}\n")
_NUMBER: Final = re.compile(rb"[0-9]{1,18}")


def form_of(head: bytes) -> Form | None:
    """Return the form of a stream by its first bytes (a few thousand); ``None`` if it is not the journal's."""
    if _EXPORT_START.search(head):
        return "export"
    return "json" if _JSON_START.match(head) and _JSON_FIELD.search(head) else None


def journal_lines(stream: io.BufferedReader, form: Form, tag: str) -> Iterator[bytes]:
    """Yield blocks of log lines, one for each entry. ``tag`` is postgrey's syslog tag."""
    renderer = Renderer(tag, trusted_accounts(tag))
    entries = _json_entries(stream) if form == "json" else export_entries(stream)
    return joined(map(renderer.line, entries), BLOCK_BYTES)


def export_entries(stream: io.BufferedReader, *, ended: bool = True) -> Iterator[Entry]:
    """Yield the entries of the export format. Unless ``ended``, drop a last one without its blank line."""
    while ahead := stream.peek():
        at = 0
        while usual := _USUAL_ENTRY.match(ahead, at):
            at = usual.end()
            cursor, realtime, before, message, after = usual.groups()
            yield Entry(cursor.decode("ascii", "replace"), int(realtime), *_origin(before + after), message)
        if at:
            stream.read(at)
        else:
            fields, whole = _read_fields(stream)
            if fields and (whole or ended):
                yield _entry(fields)


def _read_fields(stream: io.BufferedReader) -> tuple[dict[bytes, bytes], bool]:
    """Read one entry field by field. Returns also whether its end was there."""
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
    """Read a binary value: its length in eight bytes, the least significant first, the value, and a newline."""
    size = int.from_bytes(stream.read(8), "little")
    kept = stream.read(min(size, LONGEST_FIELD))
    left = size - len(kept) + 1
    while left and (skipped := stream.read(min(left, LONGEST_FIELD))):
        left -= len(skipped)
    return kept


@lru_cache(maxsize=256)
def _origin(lines: bytes) -> tuple[bytes, bytes, bytes]:
    """Return identifier, unit and account. Cached, because most entries have the same lines."""
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
    """Yield the text of each object: one line, or with json-pretty the lines from ``{`` to ``}``."""
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
    entry = _entry({name.encode(): _json_bytes(found[name]) for name in _FIELDS if name in found})
    return entry._replace(message=None) if found.get("MESSAGE", "") is None else entry


def _json_bytes(value: Any) -> bytes:
    """Return a field's bytes, which JSON has as text, as a list of numbers if binary, or as a list of either."""
    if isinstance(value, list) and value and not isinstance(value[0], int):
        value = value[-1]  # the field occurs several times
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")[:LONGEST_FIELD]
    if isinstance(value, list):
        try:
            return bytes(value[:LONGEST_FIELD])
        except (TypeError, ValueError):
            return b""
    return str(value).encode() if isinstance(value, int) else b""
