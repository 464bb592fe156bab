"""What the web server answers: which path, which method, which form; and a page on which no name does harm."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from html.parser import HTMLParser
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.loglines import decision
from support.parts import free_port, wait_until
from support.parts.waiting import LIMIT
from support.running import NOW, Answer, Files, Scripted, ask

from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.exporter.http import page as page_module
from postgrey_exporter.exporter.http import rows as rows_module
from postgrey_exporter.exporter.http.app import Application
from postgrey_exporter.exporter.http.connection import Timeouts
from postgrey_exporter.exporter.http.message import Answer as WebAnswer
from postgrey_exporter.exporter.http.message import Request
from postgrey_exporter.exporter.http.rows import PageLimits
from postgrey_exporter.exporter.http.server import ListenAddress, Server
from postgrey_exporter.exporter.service import Service
from postgrey_exporter.state.reader import StateReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from postgrey_exporter.exporter.view import View
    from postgrey_exporter.sources import Source

PATHS: Final = ("/", "/metrics", "/-/healthy", "/-/ready")


class Site:
    """A web server over some files."""

    def __init__(self, url: str, files: Files, service: Service) -> None:
        self.url = url
        self.files = files
        self._service = service
        self._reading = threading.Thread(target=service.run)

    def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        return ask(f"{self.url}{path}", method, **headers)

    def read(self) -> None:
        """Begin to read, and return when everything has been read once."""
        self._reading.start()
        wait_until(lambda: self._service.ready)

    def end(self) -> None:
        self._service.stop()
        if self._reading.ident is not None:
            self._reading.join(LIMIT)


@contextmanager
def serving(
    files: Files,
    *sources: Source,
    telemetry_path: str = "/metrics",
    threshold: int = 15,
    page_limits: PageLimits = PageLimits(),
    timeouts: Timeouts = Timeouts(),
    read: bool = True,
) -> Iterator[Site]:
    address = ListenAddress("127.0.0.1", free_port())
    with files.ingest(*sources) as ingest, closing(StateReader(files.state)) as reader:
        service = Service(ingest, reader, lambda: NOW)
        server = Server([address], Application(service, telemetry_path, threshold, page_limits).answer, timeouts)
        server.start()
        site = Site(f"http://{address}", files, service)
        try:
            if read:
                site.read()
            yield site
        finally:
            site.end()
            server.stop()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    files = Files(tmp_path)
    files.append(decision(NOW - 60))
    return files


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests that only ask."""
    files = Files(tmp_path_factory.mktemp("site"))
    files.append(decision(NOW - 60))
    with serving(files) as site:
        yield site


# --- paths and methods


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_get_and_head_alike(site: Site, path: str) -> None:
    got, head = site.get(path), site.get(path, "HEAD")

    assert (got.status, head.status) == (200, 200)
    assert head.body == b""
    assert {name for name in got.headers if name != "Date"} == {name for name in head.headers if name != "Date"}
    assert got.headers["Content-Type"] == head.headers["Content-Type"]
    assert int(got.headers["Content-Length"]) == len(got.body) > 0
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", PATHS)
def test_every_path_refuses_other_methods(site: Site, path: str, method: str) -> None:
    answer = site.get(path, method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/metrics/",
        "/metrics/x",
        "/Metrics",
        "/-/",
        "/-/healthy/",
        "/favicon.ico",
        "/index.html",
        "/../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/static/../metrics",
        "/metrics%0d%0aX:1",
    ],
)
def test_anything_else_is_not_there(site: Site, path: str, method: str) -> None:
    answer = site.get(path, method)

    assert answer.status == 404
    assert answer.body == (b"" if method == "HEAD" else b"nothing here; see /metrics\n")


def test_a_query_changes_nothing(site: Site) -> None:
    assert site.get("/metrics?name[]=x").text.startswith("# HELP postgrey_greylisted_total")
    assert site.get("/-/healthy?x=%00").status == 200


def test_the_metrics_are_where_the_user_wants_them(files: Files) -> None:
    with serving(files, telemetry_path="/internal/metrics") as site:
        assert site.get("/internal/metrics").status == 200
        assert site.get("/metrics").status == 404
        assert 'href="/internal/metrics"' in site.get("/").text


