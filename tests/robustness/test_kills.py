"""Some kills of each writer; the long form is ``python -m tests.robustness.kills --kills 400``."""

from __future__ import annotations

from pathlib import Path

import pytest

from robustness import fuzz, kills
from robustness.kills import WRITERS, Writer, faults_after_kill, kill_writer


@pytest.fixture(scope='module', autouse=True)
def warm() -> None:
    fuzz.warm_up()


@pytest.mark.parametrize('name', WRITERS)
def test_no_final_name_is_damaged_by_a_kill(name: str, tmp_path: Path) -> None:
    done, faults = kill_writer(name, 4, tmp_path / 'k')
    assert not faults, faults[0]
    assert done >= 3


def in_place(out: Path, which: int, source: Path) -> None:
    with (out / 'a.txt').open('w') as stream:
        for _ in range(3):
            stream.write(f'{which}' * 20_000)
            stream.flush()


def test_a_writer_in_place_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kills.WRITERS, 'bad', Writer(in_place))
    _, faults = kill_writer('bad', 8, tmp_path / 'k')
    assert any('neither the old nor the new' in fault for fault in faults)


def test_what_is_lost_and_what_is_set_aside() -> None:
    before, whole = {'a': b'old'}, {'a': b'new', 'b': b'more'}
    assert not faults_after_kill(before, whole, {'a': b'old'}, False)
    assert not faults_after_kill(before, whole, {'a': b'new'}, False)
    assert faults_after_kill(before, whole, {}, False) == ['a, which was there, is lost']
    assert not faults_after_kill(before, whole, {'x.earlier1': b'old'}, True)
    assert faults_after_kill(before, whole, {'x.earlier1': b'ol'}, True)
