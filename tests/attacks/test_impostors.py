"""The doctor among processes that call themselves postgrey or this program, and what answers in their place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from support.parts import require, wait_until
from support.running import EXPORTER, environment

from postgrey_exporter.doctor import Machine
from postgrey_exporter.doctor.examination import is_exporter
from postgrey_exporter.doctor.postgrey import is_postgrey, is_trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgrey_exporter.doctor import Process

STRANGER: Final = 65534
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can play other accounts")


@pytest.fixture
def ground() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture
def start() -> Iterator[Callable[..., int]]:
    """Start a program under a name and as an account, and return its process id once it has begun."""
    running: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str, program: str, uid: int = 0, **variables: str) -> int:
        process = subprocess.Popen(
            list(arguments), executable=program, user=uid, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment(**variables),
        )  # fmt: skip
        running.append(process)
        wanted = arguments[0].encode()
        wait_until(
            lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes().startswith(wanted), what=f"{wanted!r} to begin"
        )
        return process.pid

    yield run
    for process in running:
        process.kill()
        process.communicate()


def found(pid: int) -> Process:
    (process,) = (one for one in Machine(Path("/"), 0.0, lambda _: (0, "")).processes() if one.pid == pid)
    return process


def doctor(ground: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (ground / "whitelist").touch()
    (ground / "log").touch()
    given = [f"--mail-log={ground}/log", f"--whitelist-file={ground}/whitelist", f"--state={ground}/state"]
    return subprocess.run(
        [*EXPORTER, "doctor", *given, *options], env=environment(), capture_output=True, text=True, check=False
    )


@only_root
def test_a_strangers_postgrey_gives_the_doctor_nothing_to_say_or_to_run(
    ground: Path, start: Callable[..., int]
) -> None:
    perl = require("perl")
    evil = f"--whitelist-clients=$(touch {ground}/run);`touch {ground}/run`;\x1b]0;title\x07\x9b2J\u202e"
    pid = start("postgrey", "-e", "sleep 1000", "--", evil, program=perl, uid=STRANGER)
    assert is_postgrey(found(pid))
    assert not is_trusted(found(pid))
    done = doctor(ground)
    assert f"pid {pid} of account {STRANGER} calls itself postgrey and is not counted" in done.stdout
    assert "touch" not in done.stdout


@only_root
def test_a_program_that_makes_itself_root_with_a_strangers_arguments_is_none(
    ground: Path, start: Callable[..., int]
) -> None:
    # As su, sudo and passwd are root with whatever name and arguments their caller chose.
    program = ground / "sudo"
    shutil.copy(require("cat", "coreutils"), program)
    program.chmod(0o4755)
    taken = found(start("postgrey", "-", program=str(program), uid=STRANGER))
    assert taken.uids == {0, STRANGER}
    assert not is_trusted(taken)
    assert not is_trusted(found(start("postgrey", "-", program=str(program))))


@only_root
def test_roots_postgrey_is_believed_and_its_arguments_stay_words(ground: Path, start: Callable[..., int]) -> None:
    perl = require("perl")
    evil = f"/etc/x y';touch {ground}/run;$(touch {ground}/run)`touch {ground}/run`\x1b[2J\n\u202e|"
    pid = start("postgrey", "-e", "sleep 1000", "--", f"--whitelist-clients={evil}", program=perl)
    assert is_trusted(found(pid))
    told = json.loads(doctor(ground, "--format=json").stdout)["checks"]
    (remedy,) = [one["remedy"] for one in told if one["check"] == "--whitelist-clients" and "/etc/x" in one["text"]]
    words = remedy.removeprefix("start the exporter with ")
    for shell in ("bash", "sh"):
        echoed = subprocess.run(
            [require(shell), "-c", f"printf '%s\\0' {words}"], cwd=ground, capture_output=True, check=True
        ).stdout.split(b"\0")
        assert len(echoed) == 2
        assert shell == "sh" or echoed[0] == b"--whitelist-file=" + evil.encode()
    assert not (ground / "run").exists()
    assert all(line.isprintable() for line in doctor(ground).stdout.splitlines())


@only_root
def test_a_strangers_exporter_names_no_state_and_no_list(ground: Path, start: Callable[..., int]) -> None:
    state = f"{ground}/bait\x1b[2J"
    perl = require("perl")
    arguments = ("-e", "sleep 1000", "--", "postgrey-exporter", "serve", f"--state={state}")
    pid = start("python3", *arguments, program=perl, uid=STRANGER, POSTGREY_EXPORTER_WHITELIST_FILE="/etc/shadow")
    assert not is_exporter(found(pid))
    done = subprocess.run([*EXPORTER, "doctor"], env=environment(), capture_output=True, text=True, check=False)
    assert "bait" not in done.stdout
    assert "/etc/shadow" not in done.stdout


def test_what_listens_on_our_port_or_as_prometheus_can_not_speak_to_the_terminal(ground: Path) -> None:
    evil = "\x1b[2J\x9b31m\u202e\r\nfake: all is well\x07"

    class Evil(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            target = {"scrapeUrl": f"http://x:{server.server_port}/$(touch {ground}/run){evil}", "lastError": evil}
            answers: dict[str, Any] = {
                "/-/healthy": "postgrey-exporter is healthy",
                "/-/ready": evil,
                "/api/v1/targets?state=active": json.dumps({"data": {"activeTargets": [target]}}),
            }
            body = answers.get(self.path, evil).encode()
            self.send_response(503 if self.path == "/-/ready" else 200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Evil)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"127.0.0.1:{server.server_port}"
        options = (f"--web.listen-address={url}", f"--prometheus-url=http://{url}")
        shown = doctor(ground, *options).stdout
        told = doctor(ground, *options, "--format=json").stdout
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert r"\x1b[2J" in shown
    assert all(line.isprintable() for line in [*shown.splitlines(), *told.splitlines()])
    (remedy,) = [one["remedy"] for one in json.loads(told)["checks"] if str(one["remedy"]).startswith("curl")]
    subprocess.run(["bash", "-c", remedy.replace("curl", "true", 1)], cwd=ground, check=True)
    assert not (ground / "run").exists()
