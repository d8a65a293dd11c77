"""Supervised runs on VOT-style folders with mmvos test, as a user makes them; the model is
an oracle.
"""

from __future__ import annotations

import signal
from pathlib import Path

import colored_videos as tiny
import pytest
import torch
from command import Finished, run_mmvos
from mmengine.runner import Runner

LENGTH = 12


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Config and checkpoint; the oracle's sequences are s (4 numbers a line) and p (8)."""
    return write_files(tmp_path)


def write_files(folder: Path, **model: bool) -> list[str]:
    root = str(tiny.write_vot(folder / 'vot', 'sp', LENGTH))
    config = tiny.config(
        dict(type='mmvos.VOTDataset', data_root=root),
        dict(type='mmvos.VOTMetric', ground_truth=root, interval=(3, 8)),
        **model,
    )
    config.dump(folder / 'config.py')
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, folder / 'oracle.pth')
    return [str(folder / 'config.py'), str(folder / 'oracle.pth')]


def run(folder: Path, *arguments: object, **environment: str) -> Finished:
    return run_mmvos('test', *arguments, folder=folder, environment=environment)


def scores(output: str) -> dict[str, float]:
    names = (
        'EAO',
        'accuracy',
        'robustness',
        'lost_number',
        'toolkit_EAO',
        'toolkit_accuracy',
        'toolkit_robustness',
    )
    rows = (line.split() for line in output.splitlines())
    return {
        row[0]: -1 if row[1] == 'undefined' else float(row[1])
        for row in rows
        if len(row) == 2 and row[0] in names
    }


def test_a_run_writes_the_standard_files_and_scores_them(tmp_path, files):
    done = run(tmp_path, *files, '--out', 'results/oracle', '--eval', 'vot')
    assert done.status == 0, done.output
    assert scores(done.output) == dict(
        EAO=1,
        accuracy=1,
        robustness=0,
        lost_number=0,
        toolkit_EAO=1,
        toolkit_accuracy=1,
        toolkit_robustness=0,
    )
    assert (
        'as the SiamMask and pysot tools count them, toolkit_* as the VOT toolkit does'
        in done.output
    )
    assert f'{2 * LENGTH} frames in ' in done.output
    out = tmp_path / 'results/oracle'
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob('*.*')) == [
        'baseline/p/p_001.txt',
        'baseline/s/s_001.txt',
    ]
    for name in 'sp':
        first, *lines = (out / 'baseline' / name / f'{name}_001.txt').read_text().splitlines()
        assert first == '1' and len(lines) == LENGTH - 1
        for t, line in enumerate(lines, 1):
            numbers = [float(number) for number in line.split(',')]
            assert {*numbers[::2]} == {10 + 2 * t, 25 + 2 * t} and {*numbers[1::2]} == {12, 27}
    assert not (tmp_path / 'results/oracle.partial').exists()
    again = run(tmp_path, *files, '--out', 'results/oracle', '--eval', 'vot', '--load_result')
    assert (
        again.status == 0
        and scores(again.output) == scores(done.output)
        and 'frames in' not in again.output
    )


def test_an_object_that_is_lost_is_given_again_five_frames_later(tmp_path):
    """A copying model, whose region ends at x = 24: the square begins at 22 in frame 6, and at 24
    in frame 7: they only touch.
    """
    done = run(tmp_path, *write_files(tmp_path, keep=True), '--out', 'out', '--eval', 'vot')
    assert done.status == 0, done.output
    lines = (tmp_path / 'out/baseline/s/s_001.txt').read_text().splitlines()
    assert [line if len(line) == 1 else 'region' for line in lines] == [
        '1',
        *['region'] * 6,
        '2',
        '0',
        '0',
        '0',
        '0',
    ]
    found = scores(done.output)
    assert found['lost_number'] == 2 and found['robustness'] == pytest.approx(
        100 * 2 / 24, abs=1e-4
    )
    assert found['toolkit_robustness'] == 1 and 0 < found['EAO'] < 0.7
    assert found['accuracy'] == -1  # no frame is left: the first ten after a start do not count


def test_a_killed_run_goes_on_and_runs_no_sequence_twice(tmp_path, files):
    killed = run(
        tmp_path, *files, '--out', 'out', KILL_AFTER_VIDEOS='1', FRAMES_LOG=str(tmp_path / 'before')
    )
    assert killed.status == -signal.SIGKILL
    resumed = run(
        tmp_path, *files, '--out', 'out', '--eval', 'vot', FRAMES_LOG=str(tmp_path / 'after')
    )
    assert resumed.status == 0 and scores(resumed.output)['EAO'] == 1
    before, after = ((tmp_path / name).read_text().split() for name in ('before', 'after'))
    assert [name[0] for name in before] == ['1'] * LENGTH and [name[0] for name in after] == [
        '2'
    ] * LENGTH


def test_mistakes_are_one_sentence(tmp_path, files):
    (tmp_path / 'vot/s/color/00000003.png').unlink()
    for arguments, words in (
        (['--eval', 'davis'], '--eval davis needs a test_evaluator of type mmvos.DAVISMetric'),
        ([], 'has 11 frames but groundtruth.txt 12 lines'),
    ):
        done = run(tmp_path, *files, '--out', 'out', *arguments)
        assert done.status == 1 and 'Traceback' not in done.output
        assert words in done.output.strip().splitlines()[-1]


def test_validation_in_training_gives_the_same_scores(tmp_path, files):
    config = tiny.Config.fromfile(files[0])
    config.work_dir = str(tmp_path / 'run')
    runner = Runner.from_cfg(config)
    metrics = runner.build_val_loop(config.val_cfg).run()
    assert metrics['vot/EAO'] == metrics['vot/accuracy'] == 1 and metrics['vot/lost_number'] == 0
