"""Bad input: one clear line on standard error that names the thing and the remedy, exit 2, never a traceback."""

from __future__ import annotations

import grp
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import FOREIGN, decision
from support.parts import free_port, wait_until
from support.running import EXPORTER, Files, Serve, environment, run, without_privileges

from postgrey_exporter.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GREYLISTED: Final = 'postgrey_decisions_total{action="greylist",reason="new"}'
LISTEN: Final = ("--web.listen-address", "127.0.0.1:0")
ROOT: Final = os.geteuid() == 0


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def line_of(stderr: str) -> str:
    """Return the one line that was said, without the program's name."""
    assert stderr.count("\n") == 1, stderr
    assert stderr.startswith("postgrey-exporter: "), stderr
    assert stderr.endswith("\n"), stderr
    return stderr.removeprefix("postgrey-exporter: ").rstrip("\n")


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """Return what a command said that refused to work."""
    assert (result.returncode, result.stdout) == (2, ""), result
    return line_of(result.stderr)


def refused_to_unprivileged(*arguments: str | Path, home: Path | None = None) -> str:
    """Return what a command says that refuses to work for one who may not do everything."""
    return refused(run(*arguments, before=without_privileges(), HOME=str(home or "/nonexistent")))


class Cli:
    """The command line in this process: as the real one, and quicker."""

    def __init__(self, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capfd = capfd
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = [*map(str, arguments)]
        self._monkeypatch.setattr(sys, "argv", ["postgrey-exporter", *words])
        self._monkeypatch.setenv("STATE_DIRECTORY", "/dev/null")  # what is not refused before ends there
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self._capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(words, ended.value.code, out, err)

    def refusal(self, *arguments: str | Path) -> str:
        return refused(self(*arguments))

    def serve(self, files: Files, *arguments: str | Path) -> str:
        return self.refusal("serve", *files.options, *LISTEN, *arguments)

    def collect(self, files: Files, *arguments: str | Path) -> str:
        return self.refusal("collect", *files.options, *arguments)


class ServedError(Exception):
    """A `serve` that should have refused to."""


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    def stop(*_: object) -> None:
        raise ServedError

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield Cli(capfd, monkeypatch)
    signal.alarm(0)
    for number, handler in handlers.items():
        signal.signal(number, handler)


# --- nonsense in an option


NONSENSE: Final = [
    pytest.param("--window", "nonsense", "'nonsense' is no duration; write it like 7d, 36h or 90m", id="window"),
    pytest.param("--window", "90m", "'90m' is no window; it has to be full hours", id="window-of-90-minutes"),
    pytest.param(
        "--window", "0d", "'0d' is no window; it has to be full hours, at least one", id="window-of-nothing"
    ),
    pytest.param("--window", "99999999999w", "is too long: more than a hundred years", id="window-of-centuries"),
    pytest.param("--window", "9" * 5000 + "d", "is no duration", id="window-of-5000-digits"),
    pytest.param("--timezone", "Nowhere", "'Nowhere' is no known time zone; name one like Europe/Berlin", id="zone"),
    pytest.param("--timezone", "../../etc/passwd", "is no known time zone", id="zone-path"),
    pytest.param("--timezone", "", "is no known time zone", id="zone-empty"),
    pytest.param("--syslog-tag", "", "'' is no syslog tag", id="tag-empty"),
    pytest.param("--syslog-tag", "post grey", "'post grey' is no syslog tag; it has no blanks", id="tag-blank"),
    pytest.param("--syslog-tag", "postgrey[1]", "is no syslog tag", id="tag-with-pid"),
    pytest.param("--syslog-tag", "postgrey:", "is no syslog tag", id="tag-with-colon"),
    pytest.param("--syslog-tag", "gr\u00e9y", "is no syslog tag", id="tag-not-ascii"),
    pytest.param("--max-domains", "many", "'many' is not a valid integer", id="domains-word"),
    pytest.param("--max-domains", "0", "0 is not in the range", id="domains-none"),
    pytest.param("--max-domains", "-5", "-5 is not in the range", id="domains-negative"),
    pytest.param("--max-domains", "1.5", "'1.5' is not a valid integer", id="domains-fraction"),
    pytest.param("--max-domains", "99999999999999999999", "is not in the range", id="domains-endless"),
    pytest.param("--log.level", "loud", "'loud' is not one of 'debug', 'info', 'warn', 'error'", id="level"),
    pytest.param("--log.format", "xml", "'xml' is not one of 'logfmt', 'json'", id="format"),
    pytest.param("--threshold", "few", "'few' is not a valid integer", id="threshold-word"),
    pytest.param("--threshold", "0", "0 is not in the range", id="threshold-none"),
    pytest.param("--web.listen-address", "nonsense", "'nonsense' is no address; write HOST:PORT", id="listen-word"),
    pytest.param("--web.listen-address", "127.0.0.1", "is no address", id="listen-no-port"),
    pytest.param("--web.listen-address", "127.0.0.1:", "is no address", id="listen-empty-port"),
    pytest.param("--web.listen-address", "127.0.0.1:http", "is no address", id="listen-port-name"),
    pytest.param("--web.listen-address", "127.0.0.1:65536", "is no address", id="listen-port-too-large"),
    pytest.param("--web.listen-address", "127.0.0.1:-1", "is no address", id="listen-port-negative"),
    pytest.param("--web.listen-address", "127.0.0.1:" + "9" * 5000, "is no address", id="listen-port-endless"),
    pytest.param("--web.listen-address", "::1:80", "is no address", id="listen-ipv6-without-brackets"),
    pytest.param("--web.listen-address", "", "is no address", id="listen-empty"),
    pytest.param("--web.telemetry-path", "metrics", "is no path for metrics; write one like /metrics", id="path"),
    pytest.param("--web.telemetry-path", "/", "is no path for metrics", id="path-of-the-page"),
    pytest.param("--web.telemetry-path", "/-/healthy", "is no path for metrics", id="path-of-health"),
    pytest.param("--web.telemetry-path", "/a?b", "is no path for metrics", id="path-with-a-query"),
]


@pytest.mark.parametrize(("option", "text", "words"), NONSENSE)
def test_nonsense_in_an_option_is_named(cli: Cli, option: str, text: str, words: str) -> None:
    line = cli.refusal("serve", option, text)

    assert f"'{option}'" in line
    assert words in line


@pytest.mark.parametrize(("option", "text", "words"), [one for one in NONSENSE if one.values[1]])
def test_nonsense_in_an_environment_variable_is_named_by_its_option(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, option: str, text: str, words: str
) -> None:
    variable = "POSTGREY_EXPORTER_" + option.removeprefix("--").replace("-", "_").replace(".", "_").upper()
    monkeypatch.setenv(variable, text)

    line = cli.refusal("serve")

    assert f"'{option}'" in line
    assert words.partition(" is not in")[0].partition(";")[0] in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["nonsense"], "No such command 'nonsense'", id="command"),
        pytest.param(["serve", "--nonsense"], "No such option", id="option"),
        pytest.param(["serve", "--mail-log"], "Option '--mail-log' requires an argument", id="missing-value"),
        pytest.param(["serve", "mail.log"], "unexpected extra argument (mail.log)", id="argument"),
        pytest.param(["collect", "--threshold", "5"], "No such option", id="option-of-another-command"),
        pytest.param(["--nonsense"], "No such option", id="option-before-the-command"),
        pytest.param(["serve", "--threshold=5", "--window"], "requires an argument", id="value-cut-off"),
    ],
)
def test_a_nonsensical_command_line_is_named(cli: Cli, arguments: list[str], words: str) -> None:
    assert words in cli.refusal(*arguments)


