"""What the logs say of one sender domain: its clients, the networks that they are in, and its messages.

A domain may have a million clients and messages: they are added up here, and nobody needs an object for each.
"""

from libc.math cimport isnan
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from postgrey_exporter.counting.client cimport IPV6_NETWORKS, LINE, MAIL, UNCLEAR, Client, address_of
from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS
from postgrey_exporter.counting.client cimport attempts_of, judge, network_key, network_of, text_of
from postgrey_exporter.counting.message cimport NO_DELAY, OPEN_SECONDS, Message, add_known
from postgrey_exporter.counting.naming cimport domain_and_kind
from postgrey_exporter.memory.table cimport Positions, Rows, Table, Text

from functools import partial
from heapq import nsmallest

from postgrey_exporter.clients.domains import UNKNOWN
from postgrey_exporter.lists.verdict import IGNORED, UNCOVERED, WHITELISTED
from postgrey_exporter.counting.evidence import Delays, Evidence, NetworkFacts, Parties, Party, Totals

cdef int OF_NO_LIST = UNCOVERED
cdef int OF_THE_WHITELIST = WHITELISTED
cdef int OF_THE_IGNORE_FILE = IGNORED
cdef enum:
    MOST_OF_A_NAME = 0xFFFF
    NO_CLIENT = 0xFFFFFFFF

NOBODY = Party(0, 0, 0.0, Evidence(), frozenset)