def test_ready_only_when_everything_was_read_once_healthy_before(files: Files) -> None:
    with serving(files, read=False) as site:
        before = [site.get(path).status for path in ("/-/healthy", "/-/ready", "/metrics", "/")]
        head = site.get("/-/ready", "HEAD").status
        page = site.get("/").text
        site.read()
        after = [site.get(path).status for path in ("/-/healthy", "/-/ready", "/metrics", "/")]

    assert before == [200, 503, 200, 200]
    assert head == 503
    assert "still being read for the first time" in page
    assert after == [200, 200, 200, 200]


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"\x00\xff\xfe\r\n\r\n", id="bytes"),
        pytest.param(b"GET\r\n\r\n", id="no-path"),
        pytest.param(b"GET /metrics HTTP/9.9\r\n\r\n", id="version"),
        pytest.param(b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", id="header"),
        pytest.param(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n", id="long"),
        pytest.param(b"GET metrics HTTP/1.1\r\nHost: x\r\n\r\n", id="relative"),
        pytest.param(b"GET /\xe9 HTTP/1.1\r\nHost: x\r\n\r\n", id="raw-byte"),
        pytest.param(b"GET /%e9%00 HTTP/1.1\r\nHost: x\r\n\r\n", id="quoted-byte"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n", id="length"),
    ],
)
def test_a_broken_request_is_refused_and_the_next_is_answered(
    site: Site, request_bytes: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as connection:
        connection.sendall(request_bytes)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)

    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
    assert site.get("/-/healthy").status == 200
    assert capfd.readouterr().err == ""


# --- the metrics


def test_the_text_format_is_the_default(site: Site) -> None:
    answer = site.get("/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "charset=utf-8" in answer.headers["Content-Type"]
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"postgrey_greylisted", "postgrey_decisions", "process_cpu_seconds"} <= families


def test_openmetrics_is_given_to_who_asks_for_it(site: Site) -> None:
    answer = site.get("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        pytest.param("gzip", True, id="gzip"),
        pytest.param("deflate, gzip;q=1.0", True, id="gzip-among-others"),
        pytest.param("identity", False, id="identity"),
        pytest.param("", False, id="nothing"),
    ],
)
def test_the_body_is_packed_for_who_takes_it(site: Site, accepted: str, packed: bool) -> None:
    answer = site.get("/metrics", Accept_Encoding=accepted)

    assert ("Content-Encoding" in answer.headers) is packed
    assert "Accept-Encoding" in answer.headers["Vary"]
    text = gzip.decompress(answer.body) if packed else answer.body
    assert b"postgrey_decisions_total" in text
    assert int(answer.headers["Content-Length"]) == len(answer.body)


def test_a_scrape_holds_what_was_appended_just_before_it(files: Files) -> None:
    with serving(files) as site:
        for count in (2, 3, 4):
            files.append(decision(NOW - 30))
            text = site.get("/metrics").text
            assert f'postgrey_decisions_total{{action="greylist",reason="new"}} {count}.0' in text


# --- the page


