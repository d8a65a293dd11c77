"""mmvos tune: the oracle of tests/colored_videos.py has one setting that matters, which
the search must find.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import colored_videos as tiny
import pytest
import torch
from command import ENVIRONMENT, Finished, run_mmvos
from mmengine.config import Config
from tiny_siamese import tiny_config, tiny_siamese

from mmvos.cli.tracker_search import Table, check_keys, combinations, parse_grid
from mmvos.io.errors import DataError

KEYS = ['model.keep=True,False', 'test_dataloader.batch_size=1']


@pytest.fixture
def davis(tmp_path) -> list[str]:
    root = tiny.write_videos(tmp_path / 'DAVIS', {'a': (5, {5: 0}), 'b': (4, {1: 0, 3: 0})})
    return [*write_oracle(tmp_path, root), '--davis', str(root), '--prompt', 'mask']


def write_oracle(folder: Path, root: Path) -> list[str]:
    tiny.config(dict(data_root=str(root))).dump(folder / 'config.py')
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, folder / 'oracle.pth')
    return [str(folder / 'config.py'), str(folder / 'oracle.pth')]


def tune(folder: Path, *arguments: object) -> Finished:
    return run_mmvos('tune', *arguments, '--out', 'table.jsonl', folder=folder)


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'table.jsonl').read_text().splitlines()[1:]]


def test_the_best_setting_is_found_and_a_killed_search_goes_on(tmp_path, davis):
    done = tune(tmp_path, *davis, '--grid', KEYS[0])
    assert done.status == 0, done.output
    found = {row['options']['model.keep']: row['metrics']['J&F_mean'] for row in rows(tmp_path)}
    assert found[False] == 1 and 0 < found[True] < 0.9
    assert 'best J&F_mean of 2: --cfg-options model.keep=False' in done.output
    table = tmp_path / 'table.jsonl'
    whole = table.read_text()
    table.write_text(whole[:-40])  # as if killed while writing the last line
    again = tune(tmp_path, *davis, '--grid', KEYS[0])
    assert again.status == 0 and '2 combinations, 1 of them known' in again.output
    assert [row['metrics'] for row in rows(tmp_path)] == [
        json.loads(line)['metrics'] for line in whole.splitlines()[1:]
    ]
    nothing = tune(tmp_path, *davis, '--grid', KEYS[0])
    assert '2 of them known' in nothing.output and 'model.keep=False' in nothing.output
    torch.save({'state_dict': {'weight': torch.ones(1)}}, tmp_path / 'oracle.pth')
    other = tune(tmp_path, *davis, '--grid', KEYS[0])
    assert (
        other.status == 1
        and 'another config, checkpoint or data' in other.output
        and 'Traceback' not in other.output
    )


def test_two_processes_find_the_same(tmp_path, davis):
    command = [
        sys.executable,
        '-m',
        'mmvos',
        'tune',
        *davis,
        '--grid',
        *KEYS,
        '--processes',
        '2',
        '--out',
        'table.jsonl',
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert {
        row['options']['model.keep']: row['metrics']['J&F_mean'] == 1 for row in rows(tmp_path)
    } == {True: False, False: True}


def test_vot(tmp_path):
    root = tiny.write_vot(tmp_path / 'vot')
    arguments = [*write_oracle(tmp_path, root), '--vot', str(root), '--interval', 3, 8]
    done = tune(tmp_path, *arguments, '--grid', KEYS[0])
    assert done.status == 0, done.output
    found = {row['options']['model.keep']: row['metrics'] for row in rows(tmp_path)}
    assert found[False]['EAO'] == pytest.approx(1) and found[False]['lost_number'] == 0
    assert found[True]['EAO'] < 0.7 and found[True]['lost_number'] == 1  # 16 px away in frame 8
    worst = tune(tmp_path, *arguments, '--grid', KEYS[0], '--objective', 'lost_number')
    assert 'best lost_number of 2: --cfg-options model.keep=False' in worst.output


@pytest.mark.parametrize('kind', ['davis', 'vot'])
def test_the_siamese_tracker(tmp_path, kind):
    """The real tracker's settings by dotted keys, with random weights; another threshold gives
    another mask.
    """
    if kind == 'davis':
        root = tiny.write_videos(tmp_path / 'data', {'a': (5, {5: 0})})
    else:
        root = tiny.write_vot(tmp_path / 'data')
    model = tiny_siamese()
    config = tiny.config(dict(data_root=str(root)))
    config.model = tiny_config().model
    config.dump(tmp_path / 'config.py')
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'tiny.pth')
    done = tune(
        tmp_path,
        tmp_path / 'config.py',
        tmp_path / 'tiny.pth',
        f'--{kind}',
        root,
        '--objective',
        'J_mean' if kind == 'davis' else 'accuracy',
        '--grid',
        'model.tracker.mask_threshold=0.01,0.99',
        'model.tracker.penalty=0.04',
    )
    assert done.status == 0, done.output
    low, high = rows(tmp_path)
    assert low['options'] == {'model.tracker.mask_threshold': 0.01, 'model.tracker.penalty': 0.04}
    if kind == 'davis':
        assert low['metrics'] != high['metrics']
    else:
        assert low['metrics']['lost_number'] >= 1  # an untrained tracker


def test_a_key_that_nobody_takes_is_an_error_in_a_line(tmp_path, davis):
    done = tune(tmp_path, *davis, '--grid', 'model.nothing=1')
    assert (
        done.status == 1
        and 'nothing' in done.output.splitlines()[-1]
        and 'Traceback' not in done.output
    )


def test_values():
    grid = parse_grid(
        ['a.b=1,2.5,x,True', 'c=0:0.1:0.03', 'd=0.08:0.13:0.01', 'e=.38:.44:.01', 'f=.0:.25:.02']
    )
    assert grid['a.b'] == [1, 2.5, 'x', True] and grid['c'] == [0, 0.03, 0.06, 0.09]
    assert grid['d'] == [0.08, 0.09, 0.1, 0.11, 0.12] and len(grid['e']) == 6
    assert len(grid['f']) == 13 and grid['f'][-1] == 0.24


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a', 'write KEY=VALUE'),
        ('a=', 'write KEY=VALUE'),
        ('a=1:2', 'three numbers'),
        ('a=2:1:1', 'no value'),
        ('a=1:2:0', 'no value'),
        ('k=0:inf:1', 'finite'),
        ('k=nan:1:1', 'finite'),
        ('k=0:1e9:.001', 'give at most'),
    ],
)
def test_bad_grids_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_grid([text])


@pytest.mark.parametrize('key', ['penalty', 'modle.tracker.penalty', 'model.trackers.penalty'])
def test_a_key_that_changes_nothing_is_refused(key):
    config = Config({'model': {'tracker': {'size': 9}, 'parts': [{'a': 1}]}})
    check_keys(config, ['model', 'model.tracker.size', 'model.tracker.new', 'model.parts.0.a'])
    with pytest.raises(DataError, match=f'--grid {key}: the config has no'):
        check_keys(config, [key])


def test_published_search_sizes_and_random_choice():
    """5 x 6 x 5 combinations of the sharp model, 13 x 8 x 7 of the base model."""
    sharp = parse_grid(['k=.08:.13:.01', 'w=.38:.44:.01', 'l=.30:.35:.01'])
    base = parse_grid(['k=.0:.25:.02', 'w=.36:.51:.02', 'l=.25:.56:.05'])
    assert len(combinations(sharp, None, 0)) == 150 and len(combinations(base, None, 0)) == 728
    assert combinations(sharp, None, 0)[:2] == [
        dict(k=0.08, w=0.38, l=0.3),
        dict(k=0.08, w=0.38, l=0.31),
    ]
    chosen = combinations(base, 40, 1)
    assert len({tuple(item.values()) for item in chosen}) == 40 and chosen == combinations(
        base, 40, 1
    )
    assert chosen != combinations(base, 40, 2) and combinations(sharp, 999, 0) == combinations(
        sharp, None, 0
    )


def test_other_files_are_not_taken_for_a_table(tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_text('hello\n')
    with pytest.raises(ValueError, match=r'notes\.txt is no table'):
        Table(path, 'x')
    assert path.read_text() == 'hello\n'
