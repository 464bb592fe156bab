"""What deploy/ ships is accepted by the real tools, and what its README says can be done."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from support import parts
from support.parts.prometheus import answers, fetch

from postgrey_exporter.cli import options, root
from postgrey_exporter.cli.serve import command as serve

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
UNIT = DEPLOY / "systemd" / "postgrey-exporter.service"
SETTINGS = DEPLOY / "systemd" / "postgrey-exporter.default"
SCRAPE = DEPLOY / "prometheus" / "postgrey.yml"
README = DEPLOY / "README.md"

PROGRAM = "/opt/postgrey-exporter/bin/postgrey-exporter"
EXPOSURE_LIMIT = 20
"""Tenths, as `systemd-analyze security --threshold` takes them."""

PACKAGES = {
    "curl": "curl",
    "install": "coreutils",
    "journalctl": "systemd",
    "promtool": "prometheus",
    "python3": "python3",
    "sed": "sed",
    "systemctl": "systemd",
}
"""Programs of the README that a minimal Debian lacks or that the machine of the tests may lack."""
OWN = {"postgrey-exporter", PROGRAM, f"{Path(PROGRAM).parent}/pip"}
ALWAYS_THERE = {"apt-get", "echo", "grep", "ln", "rm", "touch"}
INSTALLED_BY_THE_README = {"pipx"}


def settings(*, with_defaults: bool) -> dict[str, str]:
    """Return the variables of the environment file; with what is commented out, or without."""
    pattern = r"#?(POSTGREY_EXPORTER_\w+)=(.*)" if with_defaults else r"(POSTGREY_EXPORTER_\w+)=(.*)"
    found = (re.fullmatch(pattern, line) for line in SETTINGS.read_text().splitlines())
    return {match[1]: match[2] for match in found if match}


def readme_commands() -> Iterator[list[str]]:
    """Yield the words of each command in the README, pipes taken apart and assignments before it left out."""
    for block in re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL):
        for line in block.splitlines():
            words: list[str] = []
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
            lexer.whitespace_split = True
            for word in [*map(str, lexer), "|"]:
                if word == "|":
                    yield [one for one in words if not re.match(r"[A-Z_]+=", one)]
                    words = []
                else:
                    words.append(word)


def verify(unit: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Have systemd verify a copy of the unit whose program exists."""
    parts.require("systemd-analyze", "systemd")
    program = folder / "postgrey-exporter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = folder / UNIT.name
    copy.write_text(unit.replace(PROGRAM, str(program)))
    return subprocess.run(["systemd-analyze", "verify", copy], check=False, capture_output=True, text=True)


def test_systemd_finds_nothing_to_complain_about_in_the_unit(tmp_path: Path) -> None:
    verdict = verify(UNIT.read_text(), tmp_path)
    assert (verdict.returncode, verdict.stderr) == (0, "")


def test_systemd_would_name_a_misspelt_key(tmp_path: Path) -> None:
    verdict = verify(UNIT.read_text().replace("ProtectHome=", "ProtectHouse="), tmp_path)
    assert "ProtectHouse" in verdict.stderr


def test_the_unit_is_hardened() -> None:
    parts.require("systemd-analyze", "systemd")
    verdict = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", UNIT],
        check=False,
        capture_output=True,
        text=True,
    )
    assert verdict.returncode == 0, verdict.stdout


def test_every_setting_is_an_option_of_serve_and_every_option_a_setting() -> None:
    # The state lies where systemd says; whoever moves it must change the unit too.
    wanted = {parameter.envvar for parameter in serve.params if isinstance(parameter, click.Option)}
    assert set(settings(with_defaults=True)) == wanted - {None, options.variable("--state")}


def test_serve_accepts_every_setting_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings(with_defaults=True).items():
        monkeypatch.setenv(name, value)
    chosen = serve.make_context("serve", []).params
    assert chosen["journal"] is True
    assert chosen["mail_logs"] == (Path("/var/log/mail.log"),)
    assert chosen["whitelist_files"] == (
        Path("/etc/postgrey/whitelist_clients"),
        Path("/etc/postgrey/whitelist_clients.local"),
    )


