from libc.stdint cimport uint8_t, uint32_t, uint64_t

from postgrey_exporter.counting.client cimport Client
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.memory.table cimport Table


cdef enum:
    # The number of domains.UNKNOWN, which is always there.
    UNKNOWN_DOMAIN = 0
    # What Python takes for a domain here, and for what is said of it when it is committed.
    BYTES_A_DOMAIN = 512


cdef struct Parent:
    # What all hosts directly below a name have in common, if anything.
    uint64_t number
    uint32_t domain
    uint8_t says
    uint8_t domain_size
    uint8_t decides


cdef struct Label:
    # What the first label of a name says, with zeros for its digits.
    uint64_t number
    uint8_t says


cdef class Placing:
    # By the numbers that clients have in 'Client.domain'.
    cdef list domains
    cdef dict _numbers
    cdef KeyedHash _keyed
    cdef Table _parents
    cdef Table _labels

    cdef inline size_t size_bytes(self) noexcept:
        return self._parents.size_bytes() + self._labels.size_bytes() + len(self.domains) * BYTES_A_DOMAIN

    cdef int place(self, Client *client, const unsigned char *text) except -1 nogil
    cdef Py_ssize_t domain_of(self, const unsigned char *name, size_t size) except -1 nogil
    cdef void close(self) noexcept
    cdef Parent *_parent(self, const unsigned char *name, size_t size) except NULL nogil
    cdef int _says(self, const unsigned char *label, size_t size) except -1 nogil
    cdef int _learn_parent(self, Parent *parent, const unsigned char *name, size_t size) except -1 with gil
    cdef int _learn_place(self, Client *client, const unsigned char *text) except -1 with gil
    cdef Py_ssize_t _number_of(self, str domain) except -1
