"""The usual line: header, verdict and all fields, as nearly every line of postgrey's is.

Strict: what is not exactly of that form is left to the parser, which knows every form. The lines of other programs
are told by the tag's place, behind the stamp and the host name, and need not be looked at any further.
"""

from libc.math cimport NAN, fabs, isnan
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr, memcmp, memcpy

from postgrey_exporter.memory.character cimport begins, is_digit, skips
from postgrey_exporter.memory.system cimport memmem
from postgrey_exporter.parsing.decisions cimport CLIENT_AWL, CLIENT_WHITELIST, EARLY_RETRY, MOST_SECONDS, NEW
from postgrey_exporter.parsing.decisions cimport RECIPIENT_WHITELIST, TRIPLET_FOUND, Decisions, Line, Verdict
from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, LONGEST_NAME, LONGEST_TEXT
from postgrey_exporter.parsing.field cimport copy_address, copy_message_text, copy_name
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.parsing.shapes cimport after_queue_id, claims_decision, is_no_host, is_no_tag
from postgrey_exporter.parsing.shapes cimport may_matter, stamp_size, tells_more

from postgrey_exporter.parsing.fields import LONGEST_MESSAGE
from postgrey_exporter.parsing.header import REPEATED_SIZE, TRADITIONAL_STAMP_SIZE
from postgrey_exporter.parsing.stamp import FRESH_SECONDS

cdef Py_ssize_t LONGEST = LONGEST_MESSAGE
cdef double FRESH = FRESH_SECONDS
cdef size_t TRADITIONAL_SIZE = TRADITIONAL_STAMP_SIZE
cdef size_t REPEATED = REPEATED_SIZE
cdef enum:
    MOST_DELAY_DIGITS = 10
    LAST_MINUTE = 59
    LEAP_SECOND = 60


