"""Where postgrey's newest decisions are is found on each known system, in one place only."""

from __future__ import annotations

import grp
import os
import tempfile
from collections import Counter
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.parts import require

from postgrey_exporter.parsing.line import DECISION
from postgrey_exporter.parsing.parser import Parser
from postgrey_exporter.sources.detect.discover import SILENT_SECONDS, Detection, Detector, Finding, choose
from postgrey_exporter.sources.detect.signs import Signs
from postgrey_exporter.sources.file.source import FileSource
from postgrey_exporter.sources.journal.journalctl import JournalError
from sources.detect.roots import NOW, Root, headerless, rfc3339, traditional
from sources.journal.journals import BEGIN, POSTFIX, Journal, decisions, entry

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = "postfix/smtpd[9]"


def in_journal(seconds_ago: float) -> Callable[[float], Signs]:
    return lambda now: Signs(now - seconds_ago, Counter([DECISION]))


def detect(root: Root, journal: Callable[[float], Signs | None] = lambda _: None) -> Detection:
    return Detector("postgrey", UTC, root.path, journal).detect(NOW)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def debian_12(root: Root) -> None:
    root.write("var/log/dpkg.log", b"2025-10-09 08:00:00 status installed postgrey:all 1.37-1\n")


def debian_12_with_rsyslog(root: Root) -> None:
    root.write("var/log/syslog", rfc3339([30, 20, 10]) + rfc3339([5], OTHERS))
    root.write("var/log/mail.log", rfc3339([30, 20, 5], OTHERS))


def debian_11(root: Root) -> None:
    root.write("var/log/mail.log.1", traditional([900, 800]), 800)
    for name in ("mail.log", "mail.info", "syslog"):
        root.write(f"var/log/{name}", traditional([30, 20, 10]))


def docker_mailserver(root: Root) -> None:
    root.write("var/log/supervisor/postgrey.log", headerless([3, 2, 1]), 40)
    root.write("var/log/supervisor/postgrey.log.1", headerless([9, 8]), 4000)
    root.write("var/log/mail/mail.log", rfc3339([30, 20, 5], OTHERS))


def rhel(root: Root) -> None:
    root.write("var/log/maillog", b"")
    root.write("var/log/maillog-20251005", traditional([30, 20, 10]), 10)
    root.write("var/log/maillog-20250928.gz", traditional([700_000]), 700_000)
    root.write("var/log/messages", traditional([5], "systemd[1]"))


def opensuse(root: Root) -> None:
    root.write("var/log/mail", traditional([5], OTHERS))
    root.write("var/log/mail-20251005.xz", traditional([30, 20, 10]), 10)
    root.write("var/log/messages", traditional([5], "systemd[1]"))


def freebsd(root: Root) -> None:
    root.write("var/log/maillog", traditional([30, 20, 10]))
    root.write("var/log/maillog.0.bz2", traditional([700_000]), 700_000)


@pytest.mark.parametrize(
    ("system", "journal", "expected", "decisions_there"),
    [
        pytest.param(debian_12, in_journal(10), "journal", None, id="Debian 12, Ubuntu 24.04"),
        pytest.param(
            debian_12_with_rsyslog,
            in_journal(10),
            "var/log/syslog",
            3,
            id="Debian 12 with rsyslog: the same lines twice",
        ),
        pytest.param(debian_11, in_journal(10), "var/log/mail.log", 5, id="Debian 11, Ubuntu 22.04"),
        pytest.param(docker_mailserver, lambda _: None, "var/log/supervisor/postgrey.log", 5, id="docker-mailserver"),
        pytest.param(rhel, lambda _: Signs(), "var/log/maillog", 4, id="RHEL, Fedora, just rotated"),
        pytest.param(opensuse, lambda _: Signs(), "var/log/mail", 3, id="openSUSE, just rotated"),
        pytest.param(freebsd, lambda _: None, "var/log/maillog", 4, id="FreeBSD"),
    ],
)
def test_a_known_system(
    root: Root,
    system: Callable[[Root], None],
    journal: Callable[[float], Signs | None],
    expected: str,
    decisions_there: int | None,
) -> None:
    system(root)
    found = detect(root, journal)
    assert found.chosen is not None
    assert found.chosen.name == (expected if expected == "journal" else str(root.path / expected))
    assert found.reason.startswith("detected: ")
    if found.chosen.path is not None:
        source = FileSource(found.chosen.path, 30 * 86400)
        source.resume(None)
        parser = Parser(zone=UTC)
        read = sum(len(parser.parse(batch.lines, batch.seen_at).decisions) for batch in source.batches(NOW))
        assert read == decisions_there


