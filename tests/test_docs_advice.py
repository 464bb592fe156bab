"""docs/advice.md says the numbers of the code."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

import postgrey_exporter
from postgrey_exporter.clients.hostnames import OCTETS_OF_A_LINE, ClientKind
from postgrey_exporter.counting.naming import kind_of
from postgrey_exporter.parsing import message_key as messages
from postgrey_exporter.state import messages as message_store
from postgrey_exporter.summary import advice
from postgrey_exporter.summary import proposal as entry

TEXT: Final = (Path(postgrey_exporter.__file__).parents[1] / "docs" / "advice.md").read_text()
UNITS: Final = {"": Fraction(1), " %": Fraction(1, 100), " h": Fraction(3600), " d": Fraction(86400)}
THRESHOLDS: Final = {
    name: value
    for name, value in [
        *vars(advice).items(),
        ("OCTETS_OF_A_LINE", OCTETS_OF_A_LINE),
        ("MOST_BRANCHES", entry.MOST_BRANCHES),
        ("RETRY_WINDOW", messages.RETRY_WINDOW),
        ("MOST_MESSAGES", message_store.MOST_MESSAGES),
    ]
    if name.isupper() and type(value) in {int, float}
}


@pytest.fixture(scope="module")
def told() -> list[tuple[str, str, str]]:
    found = re.findall(r"([0-9.]+)( %| h| d|) \(`([A-Z_]+)`\)", TEXT)
    assert len(found) == len(re.findall(r"\(`[A-Z_]+`\)", TEXT))
    return found


def test_the_document_names_every_threshold_of_the_advice(told: list[tuple[str, str, str]]) -> None:
    assert {name for _, _, name in told} == set(THRESHOLDS)


def test_the_document_says_each_threshold_as_it_is_in_the_code(told: list[tuple[str, str, str]]) -> None:
    wrong = [
        (name, number + unit)
        for number, unit, name in told
        if float(Fraction(number) * UNITS[unit]) != THRESHOLDS[name]
    ]
    assert wrong == []


def test_the_document_names_words_that_count() -> None:
    text = re.sub(r"\s+", " ", TEXT)
    lines = re.search(r"\*residential client\*.*? has a word such as (.*?) in its", text)
    mail = re.search(r"\*mail server\* has a word such as (.*?) in its", text)
    assert lines
    assert mail
    for word in re.findall(r"`(.*?)`", lines[1]):
        assert kind_of(f"{word}-x7.example.com", "192.0.2.1") is ClientKind.LINE
    for word in re.findall(r"`(.*?)`", mail[1]):
        assert kind_of(f"{word}7.example.com", "192.0.2.1") is ClientKind.MAIL
