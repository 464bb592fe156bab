"""The shapes of a usual line's parts: stamps, what is no host and no tag, queue ids."""

from libc.string cimport memchr

from postgrey_exporter.memory.character cimport begins, is_alphanumeric, is_digit
from postgrey_exporter.memory.system cimport memmem

from postgrey_exporter.parsing.header import TRADITIONAL_STAMP_SIZE

cdef size_t TRADITIONAL_SIZE = TRADITIONAL_STAMP_SIZE
cdef enum:
    ISO_SECONDS_SIZE = 19
    MOST_FRACTION_DIGITS = 9
    SHORTEST_HEXADECIMAL_ID = 6
    SHORTEST_LONG_ID = 10
    LONGEST_ID = 20

# By character: whether Postfix leaves it out of its long queue ids.
cdef unsigned char[256] IS_VOWEL


cdef void _learn_vowels() noexcept:
    cdef const unsigned char *vowels = b"AEIOUaeiou"
    while vowels[0] != 0:
        IS_VOWEL[vowels[0]] = True
        vowels += 1


_learn_vowels()


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


cdef size_t stamp_size(const unsigned char *line, const unsigned char *end) noexcept nogil:
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


cdef inline bint _is_priority(const unsigned char *word, const unsigned char *end) noexcept nogil:
    """Tell whether a word may be facility and priority, as in mail.info."""
    return end - word > 8 and (word[3] == c"." or word[4] == c"." or word[6] == c"." or word[8] == c".")


cdef bint is_no_host(
    const unsigned char *word, const unsigned char *end, const unsigned char *line_end
) noexcept nogil:
    """Tell whether a word behind a stamp may begin something else than a host, see header._OUTER, or is a year."""
    cdef Py_ssize_t size = end - word
    cdef Py_ssize_t digits = 0
    while digits < size and is_digit(word[digits]):
        digits += 1
    if size == 0:
        return False
    if (
        word[0] == c"{"
        or word[0] == c"["
        or word[0] == c"@"
        or word[0] >= 0x80
        or begins(word, end, b"action=", 7)
        or (size == 6 and begins(word, end, b"std", 3))
    ):
        return True
    if size == 3 or (size == 4 and word[3] == c","):
        return _has_form(word, b"Aaa") and line_end - end > 1 and not c"a" <= end[1] <= c"z"
    return (
        (digits == 4 and (size == 4 or word[4] == c"-"))
        or (9 <= digits <= 11 and (size == digits or word[digits] == c"."))
        or (word[size - 1] == c":" and (after_queue_id(word, line_end) != word or _is_priority(word, end)))
    )


cdef bint is_no_tag(const unsigned char *at, const unsigned char *end) noexcept nogil:
    """Tell whether what stands in the tag's place, from the blank before it on, is no tag."""
    cdef const unsigned char *word_end
    if end - at < 10:
        return False
    word_end = <const unsigned char *>memchr(at + 1, c" ", end - at - 1)
    if word_end == NULL or word_end == at + 1 or at[1] == c"[" or at[1] == c"<":
        return True
    return word_end[-1] != c":" or word_end[-2] == c":"


cdef bint may_matter(
    const unsigned char *line, const unsigned char *end, const unsigned char *tag, size_t tag_size
) noexcept nogil:
    """Tell whether a line of no usual form holds anything that the parser would take."""
    return (
        memmem(line, end - line, tag, tag_size) != NULL
        or memmem(line, end - line, b"action=", 7) != NULL
        or memmem(line, end - line, b" repeated ", 10) != NULL
        or begins(line, end, b"whitelisted: ", 13)
    )


cdef const unsigned char *after_queue_id(const unsigned char *at, const unsigned char *end) noexcept nogil:
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


cdef bint claims_decision(const unsigned char *at, const unsigned char *end) noexcept nogil:
    return begins(after_queue_id(at, end), end, b"action=", 7)


cdef bint tells_more(const unsigned char *at, const unsigned char *end) noexcept nogil:
    """Tell whether a message may be repeated, tell of a delivery (before postgrey 1.28), or have Solaris's id."""
    return (
        begins(at, end, b"message repeated ", 17) or begins(at, end, b"delayed ", 8) or (at < end and at[0] == c"[")
    )
