"""Work behind one's back: in order, bounded, and its errors come out."""

from __future__ import annotations

import threading
import time

import pytest

from oceanx.workflows.behind import Behind


def test_in_order_by_another_thread_and_no_more_than_two_ahead() -> None:
    done: list[int] = []
    gate, most = threading.Event(), []

    def work(number: int) -> None:
        gate.wait(10)
        assert threading.current_thread() is not threading.main_thread()
        done.append(number)

    opened = threading.Timer(0.2, gate.set)
    opened.start()
    with Behind(most=2) as behind:
        for number in range(6):
            behind.do(lambda number=number: work(number))
            most.append(number + 1 - len(done))
    assert done == list(range(6))
    assert max(most) <= 3
    assert most[:2] == [1, 2]


def test_an_error_comes_out_promptly_and_what_follows_is_not_done() -> None:
    done: list[int] = []
    gate = threading.Event()

    def fail() -> None:
        gate.wait(10)
        raise OSError("full")

    def owner() -> None:
        with Behind() as behind:
            behind.do(fail)
            behind.do(lambda: done.append(1))
            gate.set()
            for _ in range(10_000):  # a model that goes on stepping
                time.sleep(0.001)
                behind.check()

    begun = time.monotonic()
    with pytest.raises(OSError, match="full"):
        owner()
    assert time.monotonic() - begun < 5
    assert not done


def test_an_error_of_the_last_piece_comes_out_at_the_end() -> None:
    with pytest.raises(ZeroDivisionError), Behind() as behind:
        behind.do(lambda: 1 / 0)  # type: ignore[arg-type, return-value]


def test_what_was_given_before_the_owner_failed_is_done() -> None:
    done: list[int] = []

    def owner() -> None:
        with Behind() as behind:
            behind.do(lambda: (time.sleep(0.05), done.append(1))[1])
            behind.do(lambda: done.append(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        owner()
    assert done == [1, 2]
