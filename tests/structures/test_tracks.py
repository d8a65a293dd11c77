"""Tracks: the summary rule of the method's results file (mean score, most frequent label, ties to
the smallest).
"""

import numpy as np
import pytest

from mmvos.structures import FrameResult, TrackedObject, VideoTracks
from mmvos.structures.rle import encode

MASK = encode(np.ones((2, 3), dtype=bool))


def result(frame_index, *objects):
    found = tuple(TrackedObject(i, label, score, (0, 0, 3, 2), MASK) for i, label, score in objects)
    return FrameResult(frame_index, (2, 3), found)


def test_score_is_the_mean_and_label_the_most_frequent():
    tracks = VideoTracks(4)
    for t, (score, label) in enumerate([(0.9, 3), (0.8, 5), (0.4, 5)]):
        tracks.add(result(t, (1, label, score)))
    (track,) = tracks.tracks()
    assert track.score == pytest.approx(0.7) and track.label == 5
    assert [m is not None for m in track.masks] == [True, True, True, False]


def test_a_tie_of_labels_goes_to_the_smallest():
    tracks = VideoTracks(2)
    tracks.add(result(0, (7, 5, 0.5)))
    tracks.add(result(1, (7, 3, 0.5)))
    assert tracks.tracks()[0].label == 3


def test_wrong_frames_and_repeated_objects_are_refused():
    tracks = VideoTracks(2)
    with pytest.raises(ValueError, match='frame 2 does not belong'):
        tracks.add(result(2, (1, 0, 0.5)))
    tracks.add(result(1, (1, 0, 0.5)))
    with pytest.raises(ValueError, match='two masks in frame 1'):
        tracks.add(result(1, (1, 0, 0.5)))


def test_label_map_shows_the_higher_score_on_top():
    left = np.zeros((2, 3), dtype=bool)
    left[:, :2] = True
    objects = (
        TrackedObject(4, 0, 0.3, (0, 0, 3, 2), MASK),
        TrackedObject(9, 0, 0.8, (0, 0, 2, 2), encode(left)),
    )
    for order in (objects, objects[::-1]):
        assert FrameResult(0, (2, 3), order).label_map().tolist() == [[9, 9, 4], [9, 9, 4]]
