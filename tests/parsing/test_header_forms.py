"""Every form of header that postgrey's lines are known with, by the quick way and by the long way; none of them makes
a decision of what stands behind another program's tag. What is not read is said.

tests/parsing/test_real_loggers.py has what the real programs write.
"""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Final, NamedTuple

import pytest

from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.parsing.line import DECISION, FOREIGN, NEAR_MISS
from postgrey_exporter.parsing.parser import Parser

SEEN: Final = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
AT: Final = datetime(2024, 6, 26, 0, 0, 7, tzinfo=UTC).timestamp()
MESSAGE: Final = (
    "action=greylist, reason=new, client_name=mail.example.com, client_address=192.0.2.1, "
    "sender=a@example.com, recipient=b@example.org"
)


class Form(NamedTuple):
    """What stands around a message."""

    begin: str
    fraction: float = 0.0
    """Seconds that the header tells beyond `AT`."""
    end: str = ""


FORMS: Final = {
    # RFC 3164 and its kin
    "rfc3164": Form("Jun 26 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-no-pid": Form("Jun 26 00:00:07 mx1 postgrey: "),
    "rfc3164-no-host": Form("Jun 26 00:00:07 postgrey[12]: "),
    "rfc3164-two-blanks-after-tag": Form("Jun 26 00:00:07 mx1 postgrey[12]:  "),
    "rfc3164-five-blanks-after-tag": Form("Jun 26 00:00:07 mx1 postgrey[12]:     "),
    "rfc3164-pri": Form("<22>Jun 26 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-pri-and-blank": Form("<22> Jun 26 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-byte-order-mark": Form("\ufeffJun 26 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-year-before": Form("2024 Jun 26 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-year-before-fraction": Form("2024 Jun 26 00:00:07.125 mx1 postgrey[12]: ", 0.125),
    "rfc3164-year-behind-day": Form("Jun 26 2024 00:00:07 mx1 postgrey[12]: "),
    "rfc3164-year-behind-time": Form("Jun 26 00:00:07 2024 mx1 postgrey[12]: "),
    "rfc3164-fraction": Form("Jun 26 00:00:07.125 mx1 postgrey[12]: ", 0.125),
    "rfc3164-fraction-comma": Form("Jun 26 00:00:07,125 mx1 postgrey[12]: ", 0.125),
    "rfc3164-twice": Form("Jun 26 00:00:09 Jun 26 00:00:07 mx1 postgrey[12]: "),
    "ctime": Form("Wed Jun 26 00:00:07 2024 mx1 postgrey[12]: "),
    "openwrt-logread": Form("Wed Jun 26 00:00:07 2024 mail.info postgrey[12]: "),
    "solaris": Form("Jun 26 00:00:07 mx1 postgrey[12]: [ID 197553 mail.info] "),
    "openbsd": Form("Jun 26 00:00:07 mx1 postgrey[12]: "),
    "openbsd-utc": Form("2024-06-26T00:00:07.125Z mx1 postgrey[12]: ", 0.125),
    "macos": Form("Jun 26 00:00:07 Mac-mini postgrey[12]: "),
    "freebsd-v": Form("Jun 26 00:00:07 <2.6> mx1 postgrey[12]: "),
    "freebsd-vv": Form("Jun 26 00:00:07 <mail.info> mx1 postgrey[12]: "),
    "freebsd-rfc5424": Form("<22>1 2024-06-26T00:00:07.125000+00:00 mx1 postgrey 12 - - ", 0.125),
    "busybox": Form("Jun 26 00:00:07 mx1 mail.info postgrey[12]: "),
    "busybox-small": Form("Jun 26 00:00:07 postgrey[12]: "),
    "busybox-facility-daemon": Form("Jun 26 00:00:07 mx1 daemon.notice postgrey[12]: "),
    "metalog": Form("Jun 26 00:00:07 [postgrey] "),
    "priority-in-brackets": Form("Jun 26 00:00:07 mx1 [mail.info] postgrey[12]: "),
    "priority-in-brackets-first": Form("[mail.info] Jun 26 00:00:07 mx1 postgrey[12]: "),
    "priority-first": Form("mail.info Jun 26 00:00:07 mx1 postgrey[12]: "),
    "priority-in-angles": Form("2024-06-26T00:00:07.125Z mx1 <22> postgrey[12]: ", 0.125),
    # ISO 8601
    "iso-offset": Form("2024-06-26T02:00:07+02:00 mx1 postgrey[12]: "),
    "iso-offset-no-colon": Form("2024-06-26T02:00:07+0200 mx1 postgrey[12]: "),
    "iso-offset-hours": Form("2024-06-26T02:00:07+02 mx1 postgrey[12]: "),
    "iso-offset-negative": Form("2024-06-25T20:30:07-03:30 mx1 postgrey[12]: "),
    "iso-offset-behind-blank": Form("2024-06-26 02:00:07 +0200 mx1 postgrey[12]: "),
    "iso-zulu": Form("2024-06-26T00:00:07Z mx1 postgrey[12]: "),
    "iso-milliseconds": Form("2024-06-26T00:00:07.125Z mx1 postgrey[12]: ", 0.125),
    "iso-microseconds": Form("2024-06-26T00:00:07.125000+00:00 mx1 postgrey[12]: ", 0.125),
    "iso-nanoseconds": Form("2024-06-26T00:00:07.125000000Z mx1 postgrey[12]: ", 0.125),
    "iso-fraction-comma": Form("2024-06-26T00:00:07,125+0000 mx1 postgrey[12]: ", 0.125),
    "iso-no-offset": Form("2024-06-26T00:00:07 mx1 postgrey[12]: "),
    "iso-blank": Form("2024-06-26 00:00:07 mx1 postgrey[12]: "),
    "iso-blank-fraction": Form("2024-06-26 00:00:07.125 mx1 postgrey[12]: ", 0.125),
    "logging-module": Form("2024-06-26 00:00:07,125 mx1 postgrey[12]: ", 0.125),
    "slashes": Form("2024/06/26 00:00:07 mx1 postgrey[12]: "),
    "dots": Form("2024.06.26 00:00:07 mx1 postgrey[12]: "),
    "iso-busybox-priority": Form("2024-06-26T00:00:07Z mx1 mail.info postgrey[12]: "),
    "iso-pri": Form("<22>2024-06-26T00:00:07.125000+00:00 mx1 postgrey[12]: ", 0.125),
    # seconds since the epoch
    "epoch": Form("1719360007 mx1 postgrey[12]: "),
    "epoch-fraction": Form("1719360007.125000 mx1 postgrey[12]: ", 0.125),
    # RFC 5424
    "rfc5424": Form("<22>1 2024-06-26T00:00:07.125Z mx1 postgrey 12 - - ", 0.125),
    "rfc5424-no-pri": Form("1 2024-06-26T00:00:07.125Z mx1 postgrey 12 - - ", 0.125),
    "rfc5424-nil-pid-host": Form("<22>1 2024-06-26T00:00:07Z - postgrey - - - "),
    "rfc5424-data": Form('<22>1 2024-06-26T00:00:07Z mx1 postgrey 12 ID47 [timeQuality tzKnown="1" isSynced="1"] '),
    "rfc5424-escaped-data": Form('<22>1 2024-06-26T00:00:07Z mx1 postgrey 12 - [a b="x \\] y"][c d="e"] '),
    "rfc5424-byte-order-mark": Form("<22>1 2024-06-26T00:00:07Z mx1 postgrey 12 - - \ufeff"),
    "rfc5424-two-blanks": Form("<22>1 2024-06-26T00:00:07Z mx1 postgrey 12 - -  "),
    # journalctl
    "journalctl-short": Form("Jun 26 00:00:07 mx1 postgrey[12]: "),
    "journalctl-short-precise": Form("Jun 26 00:00:07.125000 mx1 postgrey[12]: ", 0.125),
    "journalctl-short-iso": Form("2024-06-26T00:00:07+0000 mx1 postgrey[12]: "),
    "journalctl-short-iso-precise": Form("2024-06-26T00:00:07.125000+0000 mx1 postgrey[12]: ", 0.125),
    "journalctl-short-full": Form("Wed 2024-06-26 00:00:07 UTC mx1 postgrey[12]: "),
    "journalctl-short-unix": Form("1719360007.125000 mx1 postgrey[12]: ", 0.125),
    "journalctl-with-unit": Form("Wed 2024-06-26 00:00:07 UTC mx1 postgrey.service[12]: "),
    "journalctl-with-unit-instance": Form("Wed 2024-06-26 00:00:07 UTC mx1 postgrey@mx.service[12]: "),
    # behind what a driver writes
    "docker-t": Form("2024-06-26T00:00:07.125000000Z ", 0.125),
    "docker-t-queue-id": Form("2024-06-26T00:00:07.125000000Z 3F2A8C01: ", 0.125),
    "docker-t-rfc3164": Form("2024-06-26T00:00:09.125000000Z Jun 26 00:00:07 mx1 postgrey[12]: "),
    "docker-t-iso": Form("2024-06-26T00:00:09.125000000Z 2024-06-26T02:00:07+02:00 mx1 postgrey[12]: "),
    "docker-t-rfc5424": Form("2024-06-26T00:00:09.125000000Z <22>1 2024-06-26T00:00:07Z mx1 postgrey 12 - - "),
    "docker-json": Form('{"log":"', 0.5, '\\n","stream":"stderr","time":"2024-06-26T00:00:07.5Z"}'),
    "docker-json-rfc3164": Form(
        '{"log":"Jun 26 00:00:07 mx1 postgrey[12]: ', 0, '\\n","stream":"stdout","time":"2024-06-26T00:00:09.5Z"}'
    ),
    "kubernetes": Form("2024-06-26T00:00:07.125000000Z stdout F ", 0.125),
    "kubernetes-rfc3164": Form("2024-06-26T00:00:09.125000000Z stderr F Jun 26 00:00:07 mx1 postgrey[12]: "),
    "kubernetes-offset": Form("2024-06-26T02:00:07.125000000+02:00 stderr F ", 0.125),
    "multilog": Form("@40000000667b5a1107735940 ", 0.125),
    "multilog-rfc3164": Form("@40000000667b5a1307735940 Jun 26 00:00:07 mx1 postgrey[12]: "),
    "multilog-tag": Form("@40000000667b5a1107735940 postgrey[12]: ", 0.125),
    "s6-log-iso": Form("2024-06-26 00:00:07.125000000  ", 0.125),
    "s6-log-iso-rfc3164": Form("2024-06-26 00:00:09.125000000  Jun 26 00:00:07 mx1 postgrey[12]: "),
    "svlogd-tt": Form("2024-06-26_00:00:07.12500 ", 0.125),
    "svlogd-tt-tag": Form("2024-06-26_00:00:07.12500 postgrey[12]: ", 0.125),
    "svlogd-ttt": Form("2024-06-26T00:00:07.12500 ", 0.125),
    "svlogd-tt-socklog": Form("2024-06-26_00:00:09.12500 mail.info: Jun 26 00:00:07 postgrey[12]: "),
    "svlogd-ttt-socklog": Form("2024-06-26T00:00:09.12500 mail.info: Jun 26 00:00:07 postgrey[12]: "),
    "multilog-socklog": Form("@40000000667b5a1307735940 mail.info: Jun 26 00:00:07 postgrey: "),
    "socklog": Form("mail.info: Jun 26 00:00:07 postgrey[12]: "),
    # hosts
    "host-none": Form("Jun 26 00:00:07 (none) postgrey[12]: "),
    "host-chain": Form("Jun 26 00:00:07 mx1/192.0.2.5 postgrey[12]: "),
    "host-source": Form("Jun 26 00:00:07 s_sys@mx1 postgrey[12]: "),
    "host-in-brackets": Form("Jun 26 00:00:07 [192.0.2.5] postgrey[12]: "),
    "host-ipv6": Form("Jun 26 00:00:07 2001:db8:: postgrey[12]: "),
}
# Headers that are not read, for they are not postgrey's alone or their time is unclear.
SAID: Final = {
    "no-stamp": "postgrey[12]: ",
    "host-alone": "mx1 postgrey[12]: ",
    "pri-alone": "<22>postgrey[12]: ",
    "no-blank-after-tag": "Jun 26 00:00:07 mx1 postgrey[12]:",
    "tab-after-tag": "Jun 26 00:00:07 mx1 postgrey[12]:\t",
    "no-colon-after-tag": "2024-06-26T00:00:07Z mx1 postgrey ",
    "pid-in-parentheses": "Jun 26 00:00:07 mx1 postgrey(12): ",
    "supervisor": "2024-06-26 00:00:07 INFO ",
    "stamp-in-brackets": "[2024-06-26 00:00:07] mx1 postgrey[12]: ",
    "stamp-in-brackets-bare": "[2024-06-26 00:00:07] ",
    "metalog-no-stamp": "[postgrey] ",
    "compose": "mail-1  | ",
    "compose-rfc3164": "mail-1  | Jun 26 00:00:07 mx1 postgrey[12]: ",
    "cisco": "*Jun 26 00:00:07.125: mx1 postgrey[12]: ",
    "cisco-year": "Jun 26 2024 00:00:07: mx1 postgrey[12]: ",
    "zone-behind-rfc3164": "Jun 26 00:00:07 UTC mx1 postgrey[12]: ",
    "offset-behind-rfc3164": "Jun 26 00:00:07 +02:00 mx1 postgrey[12]: ",
    "zone-behind-iso": "2024-06-26 00:00:07 CEST mx1 postgrey[12]: ",
    "twelve-hours": "Jun 26 12:00:07 AM mx1 postgrey[12]: ",
    "month-first": "06/26/2024 00:00:07 mx1 postgrey[12]: ",
    "day-first": "26.06.2024 00:00:07 mx1 postgrey[12]: ",
    "day-and-month": "26 Jun 2024 00:00:07 mx1 postgrey[12]: ",
    "rfc2822": "Wed, 26 Jun 2024 00:00:07 +0000 mx1 postgrey[12]: ",
    "date-program": "Wed Jun 26 00:00:07 UTC 2024 mx1 postgrey[12]: ",
    "clf": "26/Jun/2024:00:00:07 +0000 mx1 postgrey[12]: ",
    "iso-basic": "20240626T000007Z mx1 postgrey[12]: ",
    "rsyslog-date-mysql": "20240626000007 mx1 postgrey[12]: ",
    "epoch-milliseconds": "1719360007125 mx1 postgrey[12]: ",
    "epoch-in-brackets": "[1719360007.125] mx1 postgrey[12]: ",
    "kernel-clock": "[    7.123456] mx1 postgrey[12]: ",
    "rsyslog-precise": "6,2,Jun 26 00:00:07,mx1,postgrey[12]:, ",
    "rsyslog-facility-severity": "Jun 26 00:00:07 mx1 mail info postgrey[12]: ",
    "rsyslog-severity": "2024-06-26T00:00:07Z mx1 INFO postgrey[12]: ",
    "rsyslog-fromhost-ip": "Jun 26 00:00:07 mx1 192.0.2.5 postgrey[12]: ",
    "rsyslog-fromhost-ip-first": "Jun 26 00:00:07 192.0.2.5 mx1 postgrey[12]: ",
    "rsyslog-priority-before-host": "Jun 26 00:00:07 mail.info mx1 postgrey[12]: ",
    "tabs": "2024-06-26T00:00:07Z\tmx1\tpostgrey[12]:\t",
    "columns": "2024-06-26T00:00:07Z|mx1|mail|info|postgrey[12]:|",
    "json": '{"@timestamp":"2024-06-26T00:00:07Z","program":"postgrey","message":"',
    "rfc5424-no-stamp": "<22>1 - mx1 postgrey 12 - - ",
    "rfc5424-octet-count": "180 <22>1 2024-06-26T00:00:07Z mx1 postgrey 12 - - ",
    "macos-log-show": "2024-06-26 00:00:07.123456+0000  localhost postgrey[12]: ",
}


LONG: Final = {
    "blanks": "Jun 26 00:00:07 mx1{blanks}x",
    "blanks-first": "Jun 26 00:00:07{blanks}",
    "zones": "Jun 26 00:00:07{zones} ",
    "digits": "Jun 26 00:00:07 {digits} {digits} {digits} {digits} {digits} {digits} {digits} ",
    "priorities": "Jun 26 00:00:07 mx1{priorities} ",
    "brackets": "Jun 26 00:00:07 {brackets} ",
    "colons": "Jun 26 00:00:07 {colons} ",
    "stamps": "{stamps}",
    "no-stamp": "{digits}{brackets}{colons} ",
    "json": '{{"x":"{quotes}',
}


def read(line: str) -> tuple[dict[str, int], list[float]]:
    """Return what a line counts as, and the moments of its decisions; both ways have to agree."""
    parser = Parser(zone=UTC)
    quickly = parser.read(line.encode(), SEEN)
    tally = Tally(parser.keyed)
    tally.add(quickly)
    parsed = parser.parse(line.encode(), SEEN)
    moments = [decision.time for decision in parsed.decisions]
    last = quickly.last()
    assert +Counter(quickly.lines) == parsed.lines
    assert ([] if last is None else [last.time]) == moments
    return dict(parsed.lines), moments


def forged(begin: str) -> list[str]:
    """Return what other programs' lines may be like, to where their message ends, with this as their header."""
    other = begin.replace("postgrey", "postfix/cleanup") if "postgrey" in begin else f"{begin}postfix/cleanup[9]: "
    # Where the whole is JSON, what is quoted in it is escaped.
    whole = begin.replace('"', '\\"') if begin.startswith("{") else begin
    texts = ("", "postgrey[1]: ", "warning: header Subject: ", "warning: header Subject: postgrey[1]: ")
    return [f"{other}{text}{MESSAGE}" for text in (*texts, whole, f"warning: {whole}")]


@pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMS.items()])
def test_a_header_of_a_known_form_tells_postgreys_decision_and_its_moment(form: Form) -> None:
    counts, moments = read(f"{form.begin}{MESSAGE}{form.end}")

    assert counts == {DECISION: 1}
    assert moments == pytest.approx([AT + form.fraction], abs=1e-6)


@pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMS.items()])
def test_behind_another_programs_tag_it_is_neither_a_decision_nor_nearly_one(form: Form) -> None:
    for line in forged(form.begin):
        assert read(line + form.end) == ({FOREIGN: 1}, []), line


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in SAID.items()])
def test_a_header_that_is_not_read_is_a_near_miss(begin: str) -> None:
    assert read(f"{begin}{MESSAGE}") == ({NEAR_MISS: 1}, [])


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in SAID.items()])
def test_one_that_is_not_read_is_none_behind_another_programs_tag(begin: str) -> None:
    for line in forged(begin):
        assert read(line) == ({FOREIGN: 1}, []), line


@pytest.mark.parametrize("begin", [pytest.param(begin, id=name) for name, begin in LONG.items()])
def test_a_long_header_takes_no_longer_than_its_length(begin: str) -> None:
    size = 100_000
    line = begin.format(
        blanks=" " * size,
        zones=" UTC" * size,
        digits="1" * size,
        priorities=" mail.info" * size,
        brackets="[" * size,
        colons=":" * size,
        stamps="Jun 26 00:00:07 " * size,
        quotes='"postgrey[' * size,
    )
    before = time.process_time()

    read(f"{line}{MESSAGE}")

    assert time.process_time() - before < 5
