"""``explain``: which entry of which list covers a client, for people and for scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = [sys.executable, "-m", "postgrey_exporter", "explain"]


@pytest.fixture
def lists(tmp_path: Path) -> dict[str, str]:
    """Return the environment that names a whitelist and an ignore file."""
    (tmp_path / "whitelist").write_text("# pools\n/^mx\\d+\\.example\\.com$/\n192.0.2\n")
    (tmp_path / "ignore").write_text("example.net\n")
    return {
        "POSTGREY_EXPORTER_WHITELIST_FILE": str(tmp_path / "whitelist"),
        "POSTGREY_EXPORTER_IGNORE_FILE": str(tmp_path / "ignore"),
    }


@pytest.fixture
def explain(lists: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, *arguments], input=stdin, capture_output=True, env={**os.environ, **lists}, check=False
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.mark.parametrize(
    ("client", "status", "expected"),
    [
        pytest.param(
            ("mx7.example.com", "203.0.113.1"),
            0,
            ("example.com", "whitelist", "whitelist", 2, r"/^mx\d+\.example\.com$/"),
            id="whitelisted by name",
        ),
        pytest.param(
            ("unknown", "192.0.2.9"), 0, ("unknown", "whitelist", "whitelist", 3, "192.0.2"), id="by address"
        ),
        pytest.param(
            ("a.example.net", "203.0.113.1"), 0, ("example.net", "ignore", "ignore", 1, "example.net"), id="ignored"
        ),
        pytest.param(
            ("www.example.org", "2001:db8::1"), 1, ("example.org", None, None, None, None), id="not covered"
        ),
        pytest.param(
            ("mx7.example.com",), 0, ("example.com", "whitelist", "whitelist", 2, None), id="without address"
        ),
    ],
)
def test_the_entry_that_covers_a_client_is_told_as_json(
    explain: Any, tmp_path: Path, client: tuple[str, ...], status: int, expected: tuple[Any, ...]
) -> None:
    done = explain(*client, "--format", "json")
    told = json.loads(done.stdout)
    domain, covered_by, file, line, entry = expected
    assert done.returncode == status
    assert done.stderr == ""
    assert list(told) == ["client_name", "client_address", "domain", "covered_by", "file", "line", "entry"]
    assert told["client_name"] == client[0]
    assert told["client_address"] == (client[1] if len(client) > 1 else "")
    assert (told["domain"], told["covered_by"], told["line"]) == (domain, covered_by, line)
    assert told["file"] == (file and str(tmp_path / file))
    assert entry is None or told["entry"] == entry


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        pytest.param(
            ("unknown", "192.0.2.9"),
            "unknown [192.0.2.9] (domain unknown) is whitelisted by line 3 of {}/whitelist: 192.0.2\n",
            id="whitelisted",
        ),
        pytest.param(
            ("a.example.net",),
            "a.example.net (domain example.net) is ignored by line 1 of {}/ignore: example.net\n",
            id="ignored",
        ),
        pytest.param(
            ("a.example.org", "2001:db8::1"),
            "a.example.org [2001:db8::1] (domain example.org) is covered by no entry\n",
            id="not covered",
        ),
    ],
)
def test_people_get_a_sentence(explain: Any, tmp_path: Path, client: tuple[str, ...], sentence: str) -> None:
    assert explain(*client).stdout == sentence.format(tmp_path)


@pytest.mark.parametrize(
    ("stdin", "status"),
    [
        pytest.param(b"mx1.example.com 203.0.113.1\na.example.net 203.0.113.1\n", 0, id="all covered"),
        pytest.param(b"mx1.example.com 203.0.113.1\na.example.org 203.0.113.1\n", 1, id="one not covered"),
        pytest.param(b"mx1.example.com", 0, id="no address and no line end"),
        pytest.param(b"\r\n  mx1.example.com\t203.0.113.1 \r\n\n", 0, id="blanks"),
        pytest.param(b"", 0, id="nothing"),
    ],
)
def test_a_stream_has_an_answer_a_line(explain: Any, stdin: bytes, status: int) -> None:
    done = explain("-", "--format=json", stdin=stdin)
    assert done.returncode == status
    assert [json.loads(line)["client_name"] for line in done.stdout.splitlines()] == [
        line.split()[0].decode() for line in stdin.splitlines() if line.strip()
    ]


def test_a_line_of_a_stream_that_is_no_client_is_told_and_stops_nothing(explain: Any) -> None:
    done = explain("-", stdin=b"mx1.example.com 203.0.113.1\na b c\nmx2.example.com 999.1.1.1\nmx3.example.com\n")
    assert done.returncode == 2
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["mx1.example.com", "mx3.example.com"]
    assert done.stderr.splitlines() == [
        "postgrey-exporter: standard input, line 2: 'a b c' is no client: write its name, a blank, and its address",
        "postgrey-exporter: standard input, line 3: '999.1.1.1' is no IP address: the name comes first, then it",
    ]


@pytest.mark.parametrize(
    "address",
    [
        *("loopback", "any", "default", "unspecified", "host", "127.1", "127", "10.0.0", "0x7f.0.0.1", "192.0.2.1 "),
        *(
            "192.0.2.256",
            "192.000.002.001",
            "[2001:db8::1]",
            "::g",
            "1:2:3:4:5:6:7::8:9",
            "::0:",
            "\u0661.1.1.1",
            "/24",
            "%eth0",
            "192.0.2.1/x",
            "fe80::1%",
            "192.0.2.1%eth0",
        ),
    ],
)
def test_what_no_log_of_postgreys_calls_an_address_is_none(explain: Any, address: str) -> None:
    alone = explain("mx1.example.com", address)
    assert (alone.returncode, alone.stdout, alone.stderr.count("\n")) == (2, "", 1)
    assert "is no IP address" in alone.stderr
    streamed = explain("-", stdin=f"mx1.example.com {address}\nmx2.example.com 192.0.2.1\n".encode())
    assert [line.split()[0] for line in streamed.stdout.splitlines()][-1:] == ["mx2.example.com"]
    assert streamed.returncode == (0 if address.endswith(" ") else 2)


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "2001:db8::1", "2001:DB8:0:0::1", "::ffff:192.0.2.1", "fe80::1%eth0", "192.0.2.1/32"]
)
def test_every_spelling_of_a_log_is_an_address(explain: Any, address: str) -> None:
    assert explain("mx1.example.com", address).returncode == 0


def test_bytes_that_are_no_text_are_answered_too(explain: Any, tmp_path: Path) -> None:
    (tmp_path / "whitelist").write_bytes(b"/^caf\xe9\\./\n")
    done = explain("-", "--format=json", stdin=b"caf\xe9.example.org 203.0.113.1\ncaf\xc9.example.org 203.0.113.1\n")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(answer["client_name"], answer["covered_by"]) for answer in told] == [
        ("caf\udce9.example.org", "whitelist"),
        ("caf\udcc9.example.org", None),
    ]


def test_control_characters_of_a_name_do_not_reach_the_terminal(explain: Any) -> None:
    assert explain("-", stdin=b"\x1b[2Jmx.example.org 203.0.113.1\n").stdout.startswith("\\x1b[2Jmx.example.org [")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("mx.example.com", "example.com"), "'example.com' is no IP address", id="no address"),
        pytest.param(("-", "192.0.2.1"), "with - the addresses stand beside the names", id="stream and address"),
        pytest.param((), "Missing argument 'CLIENT_NAME'", id="no client"),
        pytest.param(("mx.example.com", "--whitelist-file=/nowhere"), "/nowhere is not there", id="no list"),
        pytest.param(("mx.example.com", "--ignore-file=/"), "/ is a directory: name the list", id="list is a folder"),
        pytest.param(("mx.example.com", "--format=xml"), "'xml' is not one of", id="no such format"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(explain: Any, arguments: tuple[str, ...], message: str) -> None:
    done = explain(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_lines_that_do_not_do_what_they_seem_to_are_told_with_file_and_line(explain: Any, tmp_path: Path) -> None:
    (tmp_path / "whitelist").write_text("example.com\n.example.org\n" + "two words\n" * 30)
    done = explain("mx.example.com")
    told = done.stderr.splitlines()
    assert done.returncode == 0
    assert told[0].startswith(f"postgrey-exporter: {tmp_path}/whitelist:2: .example.org never matches: ")
    assert told[-1] == "postgrey-exporter: and 11 more warnings"
    assert len(told) == 21


def test_a_missing_local_whitelist_is_no_error(explain: Any, tmp_path: Path) -> None:
    done = explain("mx.example.org", f"--whitelist-file={tmp_path}/whitelist.local")
    assert (done.returncode, done.stderr) == (1, "")