@pytest.mark.parametrize(
    ("system", "journal", "words"),
    [
        pytest.param(
            lambda _: None, lambda _: None, ["not on this machine: ", "/var/log/mail.log", "the journal"], id="bare"
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log", traditional([5], OTHERS)),
            lambda _: Signs(),
            ["mail.log: no line of postgrey's", "journal: no line of postgrey's"],
            id="no postgrey",
        ),
        pytest.param(
            lambda root: root.write(
                "var/log/mail.log", b"Oct  9 08:00:00 mx1 postgrey[1]: whitelisted: mail.example.com[192.0.2.1]\n"
            ),
            lambda _: None,
            ["mail.log: postgrey says 'whitelisted:' and no decision", "--quiet"],
            id="--quiet",
        ),
        pytest.param(
            lambda root: root.write(
                "var/log/mail.log", b"Oct  9 08:00:00 mx1 sqlgrey: grey: new: 192.0.2.1(192.0.2.1)\n"
            ),
            lambda _: None,
            ["sqlgrey greylists here"],
            id="sqlgrey",
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log", traditional([5], "postgrey-in")),
            lambda _: None,
            ["--syslog-tag postgrey-in"],
            id="another tag",
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log", traditional([5], "systemd") + b"\0\1\2" * 100),
            lambda _: None,
            ["mail.log: is a binary file"],
            id="binary",
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log.2.gz", b"").parent.joinpath("mail.log").symlink_to("/dev/zero"),
            lambda _: None,
            ["mail.log: is no regular file"],
            id="device",
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log/x", b""),
            lambda _: (_ for _ in ()).throw(JournalError("the journal can't be read: no permission")),
            ["journal: the journal can't be read: no permission"],
            id="closed journal, a folder as log",
        ),
        pytest.param(
            lambda root: root.write("var/log/mail.log", b"Oct  9 08:00:00 mx1 postgrey: Server closing!\n"),
            lambda _: None,
            ["lines of postgrey's, no decision"],
            id="housekeeping only",
        ),
    ],
)
def test_nothing_found_says_what_was_tried(
    root: Root, system: Callable[[Root], object], journal: Callable[[float], Signs | None], words: list[str]
) -> None:
    system(root)
    found = detect(root, journal)
    assert found.chosen is None
    assert found.reason == "no decision of postgrey's was found"
    assert [word for word in words if word not in found.explanation()] == []
    assert "\n" not in found.explanation()


def test_an_old_postgrey_is_named_though_its_deliveries_are_read(root: Root) -> None:
    root.write(
        "var/log/mail.log",
        b"Oct  9 08:00:00 mx1 postgrey: delayed 551 seconds: client=192.0.2.1, from=a@example.com, to=b@x.example\n",
    )
    found = detect(root)
    assert found.chosen is not None
    assert "before 1.28" in found.explanation()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives up its rights")
def test_a_closed_log_names_the_group_and_does_not_hide_an_open_one() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's tmp_path is closed to other accounts
        root = Root(Path(folder))
        root.path.chmod(0o755)
        closed = root.write("var/log/mail.log", traditional([5]))
        closed.chmod(0o640)
        os.chown(closed, 0, grp.getgrnam("adm").gr_gid)
        root.write("var/log/syslog", traditional([50]))
        (root.path / "var/log/supervisor").mkdir(mode=0o700)
        os.seteuid(65534)
        try:
            found = detect(root)
        finally:
            os.seteuid(0)
    assert found.chosen is not None
    assert found.chosen.name.endswith("syslog")
    assert "mail.log: permission denied; group 'adm' may read it" in found.explanation()
    assert "postgrey.log: permission denied" in found.explanation()


def test_the_journal_below_the_root_is_looked_into(root: Root) -> None:
    require("journalctl", "systemd")
    journal = Journal(root.path / "var/log/journal" / ("0" * 32))
    journal.append(decisions([7]) + b"".join(entry("connect", 10 + number, POSTFIX) for number in range(50)))
    found = Detector("postgrey", UTC, root.path).detect(NOW)
    assert found.chosen is not None
    assert (found.chosen.name, found.chosen.newest_decision) == ("journal", BEGIN + 7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"SYSLOG_IDENTIFIER": "sqlgrey"}, "sqlgrey greylists here", id="another greylister"),
        pytest.param({"SYSLOG_IDENTIFIER": "postfix/smtpd"}, "journal: no line of postgrey's", id="no greylister"),
        pytest.param(
            {"SYSLOG_IDENTIFIER": "postgrey", "_SYSTEMD_UNIT": "session-2.scope", "_UID": "1000"},
            "by session-2.scope, account 1000 don't count",
            id="a user's imitation",
        ),
    ],
)
def test_a_journal_without_decisions_is_described(root: Root, fields: dict[str, str], words: str) -> None:
    require("journalctl", "systemd")
    Journal(root.path / "var/log/journal").append(entry("action=greylist, reason=new, client_name=x", 1, fields))
    found = Detector("postgrey", UTC, root.path).detect(NOW)
    assert found.chosen is None
    assert words in found.explanation()


