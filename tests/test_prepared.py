"""The metrics' text is ready before a scrape asks for it, and is never an old one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from loglines import decision
from running import NOW, WINDOW, Files

from postgrey_exporter.metrics import View
from postgrey_exporter.service import Service
from postgrey_exporter.snapshot import StateReader
from postgrey_exporter.web import prepared as prepared_module
from postgrey_exporter.web.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = {"HTTP_ACCEPT": "text/plain"}


class Site:
    """A service whose view is given, and its texts."""

    def __init__(self, service: Service) -> None:
        self.view = service.view()
        self.texts = Prepared(service)
        service.view = lambda: self.view  # type: ignore[method-assign]

    def is_ready(self, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> bool:
        """Tell whether an answer needs nothing to be written."""
        written = []

        def families(view: View) -> list[object]:
            written.append(view)
            return []

        with monkeypatch.context() as patch:
            patch.setattr(prepared_module, "families", families)
            self.texts.answer(environ)
        return not written


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    files = Files(tmp_path)
    files.append(decision(NOW))
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        yield Site(Service(ingest, reader, WINDOW, lambda: NOW))


def test_a_form_that_was_asked_for_is_ready_the_next_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.texts.answer(PLAIN)
    site.texts.prepare(site.view)
    after = site.texts.answer(PLAIN)

    assert site.is_ready(monkeypatch, PLAIN)
    assert not site.is_ready(monkeypatch, PLAIN | {"HTTP_ACCEPT_ENCODING": "gzip"})
    assert after[:2] == before[:2]
    assert after[2].partition(b"# HELP process_")[0] == before[2].partition(b"# HELP process_")[0]


def test_the_text_of_another_view_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.texts.answer(PLAIN)
    site.texts.prepare(site.view)
    site.view = View(**{name: getattr(site.view, name) for name in site.view.__slots__})
    assert not site.is_ready(monkeypatch, PLAIN)


def test_a_form_that_nobody_asks_for_any_more_is_not_prepared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_module, "_VIEWS", 2)
    site.texts.answer(PLAIN)
    for _ in range(2):
        site.texts.prepare(site.view)
    assert site.is_ready(monkeypatch, PLAIN)
    for _ in range(3):
        site.texts.prepare(site.view)
    assert not site.is_ready(monkeypatch, PLAIN)


def test_forms_that_are_made_up_do_not_add_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = [{"HTTP_ACCEPT": f"text/x-{number}"} for number in range(9)]
    for form in forms:
        site.texts.answer(form)
    site.texts.prepare(site.view)
    assert [site.is_ready(monkeypatch, form) for form in forms] == [False] * 5 + [True] * 4