# --- the log


def test_a_missing_log_is_an_error_of_collect(files: Files, cli: Cli) -> None:
    assert cli.collect(files) == f"{files.log}: no such file"


def test_a_missing_log_is_named_and_waited_for_by_serve(files: Files) -> None:
    with Serve(files) as serving:
        wait_until(lambda: "no such file; waiting for it" in serving.words())
        assert serving.value(f'postgrey_exporter_source_up{{source="{files.log}"}}') == 0
        files.append(decision(time.time()))
        assert serving.value(f'postgrey_exporter_source_up{{source="{files.log}"}}') == 1
        assert serving.value(GREYLISTED) == 1
        words = serving.words()

    assert words.count("no such file") == 1
    assert f"{files.log}: can be read again" in words


def test_of_several_logs_the_missing_one_is_named_and_the_others_are_kept(files: Files, cli: Cli) -> None:
    files.append(decision(time.time()))
    output = files.log.with_name("metrics.prom")

    line = cli.collect(files, "--mail-log", files.log.with_name("missing.log"), "--output", output)

    assert line == f"{files.log.with_name('missing.log')}: no such file"
    assert files.counted() == 1
    assert f'postgrey_exporter_source_up{{source="{files.log}"}} 1.0' in output.read_text()


@pytest.mark.parametrize("command", ["serve", "collect"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda log: log.mkdir(), "is a directory; name a log file", id="directory"),
        pytest.param(os.mkfifo, "is no regular file; name a log file", id="fifo"),
        pytest.param(
            lambda log: log.write_bytes(b"\x7fELF\x02\x01\x01\0\0\0" * 500), "is a binary file", id="binary"
        ),
        pytest.param(lambda log: log.symlink_to(log), "Too many levels of symbolic links", id="endless-link"),
    ],
)
def test_what_is_no_log_is_refused(
    files: Files, cli: Cli, command: str, make: Callable[[Path], None], words: str
) -> None:
    make(files.log)

    line = cli.serve(files) if command == "serve" else cli.collect(files)

    assert line.startswith(f"{files.log}: {words}")


