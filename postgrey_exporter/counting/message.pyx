"""Messages in memory: attempts are collected, and settled into what became of each message.

They happen in the log's order, one by one: where the log is cut makes no difference. An attempt may be stamped
earlier than one before it, as in the logs of two hosts, one behind the other. It belongs to the message that was
open at its time or, where none was, to the one that began less than the retry window after it. The begin of a
message stays what the log had first.
"""

from libc.math cimport INFINITY, NAN, isnan, nextafter
from libc.stdint cimport int32_t, uint32_t, uint64_t

from postgrey_exporter.memory.table cimport FETCHED_AHEAD, Rows, Table, prefetch

from postgrey_exporter.parsing.message_key import MOST_BACK, RETRY_WINDOW

cdef int MOST_MESSAGES_BACK = MOST_BACK
cdef double OPEN_SECONDS = RETRY_WINDOW
cdef double SAME_MOMENT = 1e-3


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

    cdef int settle(self) except -1:
        """Replay the attempts onto the messages."""
        cdef size_t at
        cdef size_t count = self.attempts.used
        with nogil:
            for at in range(count):
                if at + FETCHED_AHEAD < count:
                    self._fetch(at + FETCHED_AHEAD)
                self._replay(<Attempt *>self.attempts.at(at))
        self.attempts.clear()
        return 0

    cdef void follow(self, Message *message, size_t position) noexcept nogil:
        """Have the message that was added last be the latest of a story."""
        cdef Story *story = <Story *>self.stories.at(position)
        message.story = <uint32_t>position
        message.domain = story.domain
        message.previous = story.latest
        story.latest = <uint32_t>(self.messages.used - 1)

    cdef void _fetch(self, size_t at) noexcept nogil:
        """Have the message ready soon that an attempt is likely to belong to."""
        cdef uint32_t latest = (<Story *>self.stories.at((<Attempt *>self.attempts.at(at)).story)).latest
        if latest != NO_MESSAGE:
            prefetch(self.messages.at(latest))

    cdef int _replay(self, const Attempt *attempt) except -1 nogil:
        """Let one attempt happen. What is only a pass and belongs to no open message leaves no trace."""
        cdef Story *story = <Story *>self.stories.at(attempt.story)
        cdef uint32_t position = story.latest
        cdef uint32_t following = NO_MESSAGE
        cdef Message *before = NULL
        cdef Message *after = NULL
        cdef Message *begun
        cdef double first = attempt.time
        cdef int back = 0
        while position != NO_MESSAGE:
            before = <Message *>self.messages.at(position)
            if before.first - attempt.time < SAME_MOMENT:
                break
            back += 1
            if back == MOST_MESSAGES_BACK:
                return 0
            after = before
            following = position
            position = before.previous
        if position != NO_MESSAGE:
            if attempt.time - before.last < OPEN_SECONDS and (
                isnan(before.accepted) or (not attempt.passed and attempt.time < before.accepted)
            ):
                before.last = max(attempt.time, before.last)
                before.changed |= CHANGED
                if attempt.passed:
                    before.changed |= DELIVERED
                    before.accepted = attempt.time
                    before.reported = attempt.reported
                else:
                    before.moved |= attempt.network != before.network
                return 0
            # Messages of one key are told apart by their begin.
            first = max(first, nextafter(before.first, INFINITY))
        if attempt.passed:
            return 0
        if after != NULL:
            if after.first - attempt.time < OPEN_SECONDS:
                after.changed |= CHANGED
                after.moved |= attempt.network != after.network
                return 0
            if first >= after.first:
                return 0
        begun = <Message *>self.messages.add()
        begun.first = begun.last = first
        begun.accepted = NAN
        begun.reported = NO_DELAY
        begun.network = attempt.network
        begun.line = attempt.line
        begun.changed = CHANGED
        if following == NO_MESSAGE:
            self.follow(begun, attempt.story)
        else:
            begun.story = attempt.story
            begun.domain = story.domain
            begun.previous = position
            (<Message *>self.messages.at(following)).previous = <uint32_t>(self.messages.used - 1)
        return 0