class Page(HTMLParser):
    """The tags, links, table rows and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data.strip()

    @property
    def cells(self) -> set[str]:
        return {cell for row in self.rows for cell in row}


def test_the_page_links_to_everything(site: Site) -> None:
    page = Page(site.get("/").text)

    assert set(page.links) == {"/metrics", "/-/healthy", "/-/ready"}


def test_the_page_names_who_needs_a_decision(files: Files) -> None:
    files.append(*[decision(NOW - 60)] * 4, *[decision(NOW - 60, "mail.example.net")] * 9, decision(NOW, "unknown"))
    files.whitelist.write_text("example.net\n")
    with serving(files, threshold=5) as site:
        page = Page(site.get("/").text)

    assert "Whitelist or ignore these senders: example.com." in " ".join(page.text.split())
    assert ["example.net", "9", "1", "1", "0", "whitelist", "9", "0"] in page.rows
    assert ["example.com", "5", "1", "1", "5", "", "5", "0"] in page.rows


def test_the_page_says_when_nothing_is_to_be_decided(site: Site) -> None:
    assert "Okay, the top domains are whitelisted or ignored." in Page(site.get("/").text).text


def test_the_page_of_a_silent_log_says_so(tmp_path: Path) -> None:
    with serving(Files(tmp_path), Scripted("log")) as site:
        assert "Nothing was greylisted." in Page(site.get("/").text).text


def test_the_page_shows_what_was_appended_just_before_it(files: Files) -> None:
    with serving(files) as site:
        files.append(decision(NOW - 30, "mail.example.net"))
        assert "example.net" in Page(site.get("/").text).cells


HOSTILE: Final = "<img src=x onerror=alert(1)>&\"'"


def test_a_hostile_name_is_text_on_the_page(tmp_path: Path) -> None:
    (tmp_path / HOSTILE).mkdir()
    files = Files(tmp_path / HOSTILE)
    with serving(files) as site:
        plain = Page(site.get("/").text)
        files.append(decision(NOW, "<script>alert(1)</script>.example.com"))
        wait_until(lambda: "unknown" in Page(site.get("/").text).cells)
        shown = Page(site.get("/").text)

    assert f"{files.log}: no such file" in plain.text
    assert "img" not in plain.tags
    assert "script" not in shown.tags


def test_the_browser_is_told_to_run_nothing(site: Site) -> None:
    policy = site.get("/").headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'")
    assert "script" not in policy


def test_the_page_shows_a_hundred_domains_and_says_how_many_more_there_are(files: Files) -> None:
    files.append(*(decision(NOW - 60, f"mail.d{number}.home.arpa") for number in range(150)))
    with serving(files, threshold=1) as site:
        page = Page(site.get("/").text)

    assert len(page.rows) == 2 * (1 + PageLimits().rows)
    assert "51 more are not shown" in " ".join(page.text.split())


def test_what_takes_long_is_left_out_of_the_page_and_comes_with_the_next(files: Files) -> None:
    files.append(decision(NOW - 60, "mail.example.net"))
    with serving(files, threshold=1, page_limits=PageLimits(advised=1)) as site:
        first = site.get("/").text
        wait_until(lambda: "Takes longer than a page may" not in site.get("/").text)

    assert first.count("Takes longer than a page may") == 1


def test_a_domain_that_is_too_large_to_count_is_on_the_page_all_the_same(files: Files) -> None:
    files.append(decision(NOW - 60, "m2.example.com"), decision(NOW - 60, "mail.example.net"))
    with serving(files, threshold=1, page_limits=PageLimits(counted=1)) as site:
        page = Page(site.get("/").text)

    dash = "\N{EN DASH}"
    assert ["example.com", dash, dash, dash, "2", "", "2", "0"] in page.rows
    assert ["example.net", "1", "1", "1", "1", "", "1", "0"] in page.rows


def test_pages_that_are_loaded_together_are_made_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[View] = []
    tables = rows_module.Gatherer.tables

    def count(gatherer: rows_module.Gatherer, view: View) -> rows_module.Tables:
        made.append(view)
        return tables(gatherer, view)

    async def load(service: Service) -> None:
        page = page_module.Page(service, "/metrics", 15)
        await asyncio.gather(*(page.answer(Request("GET", "/", {})) for _ in range(10)))

    monkeypatch.setattr(rows_module.Gatherer, "tables", count)
    with files.ingest() as ingest, closing(StateReader(files.state)) as reader:
        asyncio.run(load(Service(ingest, reader, lambda: NOW)))
    assert len(made) == 1


# --- what goes wrong, and what takes long


@pytest.mark.parametrize("path", ["/", "/metrics"])
def test_an_error_of_ours_is_a_500_without_its_words_and_is_logged_once(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    async def broken(_: Service) -> View:
        raise TypeError("a fault of ours")

    with serving(files) as site:
        with monkeypatch.context() as patch:
            patch.setattr(Service, "view", broken)
            answers = [site.get(path) for _ in range(3)]
            healthy = site.get("/-/healthy").status
        wait_until(lambda: site.get(path).status == 200)

    assert {(answer.status, answer.text) for answer in answers} == {
        (500, "an error of the exporter's; its log says more\n")
    }
    assert healthy == 200
    assert len([one for one in caplog.messages if "a fault of ours" in one]) == 1


def closed_after(connection: socket.socket) -> float:
    """Return how long it takes until the other side closes a connection, whatever is left to read."""
    begun = time.monotonic()
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - begun


def connected(site: Site, sent: bytes) -> socket.socket:
    host, port = site.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=LIMIT)
    connection.sendall(sent)
    return connection


GET_HEALTHY: Final = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("limit", "sent"),
    [
        pytest.param("head", b"", id="silent"),
        pytest.param("head", GET_HEALTHY[:-3], id="half-a-header"),
        pytest.param("head", GET_HEALTHY + GET_HEALTHY[:-3], id="half-a-second-header"),
        pytest.param("idle", GET_HEALTHY, id="idle"),
    ],
)
def test_who_takes_too_long_to_ask_is_cut_off(files: Files, limit: str, sent: bytes) -> None:
    timeouts = Timeouts(head=10 * LIMIT, idle=10 * LIMIT)._replace(**{limit: 0.2})
    with serving(files, timeouts=timeouts) as site, connected(site, sent) as connection:
        assert closed_after(connection) >= 0.1


def test_a_header_has_no_more_time_because_it_goes_on(files: Files) -> None:
    begun = time.monotonic()
    with (
        serving(files, timeouts=Timeouts(head=0.3)) as site,
        connected(site, b"GET / HTTP/1.1\r\nX: ") as connection,
        suppress(BrokenPipeError, ConnectionResetError),
    ):
        connection.settimeout(0.02)
        while time.monotonic() < begun + LIMIT:
            connection.sendall(b"x")
            with suppress(TimeoutError):
                if connection.recv(1) == b"":
                    break
    assert time.monotonic() < begun + LIMIT


def test_who_takes_too_long_to_read_is_cut_off() -> None:
    size = 50_000_000

    async def answer(_: Request) -> WebAnswer:
        return WebAnswer(HTTPStatus.OK, {}, bytes(size))

    address = ListenAddress("127.0.0.1", free_port())
    server = Server([address], answer, Timeouts(write=0.2))
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", address.port), timeout=LIMIT) as connection:
            connection.sendall(GET_HEALTHY)
            wait_until(lambda: closed_by(connection))
    finally:
        server.stop()


def closed_by(connection: socket.socket) -> bool:
    """Tell whether the other side has reset a connection; nothing is read from it."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


