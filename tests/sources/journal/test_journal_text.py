"""The journal's text forms become log lines: one an entry, postgrey's under its tag, nobody else's."""

from __future__ import annotations

import io
import json
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.parts import require

from postgrey_exporter.parsing.line import FOREIGN, MALFORMED, NO_DECISION
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.journal.text import BLOCK_BYTES, LONGEST_FIELD, form_of, journal_lines
from sources.journal.journals import BEGIN, POSTFIX, SERVICE, Journal, decisions, entry, greylisted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from postgrey_exporter.sources.journal.text import Form

TAG = "postgrey"


def lines(text: bytes, form: Form, tag: str = TAG) -> bytes:
    return b"".join(journal_lines(io.BufferedReader(io.BytesIO(text)), form, tag))


def as_json(message: object, fields: Mapping[str, object] = SERVICE) -> bytes:
    stamps = {"__CURSOR": "s=1;i=1", "__REALTIME_TIMESTAMP": f"{BEGIN}000001"}
    return json.dumps({**stamps, **fields, "MESSAGE": message}).encode() + b"\n"


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    made = Journal(tmp_path_factory.mktemp("journal"))
    made.append(
        decisions(range(3))
        + entry("connect from mail0.example.com[192.0.2.1]", 3, POSTFIX)
        + entry(greylisted(4).encode() + b" \xe9\xff", 4)
        + entry(f"two\n{greylisted(5)}", 5)
        + entry(f"{greylisted(6)}{'x' * 5000}", 6)
        + entry(None, 7)
    )
    return made


@pytest.mark.parametrize(
    ("output", "form", "counted"),
    [
        pytest.param(["export"], "export", 5, id="export"),
        pytest.param(["json", "--all"], "json", 5, id="json, whole fields"),
        pytest.param(["json"], "json", 4, id="json, a long field is null"),
        pytest.param(["json-pretty"], "json", 4, id="json-pretty"),
        pytest.param(["json-seq"], "json", 4, id="json-seq"),
        pytest.param(["json-sse"], "json", 4, id="json-sse"),
    ],
)
def test_what_journalctl_prints_is_told_by_its_content_and_counted(
    journal: Journal, output: list[str], form: Form, counted: int
) -> None:
    text = subprocess.run(
        [require("journalctl", "systemd"), f"--directory={journal.directory}", "--no-pager", "-o", *output],
        check=True,
        capture_output=True,
    ).stdout
    assert form_of(text[:4096]) == form
    parsed = Parser().parse(lines(text, form), BEGIN + 9)
    assert [decision.time - BEGIN for decision in parsed.decisions] == [0, 1, 2, 4, 6][:counted]
    assert (parsed.lines[FOREIGN], parsed.lines[NO_DECISION], parsed.lines[MALFORMED]) == (1, 2, 5 - counted)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Feb  5 08:38:26 mx1 postgrey[6346]: action=pass, reason=client AWL\n", id="syslog"),
        pytest.param(b"action=greylist, reason=new\n", id="no header"),
        pytest.param(b'{"log": "action=greylist", "stream": "stderr"}\n', id="another program's JSON"),
        pytest.param(b"__CURSOR", id="cut short"),
    ],
)
def test_other_text_is_not_taken_for_the_journal(head: bytes) -> None:
    assert form_of(head) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("text", b"text", id="text"),
        pytest.param([116, 233], b"t\xe9", id="list of bytes"),
        pytest.param("a\nb", b"a#012b", id="newline"),
        pytest.param("é\ud800", b"\xc3\xa9\xed\xa0\x80", id="half a surrogate pair"),
        pytest.param(["first", "second"], b"second", id="several values"),
        pytest.param([], b"", id="empty list"),
        pytest.param([1, "x"], b"", id="list of this and that"),
        pytest.param([300], b"", id="number that is no byte"),
        pytest.param(7, b"7", id="number"),
        pytest.param({"a": 1}, b"", id="object"),
        pytest.param(None, b"action=", id="null: a claim that can't be checked"),
        pytest.param("x" * (LONGEST_FIELD + 1), b"x" * LONGEST_FIELD, id="overlong"),
    ],
)
def test_a_message_in_json_has_many_shapes(message: object, expected: bytes) -> None:
    assert lines(as_json(message), "json") == b"2025-10-09T08:53:20.000001Z journal postgrey: %s\n" % expected


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        pytest.param(b"1760000000000000", b"2025-10-09T08:53:20.000000Z", id="good"),
        pytest.param(b"x", b"0000-00-00T00:00:00Z", id="no number"),
        pytest.param(b"999999999999999999", b"0000-00-00T00:00:00Z", id="year 33658"),
        pytest.param(b"", b"0000-00-00T00:00:00Z", id="empty"),
    ],
)
def test_a_time_that_makes_no_sense_makes_the_line_malformed_not_dated_now(stamp: bytes, expected: bytes) -> None:
    text = b"__REALTIME_TIMESTAMP=%s\nSYSLOG_IDENTIFIER=postgrey\nMESSAGE=action=pass\n\n" % stamp
    made = lines(text, "export")
    assert made.startswith(expected)
    parsed = Parser().parse(made, BEGIN)
    assert (len(parsed.decisions), parsed.lines[MALFORMED]) == ((1, 0) if expected[:1] == b"2" else (0, 1))


