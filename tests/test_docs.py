from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from prometheus_client import generate_latest

import postgrey_exporter
from postgrey_exporter.cli import root
from postgrey_exporter.cli.options import variable
from postgrey_exporter.exporter.metrics import View, families
from postgrey_exporter.exporter.text_format import exposition
from postgrey_exporter.state.reader import Snapshot

REPOSITORY = Path(postgrey_exporter.__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()


def commands() -> dict[str, click.Command]:
    context = click.Context(root)
    found = {name: root.get_command(context, name) for name in root.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def options() -> list[tuple[str, click.Option]]:
    return [
        (name, parameter)
        for name, command in commands().items()
        for parameter in command.params
        if isinstance(parameter, click.Option)
    ]


def metric_names() -> set[str]:
    nothing = Snapshot(
        decisions={}, domains=(), unreviewed={}, unreviewed_not_shown=0, labels=0, folded=0, lines={}, last_events={}
    )
    view = View(snapshot=nothing, evidence={}, sources={}, lists=(), state_up=True, state_bytes=0, max_domains=1)
    text = exposition(families(view), generate_latest).decode()
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_every_command_stands_in_the_readme() -> None:
    assert [name for name in commands() if f"| `{name}" not in README] == []


def test_every_option_stands_in_the_readme() -> None:
    long = {name for _, option in options() for name in option.opts if name.startswith("--")}
    assert sorted(name for name in long if f"`{name}" not in README and f"/`{name}" not in README) == []


def test_every_option_of_the_contract_is_an_environment_variable() -> None:
    own = {"--output", "--limit", "--format", "--help"}
    missing = [
        (command, option.opts)
        for command, option in options()
        if not own & set(option.opts) and option.envvar not in {variable(name) for name in option.opts}
    ]
    assert missing == []


def test_the_readme_lists_exactly_the_metrics_there_are() -> None:
    told = set(re.findall(r"^\| `(postgrey_[a-z_]+)", README, re.MULTILINE))
    assert told == metric_names()


DOCUMENTS = [
    path for path in sorted(REPOSITORY.glob("**/*.md")) if not {".venv", ".venv-lowest", ".run"} & set(path.parts)
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_every_module_stands_in_the_readmes_table_of_rooms() -> None:
    rooms = README.partition("## Where the code is")[2]
    package = REPOSITORY / "postgrey_exporter"
    names = {path.name for path in package.glob("*.py")} | {
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    }
    told = set(re.findall(r"`([a-z_]+(?:\.py|/))`", rooms))
    plumbing = {"__init__.py", "__main__.py", "errors.py", "settings.py", "logs.py", "sample/"}
    assert names - told - plumbing == set()
    assert told <= names
