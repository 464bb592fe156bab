"""The plugin's thresholds, its first line, its performance data, and what it says when it could not look."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.errors import PostgreyExporterError
from postgrey_exporter.report import nagios
from postgrey_exporter.report.nagios import MAX_OUTPUT, MAX_SERIES, Range, Status
from postgrey_exporter.summary.domain import DomainStanding

FIFTEEN = Range.parse("15")
HUNDRED = Range.parse("100")

OKAY = "POSTGREY OK - Okay, the top domains are whitelisted or ignored"
SENDERS = "POSTGREY WARNING - Whitelist or ignore these senders: "


def standing(domain: str, unreviewed: int, greylisted: int | None = None) -> DomainStanding:
    total = unreviewed if greylisted is None else greylisted
    return DomainStanding(
        domain=domain,
        new=total - total // 3,
        early_retry=total // 3,
        clients=max(1, total // 4),
        networks=max(1, total // 8),
        unreviewed=unreviewed,
        covered_by=None if unreviewed else "whitelist",
    )


@pytest.mark.parametrize(
    ("text", "alerting", "silent"),
    [
        pytest.param("15", {15, 16, 1000}, {0, 14}, id="a plain count: that many or more"),
        pytest.param(" 15 ", {15}, {14}, id="blanks around"),
        pytest.param("0", {0, 1}, set(), id="zero or more is always"),
        pytest.param("14.5", {15}, {14}, id="decimals, between two counts"),
        pytest.param("10:", {0, 9}, {10, 1000}, id="below a lower end"),
        pytest.param(":10", {11}, {0, 10}, id="start left out"),
        pytest.param("0:10", {11}, {0, 10}, id="above an upper end"),
        pytest.param("~:10", {11}, {0, 10}, id="from minus infinity"),
        pytest.param("10:20", {0, 9, 21}, {10, 20}, id="outside"),
        pytest.param("@10:20", {10, 20}, {9, 21}, id="inside"),
        pytest.param("@20", {0, 20}, {21}, id="inside, start left out"),
        pytest.param("@15:", {15, 1000}, {14}, id="inside, without end"),
        pytest.param("-5:10", {11}, {0, 10}, id="negative start"),
        pytest.param("~:", set(), {0, 1000}, id="everything is fine"),
        pytest.param("@~:0", {0}, {1}, id="inside from minus infinity"),
    ],
)
def test_a_threshold_alerts_for_the_counts_it_says(text: str, alerting: set[int], silent: set[int]) -> None:
    limit = Range.parse(text)
    assert {count for count in alerting | silent if limit.alerts(count)} == alerting


@pytest.mark.parametrize(
    "text",
    [
        *["", " ", ":", "@", "@:", "~", "~15", "15~", "abc", "15k", "1e3", "inf", "nan", "0x10", "+15", "15;20"],
        *[
            "10-20",
            "10,5",
            "1.",
            ".5",
            "10:20:30",
            "10:~",
            "10::20",
            "@@5",
            "5@",
            "1 5",
            "10: 20",
            "\u0661\u0665",
            "15\n16",
        ],
        "9" * 400,
    ],
)
def test_a_typo_in_a_threshold_is_named_together_with_what_would_be_right(text: str) -> None:
    with pytest.raises(PostgreyExporterError, match="write a count like 15, or a Nagios range like 10:20") as caught:
        Range.parse(text)
    assert repr(text) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("text", ["20:10", "@20:10", "-5", "@-1", "-1:-2"])
def test_a_range_that_starts_above_its_end_is_refused(text: str) -> None:
    with pytest.raises(PostgreyExporterError, match=r"it starts at .* and ends at"):
        Range.parse(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("15", "14", id="15 or more alerts as more than 14 does"),
        pytest.param("1", "0", id="1 or more"),
        pytest.param("0", "@0:", id="0 or more has no upper limit"),
        pytest.param("14.5", "14", id="decimals"),
        pytest.param("@15:", "14", id="inside, without end"),
        pytest.param("~:14", "14", id="from minus infinity"),
        pytest.param("-3:14", "14", id="negative start"),
        pytest.param("~:-1", "~:-1", id="negative end"),
        pytest.param("10:", "10:", id="lower end"),
        pytest.param("10:20.5", "10:20.5", id="both ends"),
        pytest.param("@10:20", "@10:20", id="inside"),
        pytest.param("~:", "~:", id="never"),
    ],
)
def test_perfdata_carries_the_threshold_as_a_nagios_range(text: str, written: str) -> None:
    assert str(Range.parse(text)) == written


NUMBERS = st.one_of(st.integers(-50, 50).map(str), st.decimals(-50, 50, places=2).map("{:f}".format))
RANGES = st.one_of(
    st.integers(0, 50).map(str),
    st.builds("{}{}:{}".format, st.sampled_from(["", "@"]), st.one_of(NUMBERS, st.just("~")), NUMBERS | st.just("")),
)


def nagios_alerts(text: str, count: int) -> bool:
    """Judge a count as the guidelines say, where a plain number is the end of a range that starts at 0."""
    start, colon, end = text.removeprefix("@").partition(":")
    if not colon:
        start, end = "0", start
    low = float("-inf") if start == "~" else float(start or 0)
    high = float(end or "inf")
    return (low <= count <= high) == text.startswith("@")


@given(RANGES, st.integers(0, 60))
def test_the_written_range_means_the_same_to_nagios(text: str, count: int) -> None:
    try:
        limit = Range.parse(text)
    except PostgreyExporterError:
        return
    assert nagios_alerts(str(limit), count) == limit.alerts(count)


@given(RANGES, st.integers(0, 60))
@example("0.1:0.2", 0)
def test_what_keeps_alerting_alerts_at_every_higher_count(text: str, count: int) -> None:
    try:
        limit = Range.parse(text)
    except PostgreyExporterError:
        return
    assert limit.keeps_alerting(count) == all(limit.alerts(higher) for higher in [*range(count, 70), 10**13])


@given(st.text(max_size=20))
def test_any_text_is_a_range_or_an_error_of_ours(text: str) -> None:
    with contextlib.suppress(PostgreyExporterError):
        Range.parse(text)


def test_nothing_to_review_is_ok_in_the_articles_words() -> None:
    result = nagios.check([standing("example.com", 0, 579)], FIFTEEN)
    assert result == nagios.PluginResult(Status.OK, OKAY)


def test_domains_below_the_threshold_are_ok_and_graphed() -> None:
    result = nagios.check([standing("example.com", 14), standing("example.org", 2)], FIFTEEN)
    assert result.status is Status.OK
    assert result.text.splitlines() == [
        OKAY + " | 'example.com'=14;14;;0 'example.org'=2;14;;0",
        "2 unreviewed domains within the thresholds",
    ]


def test_a_warning_names_the_senders_by_alphabet_and_shows_the_evidence_worst_first() -> None:
    domains = [standing("b.example", 15), standing("c.example", 99, 120), standing("a.example", 16)]
    result = nagios.check([*domains, standing("d.example", 1)], FIFTEEN)
    assert result.status is Status.WARNING
    assert result.text.splitlines() == [
        SENDERS + "a.example b.example c.example | "
        "'c.example'=99;14;;0 'a.example'=16;14;;0 'b.example'=15;14;;0 'd.example'=1;14;;0",
        "WARNING c.example: 99 of 120 attempts (80 new, 40 early retries), 30 clients in 15 networks",
        "WARNING a.example: 16 attempts (11 new, 5 early retries), 4 clients in 2 networks",
        "WARNING b.example: 15 attempts (10 new, 5 early retries), 3 clients in 1 network",
        "1 unreviewed domain within the thresholds",
    ]


def test_one_domain_over_the_critical_threshold_makes_the_whole_critical() -> None:
    result = nagios.check([standing("b.example", 100), standing("a.example", 99)], FIFTEEN, HUNDRED)
    assert result.status is Status.CRITICAL
    first, critical, warning = result.text.splitlines()
    assert first == (
        "POSTGREY CRITICAL - Whitelist or ignore these senders: a.example b.example | "
        "'b.example'=100;14;99;0 'a.example'=99;14;99;0"
    )
    assert critical.startswith("CRITICAL b.example: ")
    assert warning.startswith("WARNING a.example: ")


def test_clients_without_a_name_never_alert() -> None:
    result = nagios.check([standing(UNKNOWN, 5000)], FIFTEEN)
    assert result.text == OKAY


def test_a_problem_makes_ok_unknown() -> None:
    result = nagios.check([standing("example.com", 14)], FIFTEEN, problems=["mail.log.2 may not be read"])
    assert result == nagios.PluginResult(Status.UNKNOWN, "POSTGREY UNKNOWN - mail.log.2 may not be read")


def test_a_problem_leaves_a_certain_warning_and_is_told_below_it() -> None:
    domains = [standing("a.example", 15), standing("b.example", 14)]
    result = nagios.check(domains, FIFTEEN, HUNDRED, problems=["first.log is cut short", "second.log is missing"])
    assert result.status is Status.WARNING
    assert result.text.splitlines() == [
        SENDERS + "a.example (incomplete: 2 problems) | 'a.example'=15;14;99;0 'b.example'=14;14;99;0",
        "Problem: first.log is cut short",
        "Problem: second.log is missing",
        "WARNING a.example: 15 attempts (10 new, 5 early retries), 3 clients in 1 network",
        "1 unreviewed domain within the thresholds",
    ]


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        pytest.param("10:", Status.UNKNOWN, id="more attempts could reach the lower end"),
        pytest.param("@1:9", Status.UNKNOWN, id="more attempts could leave the range"),
        pytest.param("1:4", Status.WARNING, id="already above the upper end"),
        pytest.param("@5:", Status.WARNING, id="already within a range without end"),
    ],
)
def test_with_a_problem_only_what_more_attempts_could_not_undo_alerts(limit: str, status: Status) -> None:
    domains = [standing("a.example", 5)]
    assert nagios.check(domains, Range.parse(limit)).status is Status.WARNING
    assert nagios.check(domains, Range.parse(limit), problems=["one.log is missing"]).status is status


def test_unknown_lists_further_reasons_below_the_first() -> None:
    result = nagios.unknown("first", *[f"reason {number}" for number in range(7)])
    assert result.status is Status.UNKNOWN
    assert result.text.splitlines() == [
        "POSTGREY UNKNOWN - first",
        *[f"Problem: reason {number}" for number in range(5)],
        "2 more problems",
    ]


def test_a_reason_is_one_line_of_plain_text() -> None:
    result = nagios.unknown("gr\u00fcn.log:\n| rm\tit\x1b[31m")
    assert result.text == r"POSTGREY UNKNOWN - gr\xfcn.log: ? rm it?[31m"


def test_a_long_reason_is_cut() -> None:
    assert nagios.unknown("x" * 500).text == f"POSTGREY UNKNOWN - {'x' * 397}..."


HOSTILE = st.text(max_size=300)


@given(st.lists(st.tuples(HOSTILE, st.integers(0, 10**9)), max_size=200), st.lists(HOSTILE, max_size=20))
def test_whatever_the_names_the_output_stays_bounded_and_parses(
    domains: list[tuple[str, int]], problems: list[str]
) -> None:
    result = nagios.check([standing(name, count) for name, count in domains], FIFTEEN, HUNDRED, problems)
    assert result.text.isascii()
    assert len(result.text) <= MAX_OUTPUT
    assert result.text.count("|") <= 1
    first, *rest = result.text.split("\n")
    assert not any("|" in line for line in rest)
    assert all(character.isprintable() for character in first + "".join(rest))
    head, _, perfdata = first.partition(" | ")
    assert head.startswith(f"POSTGREY {result.status.name} - ")
    if result.status is not Status.UNKNOWN:
        assert re.fullmatch(r"(?:'[A-Za-z0-9._?-]*'=[0-9]+;14;99;0(?: |$))*", perfdata)
    if problems:
        assert result.status is not Status.OK


def test_a_hostile_name_leaves_no_separator_in_label_or_line() -> None:
    name = "a|b;c'd=e\nf g.example"
    result = nagios.check([standing(name, 15)], FIFTEEN)
    assert result.text.splitlines()[0] == (f"{SENDERS}a?b?c?d?e?f?g.example | 'a?b?c?d?e?f?g.example'=15;14;;0")


def test_many_domains_keep_the_largest_and_say_how_many_were_left_out() -> None:
    domains = [standing(f"{'x' * 50}{number:04}.example", 1000 + number) for number in range(600)]
    result = nagios.check(domains, FIFTEEN)
    first, *rest = result.text.splitlines()
    head, _, perfdata = first.partition(" | ")
    series = perfdata.split(" ")
    assert series[0] == f"'{'x' * 50}0599.example'=1599;14;;0"
    assert len(series) == 39
    names = head.partition(": ")[2].removesuffix(" and 569 more").split(" ")
    assert names == [f"{'x' * 50}{number:04}.example" for number in range(569, 600)]
    assert len([line for line in rest if line.startswith("WARNING ")]) == 19
    assert rest[-2:] == [
        "581 more domains without room for the evidence",
        "561 domains left out of the performance data, the smallest",
    ]


def test_perfdata_holds_a_bounded_number_of_labels() -> None:
    result = nagios.check([standing(f"{number:03}.example", 5) for number in range(60)], FIFTEEN)
    assert result.text.count("=5;14;;0") == MAX_SERIES
    assert "10 domains left out of the performance data, the smallest" in result.text.splitlines()
