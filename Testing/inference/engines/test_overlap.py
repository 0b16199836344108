"""Two parts under way at a time, in order, and nothing lost where one fails."""

from __future__ import annotations

import pytest

from LungNoduleSegLib.inference.engines.overlap import overlapped


class Line:
    """Starts work, and says what was started and read, in which order."""

    def __init__(self, fails=()):
        self.log, self.fails = [], fails

    def start(self, part):
        if part in self.fails:
            raise MemoryError(part)
        self.log.append(f"start {part}")

        def read():
            self.log.append(f"read {part}")
            return part * 10

        return read


def test_each_part_is_started_before_the_one_before_it_is_read():
    line = Line()
    assert list(overlapped([1, 2, 3], line.start)) == [10, 20, 30]
    assert line.log == ["start 1", "start 2", "read 1", "start 3", "read 2", "read 3"]


def test_parts_are_taken_no_earlier_than_they_are_started():
    line = Line()

    def parts():
        for part in (1, 2):
            line.log.append(f"take {part}")
            yield part

    list(overlapped(parts(), line.start))
    assert line.log == ["take 1", "start 1", "take 2", "start 2", "read 1", "read 2"]


@pytest.mark.parametrize("count", [0, 1])
def test_few_parts(count):
    assert list(overlapped(range(count), Line().start)) == [0] * count


def test_what_was_started_is_given_before_the_error():
    line, found = Line(fails=(3,)), []
    with pytest.raises(MemoryError, match="3"):
        for result in overlapped([1, 2, 3, 4], line.start):
            found.append(result)
    assert found == [10, 20] and line.log[-1] == "read 2"


def test_a_first_part_that_fails():
    with pytest.raises(MemoryError, match="1"):
        list(overlapped([1, 2], Line(fails=(1,)).start))
