"""Messages in memory: attempts are collected as the log has them, and settled into what became of each message."""

from libc.math cimport INFINITY, NAN, isnan, nextafter
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.stdlib cimport qsort

from postgrey_exporter.counting.table cimport FETCHED_AHEAD, Positions, Rows, Table, prefetch

from postgrey_exporter.messages import RETRY_WINDOW

cdef double OPEN_SECONDS = RETRY_WINDOW
cdef double SAME_MOMENT = 1e-3


cdef struct Moment:
    double time
    uint32_t position


cdef Message *add_known(
    Rows messages, double first, double last, uint32_t network, bint moved, accepted, reported, bint line
) except NULL:
    """Add a message as a state has it, of which ``accepted`` and ``reported`` may be None."""
    cdef double when_accepted = NAN if accepted is None else accepted
    cdef int32_t delay = NO_DELAY if reported is None else reported
    cdef Message *message = <Message *>messages.add()
    message.first = first
    message.last = last
    message.network = network
    message.moved = moved
    message.accepted = when_accepted
    message.reported = delay
    message.line = line
    return message


cdef class Stories:
    def __cinit__(self):
        self.stories = Table(sizeof(Story))
        self.messages = Rows(sizeof(Message))
        self.attempts = Rows(sizeof(Attempt))

    cdef Py_ssize_t story(self, uint64_t number, uint64_t key, uint32_t domain) except -1 nogil:
        """Return the position of the story of a message key and a domain, and of the number that is made of them."""
        cdef size_t before = self.stories.used
        cdef Py_ssize_t position = self.stories.place(number)
        cdef Story *found
        if self.stories.used != before:
            found = <Story *>self.stories.at(position)
            found.key = key
            found.domain = domain
            found.latest = NO_MESSAGE
        return position

    cdef Attempt *attempt(self) except NULL nogil:
        """Return a new attempt to be filled in."""
        return <Attempt *>self.attempts.add()

    cdef int settle(self) except -1:
        """Replay the attempts onto the messages: each story's by their time, and as the log has them within one."""
        cdef Positions order = Positions()
        cdef size_t begin = 0, end = 0
        cdef size_t count = self.attempts.used
        order.group(self.attempts, offset_of_story(), self.stories.used)
        while begin < count:
            while end < count and self._story(order, end) == self._story(order, begin):
                end += 1
            self._sort(order, begin, end)
            while begin < end:
                if end + FETCHED_AHEAD < count:
                    prefetch(self.attempts.at(order.position(end + FETCHED_AHEAD)))
                self._replay(<Attempt *>self.attempts.at(order.position(begin)))
                begin += 1
        self.attempts.clear()
        return 0

    cdef void close(self) noexcept:
        """Keep the messages alone."""
        self.stories.clear()

    cdef size_t _story(self, Positions order, size_t at) noexcept nogil:
        return (<Attempt *>self.attempts.at(order.position(at))).story

    cdef int _sort(self, Positions order, size_t begin, size_t end) except -1:
        """Sort a stretch of attempts by their time. Nearly always they are sorted already."""
        cdef Rows moments
        cdef Moment *moment
        cdef size_t at
        for at in range(begin + 1, end):
            if self._time(order, at) < self._time(order, at - 1):
                break
        else:
            return 0
        moments = Rows(sizeof(Moment))
        moments.fill(end - begin)
        for at in range(begin, end):
            moment = <Moment *>moments.at(at - begin)
            moment.time = self._time(order, at)
            moment.position = <uint32_t>order.position(at)
        qsort(moments.at(0), end - begin, sizeof(Moment), _compare)
        for at in range(begin, end):
            (<uint32_t *>order.at(at))[0] = (<Moment *>moments.at(at - begin)).position
        return 0

    cdef double _time(self, Positions order, size_t at) noexcept nogil:
        return (<Attempt *>self.attempts.at(order.position(at))).time

    cdef Py_ssize_t _replay(self, const Attempt *attempt) except -1 nogil:
        """Let one attempt happen. What is only a pass and belongs to no open message leaves no trace."""
        cdef Story *story = <Story *>self.stories.at(attempt.story)
        cdef Message *latest = NULL
        cdef Message *begun
        cdef double first = attempt.time
        if story.latest != NO_MESSAGE:
            latest = <Message *>self.messages.at(story.latest)
            if isnan(latest.accepted) and attempt.time - latest.last < OPEN_SECONDS:
                latest.last = max(attempt.time, latest.last)
                latest.changed = True
                if attempt.passed:
                    latest.accepted = attempt.time
                    latest.reported = attempt.reported
                else:
                    latest.moved |= attempt.network != latest.network
                return 0
            if 0 <= latest.first - first < SAME_MOMENT:
                # Messages of one key are told apart by their begin.
                first = nextafter(latest.first, INFINITY)
        if attempt.passed:
            return 0
        begun = <Message *>self.messages.add()
        begun.first = first
        begun.last = max(first, attempt.time)
        begun.accepted = NAN
        begun.reported = NO_DELAY
        begun.story = attempt.story
        begun.domain = story.domain
        begun.network = attempt.network
        begun.line = attempt.line
        begun.changed = True
        story.latest = <uint32_t>(self.messages.used - 1)
        return 0


cdef int _compare(const void *one, const void *other) noexcept nogil:
    cdef const Moment *a = <const Moment *>one
    cdef const Moment *b = <const Moment *>other
    if a.time != b.time:
        return -1 if a.time < b.time else 1
    return -1 if a.position < b.position else 1
