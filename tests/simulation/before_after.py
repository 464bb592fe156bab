"""What following the advice changes: the same simulated week before and after the proposed entries are written.

    python tests/simulation/before_after.py --seed 1

A week goes through a real postgrey; the exporter advises on its log. `postgrey-exporter whitelist` then writes the
lines that it proposes, postgrey is told by SIGHUP, and the same senders send the same mails again. The second
postgrey starts without a memory of the first week: otherwise it would let through what it knows, with or without the
entries.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.parts import find_program
from support.running import EXPORTER, environment

from postgrey_exporter.wording import duration
from simulation.judging import judge
from simulation.week import daemon, simulate
from simulation.world import world

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from simulation.cast import Sender
    from simulation.judging import Verdict
    from simulation.week import Outcome, Week


@dataclass(frozen=True, slots=True)
class Comparison:
    """One week twice."""

    verdicts: list[Verdict]
    before: Week
    after: Week

    @property
    def entries(self) -> list[str]:
        """The whitelist lines that were written: those that are advised for domains at the threshold."""
        chosen = [verdict.standing.advice for verdict in self.verdicts if verdict.counts]
        return [advice.entry for advice in chosen if advice.kind == "whitelist" and advice.entry]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of some mails."""

    mails: int
    refused: int
    """How many were refused at least once."""
    never: int
    """How many were never accepted."""
    median: float
    """Seconds from the first attempt to the acceptance, over those accepted."""
    worst: float

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Fate:
        """Sum up outcomes."""
        delays = [one.delay for one in outcomes if one.delay is not None]
        return cls(
            mails=len(outcomes),
            refused=sum(one.delay != 0 for one in outcomes),
            never=len(outcomes) - len(delays),
            median=median(delays) if delays else 0.0,
            worst=max(delays, default=0.0),
        )

    def __str__(self) -> str:
        """Return it as columns."""
        return (
            f"{self.mails:6} {self.refused:8} {duration(self.median):>13} {duration(self.worst):>13} {self.never:15}"
        )


HEAD = f"{'':38} {'mails':>6} {'refused':>8} {'median delay':>13} {'worst delay':>13} {'never accepted':>15}"


def compare(seed: int) -> Comparison:
    """Simulate the week of a seed, follow the advice, and simulate it again."""
    senders = world(seed)
    with daemon() as postgrey:
        before = simulate(senders, postgrey, seed)
    with tempfile.TemporaryDirectory() as folder:
        whitelist = Path(folder, "whitelist_clients.local")
        whitelist.touch()
        with daemon([whitelist]) as postgrey:
            comparison = Comparison(judge(senders, before), before, before)
            write(comparison.entries, whitelist)
            postgrey.reload()
            return Comparison(comparison.verdicts, before, simulate(senders, postgrey, seed))


def write(entries: Sequence[str], whitelist: Path) -> None:
    """Add lines to a whitelist as an operator does; raises `subprocess.CalledProcessError` when one is refused."""
    lists = ["--whitelist-file", str(whitelist), "--ignore-file", str(whitelist.with_name("ignore"))]
    command = [*EXPORTER, "whitelist", *lists, "--reason", "simulated", "--", *entries]
    subprocess.run(command, env=environment(), check=True, capture_output=True)


def rows(comparison: Comparison) -> dict[str, tuple[Fate, Fate]]:
    """Return what became of the mails before and after, by who sent them."""
    listed = {
        verdict.sender.domain
        for verdict in comparison.verdicts
        if verdict.counts and verdict.standing.advice.kind == "whitelist"
    }
    senders = {verdict.sender.domain: verdict.sender for verdict in comparison.verdicts}

    def is_spam(sender: Sender, one: Outcome) -> bool:
        return one.host in sender.bots and sender.kind != "hoster"

    groups: dict[str, Callable[[Sender, Outcome], bool]] = {
        "pools advised for the whitelist": lambda sender, one: one.host in sender.pool and sender.domain in listed,
        "other pools": lambda sender, one: one.host in sender.pool and sender.domain not in listed,
        "servers, newsletters, hosters": lambda sender, one: one.host not in sender.pool and not is_spam(sender, one),
        "bots and other spam": is_spam,
    }

    def fate(week: Week, chosen: Callable[[Sender, Outcome], bool]) -> Fate:
        return Fate.of([one for one in week.outcomes if one.domain in senders and chosen(senders[one.domain], one)])

    return {name: (fate(comparison.before, one), fate(comparison.after, one)) for name, one in groups.items()}


def table(seed: int, comparison: Comparison) -> str:
    """Return the comparison as it is printed, and as docs/advice.md has it for the first seed."""
    lines = [f"seed {seed}: {len(comparison.entries)} whitelist lines written", HEAD]
    for name, fates in rows(comparison).items():
        for when, fate in zip(("before", "after"), fates, strict=True):
            lines.append(f"{name + ',':31} {when:6} {fate}")
    return "\n".join(lines)


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seed", type=int, default=1, help="of the week")
    chosen = arguments.parse_args()
    if find_program("postgrey") is None:
        print("postgrey is missing: apt-get install --no-install-recommends postgrey", file=sys.stderr)
        return 2
    print(table(chosen.seed, compare(chosen.seed)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
