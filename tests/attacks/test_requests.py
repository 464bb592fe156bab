"""Requests that nobody honest sends: each is answered or refused, and the exporter reads on."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

import pytest
from support.loglines import decision
from support.parts import wait_until
from support.running import Files, Serve

from attacks.clients import SCRAPE, connected, memory, received, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GREYLISTED: Final = 'postgrey_decisions_total{action="greylist",reason="new"}'
HOST: Final = b"Host: x\r\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("requests"))


@pytest.fixture(scope="module")
def serve(files: Files) -> Iterator[Serve]:
    files.append(decision(time.time()))
    with Serve(files) as serve:
        yield serve


@pytest.fixture(autouse=True)
def reads_on(files: Files, serve: Serve) -> Iterator[None]:
    """Whatever was asked, the next line is counted, and the log holds no traceback."""
    before = serve.value(GREYLISTED)
    assert before is not None
    yield
    files.append(decision(time.time()))
    wait_until(lambda: serve.value(GREYLISTED) == before + 1)
    assert "Traceback" not in serve.words()


def head(*lines: bytes, target: bytes = b"/metrics", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b" ".join([method, target, version]), *lines, b"", b""])


@pytest.mark.parametrize(
    "accept",
    [
        b"application/openmetrics-text;version=abc",
        b"application/openmetrics-text;version=1.0.0;escaping=\xff",
        b"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=nonsense",
        b"application/openmetrics-text;version=9" + b"9" * 5000,
        b"text/plain;version=abc",
        b"text/plain;version=1.x",
        b";" * 30_000,
        b"a/b," * 8_000,
        b"=" * 30_000,
        b"\xff\xfe\x80",
    ],
    ids=lambda accept: accept[:40].decode("latin-1").encode("unicode_escape").decode(),
)
def test_an_accept_of_any_kind_gets_a_form_of_the_metrics(serve: Serve, accept: bytes) -> None:
    # Twice: the second time it has been prepared, if it is remembered.
    for _ in range(2):
        answer = said(serve, head(b"Host: x", b"Accept: " + accept))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"postgrey_decisions_total" in answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(head(b"Host: x", b"X: \x00"), b"400", id="nul-in-a-header"),
        pytest.param(head(b"Host: x", b"X y: z"), b"400", id="space-in-a-name"),
        pytest.param(head(b" folded", b"Host: x"), b"400", id="folded-first-line"),
        pytest.param(head(), b"400", id="no-host"),
        pytest.param(head(b"Host: x", b"Host: y"), b"400", id="two-hosts"),
        pytest.param(head(b"Host: x", target=b"http://example.com/metrics?x"), b"200", id="absolute-form"),
        pytest.param(head(b"Host: x", target=b"http://["), b"404", id="half-a-bracket"),
        pytest.param(head(b"Host: x", target=b"//metrics"), b"404", id="two-slashes"),
        pytest.param(head(b"Host: x", target=b"/metrics?" + b"x" * 9000), b"200", id="query"),
        pytest.param(head(b"Host: x", target=b"/%6Detrics"), b"200", id="escaped-letter"),
        pytest.param(head(b"Host: x", target=b"/\xe9"), b"400", id="raw-byte"),
        pytest.param(head(b"Host: x", target=b"/%00"), b"404", id="escaped-nul"),
        pytest.param(head(b"Host: x", target=b"*", method=b"OPTIONS"), b"404", id="options-of-all"),
        pytest.param(head(b"Host: x", target=b"x:443", method=b"CONNECT"), b"404", id="connect"),
        pytest.param(head(b"Host: x", method=b"OPTIONS"), b"405", id="options"),
        pytest.param(head(b"Host: x", method=b"HEAD"), b"200", id="head"),
        pytest.param(head(version=b"HTTP/1.0"), b"200", id="http-1.0"),
        pytest.param(head(b"Host: x", version=b"HTTP/9.9"), b"505", id="http-9.9"),
        pytest.param(b"GET /metrics\r\n\r\n", b"400", id="http-0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"505", id="http-2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400", id="tls"),
        pytest.param(b"\r\n" * 50, b"400", id="empty-lines"),
        pytest.param(head(b"Host: x", b"Content-Length: 5") + b"12345", b"413", id="body"),
        pytest.param(head(b"Host: x", b"Content-Length: 0"), b"200", id="no-body"),
        pytest.param(head(b"Host: x", b"Content-Length: 99999999999999999"), b"413", id="endless-body"),
        pytest.param(head(b"Host: x", b"Content-Length: -1"), b"400", id="negative-length"),
        pytest.param(head(b"Host: x", b"Content-Length: 1", b"Content-Length: 2"), b"400", id="two-lengths"),
        pytest.param(head(b"Host: x", b"Transfer-Encoding: chunked") + b"0\r\n\r\n", b"413", id="chunked"),
        pytest.param(head(b"Host: x", b"Transfer-Encoding: chunked") + b"z\r\n", b"413", id="broken-chunk"),
        pytest.param(head(b"Host: x", b"Transfer-Encoding: gzip"), b"501", id="unknown-encoding"),
        pytest.param(
            head(b"Host: x", b"Content-Length: 9", b"Expect: 100-continue"), b"413", id="expects-to-continue"
        ),
        pytest.param(head(b"Host: x", b"X: " + b"x" * 40_000), b"431", id="long-header"),
        pytest.param(head(b"Host: x", *[b"X: " + b"x" * 1000] * 40), b"431", id="many-headers"),
        pytest.param(head(b"Host: x", target=b"/" + b"x" * 40_000), b"431", id="long-line"),
        pytest.param(head(b"Host: x", b"X: " + b"x" * 1_000_000), b"431", id="very-long-header"),
    ],
)
def test_a_request_is_answered_with_a_status_that_says_why(serve: Serve, request_bytes: bytes, status: bytes) -> None:
    answer = said(serve, request_bytes)

    assert answer.split(b" ", 2)[:2] == [b"HTTP/1.1", status]
    assert answer.count(b"HTTP/1.1 ") == 1


def test_requests_that_come_together_are_answered_in_their_order(
    serve: Serve, at_length: Callable[[int, int], int]
) -> None:
    count = at_length(50, 5_000)
    pair = head(b"Host: x", target=b"/-/healthy") + head(b"Host: x", target=b"/nothing")
    answers = said(serve, pair * count)

    assert answers.count(b"HTTP/1.1 200 OK") == answers.count(b"HTTP/1.1 404 Not Found") == count
    assert answers.rindex(b"HTTP/1.1 200") < answers.rindex(b"HTTP/1.1 404")


def test_an_endless_header_takes_no_memory(
    serve: Serve, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    serve.ask("/metrics")
    before = memory(serve)
    sent = 0
    for _ in range(at_length(3, 20)):
        with connected(serve) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")
            try:
                for _ in range(at_length(100, 2_000)):
                    connection.sendall(b"x" * 100_000)
                    sent += 100_000
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert received(connection).startswith(b"HTTP/1.1 431 ")
    grown = memory(serve) - before
    figure(f"endless headers: {sent / 1e6:.0f} MB taken off, {grown / 1e6:.1f} MB of memory")
    assert grown < 8_000_000


def test_bytes_of_any_kind_end_nothing(
    serve: Serve, at_length: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    random_bytes = random.Random(16)
    whole = head(b"Host: x", b"Accept: application/openmetrics-text;version=1.0.0", b"Accept-Encoding: gzip")
    count = at_length(200, 20_000)
    for _ in range(count):
        mutated = bytearray(whole)
        for _ in range(random_bytes.randrange(1, 9)):
            at = random_bytes.randrange(len(mutated))
            mutated[at : at + random_bytes.randrange(3)] = random_bytes.randbytes(random_bytes.randrange(4))
        answer = said(serve, bytes(mutated))
        assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        assert not answer.startswith(b"HTTP/1.1 500")
    figure(f"hostile requests: {count} mutated ones answered or refused")


def test_a_client_that_leaves_in_the_middle_ends_nothing(serve: Serve, at_length: Callable[[int, int], int]) -> None:
    for number in range(at_length(100, 5_000)):
        with connected(serve) as connection:
            connection.sendall(SCRAPE[: number % len(SCRAPE) + 1])
