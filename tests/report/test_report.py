from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import pty
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from backports import zstd
from support import article
from support.tallies import tally_of_log

from postgrey_exporter.clients.domains import registrable_domain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMAND = [sys.executable, "-m", "postgrey_exporter"]
ONE = (
    "2026-11-20T10:00:00+00:00 mail postgrey[5]: action=greylist, reason=new, client_name=mx.example.com, "
    "client_address=192.0.2.1, sender=a@example.com, recipient=b@example.org\n"
)
EARLY = ONE.replace("reason=new", "reason=early-retry (120s missing)").replace("T10:00", "T12:30")
PASSED = ONE.replace("action=greylist, reason=new", "action=pass, reason=triplet found, delay=400")


@pytest.fixture
def report(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(tmp_path / "xdg"),
        "POSTGREY_EXPORTER_WHITELIST_FILE": str(tmp_path / "whitelist.local"),
        "POSTGREY_EXPORTER_IGNORE_FILE": str(tmp_path / "ignore"),
    }
    (tmp_path / "whitelist.local").touch()
    (tmp_path / "ignore").touch()

    def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*COMMAND, "report", *map(str, arguments)], input=stdin, capture_output=True, env=environment, check=False
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


def domains(output: str) -> dict[str, int]:
    return {entry["domain"]: entry["greylisted"] for entry in json.loads(output)["domains"]}


