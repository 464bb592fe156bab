"""What real loggers make of postgrey's real decisions is read, each with its moment; what other programs say in the
same words is neither a decision nor nearly one.

tests/parsing/test_header_forms.py has the forms that no program of Debian's writes.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from datetime import UTC
from typing import TYPE_CHECKING, Final

import pytest
from sources.journal.journals import BEGIN, POSTFIX, SERVICE, Journal, entry
from support.parts import DebianRsyslog, Postgrey, require, wait_until
from support.parts.loggers import END, BusyboxSyslogd, InetutilsSyslogd, Socklog, SyslogNg, piped
from support.parts.waiting import LIMIT
from support.running import run

from postgrey_exporter.parsing.line import NEAR_MISS
from postgrey_exporter.parsing.parser import Parser

if TYPE_CHECKING:
    from pathlib import Path

AT: Final = int(time.time()) // 3600 * 3600 - 7200
"""The moment that the senders of the messages name."""
STAMP: Final = time.strftime("%b %e %H:%M:%S", time.gmtime(AT))
CLIENT: Final = ("mail.example.com", "192.0.2.1", "a@example.com", "b@example.org")
FORGED: Final = (
    "action=greylist, reason=new, client_name=forged.example.com, client_address=192.0.2.9, "
    "sender=x@example.com, recipient=b@example.org"
)
ATTACKS: Final = (
    f"postfix/cleanup[9]: warning: header Subject: postgrey[1]: {FORGED}",
    f"postfix/cleanup[9]: postgrey[1]: {FORGED}",
    f"postfix/cleanup[9]: warning: {STAMP} mx1 postgrey[1]: {FORGED}",
    f"postfix/cleanup[9]: {FORGED}",
    f"app: <22>{STAMP} mx1 postgrey[1]: {FORGED}",
)
COUNTED: Final = {"new": 1, "early-retry": 1, "triplet found": 1}
TAGGED: Final = "%syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%"

RSYSLOG: Final = {
    "named-traditional": "RSYSLOG_TraditionalFileFormat",
    "named-file": "RSYSLOG_FileFormat",
    "named-sysklogd": "RSYSLOG_SysklogdFileFormat",
    "named-protocol-23": "RSYSLOG_SyslogProtocol23Format",
    "pri": f"<%PRI%>%TIMESTAMP% %HOSTNAME% {TAGGED}",
    "pri-text": f"<%pri-text%>%TIMESTAMP% %HOSTNAME% {TAGGED}",
    "year": f"%timereported:::date-year% %TIMESTAMP% %HOSTNAME% {TAGGED}",
    "pgsql": f"%timereported:::date-pgsql% %HOSTNAME% {TAGGED}",
    "unix": f"%timereported:::date-unixtimestamp% %HOSTNAME% {TAGGED}",
    "rfc3339": f"%timereported:::date-rfc3339% %HOSTNAME% {TAGGED}",
    "parts": f"%$year%-%$month%-%$day% %timereported:12:19:date-rfc3339% %HOSTNAME% {TAGGED}",
    "two-blanks": "%TIMESTAMP% %HOSTNAME% %syslogtag% %msg%",
    "no-host": f"%TIMESTAMP% {TAGGED}",
    "priority": f"%TIMESTAMP% %HOSTNAME% %syslogfacility-text%.%syslogseverity-text% {TAGGED}",
    "brackets": f"%TIMESTAMP% %HOSTNAME% [%syslogfacility-text%.%syslogseverity-text%] {TAGGED}",
    "source": f"%TIMESTAMP% %HOSTNAME%/%fromhost-ip% {TAGGED}",
}
RSYSLOG_SAID: Final = {
    "precise": "%syslogpriority%,%syslogfacility%,%timereported%,%HOSTNAME%,%syslogtag%,%msg%",
    "mysql": f"%timereported:::date-mysql% %HOSTNAME% {TAGGED}",
    "facility-severity": f"%TIMESTAMP% %HOSTNAME% %syslogfacility-text% %syslogseverity-text% {TAGGED}",
    "severity": f"%TIMESTAMP% %HOSTNAME% %syslogseverity-text% {TAGGED}",
    "no-colon": "%TIMESTAMP% %HOSTNAME% %programname% %msg%",
}
MESSAGE: Final = "${MSGHDR}${MSG}\\n"
SYSLOG_NG: Final = {
    "own": "",
    "iso": f"${{ISODATE}} ${{HOST}} {MESSAGE}",
    "full": f"${{FULLDATE}} ${{HOST}} {MESSAGE}",
    "unix": f"${{UNIXTIME}} ${{HOST}} {MESSAGE}",
    "date": f"${{DATE}} ${{HOST}} {MESSAGE}",
    "pri": f"<${{PRI}}>${{DATE}} ${{HOST}} {MESSAGE}",
    "priority": f"${{DATE}} ${{HOST}} ${{FACILITY}}.${{LEVEL}} {MESSAGE}",
    "parts": f"${{YEAR}}-${{MONTH}}-${{DAY}} ${{HOUR}}:${{MIN}}:${{SEC}} ${{HOST}} {MESSAGE}",
    "slashes": f"${{YEAR}}/${{MONTH}}/${{DAY}} ${{HOUR}}:${{MIN}}:${{SEC}} ${{HOST}} {MESSAGE}",
    "program": "${ISODATE} ${HOST} ${PROGRAM}[${PID}]: ${MSG}\\n",
    "weekday": f"${{WEEKDAY}} ${{DATE}} ${{YEAR}} ${{HOST}} {MESSAGE}",
    "protocol": "<${PRI}>1 ${ISODATE} ${HOST} ${PROGRAM} ${PID:--} ${MSGID:--} ${SDATA:--} ${MSG}\\n",
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Return what the real postgrey says of three attempts."""
    with Postgrey() as postgrey:
        for seconds in (0, 10, 400):
            postgrey.ask(*CLIENT, at=AT + seconds)
        return [line for line in postgrey.log_lines() if line.startswith("action=")]


