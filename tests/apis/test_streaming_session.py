"""A video in the caller's own loop: when objects come, which ids they get, what a mistake leaves,
and memory that stays.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import colored_videos as tiny
import cv2
import numpy as np
import pytest

from mmvos.apis import VideoInferencer, init_model
from mmvos.apis.streaming_session import StreamingSession
from mmvos.io.errors import DataError
from mmvos.io.label_png import write_label_png
from mmvos.models import VideoSteps
from mmvos.structures import Frame, FrameMeta, FrameResult, Prompts

LABELS = tiny.label_map(0, {1: 0, 3: 0}, 1)
FRAME = tiny.picture(LABELS)
BOX = (3, 2, 19, 14)


@pytest.fixture
def inferencer() -> VideoInferencer:
    """An oracle that sees the prompted objects by their colors."""
    return VideoInferencer(
        init_model(tiny.config(dict(data_root='unused'), **tiny.SEGMENTER), device='cpu')
    )


def ids_of(result: FrameResult) -> list[int]:
    return [item.id for item in result.objects]


def prompts(*ids: int) -> Prompts:
    return Prompts(ids, (None,) * len(ids), (BOX,) * len(ids))


def test_prompts_wait_for_their_frame(inferencer):
    inferencer.start({0: [BOX], 2: prompts(7)})
    assert [ids_of(inferencer.step(FRAME)) for _ in range(3)] == [[1], [1], [1, 7]]
    assert inferencer.add([BOX]) == (8,)  # 7 is taken
    assert ids_of(inferencer.step(FRAME)) == [1, 7, 8]
    assert inferencer.step(FRAME).frame_index == 4
    inferencer.start(prompts(5))
    result = inferencer.step(FRAME)
    assert (ids_of(result), result.frame_index) == ([5], 0)


def test_two_additions_before_a_frame_are_one_and_the_last_word_counts(inferencer):
    inferencer.start()
    assert inferencer.add([BOX]) + inferencer.add([BOX, BOX]) == (1, 2, 3)
    inferencer.add(prompts(2))
    inferencer.remove(1)  # before it was ever seen
    assert ids_of(inferencer.step(FRAME)) == [2, 3]
    with pytest.raises(ValueError, match='object 1 was removed'):
        inferencer.add(prompts(1))
    inferencer.add(prompts(9))
    inferencer.remove(9)  # all that waited
    assert ids_of(inferencer.step(FRAME)) == [2, 3]


class Recorder(VideoSteps):
    """A model that only notes the prompts that it gets."""

    def __init__(self) -> None:
        self.got: list[Prompts | None] = []

    def init_state(self) -> None:
        return None

    def remove(self, state: None, object_id: int) -> None:
        return None

    def identity(self) -> list[Any]:
        return []

    def make_frame(self, batch: int) -> Frame:
        return Frame(None, FrameMeta(batch, (8, 8), (8, 8), (1.0, 1.0)))

    def step(self, frame: Any, state: None, prompts: Prompts | None) -> tuple[None, None]:
        self.got.append(prompts)
        return None, None


def test_points_and_restart_reach_the_model():
    clicks = (((3.0, 4.0, True),),)
    first = Prompts((1,), (None,), (None,), clicks)
    again = Prompts((1,), (None,), (None,), clicks, restart=True)
    new = Prompts((2,), (None,), ((0, 0, 5, 5),))
    model = Recorder()
    session = StreamingSession(model, lambda index, picture: index, {0: first})
    session.step(FRAME)
    session.add(again)
    session.add(new)  # there is nothing that it could restart
    session.step(FRAME)
    session.add(again)
    with pytest.raises(DataError, match=r'frame 2: .*restart'):
        session.add(Prompts((2,), (None,), (None,), clicks))
    session.add(Prompts((), (), ()))
    session.step(FRAME)
    session.step(FRAME)
    both = Prompts((1, 2), (None, None), (None, new.boxes[0]), (clicks[0], ()), restart=True)
    assert model.got == [first, both, again, None]


def test_a_mistake_is_said_and_the_video_goes_on(inferencer):
    inferencer.start([BOX])
    inferencer.step(FRAME)
    for frame, sentence in (
        (FRAME.astype(float), r'frame 1 must be a uint8 array'),
        ('a.png', 'frame 1 is a str'),
        (FRAME[:40], 'frame 1 is 64x40 but the first frame is 64x48'),
    ):
        with pytest.raises(ValueError, match=sentence):
            inferencer.step(frame)
    inferencer.add([(70, 1, 90, 9)])
    with pytest.raises(ValueError, match='box prompt of object 2 lies outside'):
        inferencer.step(FRAME)
    with pytest.raises(ValueError, match=r'of the next frame, .*\[0, 4\]'):
        inferencer.add({0: [BOX], 4: [BOX]})
    result = inferencer.step(FRAME)
    assert (ids_of(result), result.frame_index) == ([1], 1)


def test_infer_leaves_the_live_video_alone(inferencer):
    inferencer.start([BOX])
    inferencer.step(FRAME)
    assert [ids_of(result) for result in inferencer.infer([FRAME] * 2, prompts(3))] == [[3], [3]]
    assert inferencer.step(FRAME).frame_index == 1


@pytest.mark.parametrize('form', ['Prompts', 'boxes', 'labels', 'png', 'json', 'by frame'])
def test_all_forms_of_prompts_say_the_same(inferencer, tmp_path, form):
    write_label_png(tmp_path / 'first.png', LABELS * (LABELS == 1))
    entry = {'frame': 0, 'id': 1, 'box': list(BOX)}
    (tmp_path / 'prompts.json').write_text(json.dumps([entry]))
    given = {
        'Prompts': prompts(1),
        'boxes': [BOX],
        'labels': LABELS * (LABELS == 1),
        'png': tmp_path / 'first.png',
        'json': str(tmp_path / 'prompts.json'),
        'by frame': {0: np.array([BOX], dtype=float)},
    }[form]
    (result,) = inferencer.infer([FRAME], given)
    np.testing.assert_array_equal(result.label_map(), LABELS * (LABELS == 1))


@pytest.mark.parametrize(
    'given, sentence',
    [
        (None, 'say which objects with prompts'),
        ([], 'say which objects with prompts'),
        ({-1: [BOX]}, 'from 0 on as keys, not -1'),
        ({0: 5}, 'prompts cannot be a int; give Prompts, boxes,'),
        ([[1, 2, 3]], 'box 1 must be four numbers'),
        (np.zeros((48, 64), int), 'shows no object'),
        (np.ones((48, 64)), 'must have integers or bool, not float64'),
        ('gone.png', r'gone\.png is missing'),
        ('gone.json', r'gone\.json cannot be read'),
    ],
)
def test_what_says_nothing_is_one_sentence(inferencer, given, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        inferencer.infer([FRAME], given)
    assert '\n' not in str(caught.value)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # pytest would keep one for each frame
@pytest.mark.skipif(
    not Path('/proc/self/statm').exists(), reason='resident memory is read from /proc'
)
def test_memory_does_not_grow_though_objects_come_and_go(inferencer):
    inferencer.start()
    blocks, resident, last = {}, {}, 0
    cv2.setNumThreads(0)
    for index in range(2000):
        if index % 50 == 0:
            if last:
                inferencer.remove(last)
            (last,) = inferencer.add([BOX])
        assert ids_of(inferencer.step(FRAME)) == [last]
        if index in (300, 1999):
            gc.collect()
            blocks[index] = sys.getallocatedblocks()
            resident[index] = int(Path('/proc/self/statm').read_text().split()[1]) * 4096
    assert last == 40
    assert blocks[1999] - blocks[300] < 1500  # one Python object per frame would be as many
    assert resident[1999] - resident[300] < 6_000_000  # the pictures would be 15 MB
