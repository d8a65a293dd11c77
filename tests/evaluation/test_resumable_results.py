"""The store of a test run: survives kill -9, and gives the same bytes for any number of
processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmvos.datasets import PromptedVideo
from mmvos.datasets.mask_folders import MaskVideo
from mmvos.evaluation import resumable_results
from mmvos.evaluation.label_map_results import LabelMapResults
from mmvos.evaluation.resumable_results import fingerprint
from mmvos.evaluation.youtube_vis.track_results import TrackResults
from mmvos.io.errors import DataError
from mmvos.io.run_record import check_finished, read_record
from mmvos.structures import FrameResult, TrackedObject, rle

VIDEOS = (30, 10, 20, 5)  # ids in the order of the data set


def entries(video_id: int) -> list[dict]:
    mask = rle.encode(np.arange(12).reshape(3, 4) % (video_id % 7 + 2) == 0)
    entry = {
        'video_id': video_id,
        'category_id': 2,
        'score': video_id / 7,
        'segmentations': [None, mask],
    }
    return [entry] * (video_id // 5 % 3)


def _run(out, by_rank: dict[int, list[int]], monkeypatch, run: str = 'a') -> bytes:
    """Appends the videos of each rank, and merges."""
    for rank, video_ids in by_rank.items():
        monkeypatch.setattr(resumable_results, 'get_rank', lambda rank=rank: rank)
        with TrackResults(out, run) as store:
            for video_id in video_ids:
                store.append(video_id, entries(video_id))
    monkeypatch.setattr(resumable_results, 'get_rank', lambda: 0)
    json_path, zip_path = TrackResults(out, run).merge(VIDEOS)
    assert zipfile.ZipFile(zip_path).namelist() == ['results.json']
    assert zipfile.ZipFile(zip_path).read('results.json') == json_path.read_bytes()
    return json_path.read_bytes() + zip_path.read_bytes()


def test_any_number_of_processes_gives_the_same_bytes(tmp_path, monkeypatch):
    one = _run(tmp_path / 'one', {0: [30, 10, 20, 5]}, monkeypatch)
    two = _run(tmp_path / 'two', {0: [5, 10], 1: [20, 30]}, monkeypatch)
    overlapping = _run(tmp_path / 'three', {0: [10], 1: [20, 10], 2: [5, 30, 20]}, monkeypatch)
    assert one == two == overlapping
    expected = [entry for video_id in VIDEOS for entry in entries(video_id)]
    assert json.loads((tmp_path / 'one.json').read_text()) == expected
    assert not (tmp_path / 'one.partial').exists()


KILLED = """
import os, signal, sys
from mmvos.evaluation.youtube_vis.track_results import TrackResults
from tests.evaluation.test_resumable_results import entries
store = TrackResults(sys.argv[1], 'a')
store.append(30, entries(30))
store.append(10, entries(10))
# As a kill in the middle of a write leaves it.
store._shard.write(b'{"video_id":20,"entries":[{"vid')
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_continues_where_it_stopped(tmp_path, monkeypatch, request):
    out = tmp_path / 'out'
    command = [sys.executable, '-c', KILLED, str(out)]
    environment = {**os.environ, 'PYTHONPATH': str(request.config.rootpath)}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert ended.returncode == -9, ended.stderr
    assert (tmp_path / 'out.partial/rank0.jsonl').read_bytes().endswith(b'{"vid')
    with TrackResults(out, 'a') as store:
        assert store.finished == {30, 10}
        assert store.read(10) == entries(10)
        for video_id in (20, 5):
            store.append(video_id, entries(video_id))
        store.merge(VIDEOS)
    whole = _run(tmp_path / 'whole', {0: list(VIDEOS)}, monkeypatch)
    assert (tmp_path / 'out.json').read_bytes() + (tmp_path / 'out.zip').read_bytes() == whole


def test_a_video_is_with_the_system_when_append_returns(tmp_path):
    with TrackResults(tmp_path / 'out', 'a') as store:
        store.append(30, entries(30))
        assert TrackResults(tmp_path / 'out', 'a').finished == {30}


