"""Who writes to a log is told by its lines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from postgrey_exporter.parsing.line import AUTO_WHITELISTED, BEFORE_1_28, DECISION, NEAR_MISS, NO_DECISION
from postgrey_exporter.sources.detect.examine import FileExaminer
from postgrey_exporter.sources.detect.signs import Examiner, Signs

if TYPE_CHECKING:
    from pathlib import Path

DECIDED = Counter([DECISION])
NOW = 1_760_000_000.0
STAMP = "2025-10-09T08:00:00+00:00 mx1"
AT = NOW - 3200
GREYLISTED = (
    "action=greylist, reason=new, client_name=mail.example.com, client_address=192.0.2.1, recipient=b@example.org"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(f"{STAMP} postgrey[1]: {GREYLISTED}", Signs(AT, DECIDED), id="decision"),
        pytest.param(f"Oct  9 08:00:00 mx1 postgrey[1]: {GREYLISTED}", Signs(AT, DECIDED), id="traditional"),
        pytest.param(GREYLISTED, Signs(NOW, DECIDED), id="no header"),
        pytest.param(f"4B3C2D: {GREYLISTED}", Signs(NOW, DECIDED), id="no header, queue id"),
        pytest.param(
            f"{STAMP} postgrey[1]: whitelisted: mail.example.com[192.0.2.1]",
            Signs(lines=Counter([NO_DECISION, AUTO_WHITELISTED])),
            id="--quiet",
        ),
        pytest.param(
            "whitelisted: mail.example.com[192.0.2.1]",
            Signs(lines=Counter([AUTO_WHITELISTED])),
            id="--quiet, no header",
        ),
        pytest.param(f"{STAMP} {GREYLISTED}", Signs(lines=Counter([NEAR_MISS])), id="no tag"),
        pytest.param(
            f"{STAMP} postgrey: delayed 551 seconds: client=mail.example.com, from=a@example.com, to=b@example.org",
            Signs(AT, Counter([NO_DECISION, BEFORE_1_28])),
            id="before 1.28",
        ),
        pytest.param(f"{STAMP} postgrey: Server closing!", Signs(lines=Counter([NO_DECISION])), id="housekeeping"),
        pytest.param(
            f"{STAMP} postgrey-in[7]: {GREYLISTED}", Signs(other_tags=frozenset({"postgrey-in"})), id="other tag"
        ),
        pytest.param(
            f"{STAMP} sqlgrey: grey: new: 192.0.2.1(192.0.2.1), a@example.com -> b@example.org",
            Signs(other_greylisters=frozenset({"sqlgrey"})),
            id="sqlgrey",
        ),
        pytest.param(
            "Oct  9 08:00:00 mx1 gld: Greylist activated for recipient=<b@example.org> ip=<192.0.2.1>",
            Signs(other_greylisters=frozenset({"gld"})),
            id="gld",
        ),
        pytest.param(
            f"{STAMP} milter-greylist[8]: 4B3C2D: addr mail.example.com[192.0.2.1] delayed for 00:05:00 (ACL 82)",
            Signs(other_greylisters=frozenset({"milter-greylist"})),
            id="milter-greylist",
        ),
        pytest.param(
            f"{STAMP} rspamd[9]: <1a2b>; proxy; greylist_check: greylisted until 09:00",
            Signs(other_greylisters=frozenset({"rspamd"})),
            id="rspamd",
        ),
        pytest.param(f"{STAMP} rspamd[9]: <1a2b>; proxy; accepted", Signs(), id="rspamd about other things"),
        pytest.param(f"{STAMP} sqlgrey: {GREYLISTED}", Signs(other_greylisters=frozenset({"sqlgrey"})), id="both"),
        pytest.param(
            f"{STAMP} postfix/cleanup[9]: warning: header Subject: postgrey[1]: {GREYLISTED}", Signs(), id="forged"
        ),
        pytest.param(
            f"{STAMP} postfix/cleanup[9]: Subject: {STAMP} postgrey-in[1]: {GREYLISTED}", Signs(), id="forged tag"
        ),
        pytest.param(f"{STAMP} postfix[9]: sqlgrey: grey: new: x", Signs(), id="forged greylister"),
        pytest.param(f"{STAMP} postfix[9]: whitelisted: x", Signs(), id="another program's whitelist"),
        pytest.param("", Signs(), id="empty"),
    ],
)
def test_one_line(line: str, expected: Signs) -> None:
    examiner = Examiner("postgrey", None)
    assert examiner.examine(f"{line}\n".encode(), NOW) == expected
    # A line without a stamp has that of the line before it.
    noise = f"{STAMP if expected.newest_decision != NOW else '2025-10-09T08:53:20Z mx1'} postfix/smtpd[3]: connect\n"
    assert examiner.examine(f"{noise}{line}\n{noise}".encode(), NOW) == expected


def test_signs_of_two_blocks_add_up() -> None:
    one = Signs(1.0, DECIDED, other_tags=frozenset({"a"}))
    both = one | Signs(2.0, Counter([DECISION, BEFORE_1_28]), other_tags=frozenset({"b"}))
    assert both == Signs(2.0, Counter({DECISION: 2, BEFORE_1_28: 1}), other_tags=frozenset({"a", "b"}))


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        pytest.param(Signs(lines=Counter([AUTO_WHITELISTED])), "--quiet", id="quiet"),
        pytest.param(Signs(1.0, Counter([BEFORE_1_28])), "before 1.28", id="old"),
        pytest.param(Signs(other_tags=frozenset({"postgrey-in"})), "--syslog-tag postgrey-in", id="tag"),
        pytest.param(Signs(1.0, other_greylisters=frozenset({"gld"})), "gld greylists here", id="other greylister"),
        pytest.param(Signs(unverified=frozenset({"session-1.scope, account 1000"})), "account 1000", id="unverified"),
    ],
)
def test_what_an_operator_has_to_know_is_said(signs: Signs, words: str) -> None:
    (said,) = signs.remarks()
    assert words in str(said)


def test_decisions_alone_need_no_remark() -> None:
    assert Signs(1.0, Counter([DECISION, AUTO_WHITELISTED]), other_tags=frozenset({"x"})).remarks() == []


@pytest.mark.parametrize("behind", [1 << 20, 2 << 20, 3 << 20])
def test_what_stands_inside_an_overlong_line_is_no_sign(behind: int, tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    forged = f"{GREYLISTED}, ".encode()
    log.write_bytes(f"{STAMP} app: ".encode() + b"x" * (2 << 20) + forged + b"x" * (behind - len(forged) - 1) + b"\n")
    assert FileExaminer(Examiner("postgrey", None)).examine(log, NOW) == Signs()
