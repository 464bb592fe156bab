"""What a reading adds to the state: decisions and greylistings by hour as well, and all of it as the state's rows.

Rows come in the order of their keys, which is what a table in a file takes fastest.
"""

from libc.math cimport INFINITY, floor, isnan
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from postgrey_exporter.counting.client cimport Client, judge
from postgrey_exporter.parsing.decisions cimport EARLY_RETRY, NEW, VERDICTS, Line
from postgrey_exporter.parsing.hashing cimport KeyedHash
from postgrey_exporter.counting.message cimport DELIVERED, NO_DELAY, Message, Story, add_known
from postgrey_exporter.counting.seen cimport Seen
from postgrey_exporter.memory.table cimport Ranks, Rows, Table, mixed
from postgrey_exporter.counting.tally cimport SOME, Noted, Tally

from postgrey_exporter.decision import DECISION_LABELS
from postgrey_exporter.counting.evidence import DomainChange
from postgrey_exporter.lists.verdict import UNCOVERED, WHITELISTED

cdef double HOUR = 3600.0
cdef double MOST_HOURS = 0x7FFFFFFF
cdef int OF_NO_LIST = UNCOVERED
cdef int OF_THE_WHITELIST = WHITELISTED


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

    def __cinit__(self, *_, **__):
        self._lists_changed = INFINITY
        self._attempts = Table(sizeof(Attempts))
        self._hours = Table(sizeof(Hour))

    def __init__(self, KeyedHash keyed, *, since=None, until=None, lists_changed=INFINITY):
        Tally.__init__(self, keyed, since=since, until=until)
        self._lists_changed = lists_changed

    def judge(self, lists):
        judge(self._clients, self._texts, lists)

    def decision_hours(self):
        cdef size_t at
        cdef int code
        cdef Hour *hour
        rows = []
        for at in range(self._hours.used):
            hour = <Hour *>self._hours.at(at)
            for code in range(VERDICTS):
                if hour.counts[code]:
                    rows.append((<int32_t>hour.number, *DECISION_LABELS[code], hour.counts[code]))
        return sorted(rows)

    def domain_changes(self, int32_t first_hour):
        cdef size_t at
        cdef Client *client
        cdef Attempts *attempts
        cdef Change *change
        cdef Rows changes = Rows(sizeof(Change))
        cdef list domains = self.domains
        changes.fill(len(domains))
        for at in range(self._attempts.used):
            attempts = <Attempts *>self._attempts.at(at)
            client = self._client_at(attempts.client)
            change = <Change *>changes.at(client.domain)
            change.new += attempts.new
            change.early_retry += attempts.early_retry
            if client.verdict == OF_THE_WHITELIST:
                change.ineffective += attempts.late
            change.last_hour = max(change.last_hour, attempts.hour)
            if attempts.hour >= first_hour and client.verdict == OF_NO_LIST:
                change.unreviewed += attempts.new + attempts.early_retry
        found = {}
        for at, domain in enumerate(domains):
            change = <Change *>changes.at(at)
            if change.new or change.early_retry:
                found[domain] = DomainChange(
                    change.new, change.early_retry, change.ineffective, change.unreviewed, change.last_hour
                )
        return found

    def client_rows(self, domain_ids, int32_t first_hour, int32_t kept_hour):
        cdef size_t at
        cdef Attempts *attempts
        cdef Client *client
        cdef InWindow *inside
        cdef Ranks order = Ranks()
        cdef Rows window = Rows(sizeof(InWindow))
        cdef list ids = self._ids(domain_ids)
        window.fill(self._clients.used)
        for at in range(self._attempts.used):
            attempts = <Attempts *>self._attempts.at(at)
            if attempts.hour >= kept_hour:
                inside = <InWindow *>window.at(attempts.client)
                if not inside.is_kept:
                    order.rank(<int64_t>self._client_at(attempts.client).number, 0, attempts.client)
                inside.last_hour = max(inside.last_hour, attempts.hour) if inside.is_kept else attempts.hour
                inside.is_kept = True
                if attempts.hour >= first_hour:
                    inside.attempts += attempts.new + attempts.early_retry
        order.sort()
        for at in range(order.used):
            client = self._client_at(order.ranked(at).position)
            inside = <InWindow *>window.at(order.ranked(at).position)
            yield (
                order.ranked(at).major, self._name(client), self._address(client), ids[client.domain],
                client.network, client.verdict, inside.last_hour, inside.attempts,
            )

    def attempt_rows(self, int32_t kept_hour):
        cdef size_t at
        cdef Attempts *attempts
        cdef Ranks order = Ranks()
        for at in range(self._attempts.used):
            attempts = <Attempts *>self._attempts.at(at)
            if attempts.hour >= kept_hour:
                order.rank(attempts.hour, <int64_t>self._client_at(attempts.client).number, at)
        order.sort()
        for at in range(order.used):
            attempts = <Attempts *>self._attempts.at(order.ranked(at).position)
            yield order.ranked(at).major, order.ranked(at).minor, attempts.new, attempts.early_retry

    def story_rows(self, domain_ids, Seen seen=None):
        cdef size_t at
        cdef Story *story
        cdef int64_t domain
        cdef Ranks order = Ranks()
        cdef list ids = self._ids(domain_ids)
        self._check_is_open()
        for at in range(self._stories.stories.used):
            story = <Story *>self._stories.stories.at(at)
            domain = ids[story.domain]
            if domain and (seen is None or seen.may_hold(mixed(story.key, domain))):
                order.rank(domain, <int64_t>story.key, at)
        order.sort()
        for at in range(order.used):
            yield order.ranked(at).major, order.ranked(at).minor, order.ranked(at).position

    def note_seen(self, domain_ids, Seen seen not None):
        cdef size_t at
        cdef Message *message
        cdef list ids = self._ids(domain_ids)
        self._check_is_open()
        for at in range(self._stories.messages.used):
            message = self._message_at(at)
            seen.add(mixed((<Story *>self._stories.stories.at(message.story)).key, ids[message.domain]))

    def remember(
        self, uint32_t story, double first, double last, uint32_t network, bint moved, accepted, reported, bint line
    ):
        cdef Message *message
        self._check_is_open()
        if story >= self._stories.stories.used:
            raise IndexError(f"there is no story {story}")
        message = add_known(self._stories.messages, first, last, network, moved, accepted, reported, line)
        self._stories.follow(message, story)

    def message_rows(self, domain_ids, double first_moment):
        cdef size_t at
        cdef Message *message
        cdef Story *story
        cdef Ranks order = Ranks()
        cdef list ids = self._ids(domain_ids)
        self._check_is_open()
        for at in range(self._stories.messages.used):
            message = <Message *>self._stories.messages.at(at)
            story = <Story *>self._stories.stories.at(message.story)
            if message.changed and message.last >= first_moment and ids[story.domain]:
                order.rank(ids[story.domain], <int64_t>story.key, at)
        order.sort()
        for at in range(order.used):
            message = <Message *>self._stories.messages.at(order.ranked(at).position)
            accepted = None if isnan(message.accepted) else message.accepted
            reported = None if message.reported == NO_DELAY else message.reported
            yield (
                order.ranked(at).major, order.ranked(at).minor, message.first, message.last,
                message.network, message.moved, accepted, reported, message.line,
            )

    def deliveries(self, domain_ids):
        cdef size_t at
        cdef Message *message
        cdef list ids = self._ids(domain_ids)
        for at in range(self._stories.messages.used):
            message = self._message_at(at)
            if message.changed & DELIVERED and ids[message.domain]:
                yield max(0.0, message.accepted - message.first)

    cdef int _note_more(self, const Noted *noted, size_t count) except -1 nogil:
        """Count decisions by their hour, and by client too where they were greylisted."""
        cdef uint64_t[SOME] numbers
        cdef const Line *line
        cdef Attempts *attempts
        cdef size_t at
        cdef int32_t hour
        for at in range(count):
            line = noted[at].line
            hour = _hour_of(line.time)
            (<Hour *>self._hours.at(self._hours.place(<uint32_t>hour))).counts[line.verdict] += line.times
            numbers[at] = mixed(line.client, <uint32_t>hour)
            if not noted[at].passed:
                self._attempts.fetch(numbers[at])
        for at in range(count):
            if not noted[at].passed:
                self._attempts.fetch_record(numbers[at])
        for at in range(count):
            if not noted[at].passed:
                line = noted[at].line
                attempts = <Attempts *>self._attempts.at(self._attempts.place(numbers[at]))
                attempts.hour = _hour_of(line.time)
                attempts.client = noted[at].client
                attempts.new += line.times * (line.verdict == NEW)
                attempts.early_retry += line.times * (line.verdict == EARLY_RETRY)
                attempts.late += line.times * (line.time > self._lists_changed)
        return 0

    cdef size_t _size_bytes(self) noexcept:
        return Tally._size_bytes(self) + self._attempts.size_bytes() + self._hours.size_bytes()

    cdef list _ids(self, domain_ids):
        """Return the number that the state has for each domain; 0 where it has none."""
        return [domain_ids.get(domain, 0) for domain in self._placing.domains]


cdef int32_t _hour_of(double moment) noexcept nogil:
    # A file may claim to be from whenever; the first and the last hour hold what lies beyond them.
    return <int32_t>max(-MOST_HOURS, min(floor(moment / HOUR), MOST_HOURS))
