"""Testing on data sets that say which objects to follow, as a user runs it: files, scores, kill and
resume, two processes.

The model is the oracle of tests/colored_videos.py, so every score is 1.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import colored_videos as tiny
import numpy as np
import pytest
import torch
from command import ENVIRONMENT, ROOT, Finished, run_mmvos
from mmengine.logging import MMLogger
from PIL import Image
from tiny_segmenter import tiny_segmenter, tiny_settings

from mmvos.cli import test
from mmvos.io.errors import DataError

DAVIS = {'b': (6, {1: 0, 3: 0}), 'a': (4, {5: 0}), 'c': (3, {2: 0})}
LATE = {'b': (7, {1: 0, 3: 2}), 'a': (5, {2: 1, 4: 1})}


def write_files(
    folder: Path, dataset: dict[str, Any], evaluator: dict[str, Any], **model: Any
) -> list[str]:
    """Config and checkpoint."""
    config = tiny.config(dataset, evaluator, **model)
    config.dump(folder / 'config.py')
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, folder / 'oracle.pth')
    return [str(folder / 'config.py'), str(folder / 'oracle.pth')]


@pytest.fixture
def davis(tmp_path) -> list[str]:
    root = str(tiny.write_videos(tmp_path / 'DAVIS', DAVIS, folder='480p'))
    tiny.write_split(Path(root), '2017/val', ['b', 'a', 'c'])
    evaluator = dict(type='mmvos.DAVISMetric', ground_truth=root, split='val')
    return write_files(tmp_path, dict(data_root=root, split='2017/val'), evaluator)


def run(folder: Path, *arguments: object, **environment: str) -> Finished:
    return run_mmvos('test', *arguments, folder=folder, environment=environment)


def images(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob('*.png'))
    }


def test_davis_writes_its_layout_and_scores_it(tmp_path, davis):
    done = run(tmp_path, *davis, '--out', 'results/oracle', '--eval', 'davis')
    assert done.status == 0, done.output
    lines = dict(
        line.split()[:2] for line in done.output.splitlines() if line.startswith(('J', 'F_'))
    )
    assert (
        lines['J&F_mean'] == lines['J_mean'] == lines['F_recall'] == '1.0000'
        and lines['J_decay'] == '0.0000'
    )
    assert '13 frames in ' in done.output and 'peak memory' in done.output
    out = tmp_path / 'results/oracle'
    assert list(images(out)) == sorted(
        f'{name}/{i:05d}.png' for name, (length, _) in DAVIS.items() for i in range(length)
    )
    for name, (length, first) in DAVIS.items():
        for index in range(length):
            image = Image.open(out / name / f'{index:05d}.png')
            assert image.mode == 'P' and image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
            np.testing.assert_array_equal(np.asarray(image), tiny.label_map(index, first, length))
    with zipfile.ZipFile(tmp_path / 'results/oracle.zip') as archive:
        assert archive.namelist() == [
            f'{name}/{i:05d}.png' for name in ('b', 'a', 'c') for i in range(DAVIS[name][0])
        ]
        assert {name: archive.read(name) for name in archive.namelist()} == images(out)
    assert not (tmp_path / 'results/oracle.partial').exists()
    again = run(tmp_path, *davis, '--out', 'results/oracle', '--eval', 'davis', '--load_result')
    assert again.status == 0 and 'J&F_mean' in again.output and 'frames in' not in again.output


def test_youtube_vos_writes_the_frames_that_are_wanted(tmp_path):
    root = tiny.write_videos(tmp_path / 'yv', LATE, 3)
    # The annotated frame 0 of video a, in which there is no object, is not listed.
    tiny.write_meta(
        root,
        {
            'b': {1: ['00000', '00003', '00006'], 3: ['00002', '00003', '00006']},
            'a': {2: ['00001', '00003']},
        },
    )
    files = write_files(
        tmp_path,
        dict(data_root=str(root), layout='youtube-vos'),
        dict(type='mmvos.YouTubeVOSMetric', ground_truth=str(root)),
    )
    done = run(tmp_path, *files, '--out', 'out', '--eval', 'youtube-vos')
    assert done.status == 0, done.output
    assert 'J&F_mean     1.0000' in done.output
    names = [
        'a/00001.png',
        'a/00003.png',
        'b/00000.png',
        'b/00002.png',
        'b/00003.png',
        'b/00006.png',
    ]
    assert list(images(tmp_path / 'out')) == names
    with zipfile.ZipFile(tmp_path / 'out.zip') as archive:
        assert archive.namelist() == [f'Annotations/{name}' for name in names]


@pytest.mark.slow
def test_a_killed_test_goes_on_and_runs_no_video_twice(tmp_path, davis):
    arguments = [*davis, '--out', 'out']
    killed = run(tmp_path, *arguments, KILL_AFTER_VIDEOS='2', FRAMES_LOG=str(tmp_path / 'before'))
    assert killed.status == -signal.SIGKILL and not (tmp_path / 'out.zip').exists()
    # a finished video whose files are gone is no longer finished
    (tmp_path / 'out.partial/files/a/00002.png').unlink()
    resumed = run(tmp_path, *arguments, '--eval', 'davis', FRAMES_LOG=str(tmp_path / 'after'))
    assert resumed.status == 0, resumed.output
    before, after = ((tmp_path / name).read_text().split() for name in ('before', 'after'))
    assert [name[0] for name in before] == list('1111112222') and [
        name[0] for name in after
    ] == list('2222333')
    whole = run(tmp_path, *davis, '--out', 'whole')
    assert whole.status == 0 and images(tmp_path / 'out') == images(tmp_path / 'whole')
    assert (tmp_path / 'out.zip').read_bytes() == (tmp_path / 'whole.zip').read_bytes()


def test_an_interrupted_test_says_what_it_kept_and_is_not_scored(tmp_path, davis):
    arguments = [*davis, '--out', 'out', '--eval', 'davis']
    stopped = run(tmp_path, *arguments, INTERRUPT_AFTER_VIDEOS='2')
    assert stopped.status == 130 and 'Traceback' not in stopped.output, stopped.output
    last = stopped.output.strip().splitlines()[-1]
    assert last.startswith('mmvos test: stopped: the videos that were finished are kept')
    scored = run(tmp_path, *arguments, '--load_result')
    assert scored.status == 1 and 'out is unfinished' in scored.output.splitlines()[-1]
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'out.zip').exists()
    assert not (tmp_path / 'out.lock').exists()


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(tmp_path, davis):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **ENVIRONMENT, 'PORT': str(port), 'PYTHON': sys.executable}
    command = [
        'bash',
        str(ROOT / 'tools/dist_test.sh'),
        *davis,
        '2',
        '--out',
        'two',
        '--eval',
        'davis',
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count('J&F_mean') == 1
    assert run(tmp_path, *davis, '--out', 'one').status == 0
    assert (tmp_path / 'one.zip').read_bytes() == (tmp_path / 'two.zip').read_bytes()


def test_mistakes_are_one_sentence(tmp_path, davis):
    for arguments, words in (
        (
            ['--out', 'out', '--eval', 'segm'],
            '--eval segm needs a test_evaluator of type mmvos.YouTubeVIS',
        ),
        (['--out', 'DAVIS/Annotations/480p'], 'holds the given label images'),
        (['--out', 'gone', '--eval', 'davis', '--load_result'], 'gone is no folder'),
    ):
        done = run(tmp_path, *davis, *arguments)
        assert done.status == 1 and 'Traceback' not in done.output, done.output
        assert words in done.output.strip().splitlines()[-1]
    assert list(images(tmp_path / 'DAVIS/Annotations/480p')) == sorted(
        f'{name}/{i:05d}.png' for name, (length, _) in DAVIS.items() for i in range(length)
    )


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['test_evaluator.ground_truth=gone'], 'gone'),
        (['test_evaluator.split=fewer'], r'^(a|c) is in the data that is tested but not in'),
        (['test_dataloader.dataset.split=2017/fewer'], r'^(a|c) is in the ground truth but not'),
    ],
)
def test_the_ground_truth_is_looked_at_before_a_frame_is_run(
    tmp_path, davis, options, words, monkeypatch
):
    tiny.write_split(tmp_path / 'DAVIS', '2017/fewer', ['b'])

    def run_none(*_: object) -> None:
        pytest.fail('videos were run')

    monkeypatch.setattr(test, 'run_videos', run_none)
    arguments = [*davis, '--out', str(tmp_path / 'out'), '--eval', 'davis']
    with pytest.raises(DataError, match=words):
        test.main([*arguments, '--cfg-options', *options])
    assert not (tmp_path / 'out').exists() and not (tmp_path / 'out.lock').exists()


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ('modle.tracker.size=64', "no 'modle'"),
        ('model.tracker.size=-5', 'MaskPropagator: size .*-5'),
        ('model.tracker.size=65', 'MaskPropagator: size .*multiple of 16'),
        ('model.tracker.sise=64', "MaskPropagator the option 'sise'.*'size'"),
        ('test_dataloader.foo=1', "DataLoader the option 'foo'"),
        ('test_dataloader.batch_size=2', 'batch_size .* must be 1, not 2'),
        ('test_cfg.foo=1', "the option 'foo'"),
        ('test_cfg.type=Nope', 'the config names Nope'),
        ('test_evaluator.foo=1', "DAVISMetric the option 'foo'"),
        ('log_level=foo', "Runner cannot be built: KeyError: 'foo'"),
        ('test_dataloader=None', 'has no test_dataloader'),
    ],
)
def test_options_that_lead_nowhere_are_a_sentence(tmp_path, davis, option, words, monkeypatch):
    # A logger that an earlier test has made would be taken as it is.
    monkeypatch.setattr(MMLogger, '_instance_dict', type(MMLogger._instance_dict)())
    config = tiny.Config.fromfile(davis[0])
    config.model = tiny_settings()
    config.dump(davis[0])
    torch.save({'state_dict': tiny_segmenter().state_dict()}, davis[1])
    with pytest.raises(ValueError, match=words):
        test.main([*davis, '--out', str(tmp_path / 'out'), '--cfg-options', option])


def test_online_fine_tuning_tests_each_video_with_a_model_of_its_own(tmp_path, davis):
    config = tiny.Config.fromfile(davis[0])
    config.model = tiny_settings()
    augment = [
        dict(type='mmvos.SimulateMotion', clip_length=2),
        dict(type='mmvos.CropClip', size=64),
        dict(type='mmvos.DeformGuides'),
        dict(type='mmvos.PackClip'),
    ]
    wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1e-3))
    online = dict(
        type='mmvos.OnlineFineTuner', steps=2, batch_size=1, optim_wrapper=wrapper, pipeline=augment
    )
    config.test_cfg = dict(type='mmvos.VideoTestLoop', online=online)
    config.dump(davis[0])
    torch.save({'state_dict': tiny_segmenter().state_dict()}, davis[1])
    done = run(tmp_path, *davis, '--out', 'tuned', '--eval', 'davis')
    assert done.status == 0, done.output
    assert (
        done.output.count('online fine-tuning: step 2 of 2') == 3
        and 's online fine-tuning; peak memory' in done.output
    )
    assert len(images(tmp_path / 'tuned')) == 13
