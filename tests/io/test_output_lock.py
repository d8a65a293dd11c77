"""Two runs never write one output; a lock of a dead run is no obstacle."""

import json
import os
import subprocess
import sys
import time

import pytest

from mmvos.io import output_lock
from mmvos.io.atomic import OutputError
from mmvos.io.output_lock import OutputLock, read_owner

HOLD = (
    'import sys, time, os; from mmvos.io.output_lock import OutputLock\n'
    'with OutputLock(sys.argv[1], "results"):\n'
    '    child = os.fork() if sys.argv[2] == "fork" else 0\n'
    '    if child == 0: print(os.getpid(), flush=True)\n'
    '    time.sleep(60)'
)


def hold(lock, how='alone'):
    """A process that holds a lock, and the id of its child."""
    holder = subprocess.Popen(
        [sys.executable, '-c', HOLD, str(lock), how], stdout=subprocess.PIPE, text=True
    )
    return holder, holder.stdout.readline().strip()


def test_the_second_run_names_the_first(tmp_path):
    lock = tmp_path / 'r.lock'
    holder, _ = hold(lock)
    try:
        begin = time.monotonic()
        expected = rf'r is being written by process {holder.pid} on '
        with pytest.raises(OutputError, match=expected), OutputLock(lock, tmp_path / 'r'):
            raise AssertionError('both hold the lock')
        assert time.monotonic() - begin < 1
        assert read_owner(lock).process == holder.pid  # the refused one changed nothing
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with OutputLock(lock, tmp_path / 'r'):  # kill -9 freed it
        assert read_owner(lock).process == os.getpid()
    assert not lock.exists()


def test_a_worker_that_outlives_its_run_does_not_hold_the_lock(tmp_path):
    holder, child = hold(tmp_path / 'r.lock', 'fork')
    holder.kill()
    holder.wait()
    try:
        with OutputLock(tmp_path / 'r.lock', 'r'):
            pass
    finally:
        os.kill(int(child), 9)
        holder.stdout.close()


def test_two_locks_of_one_process_exclude_each_other(tmp_path):
    lock = tmp_path / 'r.lock'
    with OutputLock(lock, 'r'):
        with pytest.raises(OutputError, match=str(os.getpid())), OutputLock(lock, 'r'):
            pass
        assert lock.exists()
    with OutputLock(tmp_path / 'r.lock', 'r'):
        pass


@pytest.mark.parametrize('content', ['', '{', '[]', '{"host": 1}', '\x00\x00'])
def test_a_damaged_file_that_nobody_holds_is_taken_over(tmp_path, content):
    (tmp_path / 'r.lock').write_text(content)
    with OutputLock(tmp_path / 'r.lock', 'r'):
        assert read_owner(tmp_path / 'r.lock').process == os.getpid()


@pytest.mark.parametrize(
    'host, process, free',
    [('elsewhere', 1, False), (None, os.getppid(), False), (None, 2**22 + 1, True)],
)
def test_without_locks_of_the_file_system_the_named_owner_decides(
    tmp_path, monkeypatch, host, process, free
):
    monkeypatch.setattr(output_lock, 'fcntl', None)
    host = host or output_lock.socket.gethostname()
    owner = dict(host=host, process=process, command='test', start='today')
    (tmp_path / 'r.lock').write_text(json.dumps(owner))
    if free:
        with OutputLock(tmp_path / 'r.lock', 'r'):
            assert read_owner(tmp_path / 'r.lock').process == os.getpid()
        return
    expected = f'process {process} on {host}'
    with pytest.raises(OutputError, match=expected), OutputLock(tmp_path / 'r.lock', 'r'):
        pass


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    lock = OutputLock(tmp_path / 'file' / 'r.lock', 'r')
    with pytest.raises(OutputError, match='not a folder'), lock:
        pass
