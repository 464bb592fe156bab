"""What each shape of line is: a decision, postgrey's but none, another program's, or not to be understood."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.tallies import SECRET, tally_of_log

from postgrey_exporter.counting.tally import Tally
from postgrey_exporter.decision import (
    CLIENT_AWL,
    CLIENT_WHITELIST,
    EARLY_RETRY,
    GREYLIST,
    NEW,
    OTHER_REASON,
    PASS,
    RECIPIENT_WHITELIST,
    TRIPLET_FOUND,
    Client,
    Decision,
)
from postgrey_exporter.parsing.fields import LONGEST_MESSAGE
from postgrey_exporter.parsing.hashing import KeyedHash
from postgrey_exporter.parsing.line import BEFORE_1_28, DECISION, FOREIGN, MALFORMED, NEAR_MISS, NO_DECISION, OUTCOMES
from postgrey_exporter.parsing.message import MOST_REPEATS
from postgrey_exporter.parsing.parser import Parsed, Parser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SEEN: Final = datetime(2024, 7, 1, tzinfo=UTC).timestamp()
HEADER: Final = "2024-06-26T00:00:07+00:00 mx1 postgrey[12]: "
AT: Final = datetime(2024, 6, 26, 0, 0, 7, tzinfo=UTC).timestamp()
TRAILER: Final = "sender=a@example.com, recipient=b@example.org"
CLIENT_FIELDS: Final = "client_name=mail.example.com, client_address=192.0.2.1"
FIELDS: Final = f"{CLIENT_FIELDS}, {TRAILER}"
CLIENT: Final = Client("mail.example.com", "192.0.2.1")
NEW_MESSAGE: Final = f"action=greylist, reason=new, {FIELDS}"


def parse(lines: str | bytes, *, tag: str = "postgrey", seen_at: float = SEEN) -> Parsed:
    raw = lines if isinstance(lines, bytes) else lines.encode("utf-8", "surrogateescape")
    return Parser(tag, UTC).parse(raw, seen_at)


def outcomes(parsed: Parsed) -> dict[str, int]:
    return {outcome: parsed.lines[outcome] for outcome in OUTCOMES if parsed.lines[outcome]}


def moment(month: int, day: int, hour: int, minute: int, second: float) -> float:
    return datetime(2024, month, day, hour, minute, tzinfo=UTC).timestamp() + second


# --- headers


@pytest.mark.parametrize(
    ("header", "time"),
    [
        pytest.param("Feb  5 08:38:26 mx1 postgrey[6346]: ", moment(2, 5, 8, 38, 26), id="rfc3164-padded-day"),
        pytest.param("Jun 26 23:59:59 mx1 postgrey[6346]: ", moment(6, 26, 23, 59, 59), id="rfc3164"),
        pytest.param("Feb 5 08:38:26 mx1 postgrey[6346]: ", moment(2, 5, 8, 38, 26), id="rfc3164-unpadded-day"),
        pytest.param("Jun 26 08:38:26.250 mx1 postgrey[6346]: ", moment(6, 26, 8, 38, 26.25), id="rfc3164-fraction"),
        pytest.param("2024-06-26T00:00:07.123456+02:00 mx1 postgrey[12]: ", AT - 7200 + 0.123456, id="microseconds"),
        pytest.param("2024-06-26T00:00:07.123+02:00 mx1 postgrey[12]: ", AT - 7200 + 0.123, id="milliseconds"),
        pytest.param("2024-06-26T00:00:07+02:00 mx1 postgrey[12]: ", AT - 7200, id="no-fraction"),
        pytest.param("2024-06-26T00:00:07Z mx1 postgrey[12]: ", AT, id="zulu"),
        pytest.param("2024-06-26T00:00:07.5Z mx1 postgrey[12]: ", AT + 0.5, id="zulu-fraction"),
        pytest.param("2024-06-26T00:00:07-0330 mx1 postgrey[12]: ", AT + 12600, id="offset-without-colon"),
        pytest.param("Jun 26 00:00:07 mx1 postgrey: ", AT, id="no-pid"),
        pytest.param("Jun 26 00:00:07 (none) postgrey[12]: ", AT, id="host-none"),
        pytest.param("Jun 26 00:00:07 a/b postgrey[12]: ", AT, id="host-with-slash"),
        pytest.param("Jun 26 00:00:07 2001:db8::1 postgrey[12]: ", AT, id="host-is-an-address"),
        pytest.param("Jun 26 00:00:07 postgrey postgrey[12]: ", AT, id="host-is-called-postgrey"),
        pytest.param("Jun 26 00:00:07 mx1 postgrey[12]: [ID 197553 mail.info] ", AT, id="solaris"),
        pytest.param("Jun 26 00:00:07 <mail.info> mx1 postgrey[12]: ", AT, id="freebsd-verbose"),
        pytest.param("", SEEN, id="no-header"),
    ],
)
@pytest.mark.parametrize(
    "end", [pytest.param("\n", id="lf"), pytest.param("\r\n", id="crlf"), pytest.param("", id="no-end")]
)
def test_header(header: str, time: float, end: str) -> None:
    parsed = parse(f"{header}{NEW_MESSAGE}{end}")

    assert outcomes(parsed) == {DECISION: 1}
    assert [decision.time for decision in parsed.decisions] == pytest.approx([time], abs=1e-5)
    assert [decision[1:5] for decision in parsed.decisions] == [(GREYLIST, NEW, CLIENT, None)]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("Foo 26 00:00:07 mx1 postgrey[12]: ", id="no-such-month"),
        pytest.param("Jun 31 00:00:07 mx1 postgrey[12]: ", id="no-such-day"),
        pytest.param("Jun  0 00:00:07 mx1 postgrey[12]: ", id="day-zero"),
        pytest.param("Jun 26 24:00:07 mx1 postgrey[12]: ", id="no-such-hour"),
        pytest.param("Jun 26 00:60:07 mx1 postgrey[12]: ", id="no-such-minute"),
        pytest.param("Jun 26 00:00:61 mx1 postgrey[12]: ", id="no-such-second"),
        pytest.param("2023-02-29T00:00:07Z mx1 postgrey[12]: ", id="no-leap-year"),
        pytest.param("2024-13-01T00:00:07Z mx1 postgrey[12]: ", id="no-such-iso-month"),
        pytest.param("0000-01-01T00:00:07Z mx1 postgrey[12]: ", id="year-zero"),
        pytest.param("2024-06-26T00:00:07+24:00 mx1 postgrey[12]: ", id="no-such-offset"),
    ],
)
def test_an_impossible_time_in_a_header_of_postgreys_is_malformed(header: str) -> None:
    assert outcomes(parse(header + NEW_MESSAGE)) == {MALFORMED: 1}


def test_a_leap_second_is_a_time() -> None:
    parsed = parse(f"2016-12-31T23:59:60Z mx1 postgrey[12]: {NEW_MESSAGE}")

    assert [decision.time for decision in parsed.decisions] == [datetime(2017, 1, 1, tzinfo=UTC).timestamp()]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param("2024-06-26T00:00:07Z 07Z ", id="the-end"),
        pytest.param("2024-06-26T00:00:07+02:00 :00 ", id="the-end-of-an-offset"),
        pytest.param("2024-06-26T00:00:07Z x#0122024-06-26T00:00:07Z ", id="all"),
        pytest.param("2024-06-26T00:00:07Z 07Zmx1 ", id="before-a-host"),
    ],
)
def test_a_host_name_that_repeats_its_stamp_is_a_tag_that_rsyslog_has_broken(header: str) -> None:
    line = f"{header}postgrey[12]: {NEW_MESSAGE}"
    assert outcomes(parse(line)) == {FOREIGN: 1}
    assert Parser("postgrey", UTC).read(line.encode(), SEEN).lines[FOREIGN] == 1


def test_the_tag_is_the_one_the_user_names() -> None:
    lines = "".join(f"Jun 26 00:00:07 mx1 {tag}: {NEW_MESSAGE}\n" for tag in ("greylist+[4]", "postgrey[4]", "greyl"))

    assert outcomes(parse(lines, tag="greylist+")) == {DECISION: 1, FOREIGN: 2}


# --- decisions


def without_keys(parsed: Parsed) -> list[Decision]:
    """Return the decisions without what stands for sender and recipient, which is tested apart."""
    return [decision._replace(message=0) for decision in parsed.decisions]


def decided(
    action: str, reason: str, name: str = CLIENT.name, address: str = CLIENT.address, delay: int | None = None
) -> Decision:
    return Decision(AT, action, reason, Client(name, address), delay)


def greylisted(name: str = CLIENT.name, address: str = CLIENT.address) -> Decision:
    return decided(GREYLIST, NEW, name, address)


NEW_FROM: Final = "action=greylist, reason=new, client_name=mail.example.com, client_address="


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        pytest.param(f"action=greylist, reason=new, {FIELDS}", decided(GREYLIST, NEW), id="new"),
        pytest.param(
            f"action=greylist, reason=early-retry (173s missing), {FIELDS}",
            decided(GREYLIST, EARLY_RETRY),
            id="early-retry",
        ),
        pytest.param(
            f"action=pass, reason=triplet found, delay=1208, {FIELDS}",
            decided(PASS, TRIPLET_FOUND, delay=1208),
            id="first-pass",
        ),
        pytest.param(f"action=pass, reason=triplet found, {FIELDS}", decided(PASS, TRIPLET_FOUND), id="later-pass"),
        pytest.param(
            f"action=pass, reason=client whitelist, {FIELDS}", decided(PASS, CLIENT_WHITELIST), id="client-whitelist"
        ),
        pytest.param(
            f"action=pass, reason=recipient whitelist, {FIELDS}",
            decided(PASS, RECIPIENT_WHITELIST),
            id="recipient-whitelist",
        ),
        pytest.param(f"action=pass, reason=client AWL, {FIELDS}", decided(PASS, CLIENT_AWL), id="client-awl"),
        pytest.param(
            f"action=pass, reason=client whitelisted by dnswl.org (3/mx.example.com, medium), {FIELDS}",
            decided(PASS, OTHER_REASON),
            id="free-text",
        ),
        pytest.param(
            f"action=pass, reason=listed in a,b and = c, {FIELDS}",
            decided(PASS, OTHER_REASON),
            id="free-text-with-commas",
        ),
        pytest.param(f"action=pass, {FIELDS}", decided(PASS, OTHER_REASON), id="pass-without-reason"),
        pytest.param(f"3F2A8C01: {NEW_MESSAGE}", greylisted(), id="queue-id"),
        pytest.param(f"4Wx7Ls1bJLzMrB4: {NEW_MESSAGE}", greylisted(), id="long-queue-id"),
        pytest.param(f"{NEW_MESSAGE} ", greylisted(), id="trailing-blank"),
        pytest.param(f"{NEW_MESSAGE} \r", greylisted(), id="trailing-blank-and-return"),
        pytest.param(f"{NEW_FROM}192.0.2.1, recipient=b@example.org", greylisted(), id="bounce-without-sender"),
        pytest.param(
            f"action=greylist, reason=new, client_name=unknown, client_address=192.0.2.1, {TRAILER}",
            greylisted("unknown"),
            id="client-unknown",
        ),
        pytest.param(
            f"action=greylist, reason=new, client_address=192.0.2.1, {TRAILER}",
            greylisted("unknown"),
            id="no-client-name",
        ),
        pytest.param(
            f"action=greylist, reason=new, client_name=mail.example.com, {TRAILER}",
            greylisted(address=""),
            id="no-client-address",
        ),
        pytest.param(f"action=greylist, reason=new, {TRAILER}", greylisted("unknown", ""), id="no-client"),
        pytest.param("action=greylist, reason=new \r", greylisted("unknown", ""), id="no-field-at-all"),
        pytest.param(f"{NEW_FROM}192.0.2.1 \r", greylisted(), id="address-last"),
        pytest.param(
            f"action=greylist, reason=new, client_name=MAIL.Example.COM., client_address=192.0.2.1, {TRAILER}",
            greylisted(),
            id="name-in-capitals-with-a-dot",
        ),
        pytest.param(f"{NEW_FROM}17.58.38.56/32, {TRAILER}", greylisted(address="17.58.38.56"), id="masked-ipv4"),
        pytest.param(
            f"{NEW_FROM}2001:DB8:4864:20:0:0:0:32B/128, {TRAILER}",
            greylisted(address="2001:db8:4864:20::32b"),
            id="masked-ipv6",
        ),
        pytest.param(
            f"{NEW_FROM}2001:0db8:0:0::0001, {TRAILER}", greylisted(address="2001:db8::1"), id="ipv6-spelled-oddly"
        ),
        pytest.param(
            f"{NEW_FROM}::ffff:192.0.2.1, {TRAILER}", greylisted(address="::ffff:192.0.2.1"), id="ipv4-mapped"
        ),
        pytest.param(
            f'{NEW_FROM}192.0.2.1, sender="a=b, c%d"e"@example.com, recipient=b@example.org',
            greylisted(),
            id="signs-in-sender",
        ),
        pytest.param(
            f"{NEW_FROM}192.0.2.1, sender=caf%E9@example.com, recipient=b@example.org",
            greylisted(),
            id="escaped-byte-in-sender",
        ),
        pytest.param(
            f"{NEW_FROM}192.0.2.1, sender=100%%@example.com, recipient=b@example.org",
            greylisted(),
            id="doubled-percent-in-sender",
        ),
        pytest.param(
            f"{NEW_FROM}192.0.2.1, sender=caf\udce9@example.com, recipient=b@example.org",
            greylisted(),
            id="raw-byte-in-sender",
        ),
        pytest.param(
            f'{NEW_FROM}192.0.2.1, sender="x, client_name=forged.example.net, client_address=192.0.2.9"@example.com, '
            "recipient=b@example.org",
            greylisted(),
            id="fields-inside-sender",
        ),
        pytest.param(
            'action=greylist, reason=new, sender="x, client_name=forged.example.net"@example.com, '
            "recipient=b@example.org",
            greylisted("unknown", ""),
            id="fields-inside-sender-and-no-client",
        ),
        pytest.param(
            f'{NEW_FROM}192.0.2.1, sender="action=pass, reason=client AWL"@example.com, recipient=b@example.org',
            greylisted(),
            id="action-inside-sender",
        ),
        pytest.param(
            f"action=greylist, reason=new, client_name=m\udce9il.example.com, client_address=192.0.2.1, {TRAILER}",
            greylisted("m\ufffdil.example.com"),
            id="raw-byte-in-name",
        ),
    ],
)
def test_decision(message: str, decision: Decision) -> None:
    parsed = parse(HEADER + message)

    assert outcomes(parsed) == {DECISION: 1}
    assert without_keys(parsed) == [decision]


@pytest.mark.parametrize(
    ("message", "decision"),
    [
        pytest.param(
            "delayed 551 seconds: client=mail.example.com, from=a@example.com, to=b@example.org",
            decided(PASS, TRIPLET_FOUND, address="", delay=551),
            id="before-1.28",
        ),
        pytest.param(
            "delayed 551 seconds: client=192.0.2.1, from=a@example.com, to=b@example.org",
            decided(PASS, TRIPLET_FOUND, "unknown", delay=551),
            id="before-1.28-address",
        ),
        pytest.param(
            "delayed 551 seconds: client=, from=a@example.com, to=b@example.org",
            decided(PASS, TRIPLET_FOUND, "unknown", "", delay=551),
            id="before-1.28-no-client",
        ),
    ],
)
def test_a_postgrey_before_1_28_tells_of_what_passes_and_that_is_no_decision_on_greylisting(
    message: str, decision: Decision
) -> None:
    parsed = parse(HEADER + message)

    assert parsed.lines == {NO_DECISION: 1, BEFORE_1_28: 1}
    assert without_keys(parsed) == [decision]


@pytest.mark.parametrize(
    ("reason", "counts_as"),
    [
        pytest.param("", NEW, id="none"),
        pytest.param(", reason=because", NEW, id="unknown"),
        pytest.param(", reason=early-retry", EARLY_RETRY, id="early-retry-without-seconds"),
    ],
)
def test_what_is_greylisted_for_a_reason_that_postgrey_does_not_have_is_greylisted_and_told(
    reason: str, counts_as: str
) -> None:
    line = f"{HEADER}action=greylist{reason}, {FIELDS}"

    assert without_keys(parse(line)) == [decided(GREYLIST, counts_as)]
    assert len(Parser("postgrey", UTC).read(line.encode() * 2, SEEN).oddities) == 1


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(NEW_MESSAGE, id="first-line"),
        pytest.param(f"\n{NEW_MESSAGE}", id="later-line"),
        pytest.param(f"3F2A8C01: {NEW_MESSAGE}", id="queue-id"),
        pytest.param(f"\n3F2A8C01: {NEW_MESSAGE}\r\n", id="queue-id-on-a-later-line"),
    ],
)
def test_without_a_header_the_line_is_of_the_moment_it_was_seen(line: str) -> None:
    assert [decision.time for decision in parse(line).decisions] == [SEEN]


# --- postgrey's, but no decision


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("whitelisted: mail.example.com[192.0.2.1]", id="awl-takes-a-client-in"),
        pytest.param("whitelisted: unknown[192.0.2.1]", id="awl-unknown"),
        pytest.param("whitelisted: mail.example.com[192.0.2.1/32]", id="awl-masked"),
        pytest.param("whitelisted: mail.example.com", id="awl-bare-name"),
        pytest.param("cleaning up old logs...", id="cleaning-logs"),
        pytest.param("cleaning up old entries...", id="cleaning-entries"),
        pytest.param("cleaning main database finished. before: 430, after: 415", id="cleaned"),
        pytest.param("rm /var/lib/postgrey/log.0000000001", id="rm"),
        pytest.param("HUP received: reloading whitelists...", id="reload"),
        pytest.param("WARNING: unrecognized line in whitelist: a b", id="warning"),
        pytest.param("FATAL: can't create database environment", id="fatal"),
        pytest.param(
            '2015/09/24-02:18:45 CONNECT TCP Peer: "[127.0.0.1]:36640" Local: "[127.0.0.1]:10023"', id="connect"
        ),
        pytest.param("2015/09/24-02:18:45 postgrey (type Net::Server::Multiplex) starting! pid(9968)", id="starting"),
        pytest.param("2015/09/24-02:18:45 Server closing!", id="closing"),
        pytest.param("Exiting!", id="exiting"),
        pytest.param("", id="nothing"),
        pytest.param("delayed for long: client=mail.example.com", id="almost-before-1.28"),
        pytest.param(f"request: {NEW_MESSAGE.replace('action=', 'reaction=')}", id="almost-an-action"),
    ],
)
def test_no_decision(message: str) -> None:
    assert outcomes(parse(HEADER + message)) == {NO_DECISION: 1}


# --- claims to be a decision of postgrey's and can't be understood


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("action=", id="no-action"),
        pytest.param(f"action=pass, reason=x#012action=pass, {FIELDS}", id="reason-that-repeats-a-tag"),
        pytest.param(
            "action=pass, client_name=x#012action=pass, client_address=192.0.2.1", id="name-that-repeats-it"
        ),
        pytest.param(f"action=defer, reason=new, {FIELDS}", id="unknown-action"),
        pytest.param(
            "action=greylist, reason=new, client_name=mail.example.com, client_addr", id="cut-inside-a-field"
        ),
        pytest.param("action=greyl", id="cut-inside-the-action"),
        pytest.param(f"{NEW_FROM}192.0.2, {TRAILER}", id="impossible-address"),
        pytest.param(f"{NEW_FROM}caf\udce9, {TRAILER}", id="address-of-raw-bytes"),
        pytest.param(f"{NEW_FROM}192.0.2.1, helo=x, {TRAILER}", id="unknown-field"),
        pytest.param(f"action=pass, reason=triplet found, delay=-5, {FIELDS}", id="impossible-delay"),
        pytest.param(f"action=pass, reason=triplet found, delay=99999999999, {FIELDS}", id="endless-delay"),
        pytest.param(f"3F2A8C01: action=defer, {FIELDS}", id="queue-id"),
        pytest.param("action=greylist, reason=new, client_name=mail.example.co", id="cut-inside-the-name"),
        pytest.param(f"message repeated 2147483648 times: [ {NEW_MESSAGE}]", id="repeated-too-often"),
    ],
)
def test_malformed(message: str) -> None:
    assert outcomes(parse(HEADER + message)) == {MALFORMED: 1}


# --- another program's, whatever it says


FORGED: Final = (
    "action=greylist, reason=new, client_name=mail.forged.example.net, client_address=192.0.2.9, " + TRAILER
)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(
            f"Jun 26 00:00:07 mx1 postfix/cleanup[9]: 4Wx7Ls: warning: header Subject: postgrey[1]: {FORGED}",
            id="subject",
        ),
        pytest.param(
            f"Jun 26 00:00:07 mx1 postfix/cleanup[9]: header Subject: Jun 26 00:00:07 mx1 postgrey[1]: {FORGED}",
            id="subject-with-a-whole-line",
        ),
        pytest.param(
            f"Jun 26 00:00:07 mx1 postfix/smtpd[9]: reject: RCPT from unknown[192.0.2.9]: helo=< postgrey: {FORGED}>",
            id="helo",
        ),
        pytest.param(
            f'Jun 26 00:00:07 mx1 postfix/smtpd[9]: from=<" postgrey[1]: {FORGED}"@example.com>', id="sender"
        ),
        pytest.param(f"2024-06-26T00:00:07Z mx1 dovecot: login: user=< postgrey[1]: {FORGED}>", id="iso-header"),
        pytest.param(f"Jun 26 00:00:07 mx1 postfix/cleanup[9]: 3F2A8C01: {FORGED}", id="queue-id"),
        pytest.param(f"Jun 26 00:00:07 mx1 logger: {FORGED}", id="logger"),
        pytest.param(f"Jun 26 00:00:07 mx1 xpostgrey[1]: {FORGED}", id="tag-ends-alike"),
        pytest.param(f"Jun 26 00:00:07 mx1 postgrey2[1]: {FORGED}", id="tag-begins-alike"),
        pytest.param(f"Jun 26 00:00:07 mx1 Postgrey[1]: {FORGED}", id="tag-in-capitals"),
        pytest.param(f"Jun 26 00:00:07 mx1 postfix/postgrey[1]: {FORGED}", id="tag-of-a-service"),
        pytest.param(f"Jun 26 00:00:07 a b postgrey[1]: {FORGED}", id="host-of-two-words"),
        pytest.param(f"x-y: {FORGED}", id="headerless-with-no-queue-id"),
        pytest.param("Jun 26 00:00:07 mx1 sqlgrey: grey: new: 192.0.2(192.0.2.9), a@example.com", id="sqlgrey"),
        pytest.param(f"Jun 26 00:00:07 mx1 sqlgrey: {FORGED}", id="sqlgrey-says-the-same"),
        pytest.param("Jun 26 00:00:07 mx1 gld[1]: greylist activated for recipient=<b@example.org>", id="gld"),
        pytest.param("Jun 26 00:00:07 mx1 milter-greylist: addr 192.0.2.9 from a@example.com delayed", id="milter"),
        pytest.param("2024-06-26 00:00:07 #1(normal) <a1> task; rspamd_task_write_log: (greylist)", id="rspamd"),
        pytest.param("", id="empty-line"),
        pytest.param("\r", id="return-alone"),
        pytest.param("\udc80\udcff", id="raw-bytes"),
        pytest.param("\0" * 40, id="zeros"),
    ],
)
@pytest.mark.parametrize("real", [pytest.param(False, id="alone"), pytest.param(True, id="between-real-lines")])
def test_foreign(line: str, real: bool) -> None:
    ours = f"{HEADER}{NEW_MESSAGE}\n" if real else ""

    parsed = parse(f"{ours}{line}\n{ours}")

    assert parsed.lines[FOREIGN] == 1
    assert without_keys(parsed) == [greylisted()] * (2 if real else 0)
    assert (parsed.lines[NO_DECISION], parsed.lines[MALFORMED]) == (0, 0)
    counted = tally_of_log(f"{ours}{line}\n{ours}".encode("utf-8", "surrogateescape"), SEEN)
    assert {outcome: count for outcome, count in counted.lines.items() if count} == outcomes(parsed)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(f"Jun 26 00:00:07 mx1 postgrey[x]: {FORGED}", id="pid-no-number"),
        pytest.param(f"Jun 26 00:00:07 mx1 postgrey[]: {FORGED}", id="pid-empty"),
        pytest.param(f"Jun 26 00:00:07 mx1 postgrey[1] {FORGED}", id="no-colon"),
        pytest.param(f"Jun 26 00:00:07 mx1  postgrey[1]: {FORGED}", id="two-blanks-before-the-tag"),
        pytest.param(f" Jun 26 00:00:07 mx1 postgrey[1]: {FORGED}", id="indented"),
        pytest.param(f"x Jun 26 00:00:07 mx1 postgrey[1]: {FORGED}", id="word-before-the-header"),
        pytest.param(f"Jun 26 00:00:07+02:00 mx1 postgrey[1]: {FORGED}", id="rfc3164-with-a-zone"),
        pytest.param(f" postgrey[1]: {FORGED}", id="tag-alone"),
        pytest.param(f"postgrey[1]: {FORGED}", id="tag-at-the-start"),
        pytest.param(f" {FORGED}", id="headerless-indented"),
        pytest.param(f"x {FORGED}", id="headerless-with-a-word"),
        pytest.param(f": {FORGED}", id="headerless-with-an-empty-queue-id"),
        pytest.param(f"Jun 26 00:00:07 mx1 {FORGED}", id="no-tag"),
        pytest.param(f"[26/Jun/2024:00:00:07] mx1 postgrey[1]: {FORGED}", id="unknown-stamp"),
    ],
)
def test_a_decisions_words_without_a_header_that_is_known_or_another_tag_are_a_near_miss(line: str) -> None:
    assert outcomes(parse(f"{line}\n{HEADER}x\n")) == {NEAR_MISS: 1, NO_DECISION: 1}
    counted = tally_of_log(f"{line}\n".encode(), SEEN)
    assert counted.lines[NEAR_MISS] == 1
    (told,) = Parser("postgrey", UTC).read(line.encode(), SEEN).oddities
    assert told.startswith("a decision's words, but no known header before them: ")
    assert told.endswith("action=greylist, reason=")


def test_what_looks_like_a_second_tag_is_postgreys_text() -> None:
    assert outcomes(parse(f"Jun 26 00:00:07 postgrey: postgrey[12]: {NEW_MESSAGE}")) == {NO_DECISION: 1}


def test_a_forged_header_inside_postgreys_own_line_adds_nothing() -> None:
    forged = f"Jun 26 00:00:07 mx1 postgrey[1]: {FORGED}"
    message = f'action=greylist, reason=new, {CLIENT_FIELDS}, sender="{forged}"@example.com, recipient=b@example.org'

    parsed = parse(f"{HEADER}{message}\n{HEADER}whitelisted: x postgrey[1]: {forged}\n")

    assert outcomes(parsed) == {DECISION: 1, NO_DECISION: 1}
    assert without_keys(parsed) == [greylisted()]


# --- rsyslog's repeated messages


@pytest.mark.parametrize(
    ("message", "counts"),
    [
        pytest.param(f"message repeated 3 times: [ {NEW_MESSAGE}]", {DECISION: 1}, id="decision"),
        pytest.param(f"message repeated 2 times: [ 3F2A8C01: {NEW_MESSAGE}] \r", {DECISION: 1}, id="trailing-blank"),
        pytest.param(
            "message repeated 3 times: [ whitelisted: mail.example.com[192.0.2.1]]", {NO_DECISION: 1}, id="none"
        ),
        pytest.param("message repeated 3 times: [ action=greyl]", {MALFORMED: 1}, id="malformed"),
        pytest.param(f"message repeated 0 times: [ {NEW_MESSAGE}]", {MALFORMED: 1}, id="never"),
        pytest.param(
            f"message repeated 9 times: [ message repeated 9 times: [ {NEW_MESSAGE}]]", {MALFORMED: 1}, id="nested"
        ),
        pytest.param(f"message repeated 3 times: [ {NEW_MESSAGE}", {NO_DECISION: 1}, id="cut"),
    ],
)
def test_repeated_message(message: str, counts: dict[str, int]) -> None:
    assert outcomes(parse(HEADER + message)) == counts


@pytest.mark.parametrize("times", [1, 2, 99_999, MOST_REPEATS])
def test_a_repeated_message_counts_the_decision_that_it_repeats(times: int) -> None:
    parsed = parse(f"{HEADER}message repeated {times} times: [ {NEW_MESSAGE}]\n")

    assert without_keys(parsed) == [greylisted()._replace(times=times)]


def test_a_message_longer_than_any_of_postgreys_is_not_looked_into() -> None:
    fits = HEADER + "action=greylist, reason=" + "," * (LONGEST_MESSAGE - 24)

    assert outcomes(parse(fits)) == {MALFORMED: 1}
    assert outcomes(parse(f"{HEADER}{NEW_MESSAGE}{' ' * LONGEST_MESSAGE}")) == {MALFORMED: 1}
    assert outcomes(parse(f"{HEADER}{'x' * LONGEST_MESSAGE}x")) == {NO_DECISION: 1}


# --- stamps of the future


@pytest.mark.parametrize("read", [Parser.read, Parser.parse])
def test_a_stamp_of_more_than_a_day_ahead_is_dated_by_when_it_was_there(read: Callable[..., Any]) -> None:
    ahead = [SEEN + 86_400, SEEN + 86_401, 253402300799.0]
    lines = "".join(
        f"{datetime.fromtimestamp(one, UTC).isoformat()} mx1 postgrey[1]: {NEW_MESSAGE}\n" for one in ahead
    ).encode()
    for seen_at, arrival in ((SEEN, SEEN), (SEEN - 9e6, SEEN - 9e6), (1e300, SEEN)):
        found = read(Parser("postgrey", UTC, SECRET), lines, seen_at, SEEN)
        assert found.future == 2
        if isinstance(found, Parsed):
            assert [one.time for one in found.decisions] == [SEEN + 86_400, arrival, arrival]
        else:
            tally = Tally(KeyedHash(SECRET))
            tally.add(found)
            assert (tally.future, tally.first_event, tally.last_event) == (2, arrival, SEEN + 86_400)


def test_a_stamp_without_a_year_is_dated_by_the_present_where_the_file_is_from_later() -> None:
    (found,) = Parser("postgrey", UTC).parse(f"{HEADER}{NEW_MESSAGE}".encode(), 1e300, SEEN).decisions

    assert found.time <= SEEN


def test_repetition_nested_without_end_is_one_malformed_line() -> None:
    message = "message repeated 2 times: [ " * 20_000 + "x" + "]" * 20_000

    assert outcomes(parse(HEADER + message)) == {MALFORMED: 1}


# --- whole blocks


LINES: Final = (
    f"{HEADER}{NEW_MESSAGE}",
    f"{HEADER}{NEW_MESSAGE}\r",
    f"{HEADER}message repeated 2 times: [ {NEW_MESSAGE}]",
    f"{HEADER}action=pass, reason=triplet found, delay=1208, {FIELDS}",
    f"{HEADER}whitelisted: mail.example.com[192.0.2.1]",
    f"{HEADER}action=greylist",
    f"{HEADER}",
    HEADER.rstrip(),
    f"Jun 26 00:00:07 mx1 postgrey: {NEW_MESSAGE}",
    f"Jun 31 00:00:07 mx1 postgrey: {NEW_MESSAGE}",
    f"Jun 26 00:00:07 mx1 postfix/cleanup[9]: warning: header Subject: postgrey[1]: {FORGED}",
    "Jun 26 00:00:07 mx1 postfix/cleanup[9]: text ends with the tag postgrey: ",
    NEW_MESSAGE,
    f"3F2A8C01: {NEW_MESSAGE}",
    "action=",
    ": action=",
    "",
    " ",
)
BLOCKS = st.lists(st.sampled_from(LINES) | st.text(max_size=40).map(lambda text: text.replace("\n", "")), max_size=12)


def added(parts: Iterable[Parsed]) -> tuple[Counter[Decision], dict[str, int]]:
    decisions: Counter[Decision] = Counter()
    counts: Counter[str] = Counter()
    for part in parts:
        # The time of a bare message is that of the stamp before it.
        decisions.update(decision._replace(time=0) for decision in part.decisions)
        counts.update(outcomes(part))
    return decisions, dict(counts)


@given(lines=BLOCKS, others=st.sampled_from([0, 0, 1, 30, 300]))
def test_a_block_holds_what_its_lines_hold(lines: list[str], others: int) -> None:
    parser = Parser(zone=UTC)
    raw = [f"{line}\n".encode() for line in [*["x" * 60] * others, *lines, *["y"] * others]]

    whole = parser.parse(b"".join(raw), SEEN)

    assert added([whole]) == added(parser.parse(line, SEEN) for line in raw)


@given(lines=BLOCKS)
def test_the_last_line_counts_without_its_end_too(lines: list[str]) -> None:
    raw = "\n".join([*lines, "x"]).encode()

    assert outcomes(parse(raw)) == outcomes(parse(raw + b"\n"))


# What matters to the parser turns up often enough to meet in odd orders.
FRAGMENTS: Final = (
    HEADER.encode(),
    b"Jun 26 00:00:07 mx1 ",
    b" postgrey[1]: ",
    b"postgrey",
    b"action=greylist",
    b"action=pass",
    b", reason=new",
    b", reason=",
    b", client_name=mail.example.com",
    b", client_address=192.0.2.1",
    b", sender=",
    b"3F2A8C01: ",
    b"message repeated 2 times: [ ",
    b"delayed 5 seconds: client=",
    b"[ID 1 mail.info] ",
    b"]",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
)
JUNK = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=12), max_size=20).map(b"".join)


@given(junk=st.binary(max_size=400) | JUNK, tag=st.sampled_from(["postgrey", "sqlgrey", ".*"]))
@example(junk=b"\n\n", tag="postgrey")
@example(junk=b"", tag="postgrey")
def test_every_line_of_whatever_bytes_has_an_outcome(junk: bytes, tag: str) -> None:
    parsed = parse(junk, tag=tag)

    lines = junk.count(b"\n") + (junk != b"" and not junk.endswith(b"\n"))
    repeated = junk.count(b"message repeated")
    assert min(outcomes(parsed).values(), default=0) >= 0
    assert lines <= sum(outcomes(parsed).values()) <= lines + repeated


@given(
    text=st.binary(max_size=200) | JUNK,
    tag=st.sampled_from(["postfix/cleanup[9]", "sqlgrey", "postgrey2", "postgre", "-postgrey", "logger"]),
    header=st.sampled_from(["Jun 26 00:00:07 mx1", "2024-06-26T00:00:07.123456+02:00 mx1"]),
)
def test_nothing_that_another_program_writes_is_a_decision(text: bytes, tag: str, header: str) -> None:
    line = f"{header} {tag}: ".encode() + text.replace(b"\n", b"")

    assert outcomes(parse(line)) == {FOREIGN: 1}


def message_keys(*lines: str) -> list[int]:
    parsed = Parser().parse("".join(f"action=greylist, reason=new, {line}\n" for line in lines).encode(), SEEN)
    return [decision.message for decision in parsed.decisions]


def test_one_sender_and_recipient_are_one_message_from_whatever_client() -> None:
    one, other, upper, verp = message_keys(
        "client_name=a.example.com, client_address=192.0.2.1, sender=b-1@example.com, recipient=c@example.org",
        "client_name=unknown, client_address=198.51.100.1, sender=b-1@example.com, recipient=c@example.org ",
        "client_name=a.example.com, client_address=192.0.2.1, sender=B-1@EXAMPLE.com, recipient=C@example.org",
        "client_name=a.example.com, client_address=192.0.2.1, sender=b-22@example.com, recipient=c@example.org\r",
    )
    assert one == other == upper == verp


def test_bounces_to_one_recipient_are_another_message_than_mail_from_a_sender() -> None:
    client = "client_name=a.example.com, client_address=192.0.2.1"
    keys = message_keys(
        f"{client}, recipient=c@example.org",
        f"{client}, sender=c@example.org",
        f"{client}, sender=b@example.com, recipient=c@example.org",
        f"{client}, sender=b@example.com, recipient=d@example.org",
        client,
    )
    assert len(set(keys)) == len(keys)


def test_without_the_secret_a_key_tells_nothing() -> None:
    line = "client_address=192.0.2.1, sender=b@example.com, recipient=c@example.org"
    assert message_keys(line) != message_keys(line)
