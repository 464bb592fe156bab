"""postgrey's program, process and options, on machines made by the test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from doctor.fakes import BOOT, NOW
from postgrey_exporter.doctor import Process, Verdict, postgrey
from postgrey_exporter.doctor.examination import is_exporter

if TYPE_CHECKING:
    from doctor.fakes import FakeMachine

SCRIPT = "#!/usr/bin/perl -T -w\nmy $VERSION = '{}';\n"
WHITELISTS = [Path("/etc/postgrey/whitelist_clients"), Path("/etc/postgrey/whitelist_clients.local")]


def process(*command: str, unit: str | None = None) -> Process:
    return Process(812, command, NOW - 7200, unit, 0, frozenset(), {}, frozenset({0}), None)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(
            ["/usr/sbin/postgrey --inet=10023 --greylist-text=Greylisted, see https://x"], True, id="its own $0"
        ),
        pytest.param(["/usr/bin/perl", "-T", "/usr/sbin/postgrey", "--inet=10023"], True, id="perl"),
        pytest.param(["postgrey", "--unix=/run/postgrey"], True, id="by name"),
        pytest.param(["/opt/postgrey-exporter/bin/postgrey-exporter", "serve"], False, id="the exporter"),
        pytest.param(["vim", "/usr/sbin/postgrey"], False, id="an editor"),
        pytest.param(["/bin/sh", "-c", "postgrey"], False, id="a shell"),
        pytest.param(["perl", "x.pl", "postgrey"], False, id="another script"),
        pytest.param([""], False, id="a kernel thread"),
    ],
)
def test_which_process_is_postgrey(fake: FakeMachine, command: list[str], expected: bool) -> None:
    fake.run(5, command)
    assert [postgrey.is_postgrey(found) for found in fake.machine.processes()] == [expected]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(["python3", "/opt/x/bin/postgrey-exporter", "serve", "--journal"], True, id="script"),
        pytest.param(["python3", "-m", "postgrey_exporter", "serve"], True, id="module"),
        pytest.param(["python3", "-m", "postgrey_exporter", "report"], False, id="report"),
        pytest.param(["systemctl", "status", "postgrey-exporter"], False, id="systemctl"),
    ],
)
def test_which_process_is_the_exporter(command: list[str], expected: bool) -> None:
    assert is_exporter(process(*command)) == expected


def test_a_process_has_its_start_unit_account_and_environment(fake: FakeMachine) -> None:
    fake.run(
        77,
        ["x", "a b", ""],
        started=BOOT + 50,
        cgroup="1:name=systemd:/\n0::/system.slice/postgrey.service\n",
        groups=[4, 101],
        environment={"STATE_DIRECTORY": "/var/lib/x", "EMPTY": ""},
        uids=[77, 77, 77, 77],
        program="/usr/bin/perl (deleted)",
    )
    fake.write("/proc/88/cmdline", "vanished\0")
    (found,) = fake.machine.processes()
    assert found == Process(
        77,
        ("x", "a b"),
        BOOT + 50,
        "postgrey.service",
        77,
        frozenset({4, 7, 101}),
        {"STATE_DIRECTORY": "/var/lib/x", "EMPTY": ""},
        frozenset({77}),
        "/usr/bin/perl",
    )


@pytest.mark.parametrize(
    ("program", "logs_here", "verdict", "words"),
    [
        pytest.param(SCRIPT.format("1.37"), False, Verdict.WELL, "version 1.37", id="installed"),
        pytest.param(SCRIPT.format("1.27"), False, Verdict.MEND, "too old", id="before 1.28"),
        pytest.param(SCRIPT.format("2.0"), False, Verdict.WELL, "version 2.0", id="the future"),
        pytest.param("#!/bin/sh\n", False, Verdict.UNKNOWN, "unknown version", id="wrapper"),
        pytest.param(None, False, Verdict.MEND, "not installed", id="missing"),
        pytest.param(None, True, Verdict.UNKNOWN, "its log is", id="in another container"),
    ],
)
def test_the_program(fake: FakeMachine, program: str | None, logs_here: bool, verdict: Verdict, words: str) -> None:
    if program is not None:
        fake.write("/usr/sbin/postgrey", program)
    check = postgrey.installed(fake.machine, logs_here=logs_here)
    assert check.verdict is verdict
    assert words in check.text
    assert (check.remedy == "apt-get install postgrey") == (verdict is Verdict.MEND)


def test_a_postgrey_that_runs_is_shown(fake: FakeMachine) -> None:
    check = postgrey.running(fake.machine, [process("postgrey", unit="postgrey.service")], logs_here=False)
    assert (check.verdict, check.text) == (Verdict.WELL, "pid 812 (postgrey.service), running for 2 h 0 min")


@pytest.mark.parametrize(
    ("unit", "logs_here", "verdict", "remedy"),
    [
        pytest.param(True, False, Verdict.MEND, "systemctl start postgrey", id="unit"),
        pytest.param(False, False, Verdict.MEND, "service postgrey start", id="no unit"),
        pytest.param(False, True, Verdict.UNKNOWN, None, id="somewhere else"),
    ],
)
def test_a_postgrey_that_does_not_run(
    fake: FakeMachine, unit: bool, logs_here: bool, verdict: Verdict, remedy: str | None
) -> None:
    if unit:
        fake.write("/lib/systemd/system/postgrey.service", "")
    check = postgrey.running(fake.machine, [], logs_here=logs_here)
    assert (check.verdict, check.remedy) == (verdict, remedy)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(["postgrey", "--inet=10023"], [("options", Verdict.WELL)], id="Debian's"),
        pytest.param(["postgrey", "--quiet", "--inet=10023"], [("--quiet", Verdict.MEND)], id="--quiet"),
        pytest.param(["postgrey", "-q"], [("--quiet", Verdict.MEND)], id="-q"),
        pytest.param(["postgrey", "--privacy"], [("--privacy", Verdict.WELL)], id="--privacy"),
        pytest.param(
            ["postgrey", "--whitelist-clients=/etc/x", "--whitelist-clients", "/etc/y"],
            [("--whitelist-clients", Verdict.MEND)],
            id="other whitelists",
        ),
        pytest.param(
            ["postgrey", f"--whitelist-clients={WHITELISTS[1]}", f"--whitelist-clients={WHITELISTS[0]}"],
            [("options", Verdict.WELL)],
            id="the same whitelists, named",
        ),
    ],
)
def test_options(fake: FakeMachine, command: list[str], expected: list[tuple[str, Verdict]]) -> None:
    found = postgrey.options(fake.machine, [process(*command, unit="postgrey.service")], WHITELISTS)
    assert [(check.name, check.verdict) for check in found] == expected


def test_remedies_name_files_and_units(fake: FakeMachine) -> None:
    fake.write("/etc/default/postgrey", "")
    command = ["postgrey", "--quiet", "--whitelist-clients=/etc/x"]
    quiet, lists = postgrey.options(fake.machine, [process(*command, unit="postgrey.service")], WHITELISTS)
    assert quiet.remedy == "remove --quiet in /etc/default/postgrey, then: systemctl restart postgrey.service"
    assert lists.remedy == "start the exporter with --whitelist-file=/etc/x"
    assert postgrey.options(fake.machine, [], WHITELISTS) == []


SYSTEM = "0::/system.slice/postgrey.service\n"


@pytest.mark.parametrize(
    ("uids", "cgroup", "program", "expected"),
    [
        pytest.param([0, 0, 0, 0], "0::/\n", "/usr/bin/perl", True, id="root's"),
        pytest.param([0, 0, 0, 0], "0::/\n", "/usr/bin/perl5.36 (deleted)", True, id="after an update"),
        pytest.param([0, 0, 0, 0], "0::/\n", None, True, id="whose program is closed to us"),
        pytest.param([0, 0, 0, 0], "0::/\n", "/usr/bin/sudo", False, id="sudo"),
        pytest.param([4711, 0, 0, 0], "0::/\n", "/usr/bin/perl", False, id="a stranger's that is root by its bit"),
        pytest.param([4711] * 4, "0::/\n", "/usr/bin/perl", False, id="a stranger's"),
        pytest.param([4711] * 4, SYSTEM, "/usr/bin/perl", True, id="of the unit, with an account of another name"),
        pytest.param(
            [4711] * 4, "1:name=systemd:/system.slice/postgrey@in.service\n", "/usr/bin/perl", True, id="version 1"
        ),
        pytest.param([4711] * 4, "9:pids:/system.slice/postgrey.service\n", "/usr/bin/perl", False, id="no unit"),
        pytest.param([4711] * 4, "0::/system.slice/cron.service\n", "/usr/bin/perl", False, id="a job of cron"),
        pytest.param(
            [4711] * 4,
            "0::/user.slice/user-4711.slice/user@4711.service/app.slice/postgrey.service\n",
            "/usr/bin/perl",
            False,
            id="a unit of a user's own",
        ),
    ],
)
def test_whose_process_is_believed(
    fake: FakeMachine, uids: list[int], cgroup: str, program: str | None, expected: bool
) -> None:
    fake.run(5, ["postgrey --inet=10023"], uids=uids, cgroup=cgroup, program=program)
    (found,) = fake.machine.processes()
    assert postgrey.is_postgrey(found)
    assert postgrey.is_trusted(found) == expected


def test_where_processes_are_hidden_postgrey_is_not_called_ended(fake: FakeMachine) -> None:
    (fake.root / "proc/1/stat").unlink()
    check = postgrey.running(fake.machine, [], logs_here=False)
    assert (check.verdict, check.remedy) == (Verdict.UNKNOWN, "sudo postgrey-exporter doctor")
