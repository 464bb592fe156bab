"""What a review says: the evidence on one domain, the list of all, and the summary."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from postgrey_exporter.clients.addresses import network_of
from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.review.model import covered, reach
from postgrey_exporter.wording import count, duration, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from postgrey_exporter.review.model import Act, ClientAttempts, Item, Reach, Review
    from postgrey_exporter.summary.domain import DomainStanding

_MOST_COVERED: Final = 5
_MOST_UNCOVERED: Final = 3
_MOST_NAMED: Final = 5
_PAST: Final[dict[Act, str]] = {"whitelist": "whitelisted", "ignore": "ignored"}


def evidence(item: Item, width: int) -> Iterator[str]:
    """Yield what is known of a domain, line by line: attempts, messages, the advice, the entry, example clients."""
    standing = item.standing
    yield from _wrapped(_attempts(item), width)
    yield from _wrapped(_messages(standing), width)
    yield ""
    yield from _wrapped(f"Advice: {standing.advice.kind}. {standing.advice.why}.", width, "        ")
    entry = standing.advice.entry
    chosen: Sequence[ClientAttempts] = ()
    if entry:
        chosen = covered(entry, item.clients)
        yield f"Entry:  {entry}"
        yield from _wrapped(f"        {coverage(reach(entry, item, ()), item)}", width, "        ")
    yield ""
    yield from _clients(item, chosen, width)


def coverage(known: Reach, item: Item) -> str:
    """Say which part of an item's clients an entry covers."""
    return (
        f"covers {known.clients} of {count(len(item.clients), 'unreviewed client')}, {known.attempts} of "
        f"{count(item.standing.unreviewed, 'attempt')}"
    )


def _attempts(item: Item) -> str:
    standing = item.standing
    networks = len({network_of(one.client.address) for one in item.clients})
    return (
        f"{_part(standing.unreviewed, standing.greylisted)}{count(standing.greylisted, 'greylisted attempt')} "
        f"unreviewed ({standing.new} new, {count(standing.early_retry, 'early retry', 'early retries')}); "
        f"{_part(len(item.clients), standing.clients)}{count(standing.clients, 'client')} "
        f"in {_part(networks, standing.networks)}{count(standing.networks, 'network')}"
    )


def _part(some: int, every: int) -> str:
    return "" if some == every else f"{some} of "


def _messages(standing: DomainStanding) -> str:
    """Return what became of the messages of the clients that the review is about."""
    known = standing.unreviewed_evidence
    text = (
        f"{count(known.messages, 'message')}: {known.moved} changed network, {known.delivered} arrived, "
        f"{known.lost} never came back"
    )
    if known.delays:
        text += (
            f"; arrived after {duration(known.delays.median)} in the median, {duration(known.delays.most)} at most"
        )
    if known.reported:
        text += f" (postgrey says {duration(known.reported.median)} and {duration(known.reported.most)})"
    return text


def _clients(item: Item, chosen: Sequence[ClientAttempts], width: int) -> Iterator[str]:
    """Yield example clients, those that the entry covers first, marked with a plus sign."""
    has = set(chosen)
    rest = [one for one in item.clients if one not in has]
    most_rest = _MOST_UNCOVERED if chosen else _MOST_COVERED + _MOST_UNCOVERED
    examples = [*chosen[:_MOST_COVERED], *rest[:most_rest]]
    digits = max((len(str(one.attempts)) for one in examples), default=1)
    for one in examples:
        mark = "+" if one in has else " "
        name = printable(f"{one.client.name} [{one.client.address}]")
        yield _fitted(f"{mark} {one.attempts:>{digits}}  {name}", width)
    more = len(item.clients) - len(examples)
    if more:
        yield f"  and {count(more, 'more client')}"


def listing(items: Sequence[Item], threshold: int) -> Iterator[str]:
    """Yield the list of all that is to be reviewed, for where there is no terminal."""
    yield f"{count(len(items), 'domain')} to review ({threshold} or more unreviewed attempts):"
    for item in items:
        advice = item.standing.advice
        yield ""
        yield f"{item.domain}: {_attempts(item)}"
        yield f"  {_messages(item.standing)}"
        yield f"  {advice.kind}: {advice.why}"
        if advice.entry:
            yield f"  entry: {advice.entry}"


def summary(review: Review) -> Iterator[str]:
    """Yield what was decided, and what wasn't."""
    counts = [f"{len(review.changed(act))} {word}" for act, word in _PAST.items() if review.changed(act)]
    if review.skipped:
        counts.append(f"{review.skipped} skipped")
    if review.undecided:
        counts.append(f"{review.undecided} left undecided")
    yield f"{count(len(review.items), 'domain')}: {', '.join(counts)}."
    rows = [(item, change) for act in _PAST for item, change in review.changed(act)]
    domains, entries = (
        max(map(len, column), default=0)
        for column in ([item.domain for item, _ in rows], [change.entry for _, change in rows])
    )
    for item, change in rows:
        path = str(change.edit.path)
        yield f"  {_PAST[change.act]:<11}  {item.domain:<{domains}}  {change.entry:<{entries}}  in {path}"


def decided(review: Review) -> Iterator[str]:
    """Yield what was decided of the current item, and what is left of it."""
    if review.is_skipped:
        yield "Decided already: skipped."
    if review.changes:
        changes = ", ".join(f"{_PAST[change.act]} by {change.entry}" for change in review.changes)
        yield f"Decided already: {changes}."
        if not review.is_settled:
            yield from rest(review)


def rest(review: Review) -> Iterator[str]:
    """Yield which clients of the current item are on no list yet."""
    left = review.rest
    attempts = sum(one.attempts for one in left)
    yield f"{count(attempts, 'attempt')} by {count(len(left), 'client')} are on no list yet, such as"
    yield from (f"  {one.client.name} [{one.client.address}]" for one in left[:_MOST_UNCOVERED])


def named(domains: Sequence[str]) -> str:
    """Name the domains of clients, a few of them where they are many."""
    names = ["clients without a name" if domain == UNKNOWN else domain for domain in domains]
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {count(more, 'more domain')}" if more > 0 else "")


def _wrapped(text: str, width: int, indent: str = "") -> Iterable[str]:
    return textwrap.wrap(text, max(width, 20), subsequent_indent=indent, break_on_hyphens=False) or [""]


def _fitted(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(1, width - 1)] + "…"
