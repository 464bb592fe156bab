"""Line breaks in another program's message make no line that counts as postgrey's, by the real loggers' defaults.

docs/bare-lines.md has what is shown here as a table, and the settings that do allow it.
"""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from sources.journal.journald import Journald
from support.parts import DebianRsyslog, wait_until
from support.parts.waiting import LIMIT
from support.running import EXPORTER

from postgrey_exporter.doctor.machine import Machine
from postgrey_exporter.doctor.rsyslog import CONFIGURATION, checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BREAKS: Final = {
    "lf": b"\n",
    "crlf": b"\r\n",
    "cr": b"\r",
    "nul": b"\0",
    "lf-nul": b"\n\0",
    "vertical tab": b"\v",
    "form feed": b"\f",
    "next line": "\x85".encode(),
    "line separator": "\u2028".encode(),
    "octal": b"#012",
    "escaped": b"\\n",
}
FIELDS: Final = b"client_name=m.example.com, client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org"
DECISION: Final = b"action=greylist, reason=new, " + FIELDS
ISO: Final = b"2026-11-30T12:00:00Z"
HEADERS: Final = (b"", b"postgrey[1]: ", ISO + b" mx1 postgrey[1]: ", b"Nov 30 12:00:00 mx1 postgrey[1]: ")
STAMP: Final = b"<22>Nov 30 12:00:00 "
SMTPD: Final = b"postfix/smtpd[1]: "
NO_BLANK: Final = b"app:"
"""A tag without a blank behind it: to rsyslog's imuxsock the text up to the first blank is tag too."""
END: Final = b"postgrey[1]: action=pass, reason=client AWL, " + FIELDS
"""The one decision that is postgrey's: the last message, so that all are written when it is."""
OVERLONG: Final = range(8192 - 200, 8192 + 1)
LINE_MAX: Final = 48 << 10
"""Bytes of a line of standard output after which journald begins another entry (journald.conf, LineMax=)."""


