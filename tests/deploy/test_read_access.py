"""What the READMEs say of read access: a group is enough, and the shipped logrotate block keeps it.

Accounts are played by root without capabilities: it may read what belongs to it or to its groups, as others do.
"""

from __future__ import annotations

import grp
import os
import re
import stat
import subprocess
import time
from typing import TYPE_CHECKING, Final

import pytest
from support.parts import Rsyslog, require

from deploy.article_week import environment, first_line, write_week
from deploy.monitoring import DEPLOY, PLUGIN

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can play other accounts")

NOBODY: Final = 65534
READERS: Final = "adm"
MAIL_LOG: Final = DEPLOY / "logrotate" / "mail-log"


def readers() -> int:
    return grp.getgrnam(READERS).gr_gid


def check_as(groups: Sequence[int], arguments: Sequence[str | Path], lists: Path) -> tuple[int, str]:
    """Run the plugin without root's power, in these groups; return its status and its first line."""
    setpriv = require("setpriv", "util-linux")
    membership = [f"--groups={','.join(map(str, groups))}"] if groups else ["--clear-groups"]
    result = subprocess.run(
        [setpriv, "--bounding-set=-all", "--inh-caps=-all", *membership, PLUGIN, "check", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment(lists)},
    )
    assert result.stderr == ""
    return result.returncode, result.stdout.partition(" | ")[0].splitlines()[0]


def give(path: Path, mode: int) -> None:
    """Make a file another account's, readable by the readers' group."""
    os.chown(path, NOBODY, readers())
    path.chmod(mode)


def test_the_group_of_the_logs_is_enough_to_check_them(tmp_path: Path) -> None:
    write_week(tmp_path)
    log = tmp_path / "week.log"
    give(log, 0o640)
    status, line = check_as([], [log], tmp_path)
    assert (status, line.partition(":")[0]) == (3, f"POSTGREY UNKNOWN - {log}")
    assert "permission denied" in line.lower()
    assert check_as([readers()], [log], tmp_path) == (1, first_line("WARNING"))


def test_a_log_that_may_not_be_read_among_others_is_told_as_a_problem(tmp_path: Path) -> None:
    write_week(tmp_path)
    give(tmp_path / "mail.log", 0o640)
    status, line = check_as([], [tmp_path / "mail.log.1", tmp_path / "mail.log"], tmp_path)
    assert status == 1
    assert line.endswith(" (incomplete: 1 problem)")


def test_a_state_of_another_account_is_unknown_with_its_name(tmp_path: Path) -> None:
    write_week(tmp_path)
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "state.sqlite3").touch()
    give(folder, 0o700)
    status, line = check_as([readers()], ["--state", folder / "state.sqlite3"], tmp_path)
    assert (status, line.partition(":")[0]) == (3, f"POSTGREY UNKNOWN - {folder}/state.sqlite3")
    assert "permission" in line.lower()


JOURNAL_ENTRY: Final = """\
__CURSOR=s=0123456789abcdef0123456789abcdef;i={number:x};b=0123456789abcdef0123456789abcdef;m={number};t={time};x=1
__REALTIME_TIMESTAMP={time}
__MONOTONIC_TIMESTAMP={number}
_BOOT_ID=0123456789abcdef0123456789abcdef
_HOSTNAME=mx1
_PID=512
SYSLOG_IDENTIFIER=postgrey
MESSAGE={message}

"""


@pytest.mark.parametrize("system", ["nagios", "icinga"])
def test_the_pipe_from_the_journal_is_checked_as_the_readme_writes_it(system: str, tmp_path: Path) -> None:
    write_week(tmp_path)
    journalctl = require("journalctl", "systemd")
    start = int((time.time() - 86400) * 1e6)
    entries = [
        JOURNAL_ENTRY.format(number=number, time=start + number, message=line.partition("]: ")[2])
        for number, line in enumerate((tmp_path / "week.log").read_text().splitlines(), start=1)
    ]
    (tmp_path / "export").write_text("".join(entries))
    remote = require("systemd-journal-remote", "systemd-journal-remote")
    subprocess.run([remote, "-o", tmp_path / "x.journal", tmp_path / "export"], check=True, capture_output=True)
    match = re.search(r"journalctl (--identifier .*)", (DEPLOY / system / "README.md").read_text())
    assert match
    command = re.sub(r"\S*postgrey-exporter", str(PLUGIN), match[1]).replace("'$ARG1$'", "15")
    result = subprocess.run(
        ["sh", "-c", f"{journalctl} --file {tmp_path}/x.journal {command}", "sh"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment(tmp_path)},
    )
    assert (result.returncode, result.stdout.partition(" | ")[0]) == (1, first_line("WARNING"))


def test_the_shipped_logrotate_block_keeps_the_group_on_both_files(tmp_path: Path) -> None:
    logrotate = require("logrotate")
    log = tmp_path / "mail.log"
    with Rsyslog("rfc3339", log) as rsyslog:
        rsyslog.log("postfix/smtpd", 7, "before")
        rsyslog.written("before")
        os.chown(log, 0, readers())
        block = MAIL_LOG.read_text().replace("/var/log/mail.log", str(log))
        config = tmp_path / "mail-log"
        config.write_text(block.replace("/usr/lib/rsyslog/rsyslog-rotate", f"kill -HUP {rsyslog.pid}"))
        subprocess.run([logrotate, "--force", "--state", tmp_path / "status", config], check=True)
        rsyslog.log("postfix/smtpd", 7, "after")
        rsyslog.written("after")
    for path in (log, tmp_path / "mail.log.1"):
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 0, readers())
    assert "before" in (tmp_path / "mail.log.1").read_text()


def test_logrotate_refuses_a_log_that_two_blocks_name(tmp_path: Path) -> None:
    logrotate = require("logrotate")
    folder = tmp_path / "logrotate.d"
    folder.mkdir()
    (tmp_path / "mail.log").touch()
    block = MAIL_LOG.read_text().replace("/var/log/mail.log", str(tmp_path / "mail.log"))
    for name in ("mail-log", "rsyslog"):
        (folder / name).write_text(block)
    (tmp_path / "logrotate.conf").write_text(f"include {folder}\n")
    result = subprocess.run(
        [logrotate, "--debug", "--state", tmp_path / "status", tmp_path / "logrotate.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "duplicate log entry" in result.stderr