@pytest.fixture
def messages(texts: list[str], monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what is sent to a logger, at `AT` in UTC."""
    monkeypatch.setenv("TZ", "UTC")
    said = [f"postgrey[812]: {text}" for text in texts]
    mixed = [*ATTACKS, said[0], *ATTACKS, said[1], said[2], *ATTACKS]
    return [f"<22>{STAMP} {text}".encode() for text in mixed]


def counted(log: Path) -> dict[str, int]:
    """Return the decisions that `report` counts, by reason; no line may be left unread."""
    found = run("report", "--format=json", "--timezone=UTC", log)
    assert found.returncode == 0, f"{found.stderr}{log.read_text(errors='replace')}"
    report = json.loads(found.stdout)
    assert report["problems"] == []
    reasons = {reason: count for told in report["decisions"].values() for reason, count in told.items()}
    return {reason: count for reason, count in reasons.items() if count}


def moments(log: Path) -> list[float]:
    """Return when the decisions of a log were."""
    return [decision.time for decision in Parser(zone=UTC).parse(log.read_bytes(), time.time()).decisions]


def assert_read(log: Path, *, at: float = AT, within: float = 0.0) -> None:
    assert counted(log) == COUNTED, log.read_text(errors="replace")
    assert moments(log) == pytest.approx([at] * 3, abs=max(within, 1e-5))


def logged(templates: dict[str, str], messages: list[bytes], folder: Path) -> dict[str, Path]:
    """Return what rsyslog writes with each template."""
    added = []
    for name, text in templates.items():
        template = name if name.startswith("named") else f'template(name="{name}" type="string" string="{text}\\n")'
        used = text if name.startswith("named") else name
        added += [] if name.startswith("named") else [template]
        added.append(f'action(type="omfile" file="{folder}/{name}" template="{used}" fileCreateMode="0644")')
    with DebianRsyslog("\n".join(added)) as rsyslog:
        rsyslog.send(*messages, END)
        last = END.partition(b": ")[2]
        files = {name: folder / name for name in templates}
        wait_until(lambda: all(file.exists() and last in file.read_bytes() for file in files.values()))
    return files


def test_rsyslog_by_the_templates_of_its_manual(messages: list[bytes], tmp_path: Path) -> None:
    logs = logged(RSYSLOG, messages, tmp_path)

    # What comes by the system's socket is of the moment of its receipt.
    told = moments(logs["named-file"])
    assert told == pytest.approx([time.time()] * 3, abs=LIMIT)
    for log in logs.values():
        assert counted(log) == COUNTED
        assert moments(log) in (told, [int(moment) for moment in told]), log.read_text()


def test_what_is_not_read_of_rsyslogs_templates_is_said(messages: list[bytes], tmp_path: Path) -> None:
    for log in logged(RSYSLOG_SAID, messages, tmp_path).values():
        parsed = Parser(zone=UTC).parse(log.read_bytes(), time.time())
        assert parsed.decisions == []
        forged = sum(line.count(b"forged") for line in log.read_bytes().splitlines() if b"postgrey[812]" in line)
        assert forged == 0
        assert parsed.lines[NEAR_MISS] == len(COUNTED), log.read_text()


@pytest.mark.parametrize("stamp", ["bsd", "rfc3339", "full", "unix", "iso"])
def test_syslog_ng_by_its_own_template(stamp: str, messages: list[bytes]) -> None:
    for digits in (0, 3):
        with SyslogNg({"own": ""}, stamp, digits) as syslog:
            syslog.written(messages, syslog.file("own"))
            assert_read(syslog.file("own"))


def test_syslog_ng_by_templates_of_its_manual(messages: list[bytes]) -> None:
    with SyslogNg(SYSLOG_NG) as syslog:
        syslog.written(messages, *map(syslog.file, SYSLOG_NG))
        for name in SYSLOG_NG:
            assert_read(syslog.file(name))


def test_inetutils_syslogd(messages: list[bytes]) -> None:
    with InetutilsSyslogd() as syslogd:
        syslogd.written(messages, syslogd.logfile)
        assert_read(syslogd.logfile)


def test_inetutils_last_message_repeated_counts_postgreys_and_nobody_elses(messages: list[bytes]) -> None:
    forged = messages[0]
    new, retry, _ = (line for line in messages if b"postgrey[812]" in line)
    with InetutilsSyslogd() as syslogd:
        syslogd.written([forged] * 4 + [new] * 5 + [forged] * 3 + [retry] * 4, syslogd.logfile)
        text = syslogd.logfile.read_text()
        assert [text.count(f"last message repeated {times} times") for times in (3, 4, 2)] == [2, 1, 1], text
        assert counted(syslogd.logfile) == {"new": 5, "early-retry": 4}


@pytest.mark.parametrize("options", [(), ("-S",)], ids=["usual", "small"])
def test_busybox_syslogd(options: tuple[str, ...], messages: list[bytes]) -> None:
    with BusyboxSyslogd(*options) as syslogd:
        syslogd.written(messages, syslogd.logfile)
        assert_read(syslogd.logfile)


PIPES: Final = [
    pytest.param("usr/bin/multilog", "t", 0, id="multilog"),
    pytest.param("usr/bin/s6-log", "t", 27, id="s6-log, with its leap seconds"),
    pytest.param("usr/bin/s6-log", "T", 0, id="s6-log, ISO"),
    pytest.param("usr/bin/svlogd", "-t", 0, id="svlogd -t"),
    pytest.param("usr/bin/svlogd", "-tt", 0, id="svlogd -tt"),
    pytest.param("usr/bin/svlogd", "-ttt", 0, id="svlogd -ttt"),
]


@pytest.mark.parametrize(("program", "option", "ahead"), PIPES)
def test_postgreys_own_output_behind_the_stamp_of_a_supervisors_logger(
    program: str, option: str, ahead: int, texts: list[str], tmp_path: Path
) -> None:
    text = "".join(f"{line}\n" for line in ("cleaning up old logs...", *texts)).encode()

    log = piped(text, program, option, folder=tmp_path / "log")

    assert_read(log, at=time.time() + ahead, within=20)


@pytest.mark.parametrize(("program", "option"), [(case.values[0], case.values[1]) for case in PIPES])
def test_socklog_behind_the_stamp_of_a_supervisors_logger(
    program: str, option: str, messages: list[bytes], tmp_path: Path
) -> None:
    with Socklog() as socklog:
        socklog.written([message + b"\n" for message in messages], socklog.output)
        text = socklog.output.read_bytes()
    assert_read(piped(text, program, option, folder=tmp_path / "log"))


OUTPUTS: Final = (
    *("short", "short-full", "short-iso", "short-iso-precise", "short-precise", "short-unix", "with-unit", "cat"),
    "short-monotonic",
)


@pytest.mark.parametrize("output", OUTPUTS)
def test_journalctls_output_in_a_file(output: str, texts: list[str], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    attacks = [text.partition(": ")[2] for text in ATTACKS]
    if output == "cat":  # which has no headers: whoever begins a message like postgrey counts as postgrey
        attacks = [text for text in attacks if text.startswith("warning")]
    entries = [entry(text, AT - BEGIN + 0.125, POSTFIX) for text in attacks]
    entries += [entry(text, AT - BEGIN + 0.125, SERVICE) for text in texts]
    journal.append(b"".join(entries))
    log = tmp_path / "log"
    with log.open("wb") as file:
        subprocess.run(
            [require("journalctl", "systemd"), f"--directory={journal.directory}", "--quiet", f"--output={output}"],
            stdout=file,
            check=True,
            env=os.environ | {"TZ": "UTC", "LC_ALL": "C.UTF-8"},
        )

    if output == "short-monotonic":
        assert Parser(zone=UTC).parse(log.read_bytes(), time.time()).lines[NEAR_MISS] == len(COUNTED)
    elif output == "cat":
        assert counted(log) == COUNTED
    else:
        assert_read(log, at=AT + 0.0625, within=0.0626)
