"""Runs inside the booted system: has postgrey decide, and notes what the exporter counted, as JSON."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

UNIT = "postgrey-exporter"
_LIMIT = 30.0
_asked = 0


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; what is found in the end is judged outside."""
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        with suppress(OSError):
            if condition():
                return
        time.sleep(0.1)


def postgrey() -> socket.socket:
    return socket.create_connection(("127.0.0.1", 10023))


def listens() -> bool:
    postgrey().close()
    return True


def decide(count: int) -> None:
    """Have postgrey decide about as many messages."""
    global _asked  # noqa: PLW0603 - a script
    until(listens)
    with postgrey() as connection, connection.makefile("rwb") as stream:
        for _ in range(count):
            _asked += 1
            stream.write(
                f"request=smtpd_access_policy\nclient_name=m{_asked}.example.com\nclient_address=192.0.2.1\n"
                f"sender=s{_asked}@example.com\nrecipient=r@example.org\n\n".encode()
            )
            stream.flush()
            while stream.readline().strip():
                pass


def counted() -> dict[str, float]:
    """Return the samples that matter, as soon as all decisions are among them."""
    found: dict[str, float] = {}

    def complete() -> bool:
        with urllib.request.urlopen("http://127.0.0.1:10123/metrics") as answer:
            text = answer.read().decode()
        found.clear()
        for name in (
            "postgrey_decisions_total",
            "postgrey_exporter_source_up",
            "postgrey_exporter_source_gaps_total",
        ):
            found[name] = sum(float(value) for value in re.findall(rf"^{name}\S* (\S+)$", text, re.MULTILINE))
        return found["postgrey_decisions_total"] >= _asked

    until(complete)
    return found


def control(*arguments: str) -> str:
    return subprocess.run([*arguments], check=False, capture_output=True, text=True).stdout.strip()


def main() -> None:
    noted: dict[str, object] = {}
    Path(sys.argv[1]).write_text("{}")  # it booted; what is missing in the end is a fault
    decide(30)
    noted["at first"] = counted()
    decide(10)
    control("journalctl", "--rotate")
    decide(10)
    noted["rotated"] = counted()
    control("systemctl", "kill", "--signal=KILL", UNIT)
    decide(5)
    control("systemctl", "start", UNIT)
    noted["killed"] = counted()
    process = control("systemctl", "show", "--property=MainPID", "--value", UNIT)
    noted["status"] = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith(("Uid:", "CapEff:", "NoNewPrivs:", "Seccomp:"))
    )
    noted["log"] = control("journalctl", f"--unit={UNIT}", "--output=cat", "--no-pager")
    Path(sys.argv[1]).write_text(json.dumps(noted))


if __name__ == "__main__":
    main()
