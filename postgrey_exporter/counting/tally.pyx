"""Decisions added up in memory: how many there were, by client and domain, and what became of each message.

Whatever is met again, a client, the name above it, a message, is looked up by a number.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t
from libc.string cimport memset

from postgrey_exporter.counting.client cimport LINE, Client, address_of, network_of, offset_of_domain, text_of
from postgrey_exporter.parsing.decisions cimport EARLY_RETRY, NEW, VERDICTS, Decisions, Line
from postgrey_exporter.counting.facts cimport DomainFacts
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.counting.message cimport Attempt, Stories, number_of_story, offset_of_messages_domain
from postgrey_exporter.counting.placing cimport Placing
from postgrey_exporter.memory.table cimport Positions, Table, Text

from collections import Counter

from postgrey_exporter.decision import DECISION_LABELS
from postgrey_exporter.decision import Client as ClientName


cdef class Tally:
    def __cinit__(self, KeyedHash keyed not None, *_, **__):
        self.keyed = keyed
        self.lines = Counter()
        self._since = self._last = -INFINITY
        self._until = self._first = INFINITY
        self._clients = Table(sizeof(Client))
        self._texts = Text()
        self._placing = Placing(keyed)
        self._stories = Stories()

    def __init__(self, KeyedHash keyed, *, since=None, until=None):
        self._since = -INFINITY if since is None else since
        self._until = INFINITY if until is None else until

    @property
    def domains(self):
        return list(self._placing.domains)

    @property
    def first_event(self):
        return self._first if self.decisions else None

    @property
    def last_event(self):
        return self._last if self.decisions else None

    @property
    def size_bytes(self):
        return self._size_bytes()

    @property
    def unsettled(self):
        return self._stories.attempts.used

    def add(self, Decisions decisions not None):
        cdef size_t at = 0
        self._check_is_open()
        self.lines.update(decisions.lines)
        self.future += decisions.future
        with nogil:
            while at < decisions.rows.used:
                self._note_some(decisions, at, min(at + SOME, decisions.rows.used))
                at += SOME

    def settle(self):
        self._stories.settle()

    def close(self):
        self.settle()
        self._clients.close()
        self._placing.close()
        self._stories.stories.clear()
        self._is_closed = True

    def decision_totals(self):
        cdef int code
        return {DECISION_LABELS[code]: self._counts[code] for code in range(VERDICTS)}

    def clients(self):
        cdef size_t at
        cdef Client *client
        for at in range(self._clients.used):
            client = self._client_at(at)
            yield ClientName(self._name(client), self._address(client)), client.new, client.early_retry

    def facts(self):
        cdef DomainFacts facts
        cdef Positions clients = Positions()
        cdef Positions messages = Positions()
        cdef size_t first_client, first_message
        cdef size_t next_client = 0, next_message = 0
        cdef uint32_t domain
        cdef list domains = self.domains
        self.settle()
        clients.group(self._clients, offset_of_domain(), len(domains))
        messages.group(self._stories.messages, offset_of_messages_domain(), len(domains))
        for domain in range(len(domains)):
            first_client, first_message = next_client, next_message
            while next_client < clients.used and self._client_at(clients.position(next_client)).domain == domain:
                next_client += 1
            while next_message < messages.used and self._message_at(messages.position(next_message)).domain == domain:
                next_message += 1
            if next_client > first_client:
                facts = DomainFacts(domains[domain])
                facts.texts = self._texts
                # What belongs together lies together from now on: it is gone through several times.
                facts.clients.take(self._clients, clients, first_client, next_client)
                facts.messages.take(self._stories.messages, messages, first_message, next_message)
                yield facts

    cdef int _note_more(self, const Noted *noted, size_t count) except -1 nogil:
        """Note what a subclass has to of a few decisions."""
        return 0

    cdef size_t _size_bytes(self) noexcept:
        return (
            self._clients.size_bytes() + self._texts.used + self._placing.size_bytes() + self._stories.size_bytes()
        )

    cdef int _check_is_open(self) except -1:
        if self._is_closed:
            raise ValueError("the tally is closed")
        return 0

    cdef str _name(self, const Client *client):
        return text_of(self._texts.at(client.text), client.name_size)

    cdef str _address(self, const Client *client):
        return text_of(address_of(client, self._texts.at(client.text)), client.address_size)

    cdef int _note_some(self, Decisions decisions, size_t begin, size_t end) except -1 nogil:
        """Add a few decisions, all of which are looked up together."""
        cdef Noted[SOME] noted
        cdef size_t at
        cdef size_t count = 0
        cdef const Line *line
        for at in range(begin, end):
            line = <Line *>decisions.rows.at(at)
            if self._since <= line.time < self._until:
                noted[count].line = line
                self._clients.fetch(line.client)
                count += 1
        for at in range(count):
            self._clients.fetch_record(noted[at].line.client)
        for at in range(count):
            self._note_client(noted[at].line, decisions.texts.at(noted[at].line.text), &noted[at])
            self._stories.stories.fetch(noted[at].story)
        for at in range(count):
            self._stories.stories.fetch_record(noted[at].story)
        for at in range(count):
            self._note_attempt(&noted[at])
        return self._note_more(noted, count)

    cdef int _note_client(self, const Line *line, const unsigned char *text, Noted *noted) except -1 nogil:
        """Count a decision, and note what belongs to its client."""
        cdef Client *client
        self._first = min(line.time, self._first)
        self._last = max(line.time, self._last)
        self._counts[line.verdict] += line.times
        self.decisions += line.times
        noted.passed = line.verdict != NEW and line.verdict != EARLY_RETRY
        if noted.passed:
            noted.network = 0
            noted.is_line = False
            noted.domain = <uint32_t>self._placing.domain_of(text, line.name_size)
        else:
            noted.client = <uint32_t>self._client(line, text)
            client = self._client_at(noted.client)
            client.new += line.times * (line.verdict == NEW)
            client.early_retry += line.times * (line.verdict == EARLY_RETRY)
            noted.network = client.network
            noted.is_line = client.kind == LINE
            noted.domain = client.domain
        noted.story = number_of_story(line.message, noted.domain)
        return 0

    cdef int _note_attempt(self, const Noted *noted) except -1 nogil:
        """Note a decision as an event in the life of its message: to be repeated at once changes nothing of that."""
        cdef const Line *line = noted.line
        cdef Py_ssize_t story = self._stories.story(noted.story, line.message, noted.domain)
        cdef Attempt *attempt = <Attempt *>self._stories.attempts.add()
        attempt.time = line.time
        attempt.reported = line.delay
        attempt.story = <uint32_t>story
        attempt.network = noted.network
        attempt.passed = noted.passed
        attempt.line = noted.is_line
        return 0

    cdef Py_ssize_t _client(self, const Line *line, const unsigned char *text) except -1 nogil:
        """Return the position of the client of a line, found or added."""
        cdef Py_ssize_t position = self._clients.find(line.client)
        cdef Client client
        if position < 0:
            # All that may raise comes before there is a client.
            memset(&client, 0, sizeof(Client))
            client.number = line.client
            client.text = <uint32_t>self._texts.add(text, line.name_size + 1 + line.address_size)
            client.name_size = line.name_size
            client.address_size = line.address_size
            client.network = network_of(address_of(&client, text), client.address_size)
            self._placing.place(&client, text)
            position = self._clients.place(line.client)
            self._client_at(position)[0] = client
        return position