cdef class UsualLines:
    def __cinit__(self, bytes tag not None, headers, KeyedHash keyed not None):
        self._tag = tag
        self._tag_text = tag
        self._tag_size = len(tag)
        self._headers = headers
        self._keyed = keyed
        self._dated_by = NAN

    def read(self, const unsigned char[::1] lines not None, double seen_at, Decisions decisions not None, unusual):
        cdef const unsigned char *at = &lines[0] if lines.shape[0] else NULL
        cdef const unsigned char *end = at + lines.shape[0]
        cdef const unsigned char *line_end
        cdef int kind
        cdef size_t rows
        cdef double moment
        cdef size_t usual = 0
        cdef size_t foreign = 0
        if not fabs(seen_at - self._dated_by) <= FRESH:
            self._dated_by = seen_at
            self._hour_key_size = 0
        self._seen_at = seen_at
        self._header = NULL
        self._header_size = 0
        self._bare_moment = NAN
        self._begin = at
        self._unclear = at
        self.no_decisions = self.auto_whitelisted = 0
        self.is_first = True
        self.is_after_decision = False
        with nogil:
            while at < end:
                line_end = <const unsigned char *>memchr(at, c"\n", end - at)
                if line_end == NULL:
                    line_end = end
                # A hole, see sources.blocks.without_holes.
                while at < line_end and at[0] == 0:
                    at += 1
                kind = self._read(at, line_end, decisions)
                if kind == Kind.USUAL:
                    usual += 1
                    self.is_after_decision = True
                elif kind != Kind.UNUSUAL:
                    foreign += kind == Kind.FOREIGN
                    self.is_after_decision = False
                else:
                    self._line = at
                    with gil:
                        rows = decisions.rows.used
                        moment = unusual((<const char *>at)[: line_end - at])
                        self.is_after_decision = decisions.rows.used > rows
                    if not isnan(moment):
                        self._header = NULL
                        self._header_size = 0
                        self._unclear = NULL
                        self._bare_moment = moment
                    elif self._unclear == NULL:
                        self._unclear = at
                self.is_first = False
                at = line_end + 1
        self._line = end
        return usual, foreign

    def moment(self):
        return NAN if self._header == NULL else self._moment(self._header, self._header_stamp)

    def unclear(self, Py_ssize_t longest):
        cdef bint is_possible = self._header == NULL or not isnan(self.moment())
        cdef const unsigned char *begin = self._unclear if is_possible else self._begin
        cdef Py_ssize_t size = 0 if begin == NULL else min(self._line - begin, longest)
        return (<const char *>self._line - size)[:size]

    cdef int _read(self, const unsigned char *line, const unsigned char *end, Decisions decisions) except -1 nogil:
        """Tell what a line is, and note its decision where it is a usual one."""
        cdef const unsigned char *at
        cdef const unsigned char *pid
        cdef const unsigned char *word
        cdef size_t stamp
        cdef double moment
        # Lines come in bursts: most have the stamp and the host name of the one before.
        if self._header_size and begins(line, end, self._header, self._header_size):
            self._unclear = NULL
            stamp = self._header_stamp
            at = line + self._header_size - 1
        else:
            stamp = stamp_size(line, end)
            if stamp == 0:
                return self._read_unstamped(line, end, decisions)
            at = line + stamp + 1
            if at < end and (at[0] == c"<" or at[0] == c" "):
                return Kind.UNUSUAL
            at = <const unsigned char *>memchr(at, c" ", end - at) if at < end else NULL
            # The parser knows about hours that are impossible or come twice.
            if is_no_host(line + stamp + 1, end if at == NULL else at, end) or (
                stamp == TRADITIONAL_SIZE and isnan(self._moment(line, stamp))
            ):
                return Kind.UNUSUAL
            self._unclear = NULL
            self._header = line
            self._header_stamp = stamp
            self._header_size = 0
            word = line + stamp
            if at == NULL:
                return Kind.FOREIGN
            if (at - 1)[0] == c":" and (at - 2)[0] != c":":
                # There is no host: what ends in a colon is the tag.
                at = word
            elif stamp != TRADITIONAL_SIZE and memmem(word, at - word, word - REPEATED, REPEATED) != NULL:
                # See header._is_broken.
                return Kind.FOREIGN
            else:
                self._header_size = at - line + 1
        if not skips(&at, end, self._tag_text, self._tag_size):
            if is_no_tag(at, end) and may_matter(line, end, self._tag_text + 1, self._tag_size - 1):
                return Kind.UNUSUAL
            return Kind.FOREIGN
        if at < end and at[0] == c"[":
            at += 1
            pid = at
            while at < end and is_digit(at[0]):
                at += 1
            if at == pid or not skips(&at, end, b"]", 1):
                return Kind.UNUSUAL
        if not skips(&at, end, b": ", 2):
            return Kind.UNUSUAL
        while at < end and at[0] == c" ":
            at += 1
        moment = self._moment(line, stamp)
        if isnan(moment) or end - at > LONGEST or tells_more(at, end):
            return Kind.UNUSUAL
        if claims_decision(at, end):
            return self._decide(at, end, moment, decisions)
        self.no_decisions += 1
        self.auto_whitelisted += begins(at, end, b"whitelisted: ", 13)
        return Kind.NO_DECISION

    cdef int _read_unstamped(
        self, const unsigned char *line, const unsigned char *end, Decisions decisions
    ) except -1 nogil:
        """Tell what a line is that begins with no usual stamp: a bare message, or one of any form."""
        cdef double moment
        if claims_decision(line, end):
            moment = NAN
            if self._unclear == NULL:
                moment = self._bare_moment if self._header == NULL else self._moment(self._header, self._header_stamp)
            if isnan(moment) or end - line > LONGEST:
                return Kind.UNUSUAL
            return self._decide(line, end, moment, decisions)
        if may_matter(line, end, self._tag_text + 1, self._tag_size - 1):
            return Kind.UNUSUAL
        if self._unclear == NULL:
            self._unclear = line
        return Kind.FOREIGN

    cdef int _decide(
        self, const unsigned char *at, const unsigned char *end, double moment, Decisions decisions
    ) except -1 nogil:
        """Note the decision of a message, from its begin, if it is a usual one."""
        cdef unsigned char[LONGEST_NAME + LONGEST_ADDRESS + 2] client
        cdef unsigned char[LONGEST_TEXT] key
        cdef const unsigned char *field
        cdef Verdict verdict
        cdef Py_ssize_t name_size, address_size, key_size
        cdef int64_t delay = -1
        cdef Line *line
        field = after_queue_id(at, end)
        if skips(&field, end, b"action=greylist, reason=", 24):
            if skips(&field, end, b"new, ", 5):
                verdict = NEW
            elif skips(&field, end, b"early-retry (", 13):
                verdict = EARLY_RETRY
                at = field
                while field < end and is_digit(field[0]):
                    field += 1
                if field == at or not skips(&field, end, b"s missing), ", 12):
                    return Kind.UNUSUAL
            else:
                return Kind.UNUSUAL
        elif skips(&field, end, b"action=pass, reason=", 20):
            if skips(&field, end, b"triplet found, ", 15):
                verdict = TRIPLET_FOUND
            elif skips(&field, end, b"client whitelist, ", 18):
                verdict = CLIENT_WHITELIST
            elif skips(&field, end, b"client AWL, ", 12):
                verdict = CLIENT_AWL
            elif skips(&field, end, b"recipient whitelist, ", 21):
                verdict = RECIPIENT_WHITELIST
            else:
                return Kind.UNUSUAL
        else:
            return Kind.UNUSUAL
        if skips(&field, end, b"delay=", 6):
            at = field
            delay = 0
            while field < end and is_digit(field[0]) and field - at < MOST_DELAY_DIGITS:
                delay = delay * 10 + (field[0] - c"0")
                field += 1
            if field == at or not skips(&field, end, b", ", 2):
                return Kind.UNUSUAL
        if not skips(&field, end, b"client_name=", 12):
            return Kind.UNUSUAL
        name_size = copy_name(&field, end, client)
        if name_size < 0 or not skips(&field, end, b", client_address=", 17):
            return Kind.UNUSUAL
        client[name_size] = c" "
        address_size = copy_address(&field, end, client + name_size + 1)
        if address_size < 0:
            return Kind.UNUSUAL
        key_size = copy_message_text(field, end, key)
        if key_size < 0:
            return Kind.UNUSUAL
        line = decisions.add_line(client, name_size, address_size)
        line.time = moment
        line.client = self._keyed.of(client, name_size + 1 + address_size)
        line.message = self._keyed.of(key, key_size)
        line.delay = <int32_t>min(delay, MOST_SECONDS)
        line.verdict = verdict
        return Kind.USUAL

    cdef double _moment(self, const unsigned char *stamp, size_t size) except? -1 nogil:
        """Return the time of a well-formed stamp; NaN where it is left to the parser."""
        cdef unsigned char[LONGEST_KEY] key
        cdef size_t key_size = 9
        cdef const unsigned char *clock = stamp + 9
        cdef const unsigned char *at
        cdef int minute, second
        cdef int64_t digits
        cdef double scale = 1
        if size != TRADITIONAL_SIZE:
            clock = stamp + 13
            key_size = 14 if stamp[size - 1] == c"Z" else LONGEST_KEY
            memcpy(key + 13, stamp + size - (key_size - 13), key_size - 13)
        memcpy(key, stamp, clock - stamp)
        minute = 10 * (clock[1] - c"0") + clock[2] - c"0"
        second = 10 * (clock[4] - c"0") + clock[5] - c"0"
        if minute > LAST_MINUTE or second > LEAP_SECOND:
            return NAN
        if key_size != self._hour_key_size or memcmp(key, self._hour_key, key_size) != 0:
            self._hour_key_size = 0
            self._hour = self._learn_hour(stamp, size)
            if isnan(self._hour):
                return NAN
            memcpy(self._hour_key, key, key_size)
            self._hour_key_size = key_size
        digits = second
        at = clock + 6
        if size != TRADITIONAL_SIZE and at[0] == c".":
            at += 1
            while is_digit(at[0]):
                digits = digits * 10 + (at[0] - c"0")
                scale *= 10
                at += 1
        return self._hour + minute * 60 + digits / scale

    cdef double _learn_hour(self, const unsigned char *stamp, size_t size) except? -1 with gil:
        hour = self._headers.hour((<const char *>stamp)[:size], self._seen_at)
        return NAN if hour is None else hour
