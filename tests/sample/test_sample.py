"""The bundled week ends when it is asked to, holds what it promises, and is what a real postgrey says."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from support import parts

from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain
from postgrey_exporter.sample import IGNORE, WHITELIST, week
from sample.make import bundled, simulate

NOW = datetime(2026, 3, 1, 12, 30, 0, 250_000, tzinfo=UTC)
SET_ASIDE = [
    ip_network(block)
    for block in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15", "2001:db8::/32")
]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return list(week(NOW.timestamp()))


def moment(line: str) -> datetime:
    return datetime.fromisoformat(line.split(" ", 1)[0])


def greylisted(lines: list[str]) -> Counter[str]:
    names = (re.search(r"\]: action=greylist, .*?client_name=([^,]+)", line) for line in lines)
    return Counter(registrable_domain(name[1]) for name in names if name)


def test_the_week_ends_now_and_lies_inside_the_last_seven_days(lines: list[str]) -> None:
    assert moment(lines[-1]) == NOW
    assert timedelta(days=6, hours=22) < NOW - moment(lines[0]) < timedelta(days=7)


def test_every_line_is_moved_by_the_same_time(lines: list[str]) -> None:
    later = week(NOW.timestamp() + 86_400.5)
    assert {moment(after) - moment(before) for before, after in zip(lines, later, strict=True)} == {
        timedelta(days=1, seconds=0.5)
    }


def test_lines_are_in_order_of_time_and_shaped_as_rsyslog_writes_them(lines: list[str]) -> None:
    shape = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00 mx1 [a-z/]+\[\d+\]: .+\n")
    assert [line for line in lines if not shape.fullmatch(line)] == []
    assert lines == sorted(lines, key=moment)
    assert 20_000 < len(lines) < 40_000


def test_every_address_is_set_aside_for_documentation_or_benchmarks(lines: list[str]) -> None:
    addresses = {address for line in lines for address in re.findall(r"client_address=([^,]+)", line)}
    assert [one for one in addresses if not any(ip_address(one) in block for block in SET_ASIDE)] == [], (
        "found on the real network"
    )


def test_the_outlook_pool_stands_out_and_is_on_no_list(lines: list[str]) -> None:
    ranking = [(domain, count) for domain, count in greylisted(lines).most_common() if domain != UNKNOWN]
    assert ranking[0][0] == "outlook.com"
    assert ranking[0][1] > 2 * ranking[1][1]
    assert "outlook" not in WHITELIST.read_text() + IGNORE.read_text()


def test_some_large_domains_are_ignored_and_some_remain_to_review(lines: list[str]) -> None:
    large = {domain for domain, count in greylisted(lines).items() if count >= 15}  # the default threshold
    ignored = {line for line in IGNORE.read_text().splitlines() if not line.startswith("#")}
    assert ignored < large
    assert {"amazonses.com", "comcast.net", "facebook.com", "rsgsv.net"} < large - ignored


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("reason=early-retry (", id="early retry"),
        pytest.param("reason=triplet found, delay=", id="first pass"),
        pytest.param("reason=triplet found, client_name=", id="later pass"),
        pytest.param("reason=client AWL", id="auto-whitelist"),
        pytest.param("reason=client whitelist", id="whitelist"),
        pytest.param("client_name=unknown, ", id="no name"),
        pytest.param("client_name=example.co.uk, ", id="few labels"),
        pytest.param("client_address=2001:db8:", id="IPv6"),
        pytest.param("whitelisted: ", id="taken into the auto-whitelist"),
        pytest.param("HUP received", id="reload"),
        pytest.param("cleaning main database finished", id="housekeeping"),
        pytest.param("]: 4Tp", id="queue id"),
    ],
)
def test_the_week_holds_each_shape_of_postgreys_lines(lines: list[str], text: str) -> None:
    assert any(" postgrey[" in line and text in line for line in lines)


def test_a_bounce_has_no_sender_field(lines: list[str]) -> None:
    assert any(re.search(r"action=\w+, .*client_address=[^,]+, recipient=", line) for line in lines)


def test_the_real_daemon_says_the_same_anew() -> None:
    parts.require("postgrey")
    hours = 30
    fresh, kept = simulate(hours), bundled(hours)
    assert sum("action=" in line for line in fresh) > 300
    assert fresh == kept


def test_the_command_prints_the_week_up_to_now() -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "postgrey_exporter.sample"], check=True, capture_output=True, text=True
    )
    assert printed.stderr == ""
    age = time.time() - moment(printed.stdout.splitlines()[-1]).timestamp()
    assert 0 <= age < 60


def test_the_command_ends_quietly_when_nobody_reads_on() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "postgrey_exporter.sample"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        assert command.stderr.read() == b""


def test_the_bundled_log_stays_small() -> None:
    assert Path(WHITELIST).with_name("week.log.xz").stat().st_size < 400_000
