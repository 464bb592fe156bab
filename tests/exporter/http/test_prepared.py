"""The metrics' text is ready before a scrape asks for it, and is never an old one."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import GaugeMetricFamily
from support.loglines import decision
from support.running import NOW, Files

from postgrey_exporter.exporter.http import prepared as prepared_module
from postgrey_exporter.exporter.http.formats import negotiated
from postgrey_exporter.exporter.http.message import Answer, Request
from postgrey_exporter.exporter.http.prepared import Prepared
from postgrey_exporter.exporter.service import Service
from postgrey_exporter.exporter.view import View
from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = {"accept": "text/plain"}
PACKED = {"accept-encoding": "gzip"}
OPEN = {"accept": "application/openmetrics-text"}
DOTS = {"accept": "text/plain;version=1.0.0;escaping=dots"}
VALUES = {"accept": "text/plain;version=1.0.0;escaping=values"}


class Site:
    """A service whose view is given, and its texts."""

    def __init__(self, service: Service) -> None:
        self.view = asyncio.run(service.view())
        self.service = service
        self.texts = Prepared(service)
        service.view = self._view  # type: ignore[method-assign]

    async def _view(self) -> View:
        return self.view

    def renew(self) -> None:
        """Have another view with the same content."""
        self.view = View(**{name: getattr(self.view, name) for name in self.view.__slots__})

    def prepare(self) -> None:
        """Have another view, and prepare it."""
        self.renew()
        self.texts.prepare(self.view)

    def answer(self, headers: dict[str, str]) -> Answer:
        return asyncio.run(self.texts.answer(Request("GET", "/metrics", headers)))

    def is_ready(self, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]) -> bool:
        """Tell whether an answer needs nothing to be written."""
        written = []

        def families(view: View) -> list[object]:
            written.append(view)
            return []

        with monkeypatch.context() as patch:
            patch.setattr(prepared_module, "families", families)
            self.answer(headers)
        return not written


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    files = Files(tmp_path)
    files.append(decision(NOW))
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        ingest.advance(NOW)
        yield Site(Service(ingest, reader, lambda: NOW))


def test_a_form_that_was_asked_for_is_ready_the_next_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.answer(PLAIN)
    site.prepare()
    after = site.answer(PLAIN)

    assert site.is_ready(monkeypatch, PLAIN)
    assert not site.is_ready(monkeypatch, PACKED)
    assert after[:2] == before[:2]
    assert after[2].partition(b"# HELP process_")[0] == before[2].partition(b"# HELP process_")[0]


def test_the_text_of_another_view_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.answer(PLAIN)
    site.prepare()
    site.renew()
    assert not site.is_ready(monkeypatch, PLAIN)


def test_a_form_that_nobody_asks_for_any_more_is_not_prepared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.texts = Prepared(site.service, views=2)
    site.answer(PLAIN)
    for _ in range(2):
        site.prepare()
    assert site.is_ready(monkeypatch, PLAIN)
    for _ in range(3):
        site.prepare()
    assert not site.is_ready(monkeypatch, PLAIN)


def test_of_many_forms_only_the_latest_are_prepared(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = [PLAIN, PACKED, OPEN, DOTS, VALUES]
    for form in forms:
        site.answer(form)
    site.prepare()
    assert [site.is_ready(monkeypatch, form) for form in forms] == [False] + [True] * 4


def test_forms_that_are_made_up_are_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        site.answer({"accept": f"text/x-{number}"})
    site.prepare()
    assert site.is_ready(monkeypatch, {"accept": "text/x-another"})
    assert site.is_ready(monkeypatch, {})


def test_those_who_wait_for_the_same_text_share_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def families(view: View) -> list[object]:
        written.append(view)
        return []

    async def ask_many() -> None:
        request = Request("GET", "/metrics", PLAIN)
        await asyncio.gather(*(site.texts.answer(request) for _ in range(50)))

    monkeypatch.setattr(prepared_module, "families", families)
    asyncio.run(ask_many())
    assert len(written) == 1


# --- what a client writes is one of a few forms


HOSTILE = [
    "application/openmetrics-text;version=abc",
    "application/openmetrics-text;version=-1",
    "application/openmetrics-text;version=1.0.0.0.0.0.0.0.0.0",
    "application/openmetrics-text;version=2.0.0\r\nX: 1",
    "application/openmetrics-text;version=99999999999999999999999999999999999999;escaping=values",
    "text/plain;version=\xff\xfe",
    "text/plain;version==;;;,,,;=",
    ";" * 30_000,
    "a/b," * 8_000,
    "*/*;q=x",
    "\x00",
]


@pytest.mark.parametrize("accept", HOSTILE, ids=lambda text: text[:60].encode("unicode_escape").decode())
def test_what_can_not_be_understood_asks_for_the_default(accept: str) -> None:
    assert negotiated(accept, "") == negotiated("", "")


@given(accept=st.text(), encoding=st.text())
def test_whatever_is_written_asks_for_a_form_that_can_be_written(accept: str, encoding: str) -> None:
    for written in (accept, f"text/plain;{accept}", f"application/openmetrics-text;version={accept}"):
        form = negotiated(written, encoding)
        assert form.write([GaugeMetricFamily("x", "A gauge.", 1)])
        assert form.headers["Content-Type"].isascii()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        pytest.param("", "text/plain; version=0.0.4", id="nothing"),
        pytest.param("*/*", "text/plain; version=0.0.4", id="anything"),
        pytest.param("application/openmetrics-text", "application/openmetrics-text; version=1.0.0", id="openmetrics"),
        pytest.param(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "application/openmetrics-text; version=1.0.0",
            id="prometheus-3",
        ),
    ],
)
def test_what_is_understood_is_given(accept: str, content_type: str) -> None:
    assert negotiated(accept, "").content_type.startswith(content_type)
