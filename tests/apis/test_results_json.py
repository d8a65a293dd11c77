"""results.json equals the tracks that ``VideoTracks`` collects in memory."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mmvos.apis.results_json import ResultsJson
from mmvos.evaluation.youtube_vis import result_entries, write_results
from mmvos.io.atomic import OutputError
from mmvos.structures import FrameResult, TrackedObject, VideoTracks, rle

NO_IMAGE = np.zeros((6, 5, 3), np.uint8)


def _object(object_id: int, label: int, score: float, seed: int = 0) -> TrackedObject:
    mask = np.random.default_rng((object_id, seed)).random((6, 5)) > 0.5
    return TrackedObject(object_id, label, score, (0.0, 0.0, 5.0, 6.0), rle.encode(mask))


def _write(path, frames, **options) -> list:
    with ResultsJson(path, **options) as writer:
        for index, objects in enumerate(frames):
            writer.write('', NO_IMAGE, FrameResult(index, (6, 5), tuple(objects)))
    return json.loads(path.read_text())


def test_equal_to_the_tracks_in_memory_byte_for_byte(tmp_path):
    rng = np.random.default_rng(1)
    frames = [
        [
            _object(object_id, int(rng.integers(3)), float(rng.random()), index)
            for object_id in (12, 3, 7, 100)
            if rng.random() < 0.6
        ]
        for index in range(40)
    ]
    _write(tmp_path / 'results.json', frames, category_ids=(5, 1, 9), video_id=4)
    tracks = VideoTracks(len(frames))
    for index, objects in enumerate(frames):
        tracks.add(FrameResult(index, (6, 5), tuple(objects)))
    expected, _ = write_results(
        result_entries(4, tracks.tracks(), (5, 1, 9)), tmp_path / 'expected'
    )
    assert (tmp_path / 'results.json').read_bytes() == expected.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {
        'results.json',
        'expected.json',
        'expected.zip',
    }


def test_track_summary_of_the_spec(tmp_path):
    # Spec V8: scores .9, .8, .4, labels 3, 5, 5 -> score .7, the category of label 5; labels 3, 5
    # -> 3.
    frames = [
        [_object(1, 3, 0.9), _object(2, 5, 0.5)],
        [_object(1, 5, 0.8)],
        [],
        [_object(1, 5, 0.4), _object(2, 3, 0.5)],
    ]
    first, second = _write(tmp_path / 'r.json', frames, category_ids=tuple(range(10, 20)))
    assert (
        first['score'] == pytest.approx(0.7)
        and first['category_id'] == 15
        and first['video_id'] == 1
    )
    assert [mask is not None for mask in first['segmentations']] == [True, True, False, True]
    assert second['category_id'] == 13
    assert [mask is not None for mask in second['segmentations']] == [True, False, False, True]
    assert second['segmentations'][0] == frames[0][1].mask


def test_absent_at_both_ends(tmp_path):
    (track,) = _write(tmp_path / 'r.json', [[], [], [_object(1, 0, 0.5)], []], category_ids=(1,))
    assert [mask is not None for mask in track['segmentations']] == [False, False, True, False]


@pytest.mark.parametrize('frames', [[], [[], []]])
def test_nothing_found_is_an_empty_list(tmp_path, frames):
    assert _write(tmp_path / 'r.json', frames, category_ids=(1,)) == []


@pytest.mark.parametrize(
    'label, category_ids, expected', [(-1, (), 1), (-1, (8, 9), 1), (4, (), 5), (1, (8, 9), 9)]
)
def test_categories(tmp_path, label, category_ids, expected):
    (track,) = _write(tmp_path / 'r.json', [[_object(1, label, 0.5)]], category_ids=category_ids)
    assert track['category_id'] == expected


def test_a_label_without_category(tmp_path):
    with pytest.raises(ValueError, match=r'r\.json: object 1 has label 2.* 2 categories'):
        _write(tmp_path / 'r.json', [[_object(1, 2, 0.5)]], category_ids=(8, 9))


def test_an_error_leaves_the_frames_so_far(tmp_path):
    with (
        pytest.raises(RuntimeError, match='power'),
        ResultsJson(tmp_path / 'r.json', (1,)) as writer,
    ):
        writer.write('', NO_IMAGE, FrameResult(0, (6, 5), (_object(1, 0, 0.5),)))
        raise RuntimeError('power')
    (track,) = json.loads((tmp_path / 'r.json').read_text())
    assert len(track['segmentations']) == 1


def test_what_a_killed_run_left_does_not_matter(tmp_path):
    (tmp_path / 'r.json.partial').write_bytes(b'half a database')
    assert len(_write(tmp_path / 'r.json', [[_object(1, 0, 0.5)]], category_ids=(1,))) == 1


def test_a_full_disk_is_known_as_such(tmp_path):
    """SQLite reports a full disk, and a database that may not grow, in the same way."""
    item = TrackedObject(1, 0, 0.5, (0.0, 0.0, 5.0, 6.0), {'size': [9, 9], 'counts': 'x' * 9000})
    image = np.zeros((9, 9, 3), np.uint8)
    with ResultsJson(tmp_path / 'results.json', ()) as writer:
        writer._masks.execute('PRAGMA max_page_count = 2')
        with pytest.raises(OutputError, match='disk is full') as raised:
            writer.write('', image, FrameResult(0, (9, 9), (item,)))
        assert raised.value.meets_all_files
