"""How often the advice is right: simulated weeks through a real postgrey, each domain's truth beside the advice.

    python tests/simulation/run.py --seed 1 --weeks 10

Each week has a seed of its own, counted up from --seed. Prints every domain, and totals over all weeks; with --wrong
only the domains with wrong advice. What counts as right is said in world.py. Exits with 1 when less than 95 % are
right, or when a domain that sends nothing but spam was advised for the whitelist.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.parts import find_program

from simulation.judging import THRESHOLD, Verdict, judge
from simulation.week import daemon, simulate
from simulation.world import world

if TYPE_CHECKING:
    from collections.abc import Iterable

LEAST_RIGHT: Final = 0.95


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the domains that reached the threshold."""

    domains: int
    right: int
    undecided: int
    """Those of the right ones that are left to a look because their names say nothing."""
    let_in: int
    """Domains that send nothing but spam and are advised for the whitelist, whatever their attempts."""

    def __str__(self) -> str:
        """Return the totals as columns."""
        share = self.right / self.domains if self.domains else 1.0
        return f"{self.domains:7} {self.right:6} {share:6.1%} {self.undecided:10} {self.let_in:9}"


HEAD: Final = f"{'':18} {'domains':>7} {'right':>6} {'share':>6} {'by a look':>10} {'spam in':>9}"


def verdicts(seed: int) -> list[Verdict]:
    """Simulate the week of a seed and judge the advice on it."""
    senders = world(seed)
    with daemon() as postgrey:
        return judge(senders, simulate(senders, postgrey, seed))


def totals(judged: Iterable[Verdict]) -> Totals:
    """Sum up verdicts."""
    judged = list(judged)
    counted = [verdict for verdict in judged if verdict.counts]
    right = [verdict for verdict in counted if verdict.fault is None]
    return Totals(
        domains=len(counted),
        right=len(right),
        undecided=sum(not verdict.is_strict for verdict in right),
        let_in=sum(verdict.sender.is_spam and verdict.standing.advice.kind == "whitelist" for verdict in judged),
    )


def shown(verdict: Verdict) -> str:
    """Return the verdict as a line of the table."""
    standing = verdict.standing
    advice = standing.advice
    mark = "-" if not verdict.counts else "right" if verdict.fault is None else f"WRONG, {verdict.fault}:"
    entry = f"  {advice.entry}" if advice.kind == "whitelist" else ""
    return (
        f"{standing.domain:22} {verdict.sender.kind:18} {standing.to_review:4}  {advice.kind:9} {mark:5}  "
        f"{advice.why}{entry}"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--seed", type=int, default=1, help="of the first week")
    arguments.add_argument("--weeks", type=int, default=1, help="how many weeks")
    arguments.add_argument("--wrong", action="store_true", help="list only what is wrong")
    chosen = arguments.parse_args()
    if find_program("postgrey") is None:
        print("postgrey is missing: apt-get install --no-install-recommends postgrey", file=sys.stderr)
        return 2
    everything: list[Verdict] = []
    for seed in range(chosen.seed, chosen.seed + chosen.weeks):
        judged = verdicts(seed)
        for verdict in judged:
            if not chosen.wrong or (verdict.counts and verdict.fault):
                print(shown(verdict))
        print(f"{f'seed {seed}':18} {totals(judged)}", flush=True)
        everything += judged
    print(f"\nDomains with {THRESHOLD} attempts or more:\n{HEAD}")
    for kind in dict.fromkeys(verdict.sender.kind for verdict in everything):
        print(f"{kind:18} {totals(verdict for verdict in everything if verdict.sender.kind == kind)}")
    result = totals(everything)
    print(f"{'all':18} {result}")
    return 0 if result.right >= LEAST_RIGHT * result.domains and not result.let_in else 1


if __name__ == "__main__":
    sys.exit(main())
