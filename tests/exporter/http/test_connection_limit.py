"""Which connection is closed when there is no room for another."""

from __future__ import annotations

from postgrey_exporter.exporter.http import connection_limit as room_module
from postgrey_exporter.exporter.http.connection_limit import Room


class Guest:
    def __init__(self, room: Room) -> None:
        self.is_closed = False
        room.rest(self)

    def abort(self) -> None:
        self.is_closed = True


def closed(guests: list[Guest]) -> list[int]:
    return [number for number, guest in enumerate(guests) if guest.is_closed]


def test_it_is_full_with_as_many_as_there_may_be() -> None:
    room = Room(2)
    first = Guest(room)
    assert not room.is_full
    room.work(first)
    Guest(room)
    assert room.is_full
    room.leave(first)
    assert not room.is_full


def test_what_has_been_idle_longest_is_closed_first_and_what_is_at_work_last() -> None:
    room = Room(9)
    guests = [Guest(room) for _ in range(5)]
    room.work(guests[0])
    room.work(guests[2])
    room.rest(guests[0])  # its request is answered
    room.make(1)
    assert closed(guests) == [1]
    room.make(3)
    assert closed(guests) == [0, 1, 3, 4]
    room.make(9)
    assert closed(guests) == [0, 1, 2, 3, 4]
    assert not Room(1).is_full


def test_of_too_many_requests_under_way_the_one_that_takes_longest_is_given_up() -> None:
    room = Room(10 * room_module.MOST_WORKING)
    guests = [Guest(room) for _ in range(room_module.MOST_WORKING + 2)]
    for guest in guests:
        room.work(guest)
    assert closed(guests) == [0, 1]
