"""The fields of a usual message: each is copied in its one spelling to a place that has room for the longest.

A field that is written in an unusual way is left to the parser: its size is then -1.
"""

from libc.string cimport memchr, memcpy, strlen

from postgrey_exporter.memory.character cimport begins, is_alphanumeric, is_digit, is_hexadecimal

from postgrey_exporter.memory.system cimport AF_INET6, inet_ntop, inet_pton, memrchr

cdef enum:
    MOST_OCTET = 255
    DELETE = 0x7F
    CASE = 0x20
    IN_NUMBER = 2
    TAG_SIZE = 10

# By character: whether a pattern of Perl's finds it in a word (1), and in a number too.
cdef unsigned char[256] IN_WORD


cdef void _learn_words() noexcept:
    cdef int char
    for char in range(256):
        if is_digit(<unsigned char>char):
            IN_WORD[char] = 1 | IN_NUMBER
        else:
            IN_WORD[char] = is_alphanumeric(<unsigned char>char) or char == c"_"


_learn_words()


cdef Py_ssize_t copy_name(const unsigned char **field, const unsigned char *end, unsigned char *name) noexcept nogil:
    """Copy a client's name, in lower case; return its size, -1 for an unusual one."""
    cdef const unsigned char *at = field[0]
    cdef const unsigned char *comma = <const unsigned char *>memchr(at, c",", end - at)
    cdef Py_ssize_t size = (end if comma == NULL else comma) - at
    cdef Py_ssize_t place
    cdef bint is_odd = False
    # The dot of the root is left out elsewhere.
    if not 0 < size <= LONGEST_NAME or at[size - 1] == c".":
        return -1
    for place in range(size):
        is_odd |= (at[place] <= c" ") | (at[place] >= DELETE) | (at[place] == c"=")
    _copy_lowered(name, at, size)
    field[0] = at + size
    return -1 if is_odd else size


