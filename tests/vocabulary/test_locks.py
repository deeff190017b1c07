"""Locks: one writer at a time, and no hindrance where a file system has none."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from contextlib import ExitStack

import pytest

from oceanx.vocabulary.errors import InputError
from oceanx.vocabulary.files import partial, replacing
from oceanx.vocabulary.locks import locked

fcntl = pytest.importorskip("fcntl")


def written_slowly(target, begun):
    with replacing(target) as path:
        path.write_text("half")
        begun.set()
        time.sleep(120)


def test_a_second_process_is_refused_and_takes_nothing_from_the_first(tmp_path):
    target, spawn = tmp_path / "target", multiprocessing.get_context("spawn")
    begun = spawn.Event()
    first = spawn.Process(target=written_slowly, args=(target, begun))
    first.start()
    try:
        assert begun.wait(60)
        with pytest.raises(InputError, match=r"target: another process is writing it; wait for"), replacing(target):
            pytest.fail("the block ran")
        assert partial(target).read_text() == "half"
    finally:
        first.kill()
        first.join()
    with replacing(target) as path:  # the lock went with the process
        path.write_text("whole")
    assert [each.name for each in tmp_path.iterdir()] == ["target"]


def test_what_another_process_made_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    target, taken = tmp_path / "target", fcntl.flock

    def late(lock, kind):
        target.write_text("theirs")
        taken(lock, kind)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(InputError, match="target: exists already"), replacing(target):
        pytest.fail("the block ran")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["theirs"]


def test_who_shares_is_let_in_and_who_wants_it_alone_is_not(tmp_path):
    lock = tmp_path / "lock"
    with ExitStack() as several:
        for _ in range(2):
            several.enter_context(locked(lock, tmp_path, shared=True))
        with pytest.raises(InputError, match="another process"), locked(lock, tmp_path):
            pytest.fail("the block ran")
    with locked(lock, tmp_path), pytest.raises(InputError), locked(lock, tmp_path, shared=True):
        pytest.fail("the block ran")


def test_a_child_that_lives_on_does_not_keep_it(tmp_path):
    with locked(tmp_path / "lock", tmp_path):
        child = os.fork()
        if not child:
            time.sleep(120)
            os._exit(0)
    try:
        with locked(tmp_path / "lock", tmp_path):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_is_no_hindrance(tmp_path, monkeypatch, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with replacing(tmp_path / "target") as path:
        path.write_text("whole")
    assert [each.name for each in tmp_path.iterdir()] == ["target"]


def test_what_else_goes_wrong_is_not_called_another_process(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), locked(tmp_path / "lock", tmp_path):
        pytest.fail("the block ran")
