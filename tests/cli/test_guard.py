"""A command ends with one sentence, one line after Ctrl-C, and a traceback only for defects."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mmvos.cli.guard import interrupted_once, run_command, sentence_of
from mmvos.io.errors import DataError

START = 'import os, sys, time\nfrom mmvos.cli.guard import run_command\n'


def run(body, **options):
    """A command whose main function has this body, in a process of its own."""
    lines = ''.join(f'    {line}\n' for line in body.splitlines())
    code = f'{START}def main():\n{lines}run_command("tool", main, KeyError)\n'
    return subprocess.Popen(
        [sys.executable, '-c', code],
        stdout=options.get('stdout', subprocess.PIPE),
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    'error, sentence',
    [
        ('DataError("a.json: wrong")', 'tool: a.json: wrong'),
        ('KeyError("k")', "tool: 'k'"),
        ('OSError(28, "No space", "/x/a.png")', 'tool: /x/a.png cannot be written: the disk is'),
        ('OSError(122, "quota")', 'tool: the output cannot be written: the disk quota'),
        ('FileNotFoundError(2, "No such file or directory", "a")', 'tool: a: No such file'),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(error, sentence, capsys, monkeypatch):
    monkeypatch.delenv('MMVOS_TRACEBACK', raising=False)

    def main():
        raise eval(error)

    with pytest.raises(SystemExit) as ended:
        run_command('tool', main, KeyError)
    assert str(ended.value.code).startswith(sentence) and '\n' not in ended.value.code


def test_a_defect_goes_on_up():
    def main():
        raise AttributeError('defect')

    with pytest.raises(AttributeError):
        run_command('tool', main, ValueError)


def test_the_sentence_of_a_loader_worker_is_its_own():
    text = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
        'last):\n  File "x.py", line 1, in f\nmmvos.io.errors.DataError: v/1.jpg: it is damaged\n'
    )
    assert sentence_of(DataError(text)) == 'v/1.jpg: it is damaged'


def test_an_output_that_is_full_is_a_sentence():
    with open('/dev/full', 'w') as full:
        command = run('print("much")', stdout=full)
        errors = command.communicate()[1]
    assert command.returncode == 1
    assert errors == (
        'tool: the output cannot be written: the disk is full; free some space or choose another '
        'disk\n'
    )


def test_a_reader_that_leaves_is_no_error():
    command = run('for i in range(100000): print("line")')
    assert command.stdout.readline() == 'line\n'
    command.stdout.close()
    assert command.stderr.read() == '' and command.wait() == 141
    command.stderr.close()


@pytest.mark.parametrize('interrupts', [1, 3])
def test_interrupts_end_with_one_line_after_the_cleaning_up(tmp_path, interrupts):
    """The second Ctrl-C comes while the first is finishing a file; the file is finished."""
    command = run(
        'try:\n'
        '    print("ready", flush=True)\n'
        '    time.sleep(30)\n'
        'finally:\n'
        '    print("finishing", flush=True)\n'
        '    time.sleep(0.5)\n'
        f'    open({str(tmp_path / "whole")!r}, "w").write("whole")'
    )
    assert command.stdout.readline() == 'ready\n'
    command.send_signal(signal.SIGINT)
    assert command.stdout.readline() == 'finishing\n'
    for _ in range(interrupts - 1):
        command.send_signal(signal.SIGINT)
        time.sleep(0.05)
    _, errors = command.communicate()
    assert command.returncode == 130 and (tmp_path / 'whole').read_text() == 'whole'
    lines = errors.splitlines()
    assert lines[-1] == 'tool: stopped: what was finished stays'
    assert len(lines) == interrupts and 'Traceback' not in errors


def test_interrupts_at_the_very_end_disturb_nothing():
    """The second Ctrl-C comes while libraries end: their exit functions are finished."""
    command = run(
        'import atexit\n'
        'def leave():\n'
        '    print("leaving", flush=True)\n'
        '    time.sleep(0.5)\n'
        '    print("left", flush=True)\n'
        'atexit.register(leave)\n'
        'print("ready", flush=True)\n'
        'time.sleep(30)'
    )
    assert command.stdout.readline() == 'ready\n'
    command.send_signal(signal.SIGINT)
    assert command.stdout.readline() == 'leaving\n'
    for _ in range(2):
        command.send_signal(signal.SIGINT)
        time.sleep(0.05)
    output, errors = command.communicate()
    assert command.returncode == 130 and output == 'left\n'
    assert errors.splitlines()[0] == 'tool: stopped: what was finished stays'
    assert 'Traceback' not in errors


def test_who_was_stopped_says_what_it_kept(capsys):
    def main():
        raise KeyboardInterrupt('7 videos are kept')

    with pytest.raises(SystemExit) as ended:
        run_command('tool', main)
    assert ended.value.code == 130
    assert capsys.readouterr().err == 'tool: stopped: 7 videos are kept\n'


def test_the_handler_is_given_back():
    before = signal.getsignal(signal.SIGINT)
    with interrupted_once():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)  # at once after the first: nothing
    assert signal.getsignal(signal.SIGINT) is before


def test_a_background_job_says_its_errors_too():
    """A shell starts background jobs with interrupts ignored; a thread has no handler of its
    own.
    """

    def fail(ended):
        try:
            run_command('tool', lambda: (_ for _ in ()).throw(DataError('a.json: wrong')))
        except BaseException as error:
            ended.append(error)

    ended = []
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        fail(ended)
    finally:
        signal.signal(signal.SIGINT, before)
    thread = threading.Thread(target=fail, args=(ended,))
    thread.start()
    thread.join()
    assert [(type(error), error.args) for error in ended] == [
        (SystemExit, ('tool: a.json: wrong',))
    ] * 2
