"""Clients in memory, and what the lists say of each."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from postgrey_exporter.parsing.field cimport LONGEST_ADDRESS, OCTETS
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.memory.system cimport AF_INET6, inet_pton
from postgrey_exporter.memory.table cimport Positions, Rows, Table, Text, mixed

from os import urandom

from postgrey_exporter.clients import addresses
from postgrey_exporter.parsing.hashing import KEY_SIZE
from postgrey_exporter.lists.verdict import UNCOVERED, WHITELISTED

NO_NETWORK = addresses.NO_NETWORK
IPV6_NETWORKS = addresses.IPV6_NETWORKS
cdef int OF_NO_LIST = UNCOVERED
cdef int OF_THE_WHITELIST = WHITELISTED
cdef uint64_t SPREAD = int.from_bytes(urandom(8))
cdef enum:
    MOST_ANSWERS = 100_000


cdef uint32_t network_of(const unsigned char *address, size_t size) noexcept nogil:
    """Return a number that stands for addresses.network_of a normalised address; the same in every run.

    Of an IPv4 address, which is known by it, the octets of its network; of an IPv6 address a hash, above all others.
    """
    cdef char[LONGEST_ADDRESS + 1] text
    cdef uint8_t[16] packed
    cdef uint64_t prefix
    cdef uint32_t network = 0
    cdef uint32_t octet = 0
    cdef size_t at, dots = 0
    if size == 0 or size > LONGEST_ADDRESS:
        return NO_NETWORK
    if memchr(address, c":", size) == NULL:
        for at in range(size):
            if address[at] == c".":
                network = network << 8 | octet
                octet = 0
                dots += 1
                if dots == OCTETS - 1:
                    break
            else:
                octet = octet * 10 + address[at] - c"0"
        return network
    memcpy(text, address, size)
    text[size] = 0
    if inet_pton(AF_INET6, text, packed) != 1:
        return NO_NETWORK
    prefix = 0
    for at in range(8):
        prefix = prefix << 8 | packed[at]
    # 2^64 divided by the golden ratio (Knuth, The Art of Computer Programming, 6.4).
    return IPV6_NETWORKS | <uint32_t>((prefix * 0x9E3779B97F4A7C15ULL) >> 33)


cdef uint64_t network_key(uint32_t network) noexcept nogil:
    """Return the number by which a network is found in a table: its own in the upper half.

    Whoever sends from a large network of IPv6 may choose among its parts, but can't foresee the lower half.
    """
    return <uint64_t>network << 32 | <uint32_t>mixed(network, SPREAD)


cdef str text_of(const unsigned char *text, size_t size):
    return (<const char *>text)[:size].decode("utf-8", "replace")


cdef struct Answer:
    uint64_t number
    bint may


cdef class Unconcerned:
    cdef object _lists
    cdef KeyedHash _keyed
    cdef Table _names
    cdef Table _networks

    def __cinit__(self, lists):
        self._lists = lists
        self._keyed = KeyedHash(urandom(KEY_SIZE))
        self._names = Table(sizeof(Answer))
        self._networks = Table(sizeof(Answer))

    # Threads may share one with its lists: between a look-up and the use of what it found, no Python runs.

    cdef bint is_network_concerned(self, uint32_t network) except -1:
        """Tell whether an entry may cover some client of a network, whatever its name."""
        cdef uint64_t number = network_key(network)
        cdef Py_ssize_t position = self._networks.find(number)
        if position < 0:
            position = _note(self._networks, number, self._lists.may_cover_network(network))
        return (<Answer *>self._networks.at(position)).may

    cdef bint is_name_concerned(self, const unsigned char *name, size_t size) except -1:
        """Tell whether an entry may cover a client by its name."""
        cdef const unsigned char *dot = <const unsigned char *>memchr(name, c".", size)
        if dot == NULL:
            return self._are_names_concerned(name, size)
        return dot - name > LONGEST_LABEL or self._are_names_concerned(dot, size - (dot - name))

    cdef bint _are_names_concerned(self, const unsigned char *name, size_t size) except -1:
        """Tell whether an entry is about a name or, where a dot is in front, about some name that ends so."""
        cdef uint64_t number = self._keyed.of(name, size)
        cdef Py_ssize_t position = self._names.find(number)
        if position < 0:
            if name[0] == c".":
                may = self._lists.may_cover_names_below(text_of(name + 1, size - 1))
            else:
                may = self._lists.may_cover_name(text_of(name, size))
            position = _note(self._names, number, may)
        return (<Answer *>self._names.at(position)).may


cdef Py_ssize_t _note(Table answers, uint64_t number, bint may) except -1:
    cdef Py_ssize_t position
    if answers.used == MOST_ANSWERS:
        answers.clear()
    position = answers.place(number)
    (<Answer *>answers.at(position)).may = may
    return position


cdef int judge(Rows clients, Text texts, object lists, str domain=None) except -1:
    """Note of each client what the lists say, as a number of the module verdict.

    With ``domain`` all of them have names in it.
    """
    cdef Unconcerned unconcerned
    cdef Positions concerned = Positions()
    cdef Client *client
    cdef size_t at
    cdef bint is_empty = lists.is_empty
    cdef object by_domain = None if domain is None or is_empty else lists.verdict_by_domain(domain)
    cdef bint is_settled = is_empty or by_domain is not None
    cdef int verdict = OF_NO_LIST if by_domain is None else by_domain
    if lists.unconcerned is None:
        lists.unconcerned = Unconcerned(lists)
    unconcerned = lists.unconcerned
    for at in range(clients.used):
        client = <Client *>clients.at(at)
        client.verdict = <uint8_t>verdict
        if is_empty or verdict == OF_THE_WHITELIST:
            continue
        if unconcerned.is_network_concerned(client.network) or (
            not is_settled and unconcerned.is_name_concerned(texts.at(client.text), client.name_size)
        ):
            concerned.put(at)
    if concerned.used:
        for at, verdict in zip(range(concerned.used), lists.verdicts(_named(clients, concerned, texts)), strict=True):
            (<Client *>clients.at(concerned.position(at))).verdict = <uint8_t>verdict
    return 0


def _named(Rows clients, Positions order, Text texts):
    cdef size_t at
    cdef Client *client
    cdef const unsigned char *text
    for at in range(order.used):
        client = <Client *>clients.at(order.position(at))
        text = texts.at(client.text)
        yield text_of(text, client.name_size), text_of(address_of(client, text), client.address_size)
