"""The decisions of some lines, as they were read: what goes from the parser to a tally."""

from collections import Counter

from libc.math cimport NAN, isnan
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, LONGEST_NAME
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.memory.table cimport Rows, Text

from postgrey_exporter.decision import DECISION_LABELS, Client, Decision

cdef enum:
    USUAL_ROWS = 1000
    USUAL_TEXT = 60
    # U+FFFD, which stands for a byte that is not ASCII.
    MOST_BYTES_A_CHARACTER = 3

_CODES = {label: code for code, label in enumerate(DECISION_LABELS)}


cdef class Decisions:
    def __cinit__(self):
        self.rows = Rows(sizeof(Line))
        self.texts = Text()
        # What a block of a usual mail log has; to grow so far would take a tenth of the time of reading it.
        self.rows.reserve(USUAL_ROWS)
        self.texts.reserve(USUAL_ROWS * USUAL_TEXT)
        self.lines = Counter()
        self.oddities = set()

    def __len__(self):
        return self.rows.used

    def add(self, decision, KeyedHash keyed not None):
        cdef Line *line
        # All that may raise comes before there is a line.
        cdef double time = decision.time
        cdef int64_t message = decision.message
        cdef int32_t delay = -1 if decision.delay is None else min(decision.delay, MOST_SECONDS)
        cdef uint8_t verdict = _CODES[decision.action, decision.reason]
        cdef uint32_t times = decision.times
        cdef bytes name = decision.client.name.encode()
        cdef bytes address = decision.client.address.encode()
        cdef bytes text = name + b" " + address
        if len(name) > LONGEST_NAME * MOST_BYTES_A_CHARACTER or len(address) > LONGEST_ADDRESS:
            raise ValueError(f"postgrey has no client called {text[:80]!r}")
        line = self.add_line(text, len(name), len(address))
        line.time = time
        line.client = keyed.of(text, len(text))
        line.message = <uint64_t>message
        line.delay = delay
        line.verdict = verdict
        line.times = times

    def last(self):
        if not self.rows.used:
            return None
        cdef Line *line = <Line *>self.rows.at(self.rows.used - 1)
        cdef bytes text = self.texts.at(line.text)[: line.name_size + 1 + line.address_size]
        name, address = text[: line.name_size].decode(), text[line.name_size + 1 :].decode()
        return Decision(
            line.time,
            *DECISION_LABELS[line.verdict],
            Client(name, address),
            None if line.delay < 0 else line.delay,
            <int64_t>line.message,
            line.times,
        )

    def newest(self, double latest):
        cdef double found = NAN
        cdef double time
        cdef size_t at
        for at in range(self.rows.used):
            time = (<Line *>self.rows.at(at)).time
            if time <= latest and not time <= found:
                found = time
        return None if isnan(found) else found

    def date_by_arrival(self, double latest, double arrival):
        cdef Line *line
        cdef size_t at
        for at in range(self.rows.used):
            line = <Line *>self.rows.at(at)
            if line.time > latest:
                line.time = arrival
                self.future += 1

    cdef Line *add_line(self, const unsigned char *text, size_t name_size, size_t address_size) except NULL nogil:
        """Add the line of a client, of which all else is to be filled in."""
        cdef Py_ssize_t begin = self.texts.add(text, name_size + 1 + address_size)
        cdef Line *line = <Line *>self.rows.add()
        line.text = <uint32_t>begin
        line.name_size = <uint16_t>name_size
        line.address_size = <uint8_t>address_size
        line.times = 1
        return line