# --- listening


async def greet(_: Request) -> WebAnswer:
    return WebAnswer.text(HTTPStatus.OK, "x")


def listening(*addresses: ListenAddress) -> Server:
    return Server(addresses, greet)


def test_several_addresses_are_served() -> None:
    addresses = [ListenAddress("127.0.0.1", free_port()), ListenAddress("127.0.0.1", free_port())]
    servers = listening(*addresses)
    servers.start()
    try:
        assert [ask(f"http://{address}/").status for address in addresses] == [200, 200]
    finally:
        servers.stop()


def test_an_address_of_ipv6_is_served() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("needs IPv6 on the loopback interface")
    address = ListenAddress("::1", free_port())
    servers = listening(address)
    servers.start()
    try:
        assert str(address).startswith("[::1]:")
        assert ask(f"http://{address}/").status == 200
    finally:
        servers.stop()


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param("host.invalid", "", id="unknown-host"),
        pytest.param("192.0.2.1", "Cannot assign requested address", id="not-ours"),
        pytest.param("..", "", id="empty-labels"),
        pytest.param("a" * 300, "", id="long"),
    ],
)
def test_an_address_that_can_not_be_had_is_named(host: str, reason: str) -> None:
    with pytest.raises(PostgreyExporterError) as raised:
        listening(ListenAddress(host, 10123))

    message = str(raised.value)
    assert message.startswith(f"{host}:10123: can't listen there: {reason}")
    assert message.endswith("; choose another with --web.listen-address")
    assert "\n" not in message


def test_a_port_in_use_is_named_and_the_others_are_let_go() -> None:
    free = ListenAddress("127.0.0.1", free_port())
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = ListenAddress("127.0.0.1", other.getsockname()[1])
        with pytest.raises(PostgreyExporterError, match="can't listen there: Address already in use; choose another"):
            listening(free, taken)

    servers = listening(free)
    servers.stop()