@pytest.mark.parametrize("option", ["--threshold", "--window", "--max-domains", "--syslog-tag", "--log.level"])
def test_what_is_commented_out_shows_the_default(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    (parameter,) = (one for one in serve.params if option in one.opts)
    assert parameter.name is not None
    by_default = serve.make_context("serve", []).params[parameter.name]
    variable = options.variable(option)
    assert variable not in settings(with_defaults=False)
    monkeypatch.setenv(variable, settings(with_defaults=True)[variable])
    assert serve.make_context("serve", []).params[parameter.name] == by_default


def test_prometheus_accepts_the_scrape_configuration() -> None:
    parts.require("promtool", "prometheus")
    verdict = subprocess.run(["promtool", "check", "config", SCRAPE], check=False, capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stderr


def test_the_job_can_be_appended_to_debians_configuration(tmp_path: Path) -> None:
    debians = Path("/etc/prometheus/prometheus.yml")
    if not debians.exists():
        parts.require(str(debians), "prometheus")
    (line,) = (line for line in README.read_text().splitlines() if line.startswith("sed ") and "prometheus" in line)
    copy = tmp_path / "prometheus.yml"
    copy.write_bytes(debians.read_bytes())
    subprocess.run(["sh", "-c", line.replace(str(debians), str(copy))], check=True, cwd=PROJECT)
    verdict = subprocess.run(["promtool", "check", "config", copy], check=False, capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stderr
    assert copy.read_text().count("job_name: postgrey") == 1


def test_prometheus_scrapes_a_service_with_the_shipped_settings_and_the_metrics_that_the_readme_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "syslog"
    log.touch()
    address = f"127.0.0.1:{parts.free_port()}"
    moved = {"JOURNAL": "false", "MAIL_LOG": str(log), "WEB_LISTEN_ADDRESS": address}
    for name, value in settings(with_defaults=False).items():
        monkeypatch.setenv(name, value)
    for name, value in moved.items():
        monkeypatch.setenv(f"POSTGREY_EXPORTER_{name}", value)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    (start,) = re.findall(rf"^ExecStart={PROGRAM} (.*)$", UNIT.read_text(), re.MULTILINE)
    scrape = SCRAPE.read_text()
    assert "127.0.0.1:10123" in scrape
    service = parts.Daemon("postgrey-exporter")
    try:
        service.start(
            [sys.executable, "-m", "postgrey_exporter", *start.split()],
            ready=lambda: answers(f"http://{address}/-/ready"),
        )
        interval = "global: {scrape_interval: 200ms}\n"
        with parts.Prometheus(interval + scrape.replace("127.0.0.1:10123", address)) as prometheus:
            prometheus.scraped()
            assert prometheus.value('up{job="postgrey"}') == 1
            assert prometheus.value("postgrey_exporter_source_up") == 1
        exposition = fetch(f"http://{address}/metrics").decode()
    finally:
        service.close()
    named = set(re.findall(r"`(postgrey_\w+)", README.read_text()))
    assert named
    assert named <= set(re.findall(r"^# TYPE (\w+)", exposition, re.MULTILINE))


@pytest.mark.parametrize("words", [pytest.param(words, id=" ".join(words)) for words in readme_commands()])
def test_every_command_of_the_readme_exists(words: list[str]) -> None:
    program = words[0]
    if program in OWN | ALWAYS_THERE | INSTALLED_BY_THE_README:
        return
    assert program in PACKAGES
    parts.require(program, PACKAGES[program])


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, id=" ".join(words)) for words in readme_commands() if words[0] == "postgrey-exporter"],
)
def test_every_call_of_the_program_in_the_readme_is_valid(words: list[str]) -> None:
    if words[1:] == ["--version"]:
        return
    context = click.Context(root)
    command = root.get_command(context, words[1])
    assert command is not None, words
    command.make_context(words[1], words[2:])


def test_every_file_that_the_readme_names_exists() -> None:
    text = README.read_text()
    links = [DEPLOY / link for link in re.findall(r"\]\(([^):#]+)\)", text)]
    installed = [PROJECT / path for path in re.findall(r"(?<![\w/])deploy/[\w./-]+", text)]
    assert links
    assert installed
    assert [path for path in links + installed if not path.exists()] == []
