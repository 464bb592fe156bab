"""`make bench`: how fast and how small, beside the peers on the same logs in the same run.

The peers are the article's pipeline (grep, sort, uniq), the same with zgrep, and mtail with a program that counts the
same as far as it can (postgrey.mtail). Each comparison runs both in turn; the table shows medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks import journal, measure, serving
from benchmarks.judging import clients, write_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE: Final = Path(__file__).parent
OURS: Final = (sys.executable, "-m", "postgrey_exporter")
ARTICLE: Final = r"'reason=new, client_name=[^,.]+\.[^,.]+\.\K[^,.]+\.[^,]+'"
QUICK: Final = 0.05
MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    job: str
    ours: str
    peer: str = ""
    ratio: str = ""
    memory: str = ""
    goal: str = ""


@dataclass(slots=True)
class Bench:
    """Where it is measured, and how often."""

    folder: Path
    scale: float
    runs: int
    _logs: dict[tuple[str, int], list[Path]] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The state that commands write to."""
        return self.folder / "state" / "state.sqlite3"

    def lines(self, count: int) -> int:
        """Return how many lines a log has whose full size is given."""
        return max(1000, int(count * self.scale))

    def log(self, kind: str, count: int) -> list[Path]:
        """Return the files of a log, made at first use: a week that ends about now."""
        key = (kind, count)
        if key not in self._logs:
            path = self.folder / f"{kind}-{count}" / "mail.log"
            path.parent.mkdir()
            # In a process of its own: what it needs of memory is not to be seen in what is measured.
            subprocess.run(
                [sys.executable, HERE / "make_log.py", kind, str(self.lines(count)), path],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            self._logs[key] = sorted(path.parent.iterdir(), key=lambda file: file.stat().st_mtime)
        return self._logs[key]

    def forget_state(self) -> None:
        """Remove the state, so that the next command begins a new one."""
        shutil.rmtree(self.state.parent, ignore_errors=True)
        self.state.parent.mkdir()

    def report(self, *logs: Path) -> measure.Command:
        """Return the command for a report on logs."""
        return (*OURS, "report", *map(str, logs))

    def collect(self, log: Path) -> measure.Command:
        """Return the command that reads a log into the state."""
        return (*OURS, "collect", "--mail-log", str(log), "--state", str(self.state), "--log.level", "error")

    def mtail(self, log: Path) -> measure.Command:
        """Return the command by which mtail reads a log once."""
        programs = self.folder / "mtail"
        programs.mkdir(exist_ok=True)
        shutil.copy(HERE / "postgrey.mtail", programs)
        return ("mtail", "--progs", str(programs), "--logs", str(log), "--one_shot")


def pipeline(grep: str, *logs: Path) -> measure.Command:
    """Return the article's pipeline, in the locale in which it is fastest."""
    names = shlex.join(map(str, logs))
    return ("env", "LC_ALL=C", "sh", "-c", f"{grep} -ohP {ARTICLE} {names} | sort | uniq -c | sort -nr")


def against(
    bench: Bench, job: str, ours: measure.Command, peer: measure.Command, peer_name: str, goal: str
) -> Iterator[Row]:
    """Measure a command beside its peer."""
    if shutil.which(peer_name) is None:
        yield Row(job, "skipped", f"{peer_name} is not installed")
        return
    mine, theirs = measure.alternate([ours, peer], bench.runs, bench.forget_state)
    yield Row(
        job,
        f"{mine.wall:.2f} s ({mine.cpu:.2f} s CPU)",
        f"{peer_name} {theirs.wall:.2f} s ({theirs.cpu:.2f} s CPU)",
        f"{mine.wall / theirs.wall:.2f}",
        f"{mine.peak_mb:.0f} MB, peer {theirs.peak_mb:.0f} MB",
        goal,
    )


def report_mixed(bench: Bench) -> Iterator[Row]:
    """Report on a log of which a tenth is postgrey's, beside the article's pipeline."""
    log = bench.log("mixed", 2 * MILLION)
    yield from against(
        bench, "report, 2 M lines, 0.2 M postgrey's", bench.report(*log), pipeline("grep", *log), "grep", "≤ 2.0"
    )


def report_postgrey(bench: Bench) -> Iterator[Row]:
    """Report on a log that is all postgrey's, beside the article's pipeline."""
    log = bench.log("postgrey", MILLION)
    yield from against(
        bench, "report, 1 M lines, all postgrey's", bench.report(*log), pipeline("grep", *log), "grep", "≤ 2.5"
    )


def report_archives(bench: Bench) -> Iterator[Row]:
    """Report on three gzipped logs and a plain one, beside the pipeline with zgrep."""
    logs = bench.log("archives", 2 * MILLION)
    yield from against(
        bench, "report, the same in 3 gz and 1 plain", bench.report(*logs), pipeline("zgrep", *logs), "zgrep", "≤ 0.5"
    )


def report_json(bench: Bench) -> Iterator[Row]:
    """Report on the mixed log as JSON, which has a line to propose for each domain, beside the table."""
    table, as_json = bench.report(*bench.log("mixed", 2 * MILLION)), "--format=json"
    mine, plain = measure.alternate([(*table, as_json), table], bench.runs)
    ratio = f"{mine.wall / plain.wall:.2f}"
    yield Row("report, the same as JSON", f"{mine.wall:.2f} s", f"table {plain.wall:.2f} s", ratio, goal="≤ 2.0")


def collect_mixed(bench: Bench) -> Iterator[Row]:
    """Collect a log of which a tenth is postgrey's into a new state, beside mtail."""
    (log,) = bench.log("mixed", 2 * MILLION)
    yield from against(
        bench, "collect, 2 M lines, 0.2 M postgrey's", bench.collect(log), bench.mtail(log), "mtail", "≤ 0.25; 80 MB"
    )


def collect_postgrey(bench: Bench) -> Iterator[Row]:
    """Collect a log that is all postgrey's into a new state, beside mtail."""
    (log,) = bench.log("postgrey", MILLION)
    yield from against(
        bench, "collect, 1 M lines, all postgrey's", bench.collect(log), bench.mtail(log), "mtail", "< 1; 80 MB"
    )


def collect_linear(bench: Bench) -> Iterator[Row]:
    """Collect logs of 1, 2, 4 and 8 million lines: the time for a million must not grow."""
    first: float | None = None
    for millions in (1, 2, 4, 8):
        (log,) = bench.log("mixed", millions * MILLION)
        (figures,) = measure.alternate([bench.collect(log)], min(bench.runs, 3), bench.forget_state)
        each = figures.wall / millions
        first = first or each
        size = bench.state.stat().st_size / 1e6
        yield Row(
            f"collect, {millions} M lines",
            f"{figures.wall:.2f} s ({figures.cpu:.2f} s CPU)",
            f"state {size:.1f} MB on disk",
            f"{each / first:.2f} a line",
            f"{figures.peak_mb:.0f} MB",
            "≤ 1.1; 80 MB",
        )
        if millions > 2:  # the smaller ones are used again
            shutil.rmtree(log.parent)


def attack(bench: Bench) -> Iterator[Row]:
    """Report on, and collect, a log of a million distinct clients."""
    (log,) = bench.log("attack", MILLION)
    for name, command, goal in (
        ("report", bench.report(log), "250 MB"),
        ("collect", bench.collect(log), "100 MB"),
    ):
        (figures,) = measure.alternate([command], min(bench.runs, 3), bench.forget_state)
        yield Row(
            f"{name}, 1 M distinct clients",
            f"{figures.wall:.2f} s ({figures.cpu:.2f} s CPU)",
            memory=f"{figures.peak_mb:.0f} MB",
            goal=goal,
        )


def judging(bench: Bench) -> Iterator[Row]:
    """Explain 100,000 clients against 5,000 entries; judge 200,000 clients of a state anew after a list edit."""
    folder = bench.folder / "judging"
    folder.mkdir()
    write_list(folder / "whitelist", 5000)
    streamed = folder / "clients"
    streamed.write_text("".join(f"{name} {address}\n" for name, address in clients(bench.lines(100_000))))
    explain = (*OURS, "explain", "--format", "json", "--whitelist-file", str(folder / "whitelist"), "-")
    command = ("sh", "-c", f"{shlex.join(explain)} < {streamed} || true")
    (figures,) = measure.alternate([command], bench.runs)
    yield Row(
        "explain 100,000 clients, 5,000 entries",
        f"{figures.wall:.2f} s ({figures.cpu:.2f} s CPU)",
        memory=f"{figures.peak_mb:.0f} MB",
        goal="2 s",
    )
    for unusual, addition, goal in (("0", "", "1 s"), ("100", " and 100 unusual patterns", "3 s")):
        seconds = []
        for _ in range(min(bench.runs, 3)):
            (folder / "judged.sqlite3").unlink(missing_ok=True)
            clients_judged = str(bench.lines(200_000))
            program = (sys.executable, "-m", "benchmarks.judging", str(folder), clients_judged, "5000", unusual)
            seconds.append(float(subprocess.run(program, capture_output=True, text=True, check=True).stdout))
        yield Row(f"judge 200,000 clients anew, 5,000 entries{addition}", f"{median(seconds):.2f} s", goal=goal)


def collect_journal(bench: Bench) -> Iterator[Row]:
    """Collect 100,000 entries of the journal into a new state."""
    job = "collect, 100,000 journal entries"
    figures = journal.journal_figures(bench.lines(journal.ENTRIES), bench.runs, bench.folder)
    if figures is None:
        yield Row(job, "skipped", f"{journal.WRITER} is not installed")
        return
    spent = f"{figures.seconds:.2f} s ({figures.cpu_seconds:.2f} s CPU)"
    yield Row(job, spent, memory=f"{figures.peak_mb:.0f} MB", goal="4 s CPU; 80 MB")


def serve(bench: Bench) -> Iterator[Row]:
    """Scrape a `serve` every second that follows a log, fills its window, judges anew, or rests."""
    for name, (measured, goal) in serving.scenarios(serving.Bench(bench.folder / "serving", bench.scale, 60)).items():
        yield Row(f"serve, {name}", measured(), goal=goal)


JOBS: Final[dict[str, Callable[[Bench], Iterator[Row]]]] = {
    "collect-mixed": collect_mixed,
    "collect-postgrey": collect_postgrey,
    "report-mixed": report_mixed,
    "report-json": report_json,
    "report-postgrey": report_postgrey,
    "report-archives": report_archives,
    "attack": attack,
    "judging": judging,
    "journal": collect_journal,
    "collect-linear": collect_linear,
    "serve": serve,
}


def table(rows: list[Row]) -> str:
    """Return the rows as a table in Markdown."""
    titles = ("job", "ours", "peer", "ratio", "peak memory", "goal")
    cells = [titles, *((row.job, row.ours, row.peer, row.ratio, row.memory, row.goal) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(titles))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def conditions(bench: Bench) -> str:
    """Say on what it was measured."""
    versions = [
        f"Python {platform.python_version()}",
        _first_line("grep", "--version"),
        _first_line("mtail", "--version"),
    ]
    return (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {os.cpu_count()} x {_processor()}, Linux {platform.release()}; "
        f"{', '.join(filter(None, versions))}. Medians of {bench.runs} runs, ours and the peer in turn, start-up "
        f"included, logs in the page cache, scale {bench.scale:g}. Load while it ran: {os.getloadavg()[0]:.1f}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return " ".join(subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()[:4])


def main() -> None:
    """Run the jobs that were asked for and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--job", action="append", choices=JOBS, help="one job; may be given again [all]")
    arguments.add_argument("--quick", action="store_true", help=f"logs of {QUICK:.0%} of their size, to try it out")
    arguments.add_argument("--scale", type=float, default=1.0, help="factor for the logs' size")
    arguments.add_argument("--runs", type=int, default=5)
    arguments.add_argument(
        "--folder", type=Path, help="where logs and states are made [the system's for scratch files]"
    )
    chosen = arguments.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.folder) as folder:
        bench = Bench(Path(folder), QUICK if chosen.quick else chosen.scale, chosen.runs)
        for name in chosen.job or JOBS:
            print(f"{name} …", file=sys.stderr, flush=True)
            for row in JOBS[name](bench):
                print(
                    "  ",
                    " · ".join(filter(None, (row.job, row.ours, row.peer, row.ratio, row.memory))),
                    file=sys.stderr,
                )
                rows.append(row)
        print(f"\n{conditions(bench)}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