cdef void _copy_lowered(unsigned char *to, const unsigned char *text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t at
    for at in range(size):
        to[at] = text[at] + ((c"A" <= text[at]) & (text[at] <= c"Z")) * CASE


cdef Py_ssize_t copy_address(
    const unsigned char **field, const unsigned char *end, unsigned char *address
) noexcept nogil:
    """Copy an address in its one spelling, see addresses.normalise; return its size, -1 for an unusual one."""
    cdef const unsigned char *at = field[0]
    cdef const unsigned char *comma = <const unsigned char *>memchr(at, c",", end - at)
    cdef Py_ssize_t size = (end if comma == NULL else comma) - at
    cdef const unsigned char *mask = <const unsigned char *>memchr(at, c"/", size)
    cdef Py_ssize_t place
    cdef char[LONGEST_ADDRESS + 1] text
    cdef unsigned char[16] packed
    field[0] = at + size
    if mask != NULL:
        for place in range(mask - at, size):
            if not c" " < at[place] < DELETE:
                return -1
        size = mask - at
    if not 0 < size <= LONGEST_ADDRESS:
        return -1
    if _is_ipv4(at, size):
        memcpy(address, at, size)
        return size
    for place in range(size):
        # What holds an IPv4 address is written in various ways.
        if not (is_hexadecimal(at[place]) or at[place] == c":"):
            return -1
    memcpy(text, at, size)
    text[size] = 0
    if inet_pton(AF_INET6, text, packed) != 1:
        return -1
    if inet_ntop(AF_INET6, packed, <char *>address, LONGEST_ADDRESS + 1) == NULL:
        return -1
    size = strlen(<const char *>address)
    return size if memchr(address, c".", size) == NULL else -1


cdef bint _is_ipv4(const unsigned char *text, Py_ssize_t size) noexcept nogil:
    cdef int octet = 0
    cdef int octets = 0
    cdef int digits = 0
    cdef Py_ssize_t at
    for at in range(size):
        if text[at] == c".":
            if digits == 0:
                return False
            octets += 1
            digits = octet = 0
        elif is_digit(text[at]):
            # An address is valid in one spelling only: without zeros in front.
            if digits and octet == 0:
                return False
            octet = octet * 10 + text[at] - c"0"
            digits += 1
            if octet > MOST_OCTET:
                return False
        else:
            return False
    return octets == OCTETS - 1 and digits > 0


cdef Py_ssize_t copy_message_text(
    const unsigned char *at, const unsigned char *end, unsigned char *key
) noexcept nogil:
    """Write down what a message is known by, see `message_text`; return its size, -1 for an unusual one.

    From ``at`` on there stand sender and recipient, or the recipient alone.
    """
    cdef const unsigned char *recipient
    cdef bint has_sender = begins(at, end, b", sender=", 9)
    cdef Py_ssize_t size = 0
    if not (has_sender or begins(at, end, b", recipient=", 12)):
        return -1
    while end > at and ((end - 1)[0] == c" " or (end - 1)[0] == c"\r"):
        end -= 1
    if end - at + 1 > LONGEST_TEXT:
        return -1
    # A sender may contain the recipient's field name: the last one is the recipient's own.
    recipient = <const unsigned char *>memrchr(at, c",", end - at)
    while recipient != NULL and not begins(recipient, end, b", recipient=", 12):
        recipient = <const unsigned char *>memrchr(at, c",", recipient - at)
    if recipient == NULL or (recipient == at) == has_sender:
        return -1
    if has_sender:
        if recipient < at + 9:
            return -1
        size = _canonical_sender(at + 9, recipient - at - 9, key)
    key[size] = 0
    recipient += 12
    _copy_lowered(key + size + 1, recipient, end - recipient)
    return size + 1 + (end - recipient)


def message_text(bytes sender not None, bytes recipient not None):
    cdef bytearray text = bytearray(len(sender) + 1)
    cdef Py_ssize_t size = _canonical_sender(sender, len(sender), text)
    return bytes(text[:size]) + b"\0" + recipient.lower()


cdef Py_ssize_t _canonical_sender(const unsigned char *sender, Py_ssize_t size, unsigned char *key) noexcept nogil:
    """Write down a sender in lower case without what changes from mail to mail: BATV tags, VERP extensions, numbers.

    The same as do_sender_substitutions in postgrey 1.37; returns the size.
    """
    cdef const unsigned char *end = sender + size
    cdef const unsigned char *domain = <const unsigned char *>memchr(sender, c"@", size)
    cdef const unsigned char *user_end
    cdef const unsigned char *extension
    cdef const unsigned char *run
    cdef Py_ssize_t written = 0
    cdef unsigned char kinds
    if domain != NULL:
        user_end = domain
        if begins(sender, domain, b"prvs=", 5):
            _leave_out_tag(&sender, &user_end)
        extension = <const unsigned char *>memchr(sender, c"+", user_end - sender)
        if extension != NULL:
            user_end = extension
        while sender < user_end:
            run = sender
            kinds = IN_NUMBER
            while run < user_end and IN_WORD[run[0]]:
                kinds &= IN_WORD[run[0]]
                run += 1
            if run > sender and kinds & IN_NUMBER:
                key[written] = c"#"
                written += 1
            else:
                run += run == sender
                _copy_lowered(key + written, sender, run - sender)
                written += run - sender
            sender = run
        sender = domain
    _copy_lowered(key + written, sender, end - sender)
    return written + (end - sender)


cdef void _leave_out_tag(const unsigned char **begin, const unsigned char **end) noexcept nogil:
    """Narrow prvs=tag-value=local-part, sometimes the other way round, to the local part."""
    cdef const unsigned char *first = begin[0] + 5
    cdef const unsigned char *last = end[0]
    cdef const unsigned char *between
    # Perl's split drops empty fields at the end.
    while last > first and (last - 1)[0] == c"=":
        last -= 1
    between = <const unsigned char *>memchr(first, c"=", last - first)
    if between == NULL or memchr(between + 1, c"=", last - between - 1) != NULL:
        return
    if _is_tag(between + 1, last) and not _is_tag(first, between):
        begin[0] = first
        end[0] = between
    else:
        begin[0] = between + 1
        end[0] = last


cdef bint _is_tag(const unsigned char *at, const unsigned char *end) noexcept nogil:
    """Tell whether a text begins as a tag of BATV does."""
    cdef Py_ssize_t place
    if end - at < TAG_SIZE:
        return False
    for place in range(TAG_SIZE):
        if not (c"a" <= at[place] <= c"z" or is_digit(at[place])):
            return False
    return True
