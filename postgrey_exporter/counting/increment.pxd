from libc.stdint cimport int32_t, uint32_t, uint64_t

from postgrey_exporter.parsing.decisions cimport VERDICTS
from postgrey_exporter.memory.table cimport Table
from postgrey_exporter.counting.tally cimport Tally


cdef struct Attempts:
    # What one client was greylisted in one hour.
    uint64_t number
    uint64_t new
    uint64_t early_retry
    # How many of both came after the lists changed.
    uint64_t late
    uint32_t client
    int32_t hour


cdef struct Hour:
    uint64_t number
    uint64_t[<int>VERDICTS] counts


cdef struct InWindow:
    # What one client was greylisted inside the window, and when last in the hours that the state keeps.
    uint64_t attempts
    int32_t last_hour
    bint is_kept


cdef struct Change:
    # What is added to one domain.
    uint64_t new
    uint64_t early_retry
    uint64_t ineffective
    uint64_t unreviewed
    int32_t last_hour


cdef class Increment(Tally):
    cdef double _lists_changed
    cdef Table _attempts
    cdef Table _hours

    cdef list _ids(self, domain_ids)