def test_zeros_after_a_power_cut_are_dropped(tmp_path):
    with TrackResults(tmp_path / 'out', 'a') as store:
        store.append(30, entries(30))
    with open(tmp_path / 'out.partial/rank0.jsonl', 'ab') as stream:
        stream.write(bytes(100) + b'\n')
    assert TrackResults(tmp_path / 'out', 'a').finished == {30}


def test_results_of_another_run_are_not_used(tmp_path):
    with TrackResults(tmp_path / 'out', 'a') as store:
        store.append(30, entries(30))
    assert TrackResults(tmp_path / 'out', 'b').finished == frozenset()
    assert TrackResults(tmp_path / 'out', 'a').finished == frozenset()
    kept = (tmp_path / 'out.earlier1.partial/rank0.jsonl').read_text()
    assert '"video_id":30' in kept  # never deleted


def test_finished_results_of_another_run_are_set_aside_before_the_first_video(
    tmp_path, monkeypatch
):
    out = tmp_path / 'out'
    _run(out, {0: list(VIDEOS)}, monkeypatch, 'a')
    first = (tmp_path / 'out.json').read_bytes()
    assert read_record(tmp_path / 'out.run.json').finished
    with TrackResults(out, 'b') as store:
        assert not (tmp_path / 'out.json').exists() and not (tmp_path / 'out.zip').exists()
        assert (tmp_path / 'out.earlier1.json').read_bytes() == first
        assert (tmp_path / 'out.earlier1.zip').exists()
        assert read_record(tmp_path / 'out.earlier1.run.json').fingerprint == 'a'
        with pytest.raises(DataError, match='unfinished'):
            check_finished(out)
        for video_id in VIDEOS:
            store.append(video_id, entries(video_id))
        store.merge(VIDEOS)
    assert check_finished(tmp_path / 'out.json').fingerprint == 'b'


def test_the_same_run_again_keeps_its_results_until_the_end(tmp_path, monkeypatch):
    first = _run(tmp_path / 'out', {0: list(VIDEOS)}, monkeypatch, 'a')
    with TrackResults(tmp_path / 'out', 'a') as store:
        assert store.finished == frozenset() and (tmp_path / 'out.json').exists()
    assert _run(tmp_path / 'out', {0: list(VIDEOS)}, monkeypatch, 'a') == first
    assert not list(tmp_path.glob('*earlier*'))


@pytest.mark.parametrize('old, new', [(b'"score":1.4', b'"score":1.5'), (b'"category_id":2', b'"')])
def test_damaged_results_are_not_taken(tmp_path, old, new):
    """A changed score and a broken line: the videos before are kept, those from there tested
    again.
    """
    with TrackResults(tmp_path / 'out', 'a') as store:
        store.append(30, [])
        store.append(10, entries(10))
        store.append(20, entries(20))
    shard = tmp_path / 'out.partial/rank0.jsonl'
    assert old in shard.read_bytes()
    shard.write_bytes(shard.read_bytes().replace(old, new))
    assert TrackResults(tmp_path / 'out', 'a').finished == {30}


def test_a_merge_without_all_videos_names_the_first_missing(tmp_path):
    with TrackResults(tmp_path / 'out', 'a') as store:
        store.append(30, entries(30))
        with pytest.raises(ValueError, match=r'3 of 4 videos have no result.* video 10'):
            store.merge(VIDEOS)
    assert TrackResults(tmp_path / 'out', 'a').finished == {30}


def test_a_score_that_is_no_number_is_refused(tmp_path):
    with (
        TrackResults(tmp_path / 'out', 'a') as store,
        pytest.raises(ValueError, match='not JSON compliant'),
    ):
        store.append(
            1, [{'video_id': 1, 'category_id': 1, 'score': float('nan'), 'segmentations': []}]
        )


def test_fingerprint_tells_settings_and_files_apart(tmp_path):
    weights, other = tmp_path / 'a.pth', tmp_path / 'b.pth'
    weights.write_bytes(b'weights')
    other.write_bytes(b'weights')
    assert fingerprint({'a': 1, 'b': (2,)}, weights) == fingerprint({'b': (2,), 'a': 1}, other)
    assert fingerprint({'a': 1}, weights) != fingerprint({'a': 2}, weights)
    other.write_bytes(b'Weights')
    assert fingerprint({'a': 1}, weights) != fingerprint({'a': 1}, other)


# Label images

