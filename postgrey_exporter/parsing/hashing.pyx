"""Keyed hashes: numbers that stand for what is not to be kept, or would take too much room.

SipHash-2-4 (Aumasson and Bernstein, 2012): made for short texts that an attacker chooses.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

KEY_SIZE = 16


cdef inline uint64_t _rotated(uint64_t value, int bits) noexcept nogil:
    return (value << bits) | (value >> (64 - bits))


cdef struct _State:
    uint64_t a
    uint64_t b
    uint64_t c
    uint64_t d


cdef inline void _round(_State *state) noexcept nogil:
    state.a += state.b
    state.b = _rotated(state.b, 13) ^ state.a
    state.a = _rotated(state.a, 32)
    state.c += state.d
    state.d = _rotated(state.d, 16) ^ state.c
    state.a += state.d
    state.d = _rotated(state.d, 21) ^ state.a
    state.c += state.b
    state.b = _rotated(state.b, 17) ^ state.c
    state.c = _rotated(state.c, 32)


cdef inline void _take(_State *state, uint64_t word) noexcept nogil:
    state.d ^= word
    _round(state)
    _round(state)
    state.a ^= word


cdef class KeyedHash:
    def __cinit__(self, bytes secret not None):
        if len(secret) != KEY_SIZE:
            raise ValueError(f"a secret has {KEY_SIZE} bytes, not {len(secret)}")
        self._first = int.from_bytes(secret[:8], "little")
        self._second = int.from_bytes(secret[8:], "little")

    def number(self, bytes text not None):
        return <int64_t>self.of(text, len(text))

    cdef uint64_t of(self, const unsigned char *text, size_t size) noexcept nogil:
        cdef _State state
        cdef uint64_t word
        cdef size_t at = 0
        state.a = self._first ^ 0x736F6D6570736575ULL
        state.b = self._second ^ 0x646F72616E646F6DULL
        state.c = self._first ^ 0x6C7967656E657261ULL
        state.d = self._second ^ 0x7465646279746573ULL
        # Words are read as the machine has them: a state file does not move between machines of different byte order.
        while at + 8 <= size:
            memcpy(&word, text + at, 8)
            _take(&state, word)
            at += 8
        word = 0
        memcpy(&word, text + at, size - at)
        _take(&state, word | <uint64_t>(size & 0xFF) << 56)
        state.c ^= 0xFF
        _round(&state)
        _round(&state)
        _round(&state)
        _round(&state)
        return state.a ^ state.b ^ state.c ^ state.d
