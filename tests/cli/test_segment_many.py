"""The command on many videos: a folder of results for each, a table, faults, and going on."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from moving_squares import picture

from mmvos.apis.batch import worker as batch_worker
from mmvos.apis.batch.outcome import read_outcome
from mmvos.apis.video_run import VideoRun
from mmvos.io.atomic import OutputError
from mmvos.io.label_png import read_label_png
from mmvos.io.output_lock import OutputLock
from mmvos.io.run_record import read_record
from tests.apis.batch.small_batch import results, segment_here, start, write_batch

pytest.importorskip('onnxruntime')


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """Three videos, of which the second one is broken."""
    words = write_batch(tmp_path, (4, 3, 2))
    (tmp_path / 'videos/v1/00001.png').write_bytes(b'')
    return words


def table(out: Path) -> list[dict[str, str]]:
    with open(out / 'videos.csv', newline='') as stream:
        return list(csv.DictReader(stream))


def test_a_broken_video_is_named_and_the_others_are_finished(tmp_path, words, capsys):
    out = tmp_path / 'out'
    said = segment_here(words, out)
    assert said is not None and said.startswith('1 of 3 videos') and '00001.png' in said
    rows = table(out)
    assert [(row['video'], row['frames'], row['objects']) for row in rows] == [
        ('v0', '4', '1'),
        ('v1', '0', '0'),
        ('v2', '2', '1'),
    ]
    assert ['00001.png' in row['fault'] for row in rows] == [False, True, False]
    assert float(rows[0]['seconds']) > 0 and rows[1]['seconds'] == ''
    content = json.loads((out / 'videos.json').read_text())
    assert content['totals'] | {'seconds': 0} == {
        'videos': 3,
        'faults': 1,
        'frames': 6,
        'seconds': 0,
    }
    shown = capsys.readouterr().out
    assert 'v1: ' in shown and '3 videos, 6 frames' in shown

    # the masks are those of the red square
    for index in range(4):
        truth = picture(index)[..., 2] > 200
        found = read_label_png(out / f'v0/masks/{index:05}.png') == 1
        assert np.count_nonzero(found & truth) > 0.9 * np.count_nonzero(found | truth)


def test_the_same_command_again_does_only_what_is_missing(tmp_path, words, monkeypatch, capsys):
    out = tmp_path / 'out'
    segment_here(words, out)
    first = results(out)
    seconds = table(out)[0]['seconds']
    (tmp_path / 'videos/v1/00001.png').write_bytes((tmp_path / 'videos/v0/00001.png').read_bytes())
    done = []
    infer = batch_worker.VideoWorker._infer
    monkeypatch.setattr(
        batch_worker.VideoWorker,
        '_infer',
        lambda self, video, *rest: done.append(video.name) or infer(self, video, *rest),
    )
    capsys.readouterr()
    assert segment_here(words, out) is None
    assert done == ['v1']
    assert 'v0: ' not in capsys.readouterr().out
    assert {name: content for name, content in results(out).items() if 'v1/' not in name} == first
    assert table(out)[0]['seconds'] == seconds and table(out)[1]['fault'] == ''

    # Other options are other results; those before are kept.
    assert segment_here([*words, '--score-thr', '0.5'], out) is None
    assert done == ['v1', 'v0', 'v1', 'v2']
    assert (out / 'v2/earlier1/results.json').is_file()


def test_videos_by_a_list(tmp_path, words):
    (tmp_path / 'all.txt').write_text('videos/v2\nvideos/gone\n')
    said = segment_here([str(tmp_path / 'all.txt'), *words[1:]], tmp_path / 'out')
    assert said is not None and 'videos/gone' in said and 'does not exist' in said
    assert (tmp_path / 'out/videos/v2/results.json').is_file()
    assert read_outcome(tmp_path / 'out/videos/v2').outcome.frames == 2


def test_processes_give_the_results_of_one(tmp_path):
    words = write_batch(tmp_path, (9, 3, 5, 4))
    assert segment_here(words, tmp_path / 'one') is None
    assert segment_here([*words, '--processes', '2'], tmp_path / 'two') is None
    assert results(tmp_path / 'two') == results(tmp_path / 'one')
    rows = [(row['video'], row['frames'], row['fault']) for row in table(tmp_path / 'two')]
    assert rows == [('v0', '9', ''), ('v1', '3', ''), ('v2', '5', ''), ('v3', '4', '')]


def test_a_killed_process_is_replaced_and_its_video_is_finished(tmp_path):
    words = write_batch(tmp_path, (60, 60, 3))
    assert segment_here(words, tmp_path / 'one') is None
    out = tmp_path / 'two'
    run = start([*words, '--processes', '2'], out)
    try:
        process = working_process(out / 'v1')
        os.kill(process, signal.SIGKILL)
        said, _ = run.communicate(timeout=120)
    finally:
        run.kill()
    assert run.returncode == 0, said
    assert results(out) == results(tmp_path / 'one')
    assert read_outcome(out / 'v1').outcome.frames == 60


def working_process(folder: Path) -> int:
    """Wait until a process has results of a video, and return its number."""
    end = time.monotonic() + 120
    journal = folder / 'unfinished/results.jsonl'
    while not (journal.is_file() and journal.stat().st_size):
        assert time.monotonic() < end
        time.sleep(0.01)
    return int(json.loads((folder / '.mmvos.lock').read_text())['process'])


@pytest.mark.parametrize('launcher', ['pytorch', 'slurm'])
def test_processes_that_a_launcher_has_started(tmp_path, words, launcher):
    names = {
        'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
        'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    }[launcher]
    runs = []
    for rank in range(2):
        environment = dict(zip(names, (str(rank), '2', str(rank)), strict=True))
        runs.append(start([*words, '--launcher', launcher], tmp_path / 'out', environment))
    said = [run.communicate(timeout=120)[0] for run in runs]
    # The first one speaks for all: a launcher stops the others where one of them fails.
    assert [run.returncode for run in runs] == [1, 0], said
    assert '1 of 3 videos' in said[0] and 'videos.csv' not in said[1]
    assert [row['frames'] for row in table(tmp_path / 'out')] == ['4', '0', '2']
    # without a launcher
    sentence = segment_here([*words, '--launcher', launcher], tmp_path / 'other')
    assert sentence is not None and names[0] in sentence


@pytest.mark.slow
def test_torchrun_itself_gives_the_results_of_one(tmp_path):
    pytest.importorskip('torch')
    words = write_batch(tmp_path, (5, 3, 4, 2))
    assert segment_here(words, tmp_path / 'one') is None
    torchrun = ['torch.distributed.run', '--standalone', '--nproc_per_node', '2', '-m', 'mmvos']
    run = start([*words, '--launcher', 'pytorch'], tmp_path / 'two', program=torchrun)
    said, _ = run.communicate(timeout=240)
    assert run.returncode == 0, said
    assert said.count('4 videos, 14 frames') == 1
    assert results(tmp_path / 'two') == results(tmp_path / 'one')


def test_a_video_at_which_processes_die_is_left_alone(tmp_path, monkeypatch):
    words = write_batch(tmp_path, (2, 2))
    out = tmp_path / 'out'
    run = start([*words, '--processes', '2'], out, {'PYTHONPATH': dying_at_v1(tmp_path)})
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 1
    assert 'v1: 2 processes' in said.splitlines()[-1]
    assert read_outcome(out / 'v0').outcome.fault == ''


def dying_at_v1(folder: Path) -> str:
    """A path on which Python finds a module that kills whoever segments the video v1."""
    (folder / 'sitecustomize.py').write_text(
        'import os\n'
        'def watch():\n'
        '    from mmvos.apis.batch.worker import VideoWorker\n'
        '    infer = VideoWorker._infer\n'
        '    def dying(self, video, *rest):\n'
        '        if video.name == "v1":\n'
        '            os.kill(os.getpid(), 9)\n'
        '        return infer(self, video, *rest)\n'
        '    VideoWorker._infer = dying\n'
        'if os.environ.get("RANK"):\n'
        '    import threading, sys\n'
        '    class Finder:\n'
        '        def find_spec(self, name, path=None, target=None):\n'
        '            if name == "mmvos.apis.batch.shares":\n'
        '                sys.meta_path.remove(self)\n'
        '                watch()\n'
        '    sys.meta_path.insert(0, Finder())\n'
    )
    return os.pathsep.join([str(folder), os.environ.get('PYTHONPATH', '')])


def test_two_commands_do_not_write_one_folder(tmp_path, words):
    out = tmp_path / 'out'
    out.mkdir()
    with OutputLock(out / '.mmvos.lock', out):
        said = segment_here(words, out)
    assert said is not None and f'process {os.getpid()}' in said
    assert os.listdir(out) == []
    # a video that another command writes is a fault of its own
    with VideoRun(out / 'v0', 'other', (), {}, True):
        said = segment_here(words, out)
        assert said is not None and said.startswith('2 of 3 videos')
    assert 'process' in table(out)[0]['fault']
    assert not (out / 'v0/outcome.json').exists()


def test_a_full_disk_ends_the_run_and_nothing_is_lost(tmp_path, words, monkeypatch):
    out = tmp_path / 'out'
    write = batch_worker.write_outcome

    def full(folder: Path, *rest: object, **more: object) -> None:
        if folder.name == 'v1':
            error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise OutputError('the disk is full') from error
        write(folder, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(batch_worker, 'write_outcome', full)
        assert segment_here(words, out) == 'the disk is full'
    assert read_record(out / 'v0/run.json').finished
    assert not (out / 'v2').exists()
    said = segment_here(words, out)
    assert said is not None and said.startswith('1 of 3 videos')


def test_a_file_that_becomes_too_large_is_a_fault_of_its_video(tmp_path):
    """The limit of the system on the size of a file stands for a quota."""
    words = write_batch(tmp_path, (2, 90))
    out = tmp_path / 'out'
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (14_000, before[1]))
        said = segment_here(words, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert said is not None and said.startswith('1 of 2 videos') and 'cannot be written' in said
    assert table(out)[1]['video'] == 'v1' and table(out)[1]['fault']
    assert segment_here(words, out) is None
    assert segment_here(words, tmp_path / 'whole') is None
    assert results(out) == results(tmp_path / 'whole')


@pytest.mark.parametrize(
    ('options', 'fault'),
    [
        (['--box', '1,1,9,9'], '--box is for one video'),
        (['--prompts', 'prompts/v0.png'], 'is no folder'),
        (['--launcher', 'pytorch', '--processes', '2'], '--processes starts processes'),
    ],
)
def test_options_that_cannot_be_meant(tmp_path, words, monkeypatch, options, fault):
    monkeypatch.chdir(tmp_path)
    given = words if '--prompts' not in options and '--box' not in options else [words[0]]
    said = segment_here([*given, *options], tmp_path / 'out')
    assert said is not None and fault in said
    assert not (tmp_path / 'out').exists()


def test_options_of_many_videos_are_refused_for_one(tmp_path, words):
    one = [str(tmp_path / 'videos/v0'), *words[1:]]
    assert 'is a folder' in segment_here(one, tmp_path / 'out')
    one[2] += '/v0.png'
    one[1] = '--mask'
    assert '--processes' in segment_here([*one, '--processes', '2'], tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_graphs_of_another_version_are_refused_before_the_first_video(tmp_path, words):
    path = tmp_path / 'graphs/model.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'format': 99}))
    for more in ([], ['--processes', '2']):
        said = segment_here([*words, *more], tmp_path / 'out')
        assert said is not None and 'model.json has format 99' in said
        assert not list((tmp_path / 'out').glob('v*')) if (tmp_path / 'out').exists() else True


def test_without_ray_it_says_how_to_install_it(tmp_path, words, monkeypatch, capsys):
    from mmvos.cli.main import main

    monkeypatch.setitem(sys.modules, 'ray', None)
    monkeypatch.delitem(sys.modules, 'mmvos.apis.batch.ray_cluster', raising=False)
    monkeypatch.setattr(sys, 'argv', [*sys.argv])
    arguments = ['segment', *words, '--launcher', 'ray', '--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert str(ended.value) == (
        'mmvos segment: this needs ray, which is not installed; pip install "mmvos[ray]"'
    )
