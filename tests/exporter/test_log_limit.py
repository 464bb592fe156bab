"""What is logged once, however often it happens."""

from __future__ import annotations

from postgrey_exporter.exporter.log_limit import LogLimit


def test_a_state_that_lasts_is_news_once_and_another_one_is_news_again() -> None:
    limit = LogLimit()
    assert [limit.is_news("log", error) for error in ("gone", "gone", "locked", "locked", "gone")] == [
        *(True, False),
        *(True, False),
        True,
    ]


def test_what_is_over_is_over_once_and_is_news_when_it_comes_again() -> None:
    limit = LogLimit()
    assert not limit.is_over("log")
    assert limit.is_empty()
    assert limit.is_news("log")
    assert not limit.is_empty()
    assert [limit.is_over("log") for _ in range(2)] == [True, False]
    assert limit.is_news("log")


def test_a_subject_is_over_after_so_long_without_it() -> None:
    moments = iter((0.0, 9.0, 18.0, 28.0))
    limit = LogLimit(lambda: next(moments), quiet_seconds=10.0)
    assert [limit.is_news("log") for _ in range(4)] == [True, False, False, True]


def test_beyond_so_many_subjects_nothing_is_news() -> None:
    limit = LogLimit(most=2)
    assert [limit.is_news(subject) for subject in ("one", "two", "three", "one")] == [True, True, False, False]
    limit.is_over("one")
    assert limit.is_news("three")