def test_the_articles_numbers_are_shown_by_registrable_domain(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(article.log())
    answer = report(tmp_path / "mail.log", "--format", "json")
    assert list(domains(answer.stdout).items()) == [
        ("outlook.com", 579),
        ("amazonses.com", 503 + 28),
        ("facebook.com", 113),
        ("mcsv.net", 54),
        ("rsgsv.net", 52),
        ("mcdlv.net", 48),
        ("asianet.co.th", 17),
    ]


@pytest.mark.parametrize(
    "compress",
    [
        pytest.param(lambda data: data, id="plain"),
        pytest.param(gzip.compress, id="gzip"),
        pytest.param(bz2.compress, id="bzip2"),
        pytest.param(lzma.compress, id="xz"),
        pytest.param(zstd.compress, id="zstd"),
    ],
)
@pytest.mark.parametrize("through_stdin", [pytest.param(False, id="file"), pytest.param(True, id="stdin")])
def test_a_log_is_told_by_its_content_not_by_its_name(
    report: Any, tmp_path: Path, compress: Callable[[bytes], bytes], through_stdin: bool
) -> None:
    content = compress((ONE * 3).encode())
    (tmp_path / "log.txt").write_bytes(content)
    answer = (
        report("-", "--format", "json", stdin=content)
        if through_stdin
        else report(tmp_path / "log.txt", "--format", "json")
    )
    assert domains(answer.stdout) == {"example.com": 3}


def test_logs_of_any_mix_are_added_up(report: Any, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(ONE)
    (tmp_path / "b.gz").write_bytes(gzip.compress(EARLY.encode()))
    answer = json.loads(
        report(tmp_path / "a", tmp_path / "b.gz", "-", "--format", "json", stdin=PASSED.encode()).stdout
    )
    assert answer["decisions"]["greylist"] == {"new": 1, "early-retry": 1}
    assert answer["decisions"]["pass"]["triplet found"] == 1
    assert (answer["since"], answer["until"]) == ("2026-11-20T10:00:00Z", "2026-11-20T12:30:00Z")


def test_a_file_named_twice_or_by_two_names_is_counted_once(report: Any, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text(ONE)
    (tmp_path / "soft").symlink_to(log)
    (tmp_path / "hard").hardlink_to(log)
    answer = report(log, log, tmp_path / "soft", tmp_path / "hard", "--format", "json")
    assert domains(answer.stdout) == {"example.com": 1}


def test_since_and_until_bound_what_counts_and_the_end_is_outside(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(ONE + EARLY)
    bounds = ("--since", "2026-11-20T10:00:00Z", "--until", "2026-11-20T12:30:00+00:00")
    answer = json.loads(report(tmp_path / "mail.log", "--format", "json", *bounds).stdout)
    assert answer["decisions"]["greylist"] == {"new": 1, "early-retry": 0}
    assert (answer["since"], answer["until"]) == ("2026-11-20T10:00:00Z", "2026-11-20T12:30:00Z")


UNNEEDED: Final = {
    *("asyncio", "bz2", "gzip", "h11", "jinja2", "json", "logging", "lzma", "prometheus_client", "requests"),
    *("shutil", "sqlite3", "tldextract", "zoneinfo"),
}


def test_a_report_on_a_plain_log_loads_nothing_that_takes_long_and_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(ONE)
    command = [sys.executable, "-X", "importtime", "-m", "postgrey_exporter", "report", str(tmp_path / "mail.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "postgrey_exporter.report.table" in loaded
    assert loaded & UNNEEDED == set()


def test_no_control_sequence_of_a_files_name_gets_into_a_pipe(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(ONE)
    answer = report(tmp_path / "mail.log", tmp_path / "\x1b[31mmissing")
    assert answer.stdout.endswith(f"PARTIAL: {tmp_path}/\\x1b[31mmissing: no such file\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--since", "2026-02-02", "--until", "2026-01-01"), "is not before --until", id="swapped"),
        pytest.param(("--since", "yesterday"), "is no time", id="no time"),
        pytest.param(("--limit", "0"), "--limit", id="limit"),
        pytest.param(("--threshold", "many"), "--threshold", id="threshold"),
    ],
)
def test_nonsense_in_an_option_is_one_line_and_status_2(
    report: Any, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    (tmp_path / "mail.log").write_text(ONE)
    answer = report(tmp_path / "mail.log", *arguments)
    assert answer.returncode == 2
    assert answer.stderr.count("\n") == 1
    assert words in answer.stderr


def test_the_rest_is_counted_and_called_partial_when_a_log_is_cut_short(report: Any, tmp_path: Path) -> None:
    (tmp_path / "good").write_text(ONE)
    lines = "".join(ONE.replace("192.0.2.1", f"192.0.2.{n % 250}").replace("a@", f"{n * 7919}@") for n in range(5000))
    packed = gzip.compress(lines.encode())
    (tmp_path / "cut.gz").write_bytes(packed[: len(packed) // 2])
    answer = report(tmp_path / "good", tmp_path / "cut.gz", "--format", "json")
    assert answer.returncode == 1
    assert "cut.gz: the archive is damaged or cut short" in answer.stderr
    assert 1000 < domains(answer.stdout)["example.com"] < 5000
    assert len(json.loads(answer.stdout)["problems"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param("missing", None, "no such file", id="missing"),
        pytest.param("garbage.gz", b"\x1f\x8b\x08\x00" + bytes(range(256)), "damaged", id="garbage gz"),
        pytest.param("garbage.xz", b"\xfd7zXZ\x00" + bytes(200), "damaged", id="garbage xz"),
        pytest.param("program", b"\x7fELF\x02\x01\x01\0\0\0" * 9, "binary file", id="binary"),
    ],
)
def test_a_log_that_cannot_be_read_among_others_leaves_the_others_counted(
    report: Any, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    (tmp_path / "good").write_text(ONE)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    answer = report(tmp_path / name, tmp_path / "good")
    assert answer.returncode == 1
    assert f"{name}: " in answer.stderr
    assert words in answer.stderr
    assert "PARTIAL" in answer.stdout
    assert "example.com" in answer.stdout


def test_nothing_readable_at_all_is_status_2(report: Any, tmp_path: Path) -> None:
    answer = report(tmp_path / "missing", tmp_path)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "no such file" in answer.stderr


def test_a_log_that_shrinks_while_it_is_read_is_partial(tmp_path: Path) -> None:
    from postgrey_exporter.parsing.parser import Parser  # noqa: PLC0415
    from postgrey_exporter.pipeline.batch import LogReader, Period  # noqa: PLC0415

    log = tmp_path / "mail.log"
    log.write_text(ONE * 300_000)  # more than is read ahead

    def shrink(_: int) -> None:
        os.truncate(log, 10)

    reader = LogReader(Parser(), Period(), time.time(), shrink)
    reader.read_files([log])
    assert "shrank while it was read" in reader.result.problems[0]
    assert reader.result.tally.lines["decision"] > 0


def test_csv_has_a_line_for_each_domain_below_a_header(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(ONE + EARLY)
    rows = list(csv.DictReader(io.StringIO(report(tmp_path / "mail.log", "--format", "csv").stdout)))
    assert [(row["domain"], row["greylisted"], row["new"], row["early_retry"]) for row in rows] == [
        ("example.com", "2", "1", "1")
    ]


def test_the_limit_cuts_the_list_and_says_so(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(article.log())
    output = report(tmp_path / "mail.log", "--limit", "2").stdout
    assert "amazonses.com" in output
    assert "… and 5 more domains" in output


def test_clients_without_a_name_are_listed_by_network(report: Any, tmp_path: Path) -> None:
    unknown = ONE.replace("mx.example.com", "unknown")
    (tmp_path / "mail.log").write_text(unknown * 2 + unknown.replace("192.0.2.1", "2001:db8::5"))
    output = report(tmp_path / "mail.log").stdout
    assert re.search(r"^192\.0\.2\.0/24 +2 ", output, re.MULTILINE)
    assert re.search(r"^2001:db8::/64 +1 ", output, re.MULTILINE)


def test_each_network_of_clients_without_a_name_has_its_evidence_and_advice(report: Any, tmp_path: Path) -> None:
    unknown = [ONE.replace("mx.example.com", "unknown").replace("a@", f"{name}@") for name in "abc"]
    (tmp_path / "mail.log").write_text(
        "".join(unknown)
        + "".join(unknown)
        .replace("action=greylist, reason=new", "action=pass, reason=triplet found")
        .replace("T10:00", "T10:09")
    )
    table = report(tmp_path / "mail.log").stdout
    assert re.search(r"^192\.0\.2\.0/24 +3 +3 +0 +1 +look +192\.0\.2\.1$", table, re.MULTILINE)
    (network,) = json.loads(report(tmp_path / "mail.log", "--format", "json").stdout)["unknown_networks"]
    assert network == {
        "network": "192.0.2.0/24",
        "greylisted": 3,
        "new": 3,
        "early_retry": 0,
        "clients": 1,
        "messages": 3,
        "moved_messages": 0,
        "delivered_messages": 3,
        "lost_messages": 0,
        "unreviewed": 3,
        "advice": "look",
        "why": "0 of 3 messages changed network, 3 arrived after 9 min in the median",
        "entry": "192.0.2.1",
    }


def on_terminal(arguments: list[str], columns: int, environment: dict[str, str]) -> str:
    """Run a command on a terminal of its own and return what it showed."""
    ours, theirs = pty.openpty()
    import fcntl  # noqa: PLC0415
    import struct  # noqa: PLC0415
    import termios  # noqa: PLC0415

    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                return
            if not data:
                return
            shown.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    cleaned = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    try:
        subprocess.run(arguments, stdout=theirs, stderr=theirs, env=cleaned | environment, check=True, timeout=60)
    finally:
        os.close(theirs)
        reader.join()
    os.close(ours)
    without_progress = re.sub(r"\r[^\r\n]*\x1b\[K", "", b"".join(shown).decode())
    return without_progress.replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_the_table_fits_the_terminal(tmp_path: Path, columns: int) -> None:
    long = ONE.replace("mx.example.com", "mx." + "very-long-name-of-a-sender" * 2 + ".example")
    long = long.replace(".example,", ".com,")
    (tmp_path / "mail.log").write_text(article.log() + long)
    shown = on_terminal([*COMMAND, "report", str(tmp_path / "mail.log")], columns, {"NO_COLOR": "1"})
    table = shown.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= columns
    assert ("NETWORKS" in table[0]) == (columns >= 60)
    assert any(line.startswith("outlook.com") and line.split()[1] == "579" for line in table)


def test_colour_is_for_terminals_without_no_color(report: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(article.log())
    arguments = [*COMMAND, "report", str(tmp_path / "mail.log")]
    colour = re.compile(r"\x1b\[[0-9;]+m")
    assert colour.search(on_terminal(arguments, 80, {}))
    assert not colour.search(on_terminal(arguments, 80, {"NO_COLOR": "1"}))
    assert "\x1b" not in report(tmp_path / "mail.log").stdout


def test_head_ends_the_report_in_silence(tmp_path: Path) -> None:
    names = "".join(ONE.replace("mx.example.com", f"mx.sender{n}.com") for n in range(20_000))
    (tmp_path / "mail.log").write_text(names)
    command = f"{sys.executable} -m postgrey_exporter report {tmp_path}/mail.log | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stderr == b""
    assert done.stdout.decode().splitlines()[0].startswith("DOMAIN")
    assert done.stdout.decode().splitlines()[1] == "0"


def test_without_a_log_the_state_is_reported_also_while_its_writer_runs(report: Any, tmp_path: Path) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from postgrey_exporter.lists import Lists  # noqa: PLC0415
    from postgrey_exporter.state.store import Store  # noqa: PLC0415
    from postgrey_exporter.window import Window  # noqa: PLC0415

    now = datetime.now(UTC)
    line = ONE.replace("2026-11-20T10:00:00+00:00", now.isoformat(timespec="seconds"))
    tally = tally_of_log(line * 4, now.timestamp())
    store = Store(tmp_path / "state.sqlite3", window=Window(), max_domains=10)
    try:
        store.merge("test", tally, {}, Lists(), now.timestamp())
        answer = report("--state", tmp_path / "state.sqlite3", "--format", "json")
    finally:
        store.close()
    assert domains(answer.stdout) == {"example.com": 4}
    assert json.loads(answer.stdout)["decisions"]["greylist"]["new"] == 4


JOURNAL_ENTRY = {
    "__CURSOR": "s=1",
    "__REALTIME_TIMESTAMP": "1795300000000000",
    "_HOSTNAME": "mail",
    "SYSLOG_IDENTIFIER": "postgrey",
    "_PID": "5",
    "_UID": "0",
    "_SYSTEMD_UNIT": "postgrey.service",
    "MESSAGE": ONE.partition("postgrey[5]: ")[2].rstrip(),
}


def test_what_journalctl_prints_is_a_log_too(report: Any) -> None:
    as_json = "".join(json.dumps(JOURNAL_ENTRY) + "\n" for _ in range(3))
    as_export = "".join(f"{name}={value}\n" for name, value in JOURNAL_ENTRY.items()) + "\n"
    assert domains(report("-", "--format", "json", stdin=as_json.encode()).stdout) == {"example.com": 3}
    assert domains(report("-", "--format", "json", stdin=as_export.encode() * 2).stdout) == {"example.com": 2}


def test_a_source_is_read_with_its_rotated_files(tmp_path: Path) -> None:
    from postgrey_exporter.parsing.parser import Parser  # noqa: PLC0415
    from postgrey_exporter.pipeline.batch import LogReader, Period  # noqa: PLC0415
    from postgrey_exporter.sources.file.source import FileSource  # noqa: PLC0415

    (tmp_path / "mail.log").write_text(ONE)
    (tmp_path / "mail.log.1").write_text(EARLY * 2)
    reader = LogReader(Parser(), Period(), (tmp_path / "mail.log").stat().st_mtime)
    reader.read_source(FileSource(tmp_path / "mail.log", 7 * 86400.0))
    assert reader.result.tally.lines["decision"] == 3
    assert (reader.result.logs, reader.result.problems) == (1, [])


def test_a_source_that_can_not_be_read_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    from postgrey_exporter.parsing.parser import Parser  # noqa: PLC0415
    from postgrey_exporter.pipeline.batch import LogReader, Period  # noqa: PLC0415
    from postgrey_exporter.sources.file.source import FileSource  # noqa: PLC0415

    reader = LogReader(Parser(), Period(), 0.0)
    reader.read_source(FileSource(tmp_path / "mail.log", 7 * 86400.0))
    assert (reader.result.logs, reader.result.problems) == (0, [f"{tmp_path}/mail.log: no such file"])


SAMPLE_NAMES = [
    ("mail.example.com", "example.com"),
    ("example.com", "example.com"),
    ("a.b.co.uk", "b.co.uk"),
    ("x.asianet.co.th", "asianet.co.th"),
]


@pytest.mark.parametrize(("name", "domain"), SAMPLE_NAMES)
def test_the_articles_regexes_miss_or_misgroup_what_has_fewer_than_four_labels(name: str, domain: str) -> None:
    line = f"reason=new, client_name={name}, client_address=192.0.2.1"
    assert registrable_domain(name) == domain
    counted = [found[1] for found in (article.COMMAND.search(line), article.PLUGIN.search(line)) if found]
    assert domain not in counted
