"""Reading beside the model: ahead, or always the latest."""

from __future__ import annotations

import threading
import time

import pytest

from mmvos.apis import latest_only


def test_what_comes_while_the_caller_is_busy_is_dropped_but_not_the_last():
    given, asked = threading.Semaphore(0), []

    def camera():
        for index in range(10):
            asked.append(index)
            given.acquire()
            yield index

    items = latest_only(camera())
    given.release()
    assert next(items) == 0
    given.release(5)  # 1 to 5 come before the next is asked for
    while asked[-1] < 6:  # when the sixth is asked for, the fifth has been taken
        time.sleep(0.001)
    assert next(items) == 5
    given.release(4)
    assert list(items)[-1] == 9


def test_a_quick_caller_gets_everything():
    ready = threading.Semaphore(1)

    def camera():
        for index in range(20):
            assert ready.acquire(timeout=5)
            yield index

    seen = []
    for item in latest_only(camera()):
        seen.append(item)
        ready.release()
    assert seen == list(range(20))


def test_an_error_of_the_source_comes_up_after_the_last_item():
    def camera():
        yield 1
        raise ValueError('unplugged')

    items = latest_only(camera())
    assert next(items) == 1
    with pytest.raises(ValueError, match='unplugged'):
        next(items)


def test_a_caller_who_leaves_ends_the_source():
    closed = threading.Event()

    def camera():
        try:
            while True:
                time.sleep(0.001)
                yield 0
        finally:
            closed.set()

    items = latest_only(camera())
    next(items)
    items.close()
    assert closed.is_set()