def texts(begin: bytes) -> Iterator[bytes]:
    """Yield what a stranger may have another program say, as a whole message from its tag on."""
    for line_break in BREAKS.values():
        for header in HEADERS:
            yield begin + b"text" + line_break + header + DECISION
            yield begin + line_break + header + DECISION
    yield begin + b"text\n" * 5 + DECISION
    # imuxsock keeps line breaks in a tag, and repeats as many bytes of its end as the escapes before it added.
    for count in range(1, 40):
        yield begin + b"\n" * count + ISO + b" postgrey[1]: " + DECISION
    yield from repeating(begin)
    for action in (b"action=pass,", b"action=greylist,"):
        for field in (b"reason=new", b"reason=", b"client_name=m"):
            for fill in range(3):
                repeated = field + b"x" * fill + b"#012" + action
                if len(repeated) % 3 == 0:
                    breaks = b"\n" * (len(repeated) // 3 - 1)
                    rest = FIELDS.partition(b", ")[2] if field.startswith(b"client") else FIELDS
                    yield begin + breaks + repeated.replace(b"#012", b"\n") + b" " + rest
    # A tag ends at 511 bytes, without a blank.
    for length in range(505, 515):
        filled = begin + b"x" * (length - len(begin))
        yield filled + b"\n: " + DECISION
        yield filled[: -len(ISO)] + b"\n" + ISO + b"mx1 postgrey[1]: " + DECISION


def repeating(begin: bytes) -> Iterator[bytes]:
    """Yield messages whose tag, written again, would be another part of a header."""
    # What is repeated may be a stamp of its own: a line behind an outer stamp.
    for stamp in (b"1764504000.1", b"2026-11-30T12:00:00.123Z", b"2026-11-30T12:00:00.1", b"@40" * 8 + b"0"):
        for before in (b"", b"<22>", b"[mail.info]"):
            for count in range(1, 14):
                yield begin + b"\n" * count + before + stamp + b" mx1 postgrey[1]: " + DECISION
    # JSON holds blanks in a tag without one.
    for header in HEADERS:
        yield begin + b'\n{"log":"' + (header + DECISION).replace(b" ", b"\\u0020") + b'","x":"xxxx "}'


def overlong(begin: bytes, header: bytes = b"") -> Iterator[bytes]:
    """Yield messages with a decision at each place near the longest length that rsyslog takes (maxMessageSize)."""
    for length in OVERLONG:
        yield begin + b"x" * (length - len(begin)) + header + DECISION


def counted(log: Path, folder: Path) -> dict[str, int]:
    """Return the decisions that `report` and `collect` count, by action; both have to agree."""
    report = subprocess.run([*EXPORTER, "report", "--format=json", log], check=True, capture_output=True)
    found = {action: sum(reasons.values()) for action, reasons in json.loads(report.stdout)["decisions"].items()}
    assert collected([f"--mail-log={log}"], folder) == found
    return found


def collected(source: list[str], folder: Path) -> dict[str, int]:
    empty = folder / "empty"
    empty.touch()
    lists = (f"--whitelist-file={empty}", f"--ignore-file={empty}", f"--state={folder / 'state.sqlite3'}")
    metrics = subprocess.run([*EXPORTER, "collect", *source, *lists], check=True, capture_output=True, text=True)
    found = {"greylist": 0, "pass": 0}
    for line in metrics.stdout.splitlines():
        for action in found:
            if line.startswith(f'postgrey_decisions_total{{action="{action}"'):
                found[action] += int(float(line.rpartition(" ")[2]))
    return found


def to_socket(begin: bytes) -> Callable[[DebianRsyslog], None]:
    return lambda rsyslog: rsyslog.send(*(STAMP + text for text in texts(begin)))


def overlong_to_socket(rsyslog: DebianRsyslog) -> None:
    rsyslog.send(*(message for header in HEADERS for message in overlong(STAMP + SMTPD, header)))


def datagrams(rsyslog: DebianRsyslog) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for begin in (SMTPD, NO_BLANK):
            for count, text in enumerate(texts(STAMP + b"mx1 " + begin)):
                sender.sendto(text, ("127.0.0.1", rsyslog.port))
                if count % 50 == 0:  # UDP has no flow control
                    mark = b"%smark %d." % (begin, count)
                    sender.sendto(STAMP + b"mx1 " + mark, ("127.0.0.1", rsyslog.port))
                    written(rsyslog, mark)


def counted_frames(rsyslog: DebianRsyslog) -> None:
    frames = [text for begin in (SMTPD, NO_BLANK) for text in texts(STAMP + b"mx1 " + begin)]
    by_tcp(rsyslog, b"".join(b"%d %s" % (len(frame), frame) for frame in frames))


def overlong_by_tcp(header: bytes) -> Callable[[DebianRsyslog], None]:
    def send(rsyslog: DebianRsyslog) -> None:
        by_tcp(rsyslog, b"".join(text + b"\n" for text in overlong(STAMP + b"mx1 " + SMTPD, header)))

    return send


def by_lines(header: bytes) -> Callable[[DebianRsyslog], None]:
    return lambda rsyslog: by_tcp(rsyslog, STAMP + b"mx1 " + SMTPD + b"text\n" + header + DECISION + b"\n")


def by_tcp(rsyslog: DebianRsyslog, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", rsyslog.port), LIMIT) as sender:
        sender.sendall(content)
        sender.shutdown(socket.SHUT_WR)
        sender.recv(1)  # it has read all


def in_file(rsyslog: DebianRsyslog) -> None:
    text = b"".join(b"1 %s\n" % text for begin in (SMTPD, NO_BLANK) for text in texts(begin))
    (rsyslog.directory / "app.log").write_bytes(text + b"2 done\n3 end of file\n4\n")
    written(rsyslog, b"2 done")


def written(rsyslog: DebianRsyslog, text: bytes) -> None:
    wanted = text.removeprefix(NO_BLANK)
    log = rsyslog.logfile
    wait_until(lambda: log.exists() and wanted in log.read_bytes(), what=f"{wanted!r} in the log")


UDP: Final = 'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{port}")'
TCP: Final = 'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}" $)'
FILE: Final = (
    'module(load="imfile" mode="polling" pollingInterval="1")\n'
    'input(type="imfile" file="{directory}/app.log" tag="app:" $)'
)
ESCAPE_OFF: Final = "$EscapeControlCharactersOnReceive off"
ESCAPE_OFF_TODAY: Final = 'global(parser.escapeControlCharactersOnReceive="off")'
BY_TEXT_ALONE: Final = (
    'template(name="text" type="string" string="%msg:2:$%\\n")\n'
    'action(type="omfile" file="{directory}/log/syslog" template="text")'
)


@dataclass(frozen=True)
class Case:
    """What rsyslog has beside Debian's configuration, and what is sent."""

    added: str
    attack: Callable[[DebianRsyslog], None]


HOLDS: Final = {
    "socket": Case("", to_socket(SMTPD)),
    "socket, text in the tag": Case("", to_socket(NO_BLANK)),
    "socket, traditional": Case("$ActionFileDefaultTemplate RSYSLOG_TraditionalFileFormat", to_socket(NO_BLANK)),
    "socket, overlong": Case("", overlong_to_socket),
    "imudp": Case(UDP, datagrams),
    "imtcp, frames with their length": Case(TCP.replace("$", ""), counted_frames),
    "imtcp, a line a frame": Case(TCP.replace("$", ""), by_lines(b"")),
    "imtcp, overlong": Case(TCP.replace("$", ""), overlong_by_tcp(b"")),
    "imtcp, overlong, rest discarded": Case(
        TCP.replace("$", 'discardTruncatedMsg="on"'), overlong_by_tcp(b"postgrey[1]: ")
    ),
    "imfile": Case(FILE.replace("$", ""), in_file),
    "imfile, several lines a message": Case(FILE.replace("$", 'startmsg.regex="^[0-9]"'), in_file),
}
ALLOWS: Final = {
    "escape off": Case(ESCAPE_OFF, to_socket(SMTPD)),
    "escape off, newer spelling": Case(ESCAPE_OFF_TODAY, to_socket(SMTPD)),
    "imfile, line breaks kept": Case(FILE.replace("$", 'startmsg.regex="^[0-9]" escapeLF="off"'), in_file),
    "template without a tag": Case(BY_TEXT_ALONE, lambda rsyslog: rsyslog.send(STAMP + b"app[1]: " + DECISION)),
    "template without a tag, older spelling": Case(
        '$template text,"%msg:2:$%\\n"\n*.*;auth.none -{directory}/log/syslog;text',
        lambda rsyslog: rsyslog.send(STAMP + b"app[1]: " + DECISION),
    ),
    "template without a blank behind the tag": Case(
        'template(name="glued" type="string" string="%TIMESTAMP:::date-rfc3339% %HOSTNAME% %syslogtag%%msg%\\n")\n'
        'action(type="omfile" file="{directory}/log/syslog" template="glued")',
        lambda rsyslog: rsyslog.send(
            STAMP + NO_BLANK + b"text\n2026-11-30T12:00:00.111 mx1 postgrey[1]: " + DECISION
        ),
    ),
    "imtcp, a line a frame, with a tag": Case(TCP.replace("$", ""), by_lines(b"postgrey[1]: ")),
    "imtcp, overlong, with a tag": Case(TCP.replace("$", ""), overlong_by_tcp(b"postgrey[1]: ")),
}


def forged(case: Case, folder: Path) -> int:
    """Return how many decisions are counted that are not postgrey's."""
    with DebianRsyslog(case.added) as rsyslog:
        case.attack(rsyslog)
        rsyslog.send(STAMP + END)
        written(rsyslog, END)
        rsyslog.stop()
        return sum(counted(rsyslog.logfile, folder).values()) - 1


@pytest.mark.parametrize("case", HOLDS.values(), ids=HOLDS.keys())
def test_no_line_break_in_a_message_makes_a_line_that_counts(case: Case, tmp_path: Path) -> None:
    assert forged(case, tmp_path) == 0


@pytest.mark.parametrize("case", ALLOWS.values(), ids=ALLOWS.keys())
def test_a_setting_that_allows_such_lines_is_told_by_the_doctor(case: Case, tmp_path: Path) -> None:
    assert forged(case, tmp_path) > 0
    assert told(case.added, tmp_path)


def test_debians_configuration_gives_the_doctor_nothing_to_say(tmp_path: Path) -> None:
    assert told("", tmp_path) == []


def told(added: str, folder: Path) -> list[str]:
    """Return what the doctor says of Debian's configuration with an addition in a file that it includes."""
    root = folder / "root"
    (root / "etc/rsyslog.d").mkdir(parents=True)
    (root / "etc/rsyslog.conf").write_text(Path(CONFIGURATION).read_text())
    (root / "etc/rsyslog.d/own.conf").write_text("# own\n" + added.replace("{directory}/log", "/var/log"))
    found = checks(Machine(root, 0.0, lambda _: (404, "")), [root / "var/log/syslog"])
    assert all(str(root / "etc/rsyslog.d/own.conf:") in check.text for check in found)
    return [check.text for check in found]


@pytest.mark.parametrize("way", ["standard output", "syslog", "native", "overlong"])
def test_no_line_break_in_a_journal_entry_makes_a_line_that_counts(way: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        journald = stack.enter_context(Journald())
        ours = stack.enter_context(journald.stream("postgrey", "postgrey.service"))
        theirs = stack.enter_context(journald.stream("app", "app.service"))

        def send(text: bytes) -> None:
            if way == "syslog":
                journald.send_syslog(STAMP + NO_BLANK + text)
            elif way == "native":
                journald.send([("SYSLOG_IDENTIFIER", b"app\npostgrey"), ("MESSAGE", text)])
            else:
                theirs.sendall(text + b"\n")

        for text in (b"x" * LINE_MAX + header + DECISION for header in HEADERS) if way == "overlong" else texts(b""):
            send(text)
        send(b" all was sent")
        journald.holds("all was sent")
        ours.sendall(END.partition(b": ")[2] + b"\nlast words\n")
        journald.holds("last words")
        found = collected([f"--journal-directory={journald.files}", "--window=3650d"], tmp_path)
    assert found == {"greylist": 0, "pass": 1}
