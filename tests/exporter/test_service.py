"""The running exporter: it reads on by itself, a scrape reads on first, and what goes wrong is said once."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import FOREIGN, decision
from support.parts import wait_until
from support.parts.waiting import LIMIT
from support.running import EXPORTER, NOW, Files, Scripted, Serve, environment, run, seconds

from postgrey_exporter.counting.evidence import Totals
from postgrey_exporter.decision import GREYLIST, NEW
from postgrey_exporter.exporter import service as service_module
from postgrey_exporter.exporter.scrape_gate import Patience, ScrapeGate
from postgrey_exporter.exporter.service import Pace, Service
from postgrey_exporter.pipeline.ingest import Limits
from postgrey_exporter.state.connection import StateError
from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from postgrey_exporter.exporter.view import View
    from postgrey_exporter.sources import Batch

GREYLISTED: Final = 'postgrey_decisions_total{action="greylist",reason="new"}'


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


IMPATIENT: Final = Pace(poll=0.01, idle_poll=0.01)


@contextmanager
def serving(
    files: Files,
    *sources: Any,
    limits: Limits = Limits(),
    pace: Pace = IMPATIENT,
    gate: ScrapeGate | None = None,
) -> Iterator[Service]:
    """Return a service over the files that has not begun to read."""
    with files.ingest(*sources, limits=limits) as ingest, closing(StateReader(files.state)) as reader:
        yield Service(ingest, reader, lambda: NOW, pace=pace, gate=gate)


def about(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    return [message for message in caplog.messages if message.startswith(str(path))]


@contextmanager
def running(service: Service) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        yield thread
    finally:
        service.stop()
        thread.join(LIMIT)
    assert not thread.is_alive()


def look(service: Service) -> View:
    return asyncio.run(service.view())


def shown(service: Service) -> int:
    return look(service).snapshot.decisions.get((GREYLIST, NEW), 0)


# --- reading on


def test_a_scrape_holds_what_was_appended_just_before_it(files: Files) -> None:
    files.append(decision(NOW - 60))
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        for count in range(1, 20):
            assert shown(service) == count
            files.append(decision(NOW - 30))


def test_the_log_is_read_on_without_a_scrape(files: Files) -> None:
    files.append(decision(NOW - 60))
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        files.append(decision(NOW - 30))
        wait_until(lambda: files.counted() == 2)


class RestlessGate(ScrapeGate):
    """Doesn't rest, but notes the pauses; calls a function with the number of each."""

    def __init__(self, then: Callable[[int], object]) -> None:
        super().__init__()
        self.pauses: list[float] = []
        self._then = then

    def rest(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._then(len(self.pauses))


def test_pauses_grow_while_nothing_comes(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    given_back_before: list[int] = []
    source = Scripted("log")

    def then(number: int) -> None:
        if number == 4:
            source.blocks.append(decision(NOW))
        if number == 6:
            service.stop()

    gate = RestlessGate(then)
    monkeypatch.setattr(service_module, "give_back_free", lambda: given_back_before.append(len(gate.pauses)))
    with serving(files, source, pace=Pace(poll=1.0, idle_poll=6.0), gate=gate) as service:
        service.run()
    assert gate.pauses == [2.0, 4.0, 6.0, 6.0, 1.0, 2.0]
    assert given_back_before == [0, 2], "after the first reading, and before the first of the longest pauses"


def test_pauses_stay_short_while_a_source_is_not_well(files: Files) -> None:
    source = Scripted("log")
    source.error = "no such file"

    def then(number: int) -> None:
        if number == 2:
            source.error = None
        if number == 4:
            service.stop()

    gate = RestlessGate(then)

    with serving(files, source, pace=Pace(poll=1.0, idle_poll=6.0), gate=gate) as service:
        service.run()
    assert gate.pauses == [1.0, 1.0, 2.0, 4.0]


def test_it_is_ready_when_all_sources_have_been_read_once(files: Files) -> None:
    with serving(files, Scripted("one", [decision(NOW)]), Scripted("two", [decision(NOW)])) as service:
        assert not service.ready
        with running(service):
            wait_until(lambda: service.ready)
            assert shown(service) == 2


def test_evidence_that_takes_long_does_not_send_a_scrape_away(files: Files) -> None:
    files.append(decision(NOW - 60))
    with serving(files, pace=IMPATIENT._replace(quick_evidence=-1)) as service, running(service):
        wait_until(lambda: service.ready)
        for count in range(1, 20):
            assert shown(service) == count
            files.append(decision(NOW - 30))


class Slow(Scripted):
    """Hands out its second block when it may."""

    def __init__(self, *blocks: str) -> None:
        super().__init__("slow", blocks)
        self.reached = threading.Event()
        self.may_go_on = threading.Event()

    def batches(self, now: float) -> Iterator[Batch]:
        for batch in super().batches(now):
            if self.handed_out == 2:
                self.reached.set()
                assert self.may_go_on.wait(LIMIT)
            yield batch


def test_a_scrape_during_the_first_reading_shows_what_is_committed(files: Files) -> None:
    source = Slow(decision(NOW), decision(NOW))
    with serving(files, source, limits=Limits(commit_bytes=1)) as service, running(service):
        assert source.reached.wait(LIMIT)

        assert shown(service) == 1
        assert not service.ready
        with closing(service.reader()) as reader:
            known = service.standing(reader, "example.com")
        assert known is not None
        assert known.greylisted == 1

        source.may_go_on.set()
        wait_until(lambda: service.ready)
        assert shown(service) == 2


def test_a_scrape_waits_for_a_long_reading_only_so_long(files: Files) -> None:
    source = Slow(decision(NOW))
    with serving(files, source, gate=ScrapeGate(Patience(usual=0.05))) as service, running(service):
        wait_until(lambda: service.ready)
        source.blocks.append(decision(NOW))
        assert source.reached.wait(LIMIT)

        assert shown(service) == 1
        source.may_go_on.set()
        wait_until(lambda: shown(service) == 2)


def test_a_scrape_does_not_wait_while_many_lines_are_counted(files: Files) -> None:
    source = Slow()
    gate = ScrapeGate(Patience(usual=LIMIT * 10))
    with serving(files, source, limits=Limits(quick_bytes=1), gate=gate) as service, running(service):
        wait_until(lambda: service.ready)
        source.blocks += [decision(NOW)] * 2
        assert shown(service) == 0
        assert source.reached.wait(LIMIT)
        assert shown(service) == 0

        source.may_go_on.set()
        wait_until(lambda: shown(service) == 2)


def test_after_a_turn_that_took_long_a_scrape_is_less_patient() -> None:
    gate = ScrapeGate()
    gate.begin()
    gate.takes_long()
    gate.end(following=False)
    assert gate.ask().patience == Patience().usual, "the first reading tells nothing of the next"
    gate.begin()
    gate.takes_long()
    assert gate.ask().patience == 0
    gate.end(following=True)
    assert gate.ask().patience == Patience().busy


def test_a_turn_ends_for_those_who_asked_before_it_began() -> None:
    gate = ScrapeGate()
    first, second = gate.ask().ended, gate.ask().ended
    assert gate.begin()
    late = gate.ask().ended
    gate.end(following=True)
    assert [one.done() for one in (first, second, late)] == [True, True, False]
    assert gate.is_asked
    assert gate.begin()
    gate.end(following=True)
    assert late.done()
    assert not gate.begin()


def test_who_was_let_go_by_a_long_turn_has_the_next_one_begin_all_the_same() -> None:
    gate = ScrapeGate()
    gate.begin()
    waiting = gate.ask().ended
    gate.takes_long()
    assert waiting.done()
    gate.end(following=True)
    after = gate.ask().ended
    assert gate.begin()
    assert not after.done()


def test_scrapes_at_the_same_time_agree(files: Files) -> None:
    files.append(*[decision(NOW - 60)] * 5)
    seen: list[int] = []
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        threads = [threading.Thread(target=lambda: seen.append(shown(service))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)

    assert seen == [5] * 8


def test_what_is_known_of_a_domain_is_of_the_window(files: Files) -> None:
    files.append(decision(NOW - 60), decision(NOW - 8 * 86400), decision(NOW - 60, "mail.example.net"))
    files.append(decision(NOW - 60, reason="early-retry (300s missing)"))
    files.ignore.write_text("example.net\n")
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        with closing(service.reader()) as reader:
            known = [service.standing(reader, domain) for domain in ("example.com", "example.net", "example.org")]
            totals = [reader.totals(domain, 1) for domain in ("example.com", "example.net", "example.org")]

    assert [one and (one.domain, one.greylisted, one.covered_by) for one in known] == [
        ("example.com", 2, None),
        ("example.net", 1, "ignore"),
        None,
    ]
    assert totals == [
        Totals(2, 0, 1, 1, 2, is_whitelisted=False, is_ignored=False),
        Totals(1, 0, 1, 1, 0, is_whitelisted=False, is_ignored=True),
        Totals(0, 0, 0, 0, 0, is_whitelisted=False, is_ignored=False),
    ]


def test_a_domain_with_more_clients_than_allowed_is_not_added_up(files: Files) -> None:
    files.append(*[decision(NOW - 60, f"m{number}.example.com") for number in range(5)])
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        with closing(service.reader()) as reader:
            assert reader.totals("example.com", 4) is None
            assert reader.totals("example.com", 5) is not None


# --- the end


def test_a_stop_ends_the_waiting_at_once(files: Files) -> None:
    with serving(files, Scripted("log"), pace=Pace(poll=3600, idle_poll=3600)) as service, running(service):
        wait_until(lambda: service.ready)


def test_a_stop_ends_a_reading_and_leaves_what_is_committed(files: Files) -> None:
    source = Slow(*[decision(NOW)] * 3)
    with serving(files, source, limits=Limits(commit_bytes=1)) as service, running(service):
        assert source.reached.wait(LIMIT)
        service.stop()
        source.may_go_on.set()

    assert files.counted() == 2
    assert not service.ready


# --- what goes wrong


def test_an_error_of_the_state_is_said_once_and_over_when_it_is_over(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source = Scripted("log", [decision(NOW)])
    with serving(files, source) as service, running(service):
        wait_until(lambda: service.ready)
        assert look(service).state_up
        files.execute("CREATE TRIGGER boom BEFORE UPDATE ON source BEGIN SELECT raise(ABORT, 'boom'); END")
        source.blocks.append(decision(NOW))
        for _ in range(3):
            assert not look(service).state_up
        assert shown(service) == 1
        assert len([one for one in caplog.messages if "boom" in one]) == 1

        files.execute("DROP TRIGGER boom")
        assert shown(service) == 2
        assert look(service).state_up
    assert [one.levelname for one in caplog.records if "boom" in one.message] == ["ERROR"]
    assert "the state can be written again" in caplog.messages


@pytest.mark.parametrize("method", ["snapshot", "evidence"])
def test_memory_that_runs_out_beside_the_reading_does_not_end_it(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    source = Scripted("log", [decision(NOW)])
    with serving(files, source) as service, running(service):
        wait_until(lambda: service.ready)
        with monkeypatch.context() as patch:
            patch.setattr(StateReader, method, broken)
            source.blocks.append(decision(NOW))
            wait_until(lambda: look(service) and "memory does not suffice" in caplog.text)
        wait_until(lambda: shown(service) == 2)


def test_a_state_that_can_not_be_read_shows_the_last_counts_and_is_said_once(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_reader: StateReader) -> None:
        raise StateError("state.sqlite3: the state is damaged")

    caplog.set_level(logging.INFO)
    with serving(files, Scripted("log", [decision(NOW)])) as service, running(service):
        wait_until(lambda: service.ready)
        assert shown(service) == 1
        with monkeypatch.context() as patch:
            patch.setattr(StateReader, "snapshot", broken)
            for _ in range(20):  # the state is written all the while
                view = look(service)
                assert view.snapshot.decisions == {(GREYLIST, NEW): 1}
                assert not view.state_up
        assert look(service).state_up

    about = [message for message in caplog.messages if "the state" in message]
    assert [message.partition(";")[0] for message in about] == [
        "state.sqlite3: the state is damaged",
        "the state can be read again",
    ]


@pytest.mark.parametrize("method", ["snapshot", "evidence"])
def test_memory_that_runs_out_while_a_view_is_made_does_not_end_the_reading_and_is_said_once(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def hungry(*_: object) -> None:
        raise MemoryError

    caplog.set_level(logging.INFO)
    files.append(decision(NOW))
    with serving(files) as service, running(service) as thread:
        wait_until(lambda: service.ready)
        with monkeypatch.context() as patch:
            patch.setattr(StateReader, method, hungry)
            files.append(decision(NOW))
            for _ in range(20):
                look(service)
            wait_until(lambda: not look(service).state_up)
            assert thread.is_alive()
            assert read_state(files) == 2
        wait_until(lambda: look(service).state_up)
        assert shown(service) == 2
        assert look(service).evidence["example.com"][0].messages == 1

    said = [message for message in caplog.messages if "memory does not suffice" in message]
    assert len(said) == 1
    assert "MemoryMax=" in said[0]


def test_a_missing_log_is_named_once_waited_for_and_read_when_it_comes(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        for _ in range(3):
            (status,) = look(service).sources.values()
            assert not status.up
        assert about(files.log, caplog) == [f"{files.log}: no such file; waiting for it"]

        files.append(decision(NOW))
        assert shown(service) == 1
        wait_until(lambda: f"{files.log}: can be read again" in caplog.messages)


def test_a_log_without_a_decision_is_said_after_the_first_reading(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.append(FOREIGN, FOREIGN)
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        wait_until(lambda: about(files.log, caplog))

    (message,) = about(files.log, caplog)
    assert message.startswith(f"{files.log}: there is no line of postgrey's: it may log elsewhere")
    assert "--syslog-tag" in message
    assert "--quiet" in message


def test_what_was_found_is_said_after_the_first_reading(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    files.append(FOREIGN, decision(NOW))
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        wait_until(lambda: about(files.log, caplog))

    assert about(files.log, caplog) == [f"{files.log}: 1 decisions of postgrey's in 2 lines so far"]


def test_what_is_wrong_with_a_list_is_said_line_by_line_each_time_that_it_changes(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    whitelist = files.whitelist
    caplog.set_level(logging.WARNING)
    whitelist.write_text("good.example\n.outlook.com\n")
    with serving(files) as service, running(service):
        wait_until(lambda: service.ready)
        for _ in range(3):
            look(service)
        assert [message.partition(" ")[0] for message in about(whitelist, caplog)] == [f"{whitelist}:2:"]

        whitelist.write_text("*.example.com\n")
        look(service)
        assert [message.partition(" ")[0] for message in about(whitelist, caplog)] == [
            f"{whitelist}:2:",
            f"{whitelist}:1:",
        ]

        whitelist.unlink()
        look(service)
        assert f"{whitelist} is not there" in about(whitelist, caplog)[-1]


def test_an_answer_that_can_not_be_prepared_does_not_end_the_reading_and_is_said_once(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    faults: list[Exception] = [TypeError("a fault of ours")] * 3

    def prepare(_: View) -> None:
        if faults:
            raise faults.pop()

    files.append(decision(NOW))
    with serving(files) as service:
        service.prepare = prepare
        with running(service):
            wait_until(lambda: service.ready)
            for count in range(1, 9):
                assert shown(service) == count
                files.append(decision(NOW))

    assert not faults
    assert len([one for one in caplog.messages if "a fault of ours" in one]) == 1


# --- the whole process


def read_state(files: Files) -> int:
    with closing(sqlite3.connect(files.state)) as db:
        found = db.execute("SELECT total FROM decision WHERE action = 'greylist'").fetchone()
    return 0 if found is None else int(found[0])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_serve_within_a_second_with_everything_committed(files: Files, number: signal.Signals) -> None:
    files.append(decision(time.time()))
    with Serve(files) as serve:
        files.append(decision(time.time()))
        assert serve.value(GREYLISTED) == 2
        began = time.monotonic()
        assert serve.end(number) == 0
        lasted = time.monotonic() - began
        assert "stopped; everything that was read is committed" in serve.words()
        assert "Traceback" not in serve.words()

    assert lasted < seconds(1)
    assert read_state(files) == 2


def test_a_signal_ends_serve_in_the_middle_of_its_first_reading(files: Files) -> None:
    files.log.write_text(decision(time.time()) * 150_000)

    def time_to_end() -> float:
        with Serve(files, ready="/-/healthy") as serve:
            began = time.monotonic()
            assert serve.end(signal.SIGTERM) == 0
            lasted = time.monotonic() - began
            assert "Traceback" not in serve.words()
        assert read_state(files) < 150_000
        return lasted

    # A block of lines is parsed to its end, which on a busy machine can take its time: once in three is enough.
    assert any(time_to_end() < seconds(1) for _ in range(3))
    assert run("collect", *files.options).returncode == 0
    assert read_state(files) == 150_000


def test_a_second_serve_on_the_same_state_is_refused_and_the_first_goes_on(files: Files) -> None:
    files.append(decision(time.time()))
    with Serve(files) as serve:
        second = run("serve", *files.options, "--web.listen-address", "127.0.0.1:0")
        third = run("collect", *files.options)
        assert serve.value(GREYLISTED) == 1

    for refused in (second, third):
        assert refused.returncode == 2
        assert refused.stdout == ""
        assert refused.stderr == (
            f"postgrey-exporter: {files.state}: another postgrey-exporter is using this state; stop it, or name "
            "another file with --state\n"
        )


def test_a_full_disk_is_said_in_one_line_and_nothing_is_lost(files: Files) -> None:
    files.append(decision(time.time()))
    with Serve(files) as serve:
        assert serve.value("postgrey_exporter_state_up") == 1
        _, hard = resource.prlimit(serve.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        files.append(*[decision(time.time(), f"m{number}.example.com") for number in range(2000)])

        wait_until(lambda: serve.value("postgrey_exporter_state_up") == 0)
        assert serve.value(GREYLISTED) == 1
        resource.prlimit(serve.pid, resource.RLIMIT_FSIZE, (hard, hard))
        wait_until(lambda: serve.value(GREYLISTED) == 2001)
        assert serve.value("postgrey_exporter_state_up") == 1
        words = serve.words()

    errors = [line for line in words.splitlines() if "level=error" in line]
    assert len(errors) == 1
    assert "the disk reports an error, or is full" in errors[0]
    assert "trying again, nothing is lost as long as the log is there" in errors[0]
    assert "Traceback" not in words


def test_a_process_killed_while_it_commits_counts_each_line_once_in_the_end(files: Files) -> None:
    lines = 0
    for killed in (True, True, True, False):
        files.append(*[decision(time.time(), f"m{number}.example.com") for number in range(3000)])
        lines += 3000
        written = files.write_ahead_log()
        process = subprocess.Popen(
            [*EXPORTER, "collect", *files.options], env=environment(), stdout=subprocess.DEVNULL
        )
        if killed:
            wait_until(lambda: files.write_ahead_log() != written or process.poll() is not None)  # noqa: B023
            process.kill()
        process.wait(LIMIT)

    assert read_state(files) == lines
