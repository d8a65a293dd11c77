"""A video's run that is killed is readable up to its last frames, and goes on to the same bytes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from command import PRELOADED
from PIL import Image

from mmvos.apis import VideoInferencer, init_model, open_source, video_run
from mmvos.apis.video_run import VideoRun, fingerprint_of
from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.io.run_record import check_finished, read_record

from .bright_spots import bright_spots_config, picture, write_mp4

LENGTH = 70
NAMES = ('results.json', 'masks', 'overlay.mp4')


@pytest.fixture
def clip(tmp_path):
    return write_mp4(tmp_path / 'clip.mp4', [picture(index) for index in range(LENGTH)])


def files(out):
    """The content of all results; of the overlay its frames' names, as the encoder's last bits
    differ between two runs on the same pictures.
    """
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        if path.suffix != '.mp4'
        else [name for name, _ in open_source(path)]
        for path in sorted(out.rglob('*'))
        if path.is_file() and path.name != 'run.json'
    }


def segment(model, clip, out, stop=None, at=None, threshold=0.0):
    """Runs the command's way; calls ``stop`` when ``at`` results are there. Returns the run."""
    fingerprint = fingerprint_of(model, clip, {}, threshold=threshold)
    with VideoRun(out, fingerprint, NAMES, {'config': 'spots'}, True) as run:
        if run.was_finished:
            return run
        results = VideoInferencer(model).infer(clip, out_dir=out, score_thr=threshold, run=run)
        try:
            for count, _ in enumerate(results, 1):
                if count == at:
                    stop()
        finally:
            results.close()
    return run


def _segment_and_die(clip, out, at):
    def stop():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGKILL)

    video_run._SECONDS = -1  # the state is on the disk after each frame
    segment(init_model(bright_spots_config(), device='cpu'), clip, out, stop, at)


def kill_at(clip, out, at):
    """A process that is killed with -9 when it has a number of results, and some time to write."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_segment_and_die, args=(clip, out, at))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def count_steps(model, monkeypatch):
    steps, step = [], type(model).step

    def counted(self, frame, state, prompts=None):
        steps.append(frame.meta.index)
        return step(self, frame, state, prompts)

    monkeypatch.setattr(type(model), 'step', counted)
    return steps


def test_a_killed_run_goes_on_to_the_bytes_of_an_uninterrupted_one(
    tmp_path, model, clip, monkeypatch
):
    segment(model, clip, tmp_path / 'whole')
    out = tmp_path / 'out'
    kill_at(clip, out, 60)
    # What is there can be read, and nothing unfinished has a final name.
    shown = len(list(open_source(out / 'overlay.partial.mp4')))
    assert shown >= 25, shown
    labels = sorted((out / 'masks').glob('0*.png'))
    assert len(labels) >= 50
    for index, path in enumerate(labels):
        np.testing.assert_array_equal(
            np.asarray(Image.open(path)) == 1, picture(index)[..., 2] > 128
        )
    assert len((out / 'unfinished/results.jsonl').read_bytes().splitlines()) == 60
    assert not (out / 'results.json').exists() and not (out / 'overlay.mp4').exists()
    with pytest.raises(DataError, match='unfinished'):
        check_finished(out / 'results.json')
    steps = count_steps(model, monkeypatch)
    run = segment(model, clip, out)
    assert steps == list(range(60, LENGTH)) and run.frames == LENGTH
    assert files(out) == files(tmp_path / 'whole')
    assert check_finished(out / 'results.json').finished


def test_a_run_that_is_interrupted_keeps_whole_files_and_goes_on(
    tmp_path, model, clip, monkeypatch
):
    def interrupt():
        raise KeyboardInterrupt

    out = tmp_path / 'out'
    segment(model, clip, tmp_path / 'whole')
    with pytest.raises(KeyboardInterrupt):
        segment(model, clip, out, interrupt, 20)
    assert len(list(open_source(out / 'overlay.mp4'))) == 20
    assert len(json.loads((out / 'results.json').read_text())[0]['segmentations']) == 20
    record = read_record(out / 'run.json')
    assert (record.finished, record.frames) == (False, 20)
    steps = count_steps(model, monkeypatch)
    segment(model, clip, out)
    assert steps == list(range(20, LENGTH))
    assert files(out) == files(tmp_path / 'whole')
    assert segment(model, clip, out).was_finished and len(steps) == LENGTH - 20


def test_a_damaged_state_or_journal_starts_before_the_damage(tmp_path, model, clip, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    segment(model, clip, tmp_path / 'whole')
    for name in ('state.pth', 'results.jsonl'):
        out = tmp_path / name
        with pytest.raises(KeyboardInterrupt):
            segment(model, clip, out, interrupt, 20)
        path = out / 'unfinished' / name
        path.write_bytes(path.read_bytes()[:-30])
        segment(model, clip, out)
        assert files(out) == files(tmp_path / 'whole')


def test_another_command_sets_the_results_aside(tmp_path, model, clip):
    out = tmp_path / 'out'
    segment(model, clip, out)
    first = files(out)
    run = segment(model, clip, out, threshold=0.95)
    assert run.set_aside == out / 'earlier1'
    assert files(out / 'earlier1') == first
    assert read_record(out / 'earlier1/run.json').finished
    labels = np.asarray(Image.open(out / 'masks/00000.png'))
    assert not labels.any()  # nothing of the first run


def test_two_runs_do_not_write_one_folder(tmp_path, model, clip):
    def second():
        segment(model, clip, tmp_path / 'out')

    with pytest.raises(OutputError, match=f'process {os.getpid()}'):
        segment(model, clip, tmp_path / 'out', second, 3)
    segment(model, clip, tmp_path / 'out')


def test_the_fingerprint_tells_runs_apart(model, clip, tmp_path):
    same = [fingerprint_of(model, clip, {}, fps=None) for _ in range(2)]
    others = [fingerprint_of(model, clip, {}, fps=5), fingerprint_of(model, None, {}, fps=None)]
    model.threshold.data += 1
    others.append(fingerprint_of(model, clip, {}, fps=None))
    assert same[0] == same[1] and len({same[0], *others}) == 4
