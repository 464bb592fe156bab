"""Where a client belongs, its registrable domain, and what its name says.

Python is asked once for each name above hosts and each form of a first label; a million hosts have few of them.
"""

from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp

from postgrey_exporter.counting.client cimport LONGEST_LABEL, UNCLEAR, Client, address_of, text_of
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.counting.naming cimport domain_and_kind, kind_by_name
from postgrey_exporter.memory.table cimport Table

from postgrey_exporter.clients import classify as places
from postgrey_exporter.clients.domains import MAX_NAME_LENGTH, UNKNOWN

cdef size_t LONGEST_HOST_NAME = MAX_NAME_LENGTH
cdef const unsigned char *UNKNOWN_NAME = b"unknown"
cdef enum:
    UNKNOWN_SIZE = 7


cdef class Placing:
    def __cinit__(self, KeyedHash keyed not None):
        self._keyed = keyed
        self.domains = [UNKNOWN]
        self._numbers = {UNKNOWN: UNKNOWN_DOMAIN}
        self._parents = Table(sizeof(Parent))
        self._labels = Table(sizeof(Label))

    cdef int place(self, Client *client, const unsigned char *text) except -1 nogil:
        """Note of a client, given with its text, its domain and what it is by its name."""
        cdef const unsigned char *parent_name
        cdef Parent *parent
        client.domain = UNKNOWN_DOMAIN
        client.kind = UNCLEAR
        # Who has no verified name is met often, and nothing is to be found out.
        if client.name_size == UNKNOWN_SIZE and memcmp(text, UNKNOWN_NAME, UNKNOWN_SIZE) == 0:
            return 0
        parent_name = _parent_name(text, client.name_size)
        if parent_name != NULL:
            parent = self._parent(parent_name, client.name_size - (parent_name - text))
            if parent.decides:
                client.domain = parent.domain
                client.kind = kind_by_name(
                    parent.says | self._says(text, parent_name - text - 1),
                    text,
                    client.name_size - parent.domain_size - 1,
                    address_of(client, text),
                    client.address_size,
                )
                return 0
        return self._learn_place(client, text)

    cdef Py_ssize_t domain_of(self, const unsigned char *name, size_t size) except -1 nogil:
        """Return the number of a client name's domain."""
        cdef const unsigned char *parent_name = _parent_name(name, size)
        cdef Parent *parent
        if parent_name != NULL:
            parent = self._parent(parent_name, size - (parent_name - name))
            if parent.decides:
                return parent.domain
        with gil:
            return self._number_of(places.registrable_domain(text_of(name, size)))

    cdef void close(self) noexcept:
        """Keep the domains alone."""
        self._parents.clear()
        self._labels.clear()

    cdef Parent *_parent(self, const unsigned char *name, size_t size) except NULL nogil:
        cdef size_t before = self._parents.used
        cdef Py_ssize_t position = self._parents.place(self._keyed.of(name, size))
        cdef Parent *parent = <Parent *>self._parents.at(position)
        if self._parents.used != before:
            self._learn_parent(parent, name, size)
        return parent

    cdef int _says(self, const unsigned char *label, size_t size) except -1 nogil:
        cdef unsigned char[LONGEST_LABEL] form
        cdef size_t at, before
        cdef Py_ssize_t position
        cdef Label *known
        for at in range(size):
            form[at] = c"0" if c"1" <= label[at] <= c"9" else label[at]
        before = self._labels.used
        position = self._labels.place(self._keyed.of(form, size))
        known = <Label *>self._labels.at(position)
        if self._labels.used != before:
            with gil:
                known.says = places.label_says(text_of(form, size))
        return known.says

    cdef int _learn_parent(self, Parent *parent, const unsigned char *name, size_t size) except -1 with gil:
        shared = places.below(text_of(name, size))
        if shared is not None:
            domain, says = shared
            parent.domain = <uint32_t>self._number_of(domain)
            parent.says = says
            parent.domain_size = len(domain)
            parent.decides = True
        return 0

    cdef int _learn_place(self, Client *client, const unsigned char *text) except -1 with gil:
        address = text_of(address_of(client, text), client.address_size)
        domain, kind = domain_and_kind(text_of(text, client.name_size), address)
        client.domain = <uint32_t>self._number_of(domain)
        client.kind = kind
        return 0

    cdef Py_ssize_t _number_of(self, str domain) except -1:
        number = self._numbers.get(domain)
        if number is None:
            number = self._numbers[domain] = len(self.domains)
            self.domains.append(domain)
        return number


cdef const unsigned char *_parent_name(const unsigned char *name, size_t size) noexcept nogil:
    """Return where the name above a host begins, which ends as the host's own does; NULL where there is none.

    The label in front of it is one that a host may have, in lower case.
    """
    cdef const unsigned char *dot = <const unsigned char *>memchr(name, c".", size)
    cdef const unsigned char *at = name
    if dot == NULL or size > LONGEST_HOST_NAME or not 1 <= dot - name <= LONGEST_LABEL:
        return NULL
    if name[0] == c"-" or (dot - 1)[0] == c"-":
        return NULL
    while at < dot:
        if not (c"a" <= at[0] <= c"z" or c"0" <= at[0] <= c"9" or at[0] == c"-" or at[0] == c"_"):
            return NULL
        at += 1
    return dot + 1
