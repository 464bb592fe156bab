"""What counting comes to, in plain Python: small and slow, and what the compiled modules are held against.

`Reference` adds up decisions as `Tally` does, `Facts` answers as `DomainFacts` does; both have the same methods.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from heapq import nsmallest
from math import fsum, inf, nextafter
from socket import AF_INET, AF_INET6, inet_pton
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from postgrey_exporter.clients.addresses import IPV6_NETWORKS, NO_NETWORK
from postgrey_exporter.clients.domains import UNKNOWN, registrable_domain
from postgrey_exporter.clients.hostnames import OCTETS_OF_A_LINE, ClientKind, domain_says, kind_by, words_say
from postgrey_exporter.counting.evidence import Delays, Evidence, NetworkFacts, Parties, Party, Totals
from postgrey_exporter.decision import DECISION_LABELS, GREYLIST, NEW, PASS, Client
from postgrey_exporter.lists.verdict import IGNORED, UNCOVERED, WHITELISTED
from postgrey_exporter.parsing.message_key import MOST_BACK, RETRY_WINDOW
from postgrey_exporter.window import hour_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from postgrey_exporter.decision import Decision
    from postgrey_exporter.lists import Lists
    from postgrey_exporter.parsing.hashing import KeyedHash

Story = tuple[str, int]
"""A domain and a message key: all messages with one sender and recipient."""

_SAME_MOMENT: Final = 1e-3
_GOLDEN: Final = 0x9E3779B97F4A7C15
_64_BITS: Final = (1 << 64) - 1
_NUMBER: Final = re.compile(r"[0-9]+")
_LONE_NUMBER: Final = re.compile(rb"\b[0-9]+\b")
_BATV_TAG: Final = re.compile(rb"[0-9a-z]{10}")
_BATV_PARTS: Final = 3
_DIGITS: Final = str.maketrans("123456789", "000000000")


class Message(NamedTuple):
    """What is known of one message; times are seconds since the epoch."""

    first: float
    last: float
    network: int
    moved: bool
    accepted: float | None
    reported: int | None
    line: bool = False

    @property
    def delay(self) -> float | None:
        return None if self.accepted is None else max(0.0, self.accepted - self.first)

    def is_open(self, moment: float) -> bool:
        return moment - self.last < RETRY_WINDOW and (self.accepted is None or moment < self.accepted)


def replay(messages: list[Message], decision: Decision) -> None:
    """Let a decision happen to the messages of one story, which are in the order of their begin."""
    now = decision.time
    network = network_number(decision.client.address)
    behind = [place for place, one in enumerate(messages) if one.first - now >= _SAME_MOMENT]
    place = behind[0] if behind else len(messages)
    if len(messages) - place >= MOST_BACK:
        return
    open_one = messages[place - 1] if place and messages[place - 1].is_open(now) else None
    if decision.action == PASS:
        if open_one is not None and open_one.accepted is None:
            last = max(now, open_one.last)
            messages[place - 1] = open_one._replace(last=last, accepted=now, reported=decision.delay)
    elif open_one is not None:
        moved = open_one.moved or network != open_one.network
        messages[place - 1] = open_one._replace(last=max(now, open_one.last), moved=moved)
    elif behind and messages[place].first - now < RETRY_WINDOW:
        messages[place] = messages[place]._replace(moved=messages[place].moved or network != messages[place].network)
    else:
        # Messages of one key are told apart by their begin.
        first = max(now, nextafter(messages[place - 1].first, inf)) if place else now
        if not behind or first < messages[place].first:
            line = kind_of(decision.client) is ClientKind.LINE
            messages.insert(place, Message(first, first, network, False, None, None, line))


def kind_of(client: Client) -> ClientKind:
    return kind_in_domain(client.name, client.address, registrable_domain(client.name))


def kind_in_domain(name: str, address: str, domain: str) -> ClientKind:
    """Return what a client is by its name, whose registrable domain is known already."""
    host = name.lower().rstrip(".").removesuffix(domain).rstrip(".")
    label, _, rest = host.partition(".")
    says = words_say(label.translate(_DIGITS)) | words_say(rest) | domain_says(domain)
    kind = kind_by(says, is_by_address=False)
    # Most names say enough, and the address makes no difference.
    if kind is kind_by(says, is_by_address=True) or not has_address(host, address):
        return kind
    return kind_by(says, is_by_address=True)


def canonical_sender(sender: bytes) -> bytes:
    """Return a sender without what changes from mail to mail: BATV tags, VERP extensions, numbers.

    The same as ``do_sender_substitutions`` in postgrey 1.37.
    """
    user, at, domain = sender.partition(b"@")
    if not at:
        return sender
    if user.startswith(b"prvs="):
        # prvs=tag-value=local-part, sometimes the other way round. Perl's split drops empty fields at the end.
        parts = user.rstrip(b"=").split(b"=")
        if len(parts) == _BATV_PARTS:
            one_is_tag, two_is_tag = (_BATV_TAG.match(part) is not None for part in parts[1:])
            user = parts[1] if two_is_tag and not one_is_tag else parts[2]
    user = _LONE_NUMBER.sub(b"#", user.partition(b"+")[0])
    return user + at + domain


def has_address(host: str, address: str) -> bool:
    """Tell whether a host name is made from its address: most octets in any order, or all of it in hexadecimal.

    Of an IPv6 address, its network or its interface is enough.
    """
    if not host:
        return False
    try:
        packed = inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except (OSError, ValueError):
        return False
    in_hexadecimal = packed.hex()
    if ":" in address:
        return _has_groups(host, in_hexadecimal)
    if in_hexadecimal in host:
        return True
    numbers = _NUMBER.findall(host)
    octets = list(map(str, packed))
    for number in numbers:
        octet = number.lstrip("0") or "0"
        if octet in octets:
            octets.remove(octet)
    return len(packed) - len(octets) >= OCTETS_OF_A_LINE


def _has_groups(host: str, address: str) -> bool:
    digits = host.replace("-", "").replace(".", "")
    for half in (address[:16], address[16:]):
        short = [half[at : at + 4].lstrip("0") or "0" for at in range(0, 16, 4)]
        if half in digits or "-".join(short) in host:
            return True
    return False


def network_number(address: str) -> int:
    """Return a number of 32 bits that stands for `network_of` an address; the same in every run.

    Of an IPv4 address, which is known by it, the octets of its network; of an IPv6 address a hash, above all others.
    """
    if not address:
        return NO_NETWORK
    if ":" not in address:
        return int.from_bytes(inet_pton(AF_INET, address)[:3])
    prefix = int.from_bytes(inet_pton(AF_INET6, address)[:8])
    return IPV6_NETWORKS | (prefix * _GOLDEN & _64_BITS) >> 33


def evidence(messages: Sequence[Message], now: float) -> Evidence:
    delivered = [one for one in messages if one.accepted is not None]
    delays = [one.delay or 0.0 for one in delivered]
    return Evidence(
        messages=len(messages),
        moved=sum(one.moved for one in messages),
        delivered=len(delivered),
        moved_delivered=sum(one.moved for one in delivered),
        lost=sum(one.accepted is None and now - one.last >= RETRY_WINDOW for one in messages),
        delays=_delays(delays),
        reported=_delays([float(one.reported) for one in delivered if one.reported is not None]),
        worst_moved=max((one.delay or 0.0 for one in delivered if one.moved and not one.line), default=0.0),
    )


def _delays(seconds: Sequence[float]) -> Delays | None:
    return Delays(median(seconds), max(seconds)) if seconds else None


class Facts:
    """What the logs say of one sender domain."""

    def __init__(self, domain: str, clients: Mapping[Client, tuple[int, int]], messages: Sequence[Message]) -> None:
        self.domain = domain
        self.clients = clients
        self.messages = messages
        self._verdicts: dict[Client, int] = {}

    def judge(self, lists: Lists) -> None:
        self._verdicts = {client: verdict(client, lists) for client in self.clients}

    def totals(self) -> Totals:
        return Totals(
            sum(new for new, _ in self.clients.values()),
            sum(early for _, early in self.clients.values()),
            len(self.clients),
            len({network_number(client.address) for client in self.clients}),
            sum(self._attempts(client) for client in self._with(UNCOVERED)),
            bool(self._with(WHITELISTED)),
            bool(self._with(IGNORED)),
        )

    def evidence(self, now: float) -> Evidence:
        return evidence(self.messages, now)

    def evidence_of_uncovered(self, now: float) -> Evidence:
        return evidence(self._from(self._with(UNCOVERED)), now)

    def parties(self, now: float) -> Parties:
        mail, unclear, lines = (
            [client for client in self._with(UNCOVERED) if kind_of(client) is kind]
            for kind in (ClientKind.MAIL, ClientKind.UNCLEAR, ClientKind.LINE)
        )
        return Parties(
            self._party(mail, now, line=False),
            self._party([*mail, *unclear], now, line=False),
            self._party(lines, now, line=True),
        )

    def ignored_names(self) -> set[str]:
        return {client.name for client in self._with(IGNORED)}

    def networks(self, now: float, most: int) -> list[NetworkFacts]:
        members: defaultdict[int, list[Client]] = defaultdict(list)
        for client in self.clients:
            members[network_number(client.address)].append(client)
        found = [self._network(number, clients, now) for number, clients in members.items()]
        return nsmallest(most, found, key=lambda one: (-one.new - one.early_retry, network_number(one.address)))

    def _network(self, number: int, clients: Sequence[Client], now: float) -> NetworkFacts:
        uncovered = [client for client in clients if self._verdicts[client] == UNCOVERED]
        return NetworkFacts(
            address=clients[0].address,
            new=sum(self.clients[client][0] for client in clients),
            early_retry=sum(self.clients[client][1] for client in clients),
            clients=len(clients),
            unreviewed=sum(map(self._attempts, uncovered)),
            uncovered=[one.address for one in ([uncovered[0], uncovered[-1]] if uncovered[1:] else uncovered)],
            is_ignored=any(self._verdicts[client] == IGNORED for client in clients),
            evidence=evidence([one for one in self.messages if one.network == number], now),
        )

    def _party(self, clients: Sequence[Client], now: float, *, line: bool) -> Party:
        own = [message for message in self._from(clients) if message.line == line]
        known = evidence(own, now)
        attempts = sum(map(self._attempts, clients))
        networks = {network_number(client.address): ":" in client.address for client in clients}
        pauses = attempts + known.delivered - known.messages
        return Party(
            attempts=attempts,
            networks=max(Counter(networks.values()).values(), default=0),
            pause=fsum(message.last - message.first for message in own) / pauses if pauses > 0 else 0.0,
            evidence=known,
            names=lambda: {client.name for client in clients},
        )

    def _with(self, wanted: int) -> list[Client]:
        return [client for client in self.clients if self._verdicts[client] == wanted]

    def _from(self, clients: Iterable[Client]) -> list[Message]:
        """Return the messages that were first tried from the network of some client."""
        networks = {network_number(client.address) for client in clients}
        return [message for message in self.messages if message.network in networks]

    def _attempts(self, client: Client) -> int:
        return sum(self.clients[client])


class Reference:
    """What some decisions add up to."""

    def __init__(
        self,
        keyed: KeyedHash,
        *,
        since: float | None = None,
        until: float | None = None,
        lists_changed: float = inf,
    ) -> None:
        self.keyed = keyed
        self.messages: dict[Story, list[Message]] = {}
        self._since = -inf if since is None else since
        self._until = inf if until is None else until
        self._lists_changed = lists_changed
        self._decisions: list[Decision] = []
        self._unsettled: list[Decision] = []
        self._verdicts: dict[Client, int] = {}

    @property
    def decisions(self) -> int:
        return sum(one.times for one in self._decisions)

    @property
    def domains(self) -> set[str]:
        return {UNKNOWN, *(registrable_domain(one.client.name) for one in self._decisions)}

    @property
    def first_event(self) -> float | None:
        return min((one.time for one in self._decisions), default=None)

    @property
    def last_event(self) -> float | None:
        return max((one.time for one in self._decisions), default=None)

    def add(self, decision: Decision) -> None:
        if self._since <= decision.time < self._until:
            self._decisions.append(decision)
            self._unsettled.append(decision)

    def settle(self) -> None:
        for one in self._unsettled:
            replay(self.messages.setdefault((registrable_domain(one.client.name), one.message), []), one)
        self._unsettled = []

    def judge(self, lists: Lists) -> None:
        self._verdicts = {client: verdict(client, lists) for client, _, _ in self.clients()}

    def decision_totals(self) -> dict[tuple[str, str], int]:
        counts: Counter[tuple[str, str]] = Counter()
        for one in self._decisions:
            counts[one.action, one.reason] += one.times
        return {label: counts[label] for label in DECISION_LABELS}

    def decision_hours(self) -> list[tuple[int, str, str, int]]:
        counts: Counter[tuple[int, str, str]] = Counter()
        for one in self._decisions:
            counts[hour_of(one.time), one.action, one.reason] += one.times
        return sorted((*key, count) for key, count in counts.items())

    def clients(self) -> Iterator[tuple[Client, int, int]]:
        for client, (new, early_retry) in self._by_client(self._greylisted()).items():
            yield client, new, early_retry

    def facts(self) -> Iterator[Facts]:
        self.settle()
        clients: defaultdict[str, dict[Client, tuple[int, int]]] = defaultdict(dict)
        for client, new, early_retry in self.clients():
            clients[registrable_domain(client.name)][client] = new, early_retry
        for domain, its_clients in clients.items():
            its_messages = [
                one for story, messages in self.messages.items() if story[0] == domain for one in messages
            ]
            yield Facts(domain, its_clients, its_messages)

    def domain_changes(self, first_hour: int) -> dict[str, tuple[int, int, int, int, int]]:
        changes: dict[str, list[int]] = {}
        for one in self._greylisted():
            change = changes.setdefault(registrable_domain(one.client.name), [0] * 5)
            said = self._verdicts[one.client]
            change[0 if one.reason == NEW else 1] += one.times
            change[2] += one.times * (said == WHITELISTED and one.time > self._lists_changed)
            change[3] += one.times * (said == UNCOVERED and hour_of(one.time) >= first_hour)
            change[4] = max(change[4], hour_of(one.time))
        return {
            domain: (new, early, late, open_, hour) for domain, (new, early, late, open_, hour) in changes.items()
        }

    def client_rows(
        self, domain_ids: Mapping[str, int], first_hour: int, kept_hour: int
    ) -> Iterator[tuple[int, str, str, int, int, int, int, int]]:
        last: dict[Client, int] = {}
        attempts: Counter[Client] = Counter()
        for one in self._greylisted():
            if hour_of(one.time) >= kept_hour:
                last[one.client] = max(last.get(one.client, kept_hour), hour_of(one.time))
                attempts[one.client] += one.times * (hour_of(one.time) >= first_hour)
        for client in sorted(last, key=self._number):
            yield (
                self._number(client),
                *client,
                domain_ids[registrable_domain(client.name)],
                network_number(client.address),
                self._verdicts[client],
                last[client],
                attempts[client],
            )

    def attempt_rows(self, first_hour: int) -> Iterator[tuple[int, int, int, int]]:
        hours: defaultdict[int, list[Decision]] = defaultdict(list)
        for one in self._greylisted():
            hours[hour_of(one.time)].append(one)
        for hour, decisions in sorted(hours.items()):
            if hour >= first_hour:
                counts = self._by_client(decisions)
                for client in sorted(counts, key=self._number):
                    yield hour, self._number(client), *counts[client]

    def story_rows(self, domain_ids: Mapping[str, int]) -> Iterator[tuple[int, int]]:
        stories = {(registrable_domain(one.client.name), one.message) for one in self._decisions}
        yield from sorted((domain_ids[domain], key) for domain, key in stories if domain in domain_ids)

    def message_rows(
        self, domain_ids: Mapping[str, int], first_moment: float
    ) -> Iterator[tuple[int, int, float, float, int, bool, float | None, int | None, bool]]:
        known = [
            (domain_ids[domain], key, messages)
            for (domain, key), messages in self.messages.items()
            if domain in domain_ids
        ]
        for domain_id, key, messages in sorted(known, key=lambda one: one[:2]):
            for message in messages:
                if message.last >= first_moment:
                    yield domain_id, key, *message

    def deliveries(self, domain_ids: Mapping[str, int]) -> Iterator[float]:
        for (domain, _), messages in self.messages.items():
            if domain in domain_ids:
                yield from (one.delay for one in messages if one.delay is not None)

    def _greylisted(self) -> list[Decision]:
        return [one for one in self._decisions if one.action == GREYLIST]

    def _by_client(self, decisions: Iterable[Decision]) -> dict[Client, tuple[int, int]]:
        counts: defaultdict[Client, Counter[bool]] = defaultdict(Counter)
        for one in decisions:
            counts[one.client][one.reason == NEW] += one.times
        return {client: (count[True], count[False]) for client, count in counts.items()}

    def _number(self, client: Client) -> int:
        return self.keyed.number(f"{client.name} {client.address}".encode())


def verdict(client: Client, lists: Lists) -> int:
    """Return what the lists say of a client."""
    cover = lists.covers(*client)
    return UNCOVERED if cover is None else WHITELISTED if cover.list == "whitelist" else IGNORED