def test_the_group_that_may_read_a_log_is_named(files: Files) -> None:
    files.append(decision(time.time()))
    files.log.chmod(0o040)
    if ROOT:
        os.chown(files.log, -1, grp.getgrnam("adm").gr_gid)
    group = grp.getgrgid(files.log.stat().st_gid).gr_name
    expected = f"{files.log}: permission denied; group {group!r} may read it: add the exporter's user to that group"

    assert refused_to_unprivileged("serve", *files.options, *LISTEN) == expected
    assert refused_to_unprivileged("collect", *files.options) == expected


def test_the_group_that_may_read_a_logs_folder_is_named(files: Files) -> None:
    folder = files.log.parent / "log"
    folder.mkdir()
    (folder / "mail.log").touch()
    group = grp.getgrgid(folder.stat().st_gid).gr_name
    folder.chmod(0o050)
    try:
        line = refused_to_unprivileged("collect", *files.options[2:], "--mail-log", folder / "mail.log")
    finally:
        folder.chmod(0o700)

    assert line.startswith(str(folder))
    assert f": permission denied; group {group!r} may read it" in line


def test_an_empty_log_is_no_error(files: Files, cli: Cli) -> None:
    files.log.touch()

    done = cli("collect", *files.options)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{GREYLISTED} 0.0\n" in done.stdout


def test_a_line_of_10_megabytes_is_one_line(files: Files, cli: Cli) -> None:
    long = decision(time.time()).rstrip("\n") + "x" * 10_000_000 + "\n"
    files.append(decision(time.time()), long, "y" * 10_000_000 + "\n", FOREIGN, decision(time.time()))

    done = cli("collect", *files.options)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{GREYLISTED} 2.0\n" in done.stdout
    lines = {outcome: count for (_, outcome), count in files.snapshot().lines.items() if count}
    assert lines == {"decision": 2, "malformed": 1, "foreign": 2}


def test_a_log_without_a_line_of_postgreys_is_said_after_the_start(files: Files) -> None:
    files.append(FOREIGN, FOREIGN)
    with Serve(files) as serving:
        wait_until(lambda: f"{files.log}: there is no line of postgrey's" in serving.words())
        assert serving.value(f'postgrey_exporter_source_up{{source="{files.log}"}}') == 1


@pytest.mark.parametrize("option", ["--mail-log", "--state", "--whitelist-file", "--ignore-file", "--output"])
def test_a_name_that_is_no_text_is_refused(files: Files, cli: Cli, option: str) -> None:
    line = cli.collect(files, option, os.fsdecode(b"/tmp/mail\xff.log"))

    assert f"'{option}'" in line
    assert r"b'/tmp/mail\xff.log' is no UTF-8; give the file another name" in line


# --- the state


@pytest.fixture
def closed(files: Files) -> Path:
    """A folder that the exporter may look into and not write to."""
    folder = files.state.parent / "closed"
    folder.mkdir(mode=0o500)
    return folder


def test_an_unwritable_state_folder_is_named(files: Files, closed: Path) -> None:
    files.log.touch()
    state = closed / "state.sqlite3"

    line = refused_to_unprivileged("serve", *files.options, *LISTEN, "--state", state)

    assert line == f"{state}: the state can't be written: Permission denied; name a writable file with --state"


def test_an_unwritable_state_is_named(files: Files, cli: Cli) -> None:
    files.log.touch()
    assert cli("collect", *files.options).returncode == 0
    files.state.chmod(0o400)

    line = refused_to_unprivileged("serve", *files.options, *LISTEN)

    assert line.startswith(f"{files.state}: the state can't be written: Permission denied; name a writable file")