def test_looking_again_reads_only_what_was_added(root: Root) -> None:
    log = root.write("var/log/mail.log", traditional([500], OTHERS) * 100 + b"Oct  9 08:5")
    detector = Detector("postgrey", UTC, root.path, lambda _: None)
    assert detector.detect(NOW).chosen is None
    root.append(log, [b"0:00 mx1 postgrey[1]: action=pass, reason=client AWL, client_address=192.0.2.1\n"])
    found = detector.detect(NOW)
    assert found.chosen is not None
    assert found.chosen.newest_decision == NOW - 200
    log.write_bytes(b"")
    assert detector.detect(NOW).chosen is None


def test_only_the_end_of_a_large_log_is_looked_at_and_no_line_is_cut(root: Root) -> None:
    log = root.write("var/log/syslog", traditional([3600, 3000]))
    root.append(log, (traditional([100], OTHERS) * 1000 for _ in range(200)))
    found = detect(root)
    assert found.chosen is not None
    assert found.chosen.newest_decision == NOW - 3000
    root.append(log, (traditional([100], OTHERS) * 1000 for _ in range(600)))
    assert detect(root).chosen is None


FUTURE = b"9999-12-31T23:59:59+00:00 mx1 postgrey[6346]: action=greylist, reason=new, client_address=192.0.2.1\n"


@pytest.mark.parametrize(
    "ahead", [FUTURE, traditional([-60 * 86400]), rfc3339([-2 * 86400])], ids=["9999", "without a year", "two days"]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_stamp_of_the_future_makes_no_place_the_newest(root: Root, ahead: bytes, first: bool) -> None:
    dead = traditional([90 * 86400])
    root.write("var/log/mail.log", ahead + dead if first else dead + ahead)
    root.write("var/log/syslog", rfc3339([10]))
    found = detect(root)
    assert found.chosen is not None
    assert found.chosen.name.endswith("syslog")


def test_a_log_with_stamps_of_the_future_alone_is_dated_by_its_last_change(root: Root) -> None:
    root.write("var/log/mail.log", FUTURE, 500)
    found = detect(root)
    assert found.chosen is not None
    assert found.chosen.newest_decision == NOW - 500
    os.utime(root.path / "var/log/mail.log", (NOW + 9e6, NOW + 9e6))
    found = detect(root)
    assert found.chosen is not None
    assert found.chosen.newest_decision == NOW


def test_of_places_with_the_same_lines_the_one_that_reaches_back_farthest_is_read(root: Root) -> None:
    root.write("var/log/mail.log", rfc3339([10]))
    root.write("var/log/syslog", rfc3339([10]))
    assert chosen_name(root) == "var/log/mail.log"
    root.write("var/log/syslog.2.gz", rfc3339([90_000]), 90_000)
    assert chosen_name(root) == "var/log/syslog"
    root.write("var/log/mail.log.1", rfc3339([99_000]), 90_000)
    assert chosen_name(root) == "var/log/mail.log"


def chosen_name(root: Root) -> str:
    chosen = detect(root).chosen
    assert chosen is not None
    return str(Path(chosen.name).relative_to(root.path))


def finding(name: str, seconds_ago: float | None) -> Finding:
    return Finding(name, None, Signs(None if seconds_ago is None else NOW - seconds_ago))


@pytest.mark.parametrize(
    ("places", "followed", "expected"),
    [
        pytest.param({"a": 10, "b": 20}, [], "a", id="the newest"),
        pytest.param({"a": 20, "b": 10}, [], "b", id="the newest, wherever it stands"),
        pytest.param({"a": 11, "b": 10.1}, [], "a", id="the same lines: the first"),
        pytest.param({"a": None, "b": 1e6}, [], "b", id="the only one, however old"),
        pytest.param({"a": 10, "b": 10}, ["b"], "b", id="the same lines: what was followed"),
        pytest.param({"a": 10, "b": 3000}, ["b"], "b", id="followed, a little behind"),
        pytest.param({"a": 10, "b": 11 + SILENT_SECONDS}, ["b"], "a", id="followed, fallen silent"),
        pytest.param({"a": 10, "b": None}, ["b"], "a", id="followed, nothing left in it"),
        pytest.param({"a": None}, ["a"], None, id="nothing anywhere"),
    ],
)
def test_one_place_is_chosen(places: dict[str, float | None], followed: list[str], expected: str | None) -> None:
    chosen, reason = choose([finding(name, age) for name, age in places.items()], followed)
    assert (chosen.name if chosen else None) == expected
    assert reason.startswith("detected: " if expected else "no decision")
