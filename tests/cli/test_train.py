"""Training and testing as a user runs them: kill and resume, one and two processes, mistakes.

Runs of a tiny model on four tiny videos; see tests/tiny_videos.py.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from command import ENVIRONMENT, ROOT, Finished, run_mmvos
from tiny_videos import tiny_training, without_annotations, write_tiny_videos

LENGTHS = (3, 1, 2, 2)  # eight frames: four batches of two pairs in an epoch


def write_config(folder: Path, annotations: Path, **overrides: Any) -> Path:
    config = tiny_training(annotations, **overrides)
    config.train_cfg.max_epochs = 3
    config.train_cfg.val_interval = 3
    config.custom_imports.imports = ['mmvos', 'saboteur']
    config.custom_hooks.append(dict(type='mmvos.KillHook'))
    path = folder / 'config.py'
    config.dump(path)
    return path


def scalars(work_dir: Path) -> list[dict[str, Any]]:
    """What the training logged, run by run in the order of their start."""
    lines = [
        line
        for path in sorted(work_dir.glob('*/vis_data/scalars.json'))
        for line in path.read_text().splitlines()
    ]
    return [json.loads(line) for line in lines]


def losses(work_dir: Path) -> dict[int, dict[str, float]]:
    """Losses by iteration; what a later run logged replaces what an earlier one did."""
    return {
        item['step']: {
            name: value for name, value in item.items() if 'loss' in name or name in ('acc', 'lr')
        }
        for item in scalars(work_dir)
        if 'loss' in item
    }


@pytest.fixture(scope='module')
def annotations(tmp_path_factory) -> Path:
    return write_tiny_videos(tmp_path_factory.mktemp('videos'), LENGTHS)


@pytest.fixture(scope='module')
def trained(annotations, tmp_path_factory) -> Path:
    """The folder of an uninterrupted training of three epochs."""
    folder = tmp_path_factory.mktemp('trained')
    done = run_mmvos('train', write_config(folder, annotations), '--work-dir', 'run', folder=folder)
    assert done.status == 0, done.output
    return folder


# Training


@pytest.mark.slow
def test_a_training_logs_validates_and_keeps_the_best_checkpoint(trained):
    history = losses(trained / 'run')
    assert sorted(history) == list(range(1, 13))
    assert {
        'loss',
        'loss_rpn_cls',
        'loss_rpn_bbox',
        'loss_cls',
        'loss_bbox',
        'loss_mask',
        'loss_match',
    } <= set(history[1])
    scores = [item for item in scalars(trained / 'run') if 'youtube_vis/AP' in item]
    assert [item['step'] for item in scores] == [3]
    names = sorted(path.name for path in (trained / 'run').glob('*.pth'))
    assert names == ['best_youtube_vis_AP_epoch_3.pth', 'epoch_2.pth', 'epoch_3.pth']


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_nothing_had_happened(trained, tmp_path):
    """Killed in the middle of the second epoch; the first is not repeated, and every later loss is
    the same number.
    """
    arguments = ['train', trained / 'config.py', '--work-dir', 'run']
    killed = run_mmvos(*arguments, folder=tmp_path, environment={'KILL_AT_ITERATION': '6'})
    assert killed.status == -signal.SIGKILL
    assert sorted(losses(tmp_path / 'run')) == [1, 2, 3, 4, 5, 6]
    resumed = run_mmvos(*arguments, '--resume', folder=tmp_path)
    assert resumed.status == 0, resumed.output
    assert [item['step'] for item in scalars(tmp_path / 'run') if 'loss' in item] == [
        1,
        2,
        3,
        4,
        5,
        6,
        *range(5, 13),
    ]
    expected, found = losses(trained / 'run'), losses(tmp_path / 'run')
    assert found == expected
    # they do differ from iteration to iteration
    assert len({item['loss'] for item in found.values()}) == 12
    first, second = (
        torch.load(folder / 'run/epoch_3.pth', weights_only=False)['state_dict']
        for folder in (trained, tmp_path)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_two_processes_train_as_one_with_the_same_global_batch(annotations, tmp_path):
    """Two processes with two pairs each against one process with four, two iterations, to float
    tolerance.

    The statement is exact where the mean over processes of each loss is its mean over the global
    batch, that is where every image has the same number of samples and none are drawn at random:
    all anchors and all proposals are taken (no overlap is ignored, nothing is suppressed), the
    positive RoIs are the two ground-truth boxes that every frame has. Batch norms are frozen. AdamW
    would blow up rounding where a gradient is near zero, so the optimizer is plain SGD.
    """
    take_all = dict(type='RandomSampler', num=10**6, pos_fraction=1.0, neg_pos_ub=-1)
    every_box = dict(
        nms_pre=10**6, max_per_img=10**6, nms=dict(type='nms', iou_threshold=1.0), min_bbox_size=-1
    )
    rpn_assigner = dict(pos_iou_thr=0.7, neg_iou_thr=0.7, min_pos_iou=0.7)
    rcnn_assigner = dict(
        pos_iou_thr=0.99, neg_iou_thr=0.99, min_pos_iou=0.99, match_low_quality=False
    )
    config = write_config(
        tmp_path,
        annotations,
        **{
            'model.detector.backbone.norm_eval': True,
            'model.detector.neck.norm_cfg': None,
            'model.detector.rpn_head.anchor_generator.ratios': [0.5, 2.0],  # fewer RoIs
            'model.detector.train_cfg.rpn.sampler': take_all | dict(add_gt_as_proposals=False),
            'model.detector.train_cfg.rcnn.sampler': take_all | dict(add_gt_as_proposals=True),
            'model.detector.train_cfg.rpn.assigner': rpn_assigner,
            'model.detector.train_cfg.rcnn.assigner': rcnn_assigner,
            'model.detector.train_cfg.rpn_proposal': every_box,
            'optim_wrapper': dict(
                _delete_=True,
                type='mmvos.SafeOptimWrapper',
                optimizer=dict(type='SGD', lr=0.05, momentum=0.9),
            ),
            'param_scheduler': [],
        },
    )
    options = ['--cfg-options', 'train_cfg.max_epochs=1']
    no_validation = [
        'val_cfg=None',
        'val_dataloader=None',
        'val_evaluator=None',
        'default_hooks.checkpoint.save_best=None',
    ]
    done = run_mmvos(
        'train',
        config,
        '--work-dir',
        'one',
        *options,
        *no_validation,
        'train_dataloader.batch_size=4',
        folder=tmp_path,
    )
    assert done.status == 0, done.output
    run_distributed(['dist_train.sh', config, '2', '--work-dir', 'two', *options], tmp_path)
    # The two validated together, and left nothing of what they exchanged: mmengine's own place is
    # .dist_test in the working directory.
    scores = (tmp_path / 'two').glob('*/vis_data/scalars.json')
    assert any('AP50' in path.read_text() for path in scores)
    assert not list(tmp_path.glob('**/.dist_test')) and not list(tmp_path.glob('**/.collected/*'))
    one, two = (
        torch.load(tmp_path / name / 'epoch_1.pth', weights_only=False)['state_dict']
        for name in ('one', 'two')
    )
    assert sorted(losses(tmp_path / 'one')) == sorted(losses(tmp_path / 'two')) == [1, 2]
    for name, value in one.items():
        torch.testing.assert_close(
            two[name], value, atol=1e-5, rtol=1e-4, msg=lambda text, name=name: f'{name}: {text}'
        )
    # Biases begin at 0: the training did move the weights, by more than the tolerance.
    assert one['detector.roi_head.bbox_head.fc_cls.bias'].abs().max() > 1e-3


def run_distributed(command: list[object], folder: Path) -> None:
    """A launcher of tools/ as a user calls it, with a free port."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, **ENVIRONMENT, 'PORT': str(port), 'PYTHON': sys.executable}
    done = subprocess.run(
        ['bash', *map(str, [ROOT / 'tools' / str(command[0]), *command[1:]])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


# Testing


def test_video(
    folder: Path, out: str, *arguments: object, trained: Path, **environment: str
) -> Finished:
    return run_mmvos(
        'test',
        trained / 'config.py',
        trained / 'run/epoch_3.pth',
        '--out',
        out,
        *arguments,
        folder=folder,
        environment=environment,
    )


test_video.__test__ = False  # the name of the tool, not a test


@pytest.fixture(scope='module')
def tested(trained, tmp_path_factory) -> Path:
    """The folder of an uninterrupted test with scores."""
    folder = tmp_path_factory.mktemp('tested')
    done = test_video(
        folder, 'whole', '--eval', 'segm', trained=trained, FRAMES_LOG=str(folder / 'frames')
    )
    assert done.status == 0, done.output
    (folder / 'output').write_text(done.output)
    return folder


@pytest.mark.slow
def test_the_results_file_and_the_scores(tested):
    entries = json.loads((tested / 'whole.json').read_text())
    assert [entry['video_id'] for entry in entries] == sorted(
        entry['video_id'] for entry in entries
    )
    assert {entry['video_id'] for entry in entries} == {1, 2, 3, 4}
    for entry in entries:
        assert set(entry) == {'video_id', 'category_id', 'score', 'segmentations'}
        assert (
            len(entry['segmentations']) == LENGTHS[entry['video_id'] - 1]
            and 1 <= entry['category_id'] <= 5
        )
        assert all(mask is None or mask['size'] == [48, 64] for mask in entry['segmentations'])
    with zipfile.ZipFile(tested / 'whole.zip') as archive:
        assert archive.namelist() == ['results.json']
        assert archive.read('results.json') == (tested / 'whole.json').read_bytes()
    output = (tested / 'output').read_text()
    for name in ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'AR1', 'AR10', 'AR100'):
        assert name in output
    assert not (tested / 'whole.partial').exists()


@pytest.mark.slow
def test_a_killed_test_goes_on_and_runs_no_video_twice(trained, tested, tmp_path):
    killed = test_video(
        tmp_path, 'out', trained=trained, KILL_AFTER_VIDEOS='2', FRAMES_LOG=str(tmp_path / 'before')
    )
    assert killed.status == -signal.SIGKILL and not (tmp_path / 'out.json').exists()
    resumed = test_video(
        tmp_path, 'out', '--eval', 'segm', trained=trained, FRAMES_LOG=str(tmp_path / 'after')
    )
    assert resumed.status == 0, resumed.output
    before, after = ((tmp_path / name).read_text().split() for name in ('before', 'after'))
    assert before == ['1/0', '1/1', '1/2', '2/0'] and after == ['3/0', '3/1', '4/0', '4/1']
    assert before + after == (tested / 'frames').read_text().split()
    for name in ('json', 'zip'):
        assert (tmp_path / f'out.{name}').read_bytes() == (tested / f'whole.{name}').read_bytes()


@pytest.mark.slow
def test_two_processes_write_the_same_bytes(trained, tested, tmp_path):
    run_distributed(
        ['dist_test.sh', trained / 'config.py', trained / 'run/epoch_3.pth', '2', '--out', 'out'],
        tmp_path,
    )
    for name in ('json', 'zip'):
        assert (tmp_path / f'out.{name}').read_bytes() == (tested / f'whole.{name}').read_bytes()


@pytest.mark.slow
def test_a_split_without_annotations_is_tested_but_not_scored(
    annotations, trained, tested, tmp_path
):
    bare = without_annotations(annotations)
    done = test_video(
        tmp_path,
        'out',
        '--eval',
        'segm',
        '--cfg-options',
        f'test_dataloader.dataset.ann_file={bare.name}',
        f'test_evaluator.ann_file={bare}',
        trained=trained,
    )
    assert done.status == 0, done.output
    assert f'{bare} has no annotations' in done.output and 'AP50' not in done.output
    assert (tmp_path / 'out.json').read_bytes() == (tested / 'whole.json').read_bytes()


@pytest.mark.slow
def test_classes_in_another_order_are_noticed(annotations, trained, tmp_path):
    """As a checkpoint of YouTube-VIS 2019 tested with the list of 2021: next to no AP, and no
    error.
    """
    content = json.loads(annotations.read_text())
    content['categories'].reverse()
    swapped = annotations.with_name('swapped.json')
    swapped.write_text(json.dumps(content))
    options = [
        '--cfg-options',
        f'test_dataloader.dataset.ann_file={swapped.name}',
        f'test_evaluator.ann_file={swapped}',
    ]
    done = test_video(tmp_path, 'out', *options, trained=trained)
    assert (
        done.status == 0
        and 'epoch_3.pth was trained for other classes (square, bar,' in done.output
    ), done.output


# Mistakes


def sentence(done: Finished) -> str:
    """The last line of a command that failed, which must not be the end of a traceback."""
    assert done.status == 1, done.output
    assert 'Traceback' not in done.output
    return done.output.strip().splitlines()[-1]


@pytest.mark.slow
def test_a_mistake_is_one_sentence_that_names_the_file(annotations, tmp_path):
    config = write_config(tmp_path, annotations)
    missing = 'train_dataloader.dataset.ann_file=nowhere.json'
    for command, words in (
        (
            ['train', config, '--cfg-options', 'load_from=coco.pth'],
            ['mmvos train:', 'coco.pth', 'does not exist'],
        ),
        (['train', config, '--cfg-options', missing], ['mmvos train:', 'nowhere.json']),
        (['train', config, '--resume', 'gone.pth'], ['mmvos train:', 'gone.pth']),
        (['train', 'no_config.py'], ['mmvos train:', 'no_config.py']),
        (
            ['train', config, '--cfg-options', 'train_cfg.max_epoch=1'],
            ['mmvos train:', 'EpochBasedTrainLoop', "'max_epoch'"],
        ),
        (
            ['train', config, '--cfg-options', 'train_cfg.val_interval=0'],
            ['mmvos train:', 'val_interval', 'not 0'],
        ),
        (
            ['train', config, '--cfg-options', 'model.track_head.fc_out_channels=-5'],
            ['mmvos train:', 'TrackHead', 'fc_out_channels', '-5'],
        ),
        (
            ['test', config, 'gone.pth', '--out', 'out'],
            ['mmvos test:', 'gone.pth', 'does not exist'],
        ),
    ):
        last = sentence(run_mmvos(*command, folder=tmp_path))
        assert all(word in last for word in words), (command, last)
    assert not list(tmp_path.glob('out*'))
