"""The usual line: header, verdict and all fields, as nearly every line of postgrey's is.

Strict: what is not exactly of that form is left to the parser, which knows every form. The lines of other programs
are told by the tag's place, behind the stamp and the host name, and need not be looked at any further.
"""

from libc.math cimport NAN, fabs, isnan
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memchr, memcmp, memcpy

from postgrey_exporter.memory.character cimport begins, is_alphanumeric, is_digit, skips
from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, LONGEST_NAME
from postgrey_exporter.parsing.decisions cimport (
    CLIENT_AWL,
    CLIENT_WHITELIST,
    EARLY_RETRY,
    MOST_SECONDS,
    NEW,
    RECIPIENT_WHITELIST,
    TRIPLET_FOUND,
    Decisions,
    Line,
    Verdict,
)
from postgrey_exporter.parsing.field cimport LONGEST_TEXT, copy_address, copy_message_text, copy_name
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.memory.system cimport memmem

from postgrey_exporter.parsing.fields import LONGEST_MESSAGE
from postgrey_exporter.parsing.header import FRESH_SECONDS, REPEATED_SIZE, TRADITIONAL_STAMP_SIZE

cdef Py_ssize_t LONGEST = LONGEST_MESSAGE
cdef double FRESH = FRESH_SECONDS
cdef size_t TRADITIONAL_SIZE = TRADITIONAL_STAMP_SIZE
cdef size_t REPEATED = REPEATED_SIZE
cdef enum:
    ISO_SECONDS_SIZE = 19
    MOST_FRACTION_DIGITS = 9
    MOST_DELAY_DIGITS = 10
    SHORTEST_HEXADECIMAL_ID = 6
    SHORTEST_LONG_ID = 10
    LONGEST_ID = 20
    LAST_MINUTE = 59
    LEAP_SECOND = 60

# By character: whether Postfix leaves it out of its long queue ids.
cdef unsigned char[256] IS_VOWEL


cdef void _learn_vowels() noexcept:
    cdef const unsigned char *vowels = b"AEIOUaeiou"
    while vowels[0] != 0:
        IS_VOWEL[vowels[0]] = True
        vowels += 1


_learn_vowels()


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
        self._is_first = True
        self._is_after_decision = False
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
                    self._is_after_decision = True
                elif kind == Kind.FOREIGN:
                    foreign += 1
                    self._is_after_decision = False
                else:
                    self._line = at
                    with gil:
                        rows = decisions.rows.used
                        moment = unusual((<const char *>at)[: line_end - at])
                        self._is_after_decision = decisions.rows.used > rows
                    if not isnan(moment):
                        self._header = NULL
                        self._header_size = 0
                        self._unclear = NULL
                        self._bare_moment = moment
                    elif self._unclear == NULL:
                        self._unclear = at
                self._is_first = False
                at = line_end + 1
        self._line = end
        return usual, foreign

    def moment(self):
        return NAN if self._header == NULL else self._moment(self._header, self._header_stamp)

    def unclear(self, Py_ssize_t longest):
        cdef const unsigned char *begin = self._unclear
        cdef Py_ssize_t size
        if self._header != NULL and isnan(self._moment(self._header, self._header_stamp)):
            begin = self._begin
        size = 0 if begin == NULL else min(self._line - begin, longest)
        return (<const char *>self._line - size)[:size]

    def is_first(self):
        return self._is_first

    def is_after_decision(self):
        return self._is_after_decision

    cdef int _read(self, const unsigned char *line, const unsigned char *end, Decisions decisions) except -1 nogil:
        """Tell what a line is, and note its decision where it is a usual one."""
        cdef const unsigned char *at
        cdef const unsigned char *pid
        cdef const unsigned char *end_of_stamp
        cdef size_t stamp
        cdef double moment
        # Lines come in bursts: most have the stamp and the host name of the one before.
        if self._header_size and begins(line, end, self._header, self._header_size):
            self._unclear = NULL
            stamp = self._header_stamp
            at = line + self._header_size - 1
        else:
            stamp = _stamp_size(line, end)
            if stamp == 0:
                return self._read_unstamped(line, end, decisions)
            at = line + stamp + 1
            if at < end and (at[0] == c"<" or at[0] == c" "):
                return Kind.UNUSUAL
            at = <const unsigned char *>memchr(at, c" ", end - at) if at < end else NULL
            if _is_no_host(line + stamp + 1, end if at == NULL else at, end):
                return Kind.UNUSUAL
            self._unclear = NULL
            self._header = line
            self._header_stamp = stamp
            self._header_size = 0
            if at == NULL:
                return Kind.FOREIGN
            end_of_stamp = line + stamp - REPEATED
            if (at - 1)[0] == c":" and (at - 2)[0] != c":":
                # There is no host: what ends in a colon is the tag.
                at = line + stamp
            elif (
                stamp != TRADITIONAL_SIZE
                and memmem(line + stamp, at - line - stamp, end_of_stamp, REPEATED) != NULL
            ):
                # See header._is_broken.
                return Kind.FOREIGN
            else:
                self._header_size = at - line + 1
        if not skips(&at, end, self._tag_text, self._tag_size):
            return Kind.UNUSUAL if _may_be_unusual(at, end) else Kind.FOREIGN
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
        if not _claims_decision(at, end):
            return Kind.UNUSUAL
        moment = self._moment(line, stamp)
        return Kind.UNUSUAL if isnan(moment) else self._decide(at, end, moment, decisions)

    cdef int _read_unstamped(
        self, const unsigned char *line, const unsigned char *end, Decisions decisions
    ) except -1 nogil:
        """Tell what a line is that begins with no usual stamp: a bare message, or one of any form."""
        cdef double moment
        if _claims_decision(line, end):
            moment = NAN
            if self._unclear == NULL:
                moment = self._bare_moment if self._header == NULL else self._moment(self._header, self._header_stamp)
            return Kind.UNUSUAL if isnan(moment) else self._decide(line, end, moment, decisions)
        if (
            memmem(line, end - line, self._tag_text, self._tag_size) != NULL
            or memmem(line, end - line, b"action=", 7) != NULL
            or memmem(line, end - line, b" repeated ", 10) != NULL
            or begins(line, end, b"whitelisted: ", 13)
        ):
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
        if end - at > LONGEST:
            return Kind.UNUSUAL
        field = _after_queue_id(at, end)
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


