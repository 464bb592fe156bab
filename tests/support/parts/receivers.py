"""Where Alertmanager's notifications arrive in a test: an HTTP webhook and a mail server, both on loopback."""

from __future__ import annotations

import email
import email.policy
import http.server
import json
import socketserver
import threading
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from email.message import EmailMessage
    from types import TracebackType


class _Listener:
    """A server in a thread, from entering to leaving."""

    def __init__(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def address(self) -> str:
        """``HOST:PORT`` to reach it."""
        return f"127.0.0.1:{self._server.socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class WebhookReceiver(_Listener):
    """Keeps the JSON body of every POST in ``received``."""

    def __init__(self) -> None:
        received: list[dict[str, Any]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing: pytest's output is for failures."""

        self.received = received
        super().__init__(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))

    @property
    def url(self) -> str:
        return f"http://{self.address}/"


class _MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class SmtpSink(_Listener):
    """Accepts every mail without TLS or authentication and keeps it in ``messages``."""

    def __init__(self) -> None:
        messages: list[EmailMessage] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 sink.example.org ESMTP")
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self._say("354 go on")
                        messages.append(email.message_from_bytes(self._body(), policy=email.policy.default))
                    if verb == b"QUIT":
                        self._say("221 bye")
                        return
                    self._say("250 sink.example.org")

            def _body(self) -> bytes:
                # A sender that is stopped in the middle ends the body, too.
                lines = takewhile(b".\r\n".__ne__, self.rfile)
                return b"".join(line.removeprefix(b".") for line in lines)

            def _say(self, answer: str) -> None:
                self.wfile.write(f"{answer}\r\n".encode())

        self.messages = messages
        super().__init__(_MailServer(("127.0.0.1", 0), Handler))
