from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest
from prometheus_client import generate_latest

import postgrey_exporter
from postgrey_exporter.cli import root
from postgrey_exporter.cli.options import variable
from postgrey_exporter.exporter.metrics import families
from postgrey_exporter.exporter.text_format import exposition
from postgrey_exporter.exporter.view import View
from postgrey_exporter.state.snapshot import Snapshot

REPOSITORY = Path(postgrey_exporter.__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
DOCS = {path.name: path.read_text() for path in sorted((REPOSITORY / "docs").glob("*.md"))}
ALERTING = (REPOSITORY / "alerting" / "README.md").read_text()
DOCUMENTS = [
    path for path in sorted(REPOSITORY.glob("**/*.md")) if not {".venv", ".venv-lowest", ".run"} & set(path.parts)
]


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


def test_the_readme_has_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


def test_every_command_stands_in_the_readme_and_is_described() -> None:
    described = re.findall(r"^## (.*)$", DOCS["commands.md"], re.MULTILINE)
    assert [name for name in commands() if f"| `{name}" not in README] == []
    assert set(commands()) <= {name for heading in described for name in heading.split(", ")}


def test_every_option_has_a_row_and_every_row_an_option() -> None:
    rows = re.findall(r"^\| `--.*$", DOCS["options.md"], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(-[\w.-]+)", row.split(" | ")[0])}
    there = {name for _, option in options() for name in option.opts}
    assert told == there | {"--help", "-h", "--version", "-V"}


def test_no_document_names_an_option_that_does_not_exist() -> None:
    ours = {name for _, option in options() for name in option.opts} | {"--help", "--version"}
    named = {
        (path.name, option)
        for path in DOCUMENTS
        for line in re.findall(r"postgrey-exporter \w+ [^`\n]*", path.read_text())
        for option in re.findall(r"(?<=\s)--[\w.-]+", line)
        if option not in ours
    }
    assert named == set()


def test_the_options_have_the_defaults_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(--[\w.-]+)[^|]*\| ([^|]*) \|", DOCS["options.md"], re.MULTILINE))
    defaults = [
        (name, option.get_default(click.Context(root), call=True))
        for _, option in options()
        for name in option.opts
        if option.show_default is True and name in rows
    ]
    simple = [(name, value[0] if isinstance(value, tuple) else value) for name, value in defaults]
    assert simple
    assert [(name, value) for name, value in simple if str(value) not in rows[name].split(", ")] == []


def test_every_option_of_the_contract_is_an_environment_variable() -> None:
    own = {"--output", "--limit", "--format", "--help"}
    missing = [
        (command, option.opts)
        for command, option in options()
        if not own & set(option.opts) and option.envvar not in {variable(name) for name in option.opts}
    ]
    assert missing == []


def test_the_docs_list_exactly_the_metrics_there_are() -> None:
    told = re.findall(r"^\| `(postgrey_[a-z_]+)", DOCS["metrics.md"], re.MULTILINE)
    assert sorted(told) == sorted(metric_names())


def test_every_metric_and_alert_that_a_document_names_exists() -> None:
    alerts = set(re.findall(r"^### (\w+)$", ALERTING, re.MULTILINE))
    text = "\n".join([README, *DOCS.values()])
    metrics = set(re.findall(r"`(postgrey_[a-z_]+)(?:[`{ ])", text))
    assert metrics <= metric_names() | {"postgrey_no_whitelist"}
    assert set(re.findall(r"`(Postgrey\w+)`", text)) <= alerts


def test_the_readme_installs_what_continuous_integration_installs() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text()
    found = re.search(r"^packages=\((.*?)\)", script, re.MULTILINE | re.DOTALL)
    blocks = [block.replace("\\\n", "") for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]
    installs = [re.search(r"--no-install-recommends (.*)\nmake (run|test)\n", block) for block in blocks]
    told = {match[2]: set(match[1].split()) for match in installs if match}
    assert found
    assert told["test"] == set(found[1].split())
    assert told["run"] < told["test"]


def anchors(document: Path) -> set[str]:
    """Return what a link can name in a document, as GitHub makes it from the headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text())
    targets = [(document.parent / path if path else document, anchor) for path, anchor in links]
    assert [path for path, _ in targets if not path.exists()] == []
    assert [one for one in targets if one[1] and one[1] not in anchors(one[0])] == []


def test_every_document_is_linked_from_the_readme() -> None:
    linked = {(REPOSITORY / link).resolve() for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", README)}
    assert [path for path in (REPOSITORY / "docs").iterdir() if path not in linked] == []


def test_every_module_stands_in_the_table_of_packages() -> None:
    rooms = DOCS["architecture.md"].partition("## Packages")[2]
    package = REPOSITORY / "postgrey_exporter"
    names = {path.name for path in package.glob("*.py")} | {
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    }
    told = set(re.findall(r"`([a-z_]+(?:\.py|/))`", rooms.partition("## Rules")[0]))
    assert told == names - {"__init__.py"}


def test_the_table_of_packages_has_the_order_of_the_import_contract() -> None:
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    depths = {name: depth for depth, layer in enumerate(layers) for name in layer.split(" | ")}
    rows = re.findall(r"^\| (`.*?) \|", DOCS["architecture.md"], re.MULTILINE)
    order = [depths[name] for row in rows for name in re.findall(r"`(\w+)", row)]
    assert order == sorted(order)