NAMES = ('00000', '00005', '00010')


def video(number: int, masks=None) -> PromptedVideo:
    files = MaskVideo(f'v{number}', (), masks or (None,) * len(NAMES))
    return PromptedVideo(number, f'v{number}', len(NAMES), NAMES, files)


def result(index: int, object_id: int = 3) -> FrameResult:
    """The object covers columns up to the frame's index."""
    mask = np.arange(8)[None].repeat(4, axis=0) <= index
    return FrameResult(
        index, (4, 8), (TrackedObject(object_id, -1, 1.0, (0, 0, 1, 1), rle.encode(mask)),)
    )


def test_label_images_are_there_at_once_and_are_packed_in_order(tmp_path):
    with LabelMapResults(tmp_path / 'out', 'a', folder_in_zip='Annotations/') as labels:
        for number in (2, 1):
            results = []

            def watched(number=number, results=results):
                for index in (0, 2):
                    yield result(index)
                    name = f'v{number}/{NAMES[index]}.png'
                    results.append((tmp_path / 'out.partial/files' / name).is_file())

            labels.keep(video(number), watched())
            assert results == [True, True]
            assert not (tmp_path / 'out').exists()  # nothing unfinished under the final name
        _, path = labels.merge([1, 2])
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            f'Annotations/v{number}/{name}.png' for number in (1, 2) for name in ('00000', '00010')
        ]
        image = Image.open(archive.open('Annotations/v2/00010.png'))
        np.testing.assert_array_equal(
            np.asarray(image), 3 * (np.arange(8)[None].repeat(4, axis=0) <= 2)
        )
    assert not (tmp_path / 'out.partial').exists()


def test_no_name_leads_out_of_the_results(tmp_path):
    (tmp_path / 'victim').mkdir()
    hostile = replace(video(1), name='../victim')
    with LabelMapResults(tmp_path / 'out', 'a') as store:
        with pytest.raises(DataError, match='leads out'):
            store.keep(hostile, [result(0), result(1)])
        store.append(1, [['../victim/00000.png', 'digest']])
    with pytest.raises(DataError, match='leads out'):
        LabelMapResults(tmp_path / 'out', 'a')
    assert not list((tmp_path / 'victim').iterdir())


def test_a_video_whose_images_are_gone_is_not_finished(tmp_path):
    with LabelMapResults(tmp_path / 'out', 'a') as labels:
        for number in (1, 2):
            labels.keep(video(number), [result(0), result(1)])
    assert LabelMapResults(tmp_path / 'out', 'a').finished == {1, 2}
    (tmp_path / 'out.partial/files/v1/00005.png').unlink()
    assert LabelMapResults(tmp_path / 'out', 'a').finished == {2}
    (tmp_path / 'out.partial/files/v2/00000.png').write_bytes(b'damaged')
    assert LabelMapResults(tmp_path / 'out', 'a').finished == frozenset()
    assert LabelMapResults(tmp_path / 'out', 'b').finished == frozenset()


def test_an_id_that_no_label_image_holds_is_refused(tmp_path):
    with (
        LabelMapResults(tmp_path / 'out', 'a') as labels,
        pytest.raises(ValueError, match='video v1: object id 65536 does not fit'),
    ):
        labels.keep(video(1), [result(0, 65535), result(1, 65536)])
    assert LabelMapResults(tmp_path / 'out', 'a').finished == frozenset()


def test_given_label_images_are_never_overwritten(tmp_path):
    (tmp_path / 'v1').mkdir()
    masks = tuple(tmp_path / f'v1/{name}.png' for name in NAMES)
    with (
        LabelMapResults(tmp_path, 'a') as labels,
        pytest.raises(ValueError, match=r'v1 holds'),
    ):
        labels.keep(video(1, masks), [result(0)])
    assert not any(path.exists() for path in masks)


def test_images_of_an_earlier_run_are_named(tmp_path):
    (tmp_path / 'out/v1').mkdir(parents=True)
    (tmp_path / 'out/v1/00099.png').touch()
    with (
        LabelMapResults(tmp_path / 'out', 'a') as labels,
        pytest.warns(UserWarning, match=r'still holds 1 label images .*00099'),
    ):
        labels.keep(video(1), [result(0)])