def test_a_state_that_may_not_be_read_is_named(files: Files, cli: Cli) -> None:
    files.log.touch()
    assert cli("collect", *files.options).returncode == 0
    files.state.chmod(0)

    line = refused_to_unprivileged("serve", *files.options, *LISTEN)

    assert line.startswith(f"{files.state}: the state can't be written: Permission denied")


def test_the_default_state_folder_is_named_when_it_can_not_be_made(files: Files, closed: Path) -> None:
    files.log.touch()
    line = refused_to_unprivileged("collect", "--mail-log", files.log, home=closed)

    assert line.startswith(f"{closed}/.local/state/postgrey-exporter/state.sqlite3: the state can't be written")


def test_another_programs_database_is_left_as_it_is(files: Files, cli: Cli) -> None:
    files.log.touch()
    with closing(sqlite3.connect(files.state)) as db:
        db.execute("CREATE TABLE invoice (amount)")
    before = files.state.read_bytes()

    assert "is another program's database; name another file with --state" in cli.serve(files)
    assert files.state.read_bytes() == before


def test_a_state_of_a_newer_version_is_left_as_it_is(files: Files, cli: Cli) -> None:
    files.log.touch()
    assert cli("collect", *files.options).returncode == 0
    with closing(sqlite3.connect(files.state)) as db:
        db.execute("PRAGMA user_version = 4711")
    before = files.state.read_bytes()

    assert "was written by a newer version (format 4711" in cli.collect(files)
    assert files.state.read_bytes() == before


def test_a_damaged_state_is_set_aside_and_the_log_is_read_anew(files: Files, cli: Cli) -> None:
    files.append(decision(time.time()))
    files.state.write_bytes(b"junk" * 4096)

    done = cli("collect", *files.options)

    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "the state is damaged" in done.stderr
    assert f"it is kept as {files.state}.damaged-1" in done.stderr
    assert f"{GREYLISTED} 1.0\n" in done.stdout


# --- the web server and the output


def test_a_port_in_use_is_named(files: Files, cli: Cli) -> None:
    files.log.touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = cli.serve(files, "--web.listen-address", address)

    assert line == f"{address}: can't listen there: Address already in use; choose another with --web.listen-address"


def test_a_host_that_is_not_this_machine_is_named(files: Files, cli: Cli) -> None:
    files.log.touch()
    port = free_port()

    line = cli.serve(files, "--web.listen-address", f"192.0.2.1:{port}")

    assert line.startswith(f"192.0.2.1:{port}: can't listen there: Cannot assign requested address")


def test_an_impossible_host_is_named(files: Files, cli: Cli) -> None:
    files.log.touch()

    assert cli.serve(files, "--web.listen-address", "..:10123").startswith("..:10123: can't listen there: ")


def test_an_output_is_replaced_in_one_rename(files: Files, cli: Cli) -> None:
    output = files.log.with_name("metrics.prom")
    output.write_text("old\n")
    files.append(decision(time.time()))
    with output.open() as reader:
        done = cli("collect", *files.options, "--output", output)
        assert reader.read() == "old\n"

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert f"{GREYLISTED} 1.0\n" in output.read_text()
    assert output.stat().st_mode & 0o777 == 0o644
    assert not list(output.parent.glob(".metrics*"))


def test_an_output_that_can_not_be_written_is_named_and_left(files: Files, closed: Path, cli: Cli) -> None:
    files.log.touch()
    line = refused_to_unprivileged("collect", *files.options, "--output", closed / "x.prom")
    assert line == f"{closed}/x.prom: can't be written: Permission denied"

    assert cli.collect(files, "--output", files.log.parent) == f"{files.log.parent}: can't be written: Is a directory"
    missing = files.log.parent / "missing" / "x.prom"
    assert cli.collect(files, "--output", missing) == f"{missing}: can't be written: No such file or directory"
    assert not list(files.log.parent.parent.glob(f".{files.log.parent.name}*"))


def test_a_full_standard_output_is_named(files: Files) -> None:
    files.append(decision(time.time()))
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [*EXPORTER, "collect", *files.options],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )

    assert done.returncode == 2
    assert line_of(done.stderr) == "standard output: can't be written: no space is left; make some"


def test_a_reader_that_has_seen_enough_is_no_error(files: Files) -> None:
    files.append(decision(time.time()))
    with subprocess.Popen(
        [*EXPORTER, "collect", *files.options], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, words = process.communicate(timeout=60)

    assert (process.returncode, words) == (0, b"")
