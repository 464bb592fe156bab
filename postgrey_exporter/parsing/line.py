"""What one line of a log can be, and what lines leave to those behind them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

from postgrey_exporter.decision import Client, Decision

DECISION: Final = "decision"
NO_DECISION: Final = "no_decision"
FOREIGN: Final = "foreign"
MALFORMED: Final = "malformed"
NEAR_MISS: Final = "near_miss"
OUTCOMES: Final = (DECISION, NO_DECISION, FOREIGN, MALFORMED, NEAR_MISS)
"""What a line can be: a decision; postgrey's, but none; another program's; postgrey's and not understood; nobody's by
its header, but with a decision's words."""
AUTO_WHITELISTED: Final = "auto_whitelisted"
BEFORE_1_28: Final = "before_1_28"
"""Signs, which are counted beside the outcomes: postgrey took a client into its auto-whitelist, which is all that it
logs with ``--quiet``; a postgrey before 1.28 let a mail pass, and says nothing of those that it does not."""


class Carry(NamedTuple):
    """What lines leave to those that follow them in a log."""

    moment: float | None = None
    """The time of the last stamp, in seconds since the epoch: that of a bare message behind it."""
    decision: Decision | None = None
    """What the last line said, if that was a decision: a line may follow that repeats it."""

    def saved(self) -> list[Any]:
        """Return what `restored` takes, in JSON's types."""
        return [self.moment, None if self.decision is None else list(self.decision)]

    @classmethod
    def restored(cls, saved: list[Any] | None) -> Self:
        """Return what `saved` was called for; nothing for ``None``."""
        moment, told = saved or (None, None)
        if told is None:
            return cls(moment)
        time, action, reason, client, *others = told
        return cls(moment, Decision(time, action, reason, Client(*client), *others))


class Line(NamedTuple):
    """What one line holds."""

    outcome: str
    """One of `OUTCOMES`."""
    decision: Decision | None = None
    moment: float | None = None
    """Its time, in seconds since the epoch; ``None`` if nothing tells it."""
    sign: str | None = None
    """One of the signs, `AUTO_WHITELISTED` or `BEFORE_1_28`."""
    oddity: str | None = None
    """What is to be said of it, without anything personal."""

    @property
    def kinds(self) -> list[str]:
        """What it counts as."""
        return [self.outcome] if self.sign is None else [self.outcome, self.sign]
