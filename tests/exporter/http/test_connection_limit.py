"""Which connection is closed when there are too many."""

from __future__ import annotations

from postgrey_exporter.exporter.http.connection_limit import MOST_WORKING, ConnectionLimit


class Guest:
    def __init__(self, limit: ConnectionLimit) -> None:
        self.is_closed = False
        limit.note_idle(self)

    def abort(self) -> None:
        self.is_closed = True


def closed(guests: list[Guest]) -> list[int]:
    return [number for number, guest in enumerate(guests) if guest.is_closed]


def test_it_is_full_with_as_many_as_there_may_be() -> None:
    limit = ConnectionLimit(2)
    first = Guest(limit)
    assert not limit.is_reached
    limit.note_working(first)
    Guest(limit)
    assert limit.is_reached
    limit.forget(first)
    assert not limit.is_reached


def test_what_has_been_idle_longest_is_closed_first_and_what_is_at_work_last() -> None:
    limit = ConnectionLimit(9)
    guests = [Guest(limit) for _ in range(5)]
    limit.note_working(guests[0])
    limit.note_working(guests[2])
    limit.note_idle(guests[0])  # its request is answered
    limit.close(1)
    assert closed(guests) == [1]
    limit.close(3)
    assert closed(guests) == [0, 1, 3, 4]
    limit.close(9)
    assert closed(guests) == [0, 1, 2, 3, 4]
    assert not ConnectionLimit(1).is_reached


def test_of_too_many_requests_under_way_the_one_that_takes_longest_is_given_up() -> None:
    limit = ConnectionLimit(10 * MOST_WORKING)
    guests = [Guest(limit) for _ in range(MOST_WORKING + 2)]
    for guest in guests:
        limit.note_working(guest)
    assert closed(guests) == [0, 1]
