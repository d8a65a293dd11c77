"""Some hundreds of damaged inputs, a few of each reader; the long form is

python -m tests.robustness.fuzz --inputs 100000 --seed S
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from robustness import fuzz
from robustness.mutations import damage_folder
from robustness.targets import TARGETS, Target, WrongResultError

INPUTS = 9  # of each reader
SEED = 17


@pytest.fixture(scope='module', autouse=True)
def warm() -> None:
    fuzz.warm_up()


@pytest.fixture
def scratch() -> Iterator[Path]:
    import shutil

    folder = fuzz.choose_scratch()
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize('name', TARGETS)
def test_every_damaged_input_is_read_or_refused_in_a_sentence(name: str, scratch: Path) -> None:
    # Number -1 is the input without damage.
    count, findings = fuzz.run_target(name, range(-1, INPUTS), SEED, scratch)
    assert not findings, findings[0]
    assert count.inputs == INPUTS + 1
    assert count.read >= 1


def make(folder: Path) -> None:
    (folder / 'a.json').write_text('{"a": 1}')


def crash(folder: Path, out: Path) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)


def hang(folder: Path, out: Path) -> None:
    while True:
        pass


def nameless(folder: Path, out: Path) -> None:
    from mmvos.io.errors import DataError

    raise DataError('something is wrong somewhere')


def key_error(folder: Path, out: Path) -> None:
    raise KeyError('a')


def wrong(folder: Path, out: Path) -> None:
    raise WrongResultError('AP is 7')


def outside(folder: Path, out: Path) -> None:
    (out.parent / 'victim').touch()


@pytest.mark.parametrize(
    ('read', 'kind'),
    [
        (crash, 'crash'),
        (hang, 'hang'),
        (nameless, 'no sentence'),
        (key_error, 'traceback'),
        (wrong, 'wrong result'),
        (outside, 'outside'),
    ],
)
def test_a_reader_that_fails_is_found(
    read: object, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TARGETS, 'bad', Target(make, read))  # type: ignore[arg-type]
    count, findings = fuzz.run_target('bad', [0, 1], SEED, tmp_path / 's', tmp_path / 'k', 1.5)
    assert [finding.kind for finding in findings] == [kind, kind]
    assert [finding.number for finding in findings] == [0, 1]
    assert count.inputs == 2 and count.read == 0
    assert len(list((tmp_path / 'k').rglob('what.json'))) == 1


def test_the_same_seed_makes_the_same_damage(tmp_path: Path) -> None:
    contents = []
    for place in ('a', 'b'):
        folder = tmp_path / place
        folder.mkdir()
        (folder / 'x.json').write_text('{"id": 1, "names": ["a", "b"], "size": [24, 32]}')
        done = damage_folder(folder, ['x.json'], random.Random('1/x/5'))
        contents.append((done, (folder / 'x.json').read_bytes()))
    assert contents[0] == contents[1]
    assert contents[0][0] == ['x.json damaged']