cdef inline bint _has_form(const unsigned char *at, const char *form) noexcept nogil:
    """Tell whether a text has a form: 0 stands for a digit, A and a for letters, others for themselves."""
    while form[0] != 0:
        if form[0] == c"0":
            if not is_digit(at[0]):
                return False
        elif form[0] == c"A":
            if not c"A" <= at[0] <= c"Z":
                return False
        elif form[0] == c"a":
            if not c"a" <= at[0] <= c"z":
                return False
        elif form[0] != <char>at[0]:
            return False
        at += 1
        form += 1
    return True


cdef size_t _stamp_size(const unsigned char *line, const unsigned char *end) noexcept nogil:
    """Return the size of the stamp that a line begins with and a blank ends; 0 where it is none of the usual two."""
    cdef size_t size
    if end - line <= <Py_ssize_t>TRADITIONAL_SIZE:
        return 0
    if not is_digit(line[0]):
        if (
            _has_form(line, b"Aaa ")
            and c" " <= line[4] <= c"3"
            and (line[4] == c" " or is_digit(line[4]))
            and _has_form(line + 5, b"0 00:00:00 ")
        ):
            return TRADITIONAL_SIZE
        return 0
    if end - line <= ISO_SECONDS_SIZE + 1 or not _has_form(line, b"0000-00-00T00:00:00"):
        return 0
    size = ISO_SECONDS_SIZE
    if line[size] == c".":
        size += 1
        while line + size < end and is_digit(line[size]):
            size += 1
        if not 1 < size - ISO_SECONDS_SIZE <= 1 + MOST_FRACTION_DIGITS:
            return 0
    if begins(line + size, end, b"Z ", 2):
        return size + 1
    if end - line > <Py_ssize_t>size + 6 and (line[size] == c"+" or line[size] == c"-"):
        if _has_form(line + size + 1, b"00:00 "):
            return size + 6
    return 0


cdef bint _is_no_host(
    const unsigned char *word, const unsigned char *end, const unsigned char *line_end
) noexcept nogil:
    """Tell whether a word behind a stamp may begin something else than a host, see header._OUTER, or is a year."""
    cdef Py_ssize_t size = end - word
    cdef Py_ssize_t digits = 0
    while digits < size and is_digit(word[digits]):
        digits += 1
    if size == 0:
        return False
    if word[0] == c"{" or word[0] >= 0x80 or begins(word, end, b"action=", 7):
        return True
    if size == 3 or (size == 4 and word[3] == c","):
        return _has_form(word, b"Aaa") and line_end - end > 1 and not c"a" <= end[1] <= c"z"
    return (
        (digits == 4 and (size == 4 or word[4] == c"-"))
        or (9 <= digits <= 11 and (size == digits or word[digits] == c"."))
        or (word[size - 1] == c":" and _after_queue_id(word, line_end) != word)
    )


cdef bint _may_be_unusual(const unsigned char *at, const unsigned char *end) noexcept nogil:
    """Tell whether what stands in the tag's place, from the blank before it on, may be postgrey's all the same."""
    if end - at < 10:
        return False
    # Blanks, no tag at all, inetutils' repetition, a facility as in mail.info.
    return (
        at[1] == c" "
        or (at[1] == c"a" and begins(at + 1, end, b"action=", 7))
        or (at[1] == c"l" and begins(at + 1, end, b"last message ", 13))
        or at[4] == c"."
        or at[5] == c"."
        or at[7] == c"."
        or at[9] == c"."
    )


cdef inline const unsigned char *_after_queue_id(const unsigned char *at, const unsigned char *end) noexcept nogil:
    """Return where the message goes on behind a queue id, which need not be there; see header.QUEUE_ID."""
    cdef const unsigned char *begin = at
    cdef bint is_hexadecimal_id = True
    cdef bint is_long = True
    while at < end and is_alphanumeric(at[0]):
        is_hexadecimal_id &= is_digit(at[0]) or c"A" <= at[0] <= c"F"
        is_long &= not IS_VOWEL[at[0]]
        at += 1
    if at - begin > LONGEST_ID or not begins(at, end, b": ", 2):
        return begin
    if is_hexadecimal_id and at - begin >= SHORTEST_HEXADECIMAL_ID or is_long and at - begin >= SHORTEST_LONG_ID:
        return at + 2
    return begin


cdef bint _claims_decision(const unsigned char *at, const unsigned char *end) noexcept nogil:
    return begins(_after_queue_id(at, end), end, b"action=", 7)
