"""``python -m torture``: torture as many processes as one likes, scheme by scheme, and print what came of it."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys

from support.parts.requirement import find_program

from torture.folders import fresh_folder
from torture.places import NEEDED, PLACES
from torture.run import Result, Run

LOGROTATE = ("logrotate", "logrotate")
ROW = "{:<26} {:>6} {:>9} {:>10} {:>8} {:>10} {:>8} {:>6}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--kills", type=int, default=3000, help="processes to kill, of all schemes together")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="what makes a run the same again")
    parser.add_argument("--scheme", action="append", choices=sorted(PLACES), help="only this one; may be given again")
    parser.add_argument("--commands", type=int, default=10, help="of a hundred, how many are the true command")
    options = parser.parse_args()
    schemes = [name for name in options.scheme or PLACES if is_possible(name)]
    print(f"seed {options.seed}", flush=True)
    print(ROW.format("scheme", "kills", "completed", "rotations", "scrapes", "lines", "lost", "doubled"), flush=True)
    results = [torture(name, options.seed, -(-options.kills // len(schemes)), options.commands) for name in schemes]
    print(f"{sum(result.kills for result in results)} processes were killed", end="")
    print(f", {sum(result.commands_killed for result in results)} of them the true command")
    return any(result.difference for result in results)


def is_possible(name: str) -> bool:
    """Tell whether everything that a scheme needs is installed; say what is not."""
    missing = [package for program, package in (LOGROTATE, *NEEDED.get(name, ())) if find_program(program) is None]
    if missing:
        print(f"left out: {name}; apt-get install --no-install-recommends {' '.join(missing)}", flush=True)
    return not missing


def torture(name: str, seed: str, kills: int, commands: int) -> Result:
    """Run one scheme and print its row; where lines are lost or doubled the files are kept."""
    folder = fresh_folder("torture")
    result = Run(folder, name, seed, commands).until(kills)
    lost, doubled = (result.difference.lost, result.difference.doubled) if result.difference else (0, 0)
    numbers = (result.kills, result.completed, result.rotations, result.scrapes, result.lines, lost, doubled)
    print(ROW.format(name, *numbers), flush=True)
    if result.difference:
        print(f"seed {seed}, scheme {name}, see {folder}\n{result.difference}", flush=True)
    else:
        shutil.rmtree(folder)
    return result


if __name__ == "__main__":
    sys.exit(main())
