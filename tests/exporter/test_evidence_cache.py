"""Evidence that is kept from scrape to scrape is the same as evidence that is computed anew."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import decision
from support.parts import wait_until
from support.parts.waiting import LIMIT
from support.running import NOW, Files

from postgrey_exporter.exporter.evidence_cache import EvidenceCache, judged_at
from postgrey_exporter.exporter.service import Service
from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from pathlib import Path

MAX_DOMAINS: Final = 4
DOMAINS: Final = tuple(f"{name}.home.arpa" for name in "abcdefg")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


class World:
    """A clock, a log and lists, to which things happen."""

    def __init__(self, files: Files, seed: int) -> None:
        self._files = files
        self._chance = random.Random(seed)
        self.now = NOW

    def happen(self) -> None:
        chance = self._chance
        for _ in range(chance.randrange(3)):
            chance.choices((self._mail, self._hours, self._edit), (6, 2, 2))[0]()

    def _mail(self) -> None:
        chance = self._chance
        for _ in range(chance.randrange(1, 12)):
            name = f"{chance.choice(('mx', 'dsl-1-2'))}{chance.randrange(2)}.{chance.choice(DOMAINS)}"
            action, reason = chance.choice(
                (("greylist", "new"), ("greylist", "early-retry (9s missing)"), ("pass", "triplet found, delay=301"))
            )
            address = f"198.18.{chance.randrange(3)}.{chance.randrange(2)}"
            line = decision(
                self.now - chance.choice((0, 0, 0, 3600, 86400)), name, address, action=action, reason=reason
            )
            self._files.append(line.replace("a@example.com", f"{chance.choice('abc')}@example.com"))

    def _hours(self) -> None:
        self.now += self._chance.choice((600, 3600, 7200, 50 * 3600, 8 * 86400))

    def _edit(self) -> None:
        chance = self._chance
        names = (*DOMAINS, "198.18.1.0/24", *(f"mx1.{domain}" for domain in DOMAINS))
        entries = chance.sample(names, chance.randrange(4))
        chosen = chance.choice((self._files.whitelist, self._files.ignore))
        chosen.write_text("".join(f"{entry}\n" for entry in entries))


@pytest.mark.parametrize("seed", range(6))
def test_kept_evidence_is_what_would_be_computed_anew(files: Files, seed: int) -> None:
    world = World(files, seed)
    files.log.touch()
    compared = 0
    with (
        files.ingest(max_domains=MAX_DOMAINS) as ingest,
        closing(StateReader(files.state, max_domains=MAX_DOMAINS)) as reader,
        closing(StateReader(files.state, max_domains=MAX_DOMAINS)) as other,
    ):
        service = Service(ingest, reader, lambda: world.now)
        reading = threading.Thread(target=service.run)
        reading.start()
        try:
            wait_until(lambda: service.ready)
            for _ in range(60):
                world.happen()
                view = asyncio.run(service.view())
                shown = view.snapshot.unreviewed
                assert view.evidence == other.evidence(shown, judged_at(world.now))
                compared += len(shown)
        finally:
            service.stop()
            reading.join(LIMIT)

    assert compared > 60


def test_what_is_not_worked_out_in_time_shows_what_was_known_and_comes_next(files: Files) -> None:
    cache = EvidenceCache()
    files.append(*[decision(NOW, f"mx.{domain}") for domain in DOMAINS])
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        assert cache.refresh(reader, NOW, lambda: False)
        before = cache.of(DOMAINS)
        files.append(*[decision(NOW, f"mx.{domain}").replace("a@", "b@") for domain in DOMAINS])
        ingest.advance(NOW)
        cache.note_all()

        known = []
        for _ in DOMAINS:
            assert cache.refresh(reader, NOW, lambda: True)
            cache.note(DOMAINS[:1])
            known.append(sum(cache.of(DOMAINS)[domain] != before[domain] for domain in DOMAINS))
        assert known == [1, 2, 3, 4, 5, 6, 7]
        assert cache.of(DOMAINS) == reader.evidence(DOMAINS, judged_at(NOW))


def test_a_domain_whose_evidence_can_not_be_worked_out_does_not_keep_others_from_theirs(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = StateReader.evidence

    def hungry(reader: StateReader, domains: list[str], now: float) -> object:
        if domains == [DOMAINS[0]]:
            raise MemoryError
        return evidence(reader, domains, now)

    cache = EvidenceCache()
    files.append(*[decision(NOW, f"mx.{domain}") for domain in DOMAINS])
    monkeypatch.setattr(StateReader, "evidence", hungry)
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        for _ in range(2):
            with pytest.raises(MemoryError):
                cache.refresh(reader, NOW, lambda: False)
        assert set(cache.of(DOMAINS)) == set(DOMAINS[1:])


def test_nothing_is_worked_out_where_nothing_happened(files: Files) -> None:
    cache = EvidenceCache()
    files.append(decision(NOW))
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        assert cache.refresh(reader, NOW, lambda: False)
        assert not cache.refresh(reader, NOW, lambda: False)
        cache.note({"example.net"})
        assert not cache.refresh(reader, NOW, lambda: False)
        cache.note({"example.com"})
        assert cache.refresh(reader, NOW, lambda: False)


def test_what_is_not_shown_any_more_is_forgotten(files: Files) -> None:
    cache = EvidenceCache()
    files.append(decision(NOW))
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        cache.refresh(reader, NOW, lambda: False)
        assert cache.of(["example.com"]) != {}
        files.ignore.write_text("example.com\n")
        ingest.advance(NOW)
        cache.note_all()
        cache.refresh(reader, NOW, lambda: False)
        assert cache.of(["example.com"]) == {}
