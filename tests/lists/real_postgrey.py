"""postgrey itself as the judge of what its whitelists cover."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Final, Self

from support import parts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

_RECIPIENT: Final = "b@example.org"
_BATCH: Final = 20
"""Requests under way at once: Perl takes them out of its buffer one by one, which is slow for a long one."""
_DECISION: Final = re.compile(rb"^action=pass, reason=(client|recipient) whitelist", re.MULTILINE)


class RealPostgrey:
    """The daemon with given whitelists, asked only whether the client whitelist decides.

    The recipient of every request is whitelisted, which postgrey looks at after the client whitelists and before
    its database: the reason in its log is the answer, and nothing has to be written.
    """

    def __init__(self, directory: Path, whitelists: Sequence[bytes] = (b"",)) -> None:
        recipients = directory / "whitelist_recipients"
        recipients.write_text(f"{_RECIPIENT}\n")
        self.files = [directory / f"whitelist_clients_{number}" for number in range(len(whitelists))]
        self._write(whitelists)
        self._daemon = parts.Postgrey(whitelist_files=self.files, options=[f"--whitelist-recipients={recipients}"])
        self._read = 0

    def _write(self, whitelists: Sequence[bytes]) -> None:
        for file, content in zip(self.files, whitelists, strict=True):
            file.write_bytes(content)

    def __enter__(self) -> Self:
        self._daemon.__enter__()
        self._connect()
        return self

    def _connect(self) -> None:
        self._connection = socket.create_connection(("127.0.0.1", self._daemon.port), timeout=20)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._daemon.__exit__(kind, error, trace)

    def reload(self, *whitelists: bytes) -> None:
        """Put other lists in place and have them read."""
        self._write(whitelists)
        try:
            self._daemon.reload()
        except parts.PartError:
            # A new one reads them just so. Without it, one signal at the wrong moment would fail all later tests.
            self._connection.close()
            self._daemon.kill()
            self._daemon.run()
            self._connect()

    def covers(self, clients: Sequence[tuple[str, str]]) -> list[bool]:
        """Tell for each (name, address) whether the client whitelist lets it pass."""
        for start in range(0, len(clients), _BATCH):
            batch = clients[start : start + _BATCH]
            self._connection.sendall(b"".join(_request(name, address) for name, address in batch))
            answered = 0
            while answered < len(batch):
                received = self._connection.recv(65536)
                assert received, f"postgrey died: {self._daemon.output.read_text(errors='replace')[-500:]}"
                answered += received.count(b"\n\n")
        with self._daemon.output.open("rb") as log:
            log.seek(self._read)
            said = log.read()
        self._read += len(said)
        reasons = _DECISION.findall(said)
        assert len(reasons) == len(clients), said[-2000:]
        return [reason == b"client" for reason in reasons]


def _request(name: str, address: str) -> bytes:
    return (
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nclient_name="
        + name.encode("utf-8", "surrogateescape")
        + f"\nclient_address={address}\nsender=a@example.com\nrecipient={_RECIPIENT}\n\n".encode()
    )