def test_an_entry_of_a_megabyte_is_one_line_and_the_next_ones_are_read() -> None:
    huge = b"\xff" * (1 << 20)
    text = decisions([1]) + entry(huge, 2) + entry(b"printable" * 100_000, 3) + decisions([4])
    parsed = Parser().parse(lines(text, "export"), BEGIN)
    assert [decision.time - BEGIN for decision in parsed.decisions] == [1, 4]
    assert parsed.lines[NO_DECISION] == 2
    in_json = (
        as_json(greylisted(1)) + as_json(list(huge)) + b'{"MESSAGE": "' + b"x" * (9 << 20) + b'"}\n' + as_json("y")
    )
    assert lines(in_json, "json").count(b"\n") == 3


def test_what_is_no_entry_is_passed_over() -> None:
    nonsense = b'no json\n[1, 2]\n"text"\n' + b"[" * 100_000 + b'\n{\n\t"a": 1,\n{}\n'
    assert lines(nonsense + as_json(greylisted(1)), "json").count(b"action=greylist") == 1
    assert lines(b"no field\n\n\n" + decisions([1]), "export").count(b"action=greylist") == 1


def test_a_binary_value_that_looks_like_the_next_entry_is_a_value() -> None:
    forged = b"x\n\n__CURSOR=1\nSYSLOG_IDENTIFIER=postgrey\nMESSAGE=" + greylisted(66).encode() + b"\n\n"
    made = lines(entry(forged, 1, POSTFIX) + decisions([2]), "export")
    assert made.count(b"\n") == 2
    assert [decision.time - BEGIN for decision in Parser().parse(made, BEGIN).decisions] == [2]


def test_entries_are_handed_on_in_blocks() -> None:
    blocks = list(journal_lines(io.BufferedReader(io.BytesIO(decisions(range(5000)))), "export", TAG))
    assert len(blocks) > 2
    assert max(map(len, blocks)) < BLOCK_BYTES + 1000
    assert sum(block.count(b"\n") for block in blocks) == 5000


@given(st.binary(max_size=300), st.sampled_from(["json", "export"]))
def test_whatever_the_stream_holds_nothing_is_raised(text: bytes, form: Form) -> None:
    lines(text, form)


_LEGAL = st.dictionaries(
    st.sampled_from(["MESSAGE", "SYSLOG_IDENTIFIER", "_HOSTNAME", "_CMDLINE", "_COMM"]),
    st.one_of(st.binary(max_size=80), st.just(b"postgrey[1]: " + greylisted(1).encode()), st.just(b"postgrey")),
)


@given(st.lists(_LEGAL, max_size=4))
def test_no_other_units_entry_is_ever_counted(found: list[dict[str, bytes]]) -> None:
    """An ordinary user's process may choose its identifier and its text, and newlines in them; not its account."""
    text = b""
    for fields in found:
        text += b"__REALTIME_TIMESTAMP=%d000000\n_UID=1000\n_SYSTEMD_UNIT=session-3.scope\n" % BEGIN
        for name, value in fields.items():
            text += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        text += b"\n"
    made = lines(text, "export")
    parsed = Parser().parse(made, BEGIN)
    assert made.count(b"\n") == parsed.lines[FOREIGN] == len(found)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_both_forms_of_an_entry_make_the_same_line(messages: list[bytes]) -> None:
    in_export = b"".join(entry(message, number) for number, message in enumerate(messages))
    in_json = b"".join(
        json.dumps({**SERVICE, "__REALTIME_TIMESTAMP": f"{BEGIN + number}000000", "MESSAGE": list(message)}).encode()
        + b"\n"
        for number, message in enumerate(messages)
    )
    assert lines(in_export, "export") == lines(in_json, "json")


def test_a_journal_of_another_machine_is_read_from_a_file(tmp_path: Path) -> None:
    piped = tmp_path / "journal.export"
    piped.write_bytes(decisions(range(3)))
    with piped.open("rb") as stream:
        assert b"".join(journal_lines(stream, "export", TAG)).count(b"action=greylist") == 3
