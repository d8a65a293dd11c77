"""The benchmark of video object segmentation: its video, and that it runs to its end. Times are no
test.
"""

from __future__ import annotations

import colored_videos as tiny
import cv2
import numpy as np
from command import run_mmvos

from mmvos.benchmarks.synthetic_video import make_video


def test_the_video_has_eight_objects_that_stay_in_the_picture_and_apart(tmp_path):
    video = make_video(tmp_path)
    assert np.unique(video.labels).tolist() == list(range(9)) and video.labels.shape == (480, 854)
    areas = np.bincount(video.labels.ravel())[1:]
    # whole ovals: none is cut off, none hides another
    np.testing.assert_allclose(areas, np.pi * 55 * 75, rtol=0.02)
    first, last = (cv2.imread(str(video.pictures[i])).astype(int) for i in (0, -1))
    assert np.abs(first - last).mean() > 5
    prompts = video.prompts(3)[0]
    assert prompts.ids == (1, 2, 3) and prompts.masks[2].sum() == areas[2]


def test_objects_that_move_faster_go_the_same_way_forth_and_back(tmp_path):
    pictures = {}
    for pace in (1, 12):
        folder = tmp_path / str(pace)
        folder.mkdir()
        video = make_video(folder, pace)
        pictures[pace] = [path.read_bytes() for path in video.pictures]
    assert pictures[12][1] == pictures[1][12]
    # 48 steps are there and back
    assert pictures[12][4] == pictures[12][0] == pictures[1][0]
    assert pictures[12][3] == pictures[1][12]


def test_of_the_objects_some_stand_still_in_the_noise_of_a_camera(tmp_path):
    """The third is the first that moves."""
    video = make_video(tmp_path, 4, still=2)
    first, last = (cv2.imread(str(video.pictures[i])).astype(int) for i in (0, 11))
    changes = np.abs(first - last).mean(axis=2)
    inside = [changes[video.labels == k].mean() for k in (1, 2, 3)]
    # the difference of two pictures with noise of 2 gray levels is 2 * 2 / sqrt(pi) = 2.3
    assert inside[0] < 3 and inside[1] < 3 and inside[2] > 5
    assert inside[0] > 1.2


def test_it_prints_a_row_per_number_of_objects_and_the_memory(tmp_path):
    tiny.config(dict(data_root='unused'), **tiny.SEGMENTER).dump(tmp_path / 'segmenter.py')
    options = [
        '--modes',
        '--precisions',
        'float32',
        '--objects',
        '1',
        '8',
        '--devices',
        'cpu',
        '--seconds',
        '1',
        '--frames',
        '30',
    ]
    done = run_mmvos('benchmark', 'vos', '--config', 'segmenter.py', *options, folder=tmp_path)
    assert done.status == 0, done.output
    rows = [line.split('|')[1:-1] for line in done.output.splitlines() if line.startswith('| cpu')]
    assert [row[3].strip() for row in rows] == ['1', '8'] and all(float(row[4]) > 0 for row in rows)
    assert rows[0][5].strip() == '1.00' and 'random weights' in done.output
    assert 'cpu: memory over 30 frames, 2 objects' in done.output
