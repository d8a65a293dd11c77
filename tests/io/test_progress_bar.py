"""The bar of long work: on a terminal, on standard error; nothing elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from mmvos.cli.progress import Progress
from mmvos.io import progress_bar
from mmvos.io.progress_bar import print_beside_bar, with_bar


class Terminal(io.StringIO):
    """Takes text as a terminal does."""

    def isatty(self) -> bool:
        return True


def watch(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard error, on which bars are shown at once. Not a fixture: pytest puts its own capture
    in place again between the fixtures and the test.
    """
    terminal = Terminal()
    monkeypatch.setattr(sys, 'stderr', terminal)
    monkeypatch.setattr(progress_bar, '_SECONDS', 0)
    return terminal


def test_a_terminal_sees_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = watch(monkeypatch)
    letters = []
    for letter in with_bar(iter('abc'), 'reading', 3, unit=' letters'):
        letters.append(letter)
        print_beside_bar(f'read {letter}')
    assert letters == ['a', 'b', 'c']
    shown = terminal.getvalue()
    assert 'reading:' in shown and '0/3' in shown and 'letters/s' in shown
    # what a command says is not mixed with its bar
    assert capsys.readouterr().out == 'read a\nread b\nread c\n'


def test_a_log_sees_none(capsys: pytest.CaptureFixture[str]) -> None:
    letters = ['a', 'b']
    assert with_bar(letters, 'reading') is letters
    print_beside_bar('done')
    captured = capsys.readouterr()
    assert captured.out == 'done\n' and captured.err == ''


def test_a_video_has_a_bar_or_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = watch(monkeypatch)
    with Progress('frame', 2) as progress:
        progress.advance('1 objects')
        progress.say('going on')
        progress.advance('2 objects')
    assert '2/2' in terminal.getvalue() and '2 objects' in terminal.getvalue()
    assert capsys.readouterr().out == 'going on\n'

    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    with Progress('frame', 2) as progress:
        progress.advance('1 objects')
    assert capsys.readouterr().out.startswith('frame 1/2: 1 objects, ')