cdef class DomainFacts:
    def __cinit__(self, str domain not None):
        self.domain = domain
        self.clients = Rows(sizeof(Client))
        self.messages = Rows(sizeof(Message))
        self.texts = Text()
        self._networks = Table(sizeof(Network))

    def add_client(self, str name not None, str address not None, uint64_t new, uint64_t early_retry):
        cdef bytes host = name.encode()
        cdef bytes packed = address.encode()
        cdef bytes text = host + b" " + packed
        cdef int kind = domain_and_kind(name, address)[1]
        cdef size_t begin
        cdef Client *client
        if len(host) > MOST_OF_A_NAME or len(packed) > LONGEST_ADDRESS:
            raise ValueError(f"postgrey has no client called {text[:80]!r}")
        begin = self.texts.add(text, len(text))
        client = <Client *>self.clients.add()
        client.text = <uint32_t>begin
        client.name_size = <uint16_t>len(host)
        client.address_size = <uint8_t>len(packed)
        client.new = new
        client.early_retry = early_retry
        client.network = network_of(packed, len(packed))
        client.kind = <uint8_t>kind

    def add_message(self, double first, double last, uint32_t network, bint moved, accepted, reported, bint line):
        add_known(self.messages, first, last, network, moved, accepted, reported, line)
        self._of_all = None

    def judge(self, lists):
        cdef Client *client
        cdef Network *network
        cdef Message *message
        cdef Py_ssize_t position
        cdef size_t at
        judge(self.clients, self.texts, lists, None if self.domain == UNKNOWN else self.domain)
        self._networks = Table(sizeof(Network))
        for at in range(self.clients.used):
            client = self._client(at)
            network = <Network *>self._networks.at(self._networks.place(network_key(client.network)))
            if network.clients == 0:
                network.client = <uint32_t>at
                network.uncovered = network.other_uncovered = NO_CLIENT
            network.clients += 1
            network.new += client.new
            network.early_retry += client.early_retry
            if client.verdict == OF_NO_LIST:
                network.kinds |= 1 << client.kind
                network.unreviewed += attempts_of(client)
                if network.uncovered == NO_CLIENT:
                    network.uncovered = <uint32_t>at
                else:
                    network.other_uncovered = <uint32_t>at
            elif client.verdict == OF_THE_IGNORE_FILE:
                network.is_ignored = True
        for at in range(self.messages.used):
            message = self._message(at)
            position = self._networks.find(network_key(message.network))
            message.parties = 0 if position < 0 else (<Network *>self._networks.at(position)).kinds

    def totals(self):
        cdef Client *client
        cdef size_t at
        cdef uint64_t new = 0, early_retry = 0, unreviewed = 0
        cdef bint whitelisted = False, ignored = False
        for at in range(self.clients.used):
            client = self._client(at)
            new += client.new
            early_retry += client.early_retry
            if client.verdict == OF_NO_LIST:
                unreviewed += attempts_of(client)
            elif client.verdict == OF_THE_WHITELIST:
                whitelisted = True
            else:
                ignored = True
        counts = new, early_retry, self.clients.used, self._networks.used, unreviewed
        return _named(Totals, (*counts, bool(whitelisted), bool(ignored)))

    def evidence(self, double now):
        return self._evidence(now, OF_ALL, ANY)[0]

    def evidence_of_uncovered(self, double now):
        return self._evidence(now, OF_UNCOVERED, ANY)[0]

    def parties(self, double now):
        cdef size_t at
        cdef unsigned int kinds = 0
        for at in range(self._networks.used):
            kinds |= (<Network *>self._networks.at(at)).kinds
        mail = self._party(now, kinds & 1 << MAIL)
        servers = self._party(now, kinds & (1 << MAIL | 1 << UNCLEAR)) if kinds & 1 << UNCLEAR else mail
        return _named(Parties, (mail, servers, self._party(now, kinds & 1 << LINE)))

    cdef object _party(self, double now, unsigned int kinds):
        """Return the uncovered clients of some kinds, which there are, as a party."""
        cdef Client *client
        cdef Network *network
        cdef size_t at
        cdef size_t of_ipv4 = 0, of_ipv6 = 0
        cdef uint64_t attempts = 0
        if kinds == 0:
            return NOBODY
        for at in range(self.clients.used):
            client = self._client(at)
            if client.verdict == OF_NO_LIST and kinds & 1 << client.kind:
                attempts += attempts_of(client)
        for at in range(self._networks.used):
            network = <Network *>self._networks.at(at)
            if network.kinds & kinds:
                of_ipv6 += network.number >> 32 & IPV6_NETWORKS != 0
                of_ipv4 += network.number >> 32 & IPV6_NETWORKS == 0
        known, seconds = self._evidence(now, kinds, kinds == 1 << LINE)
        pauses = attempts + known.delivered - known.messages
        pause = seconds / pauses if pauses > 0 else 0.0
        names = partial(self._names, OF_NO_LIST, kinds)
        return _named(Party, (attempts, max(of_ipv4, of_ipv6), pause, known, names))

    def ignored_names(self):
        return self._names(OF_THE_IGNORE_FILE, OF_UNCOVERED)

    def _names(self, int verdict, unsigned int kinds):
        cdef Client *client
        cdef size_t at
        found = set()
        for at in range(self.clients.used):
            client = self._client(at)
            if client.verdict == verdict and kinds & 1 << client.kind:
                found.add(text_of(self.texts.at(client.text), client.name_size))
        return found

    def _network_sizes(self):
        """Yield what networks are sorted by, those with most attempts first, and where each stands."""
        cdef Network *network
        cdef size_t at
        for at in range(self._networks.used):
            network = <Network *>self._networks.at(at)
            yield -<int64_t>(network.new + network.early_retry), network.number, at

    def networks(self, double now, size_t most):
        cdef Network *network
        cdef size_t at, place
        cdef Py_ssize_t position
        cdef list largest = [one for _, _, one in nsmallest(most, self._network_sizes())]
        found = []
        for at in range(self._networks.used):
            (<Network *>self._networks.at(at)).place = 0
        for place, position in enumerate(largest):
            (<Network *>self._networks.at(position)).place = <uint32_t>place + 1
        groups = [Positions() for _ in largest]
        for at in range(self.messages.used):
            position = self._networks.find(network_key(self._message(at).network))
            place = 0 if position < 0 else (<Network *>self._networks.at(position)).place
            if place:
                (<Positions>groups[place - 1]).put(at)
        for position, group in zip(largest, groups):
            network = <Network *>self._networks.at(position)
            uncovered = [
                self._address(one) for one in (network.uncovered, network.other_uncovered) if one != NO_CLIENT
            ]
            counts = network.new, network.early_retry, network.clients, network.unreviewed
            evidence = self._sum(now, <Positions>group)[0]
            address, is_ignored = self._address(network.client), bool(network.is_ignored)
            found.append(NetworkFacts(address, *counts, uncovered, is_ignored, evidence))
        return found

    cdef str _address(self, uint32_t position):
        cdef Client *client = self._client(position)
        return text_of(address_of(client, self.texts.at(client.text)), client.address_size)

    cdef tuple _evidence(self, double now, unsigned int kinds, int lines):
        """Return the evidence of some messages, and the seconds between their first and last attempts in all."""
        cdef size_t at
        cdef size_t count = 0
        cdef Positions chosen
        for at in range(self.messages.used):
            count += self._is_of(self._message(at), kinds, lines)
        # A domain's messages are mostly of one party.
        if count == self.messages.used and self._of_all is not None and self._of_all_at == now:
            return self._of_all
        chosen = Positions()
        chosen.reserve(count + 1)
        for at in range(self.messages.used):
            if self._is_of(self._message(at), kinds, lines):
                chosen.put(at)
        known = self._sum(now, chosen)
        if count == self.messages.used:
            self._of_all, self._of_all_at = known, now
        return known

    cdef tuple _sum(self, double now, Positions chosen):
        cdef Message *message
        cdef size_t at, moved = 0, moved_delivered = 0, lost = 0
        cdef double worst_moved = 0, seconds = 0
        cdef Rows delays = Rows(sizeof(double))
        cdef Rows reported = Rows(sizeof(double))
        cdef double delay
        delays.reserve(chosen.used + 1)
        reported.reserve(chosen.used + 1)
        for at in range(chosen.used):
            message = self._message(chosen.position(at))
            moved += message.moved
            seconds += message.last - message.first
            if isnan(message.accepted):
                lost += now - message.last >= OPEN_SECONDS
                continue
            delay = max(0.0, message.accepted - message.first)
            (<double *>delays.add())[0] = delay
            if message.moved:
                moved_delivered += 1
                if not message.line:
                    worst_moved = max(worst_moved, delay)
            if message.reported != NO_DELAY:
                (<double *>reported.add())[0] = <double>message.reported
        lasted, said = _delays(delays), _delays(reported)
        known = (chosen.used, moved, delays.used, moved_delivered, lost, lasted, said, worst_moved)
        return _named(Evidence, known), seconds


cdef object _named(object kind, tuple values):
    """Return a named tuple; to call its type would take four times as long."""
    return tuple.__new__(kind, values)


cdef _delays(Rows seconds):
    cdef size_t count = seconds.used
    cdef double *sorted
    if count == 0:
        return None
    sorted = <double *>seconds.at(0)
    qsort(sorted, count, sizeof(double), _compare)
    return _named(Delays, ((sorted[(count - 1) // 2] + sorted[count // 2]) / 2, sorted[count - 1]))


cdef int _compare(const void *one, const void *other) noexcept nogil:
    cdef double a = (<const double *>one)[0]
    cdef double b = (<const double *>other)[0]
    return (a > b) - (a < b)
