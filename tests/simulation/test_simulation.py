"""Two weeks of `run.py` and one of `before_after.py`; more by these commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.parts import require

from postgrey_exporter.lists import Lists, read_whitelist
from simulation.before_after import Comparison, compare, rows, table
from simulation.judging import judge
from simulation.run import LEAST_RIGHT, totals, verdicts
from simulation.world import world


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    require("postgrey")
    return compare(1)


def test_the_advice_is_right_and_lets_no_spam_in(comparison: Comparison) -> None:
    result = totals([*comparison.verdicts, *verdicts(2)])
    assert result.domains > 100
    assert result.right >= LEAST_RIGHT * result.domains
    assert result.let_in == 0


def test_every_kind_of_advice_is_given(comparison: Comparison) -> None:
    assert {verdict.standing.advice.kind for verdict in comparison.verdicts} == {"whitelist", "ignore", "look"}
    assert len({verdict.sender.kind for verdict in comparison.verdicts if verdict.counts}) == 12


def test_after_the_proposed_entries_the_pools_are_not_delayed_any_more(comparison: Comparison) -> None:
    before, after = rows(comparison)["pools advised for the whitelist"]
    assert before.mails == after.mails > 300
    assert before.refused > 200
    assert before.worst > 3600
    assert (after.refused, after.worst, after.never) == (0, 0.0, 0)


def test_of_the_whitelisted_domains_only_the_isps_customers_are_left_and_they_are_for_the_ignore_file(
    comparison: Comparison,
) -> None:
    listed = {one.sender.domain for one in comparison.verdicts if one.standing.advice.entry in comparison.entries}
    lines = Lists([read_whitelist("\n".join(comparison.entries).encode(), "whitelist")])
    left = [one for one in judge(world(1), comparison.after, lines) if one.sender.domain in listed]
    assert {one.sender.kind for one in left} == {"pool and customers"}
    assert {one.standing.advice.kind for one in left} == {"ignore"}


@pytest.mark.parametrize("name", ["bots and other spam", "servers, newsletters, hosters"])
def test_for_all_others_nothing_changes(comparison: Comparison, name: str) -> None:
    before, after = rows(comparison)[name]
    assert before == after
    assert before.refused > 100


def test_the_docs_tell_what_the_first_week_gives(comparison: Comparison) -> None:
    document = (Path(__file__).parents[2] / "docs" / "advice.md").read_text()
    assert f"```text\n{table(1, comparison)}\n```" in document
