"""What an operator has to know about a log by what its lines were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.parsing.line import AUTO_WHITELISTED, BEFORE_1_28, DECISION, MALFORMED, NEAR_MISS, NO_DECISION
from postgrey_exporter.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_ELSEWHERE: Final = (
    "it may log elsewhere (on Debian 12 to the journal), under another tag (--syslog-tag), or not at all (--quiet)"
)


class Remark(NamedTuple):
    """What an operator has to know about a log."""

    text: str
    remedy: str | None = None
    """What to do; ``None`` if it is no fault."""

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text


def remarks(lines: Mapping[str, int]) -> list[Remark]:
    """Return what is to be said of lines, counted by outcome and sign."""
    found = []
    if lines.get(BEFORE_1_28):
        text = "a postgrey before 1.28 writes here, it logs deliveries only"
        found.append(Remark(text, "update postgrey to 1.28 or newer"))
    if lines.get(DECISION):
        return found
    if lines.get(AUTO_WHITELISTED):
        text = "postgrey says 'whitelisted:' and no decision, it runs with --quiet"
        found.append(Remark(text, "remove --quiet from postgrey's options and restart it"))
    if lines.get(NEAR_MISS):
        text = f"{count(lines[NEAR_MISS], 'line')} with the words of a decision, but with a header of no known form"
        found.append(
            Remark(text, "let syslog write its usual form (rsyslog: RSYSLOG_FileFormat), and report the form")
        )
    return found


def why_nothing(lines: Mapping[str, int], others: Iterable[Remark] = ()) -> str:
    """Return why nothing is known of greylisting where there is no decision, and what to do."""
    told = [str(remark) for remark in (*remarks(lines), *others)]
    ours = sum(lines.get(outcome, 0) for outcome in (NO_DECISION, MALFORMED))
    if not told and ours:
        told = ["does Postfix still ask postgrey?"]
    elif not told:
        told = [_ELSEWHERE]
    what = f"{count(ours, 'line')} of postgrey's, but no decision" if ours else "there is no line of postgrey's"
    return f"{what}: {'; '.join(told)}"
