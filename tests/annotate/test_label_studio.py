"""What is drawn in Label Studio is followed; positions and masks against numbers from outside."""

from __future__ import annotations

import json
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from studio.small_video import FRAMES, HEIGHT, WIDTH, object_mask, picture, write_frames

from mmvos.annotate.label_studio_results import (
    drawn_results,
    frame_index,
    frame_number,
    read_config,
)
from mmvos.cli.main import main
from mmvos.convert.annotation_model import ConversionError
from mmvos.convert.brush_rle import decode_brush, encode_brush
from mmvos.io.errors import DataError

from .color_follower import SCORE, ColorFollower

IMAGES = (
    '<View><BrushLabels name="brush" toName="frames"><Label value="fish"/></BrushLabels>'
    '<RectangleLabels name="box" toName="frames"><Label value="crab"/></RectangleLabels>'
    '<Image name="frames" valueList="$images"/></View>'
)
VIDEO = (
    '<View><Labels name="label" toName="clip"><Label value="fish"/></Labels>'
    '<Video name="clip" value="$video" frameRate="20"/>'
    '<VideoRectangle name="box" toName="clip"/></View>'
)


def test_a_brush_mask_is_packed_as_label_studio_packs_it() -> None:
    mask = np.zeros((2, 3), bool)
    mask[0, 1:] = True
    mask[1, 0] = True
    # label_studio_sdk 2.1.2, converter.brush.mask2rle; its encoder adds a byte that says nothing
    theirs = [0, 0, 0, 24, 57, 27, 252, 96, 22, 255, 231, 0, 0]
    assert encode_brush(mask) == theirs[:-1]
    assert (decode_brush(theirs, 2, 3, 'it') == mask).all()
    rng = np.random.default_rng(0)
    for shape, share in [((1, 1), 1.0), ((7, 5), 0.5), ((300, 300), 0.0), ((300, 300), 1e-4)]:
        drawn = rng.random(shape) < share
        assert (decode_brush(encode_brush(drawn), *shape, 'it') == drawn).all()


def test_values_that_are_not_repeated_are_read() -> None:
    # By hand: 4 values of 8 bits, counts of 1, 1, 1 and 1 bits, one block of 2 and another of 2.
    bits = f'{4:032b}' + '00111' + '0000' * 4
    bits += '0' + '00' + '1' + f'{9:08b}' + f'{8:08b}' + '0' + '11' + '1' + f'{7:08b}' + f'{1:08b}'
    bits += '0' * (-len(bits) % 8)
    data = [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]
    assert decode_brush(data, 1, 1, 'it').tolist() == [[True]]


@pytest.mark.parametrize('data', [[], [1, 2], [0, 0, 0, 25, 57, 27, 252], [300], ['a'], [-1]])
def test_bytes_that_are_no_mask_are_refused(data: Any) -> None:
    with pytest.raises(ConversionError, match='region 1'):
        decode_brush(data, 2, 3, 'region 1')


def test_frames_are_counted_at_the_rate_of_the_tag() -> None:
    assert [frame_index(n, Fraction(24), Fraction(24)) for n in (1, 2, 25)] == [0, 1, 24]
    assert [frame_index(n, Fraction(24), Fraction(12)) for n in (1, 3, 25)] == [0, 1, 12]
    assert frame_number(12, Fraction(24), Fraction(12)) == 25
    assert frame_number(7, Fraction(24), None) == 8


def test_a_config_without_frames_is_refused() -> None:
    for text in ('<View/>', '<View><Image name="a" value="$b"/></View>', '<View', '<!DOCTYPE a>'):
        with pytest.raises(DataError):
            read_config(text)
    assert read_config(VIDEO).media.rate == 20 and read_config(IMAGES).kind == 'brush'


def test_the_newest_result_counts() -> None:
    task = {'annotations': [{'result': [{'id': 1}]}, {'result': [{'id': 2}]}]}
    assert drawn_results(task, None) == [{'id': 2}]
    task['annotations'][1]['was_cancelled'] = True
    assert drawn_results(task, None) == [{'id': 1}]
    assert drawn_results({**task, 'drafts': [{'result': [{'id': 3}]}]}, None) == [{'id': 3}]
    assert drawn_results(task, {'result': [{'id': 4}]}) == [{'id': 4}]
    assert drawn_results({}, None) == []


# ---- the real server, by its test client


@pytest.fixture
def client(model: ColorFollower, tmp_path: Path) -> Any:
    pytest.importorskip(
        'label_studio_ml.model',
        reason='label-studio-ml is not installed: pip install "mmvos[label-studio]" in an '
        'environment of its own',
        exc_type=ImportError,
    )
    from mmvos.annotate.label_studio import make_app
    from mmvos.apis import VideoInferencer

    return make_app(VideoInferencer(model), tmp_path / 'backend').test_client()


def ask(client: Any, config: str, task: dict, context: Any = None) -> dict:
    """The prediction that Label Studio gets."""
    words = {'project': '1.2', 'schema': config, 'hostname': '', 'access_token': ''}
    assert client.post('/setup', json=words).status_code == 200
    words = {'tasks': [task], 'project': '1.2', 'label_config': config}
    answer = client.post('/predict', json={**words, 'params': {'context': context}})
    assert answer.status_code == 200, answer.data
    (found,) = json.loads(answer.data)['results']
    return found


def region(kind: str, index: int, **value: Any) -> dict:
    return {
        'id': f'{kind} {index}',
        'type': kind,
        'from_name': 'brush',
        'to_name': 'frames',
        'item_index': index,
        'original_width': WIDTH,
        'original_height': HEIGHT,
        'value': value,
    }


def box_of(frame: int, number: int) -> dict:
    """A box in percent, computed here."""
    rows, columns = np.nonzero(object_mask(frame, number))
    return {
        'x': 100 * columns.min() / WIDTH,
        'y': 100 * rows.min() / HEIGHT,
        'width': 100 * 16 / WIDTH,
        'height': 100 * 12 / HEIGHT,
        'rotation': 0,
    }


def test_masks_in_a_list_of_images(client: Any, model: ColorFollower, tmp_path: Path) -> None:
    assert client.get('/health').status_code == 200
    clip = write_frames(tmp_path / 'clip')
    images = [f'/data/local-files/?d={path}' for path in sorted(clip.iterdir())]
    brush = encode_brush(object_mask(2, 1))
    drawn = [
        region('brushlabels', 2, rle=brush, format='rle', brushlabels=['fish']),
        region('rectanglelabels', 5, **box_of(5, 2), rectanglelabels=['crab']),
    ]
    task = {'id': 3, 'data': {'images': images}, 'annotations': [{'result': drawn}]}
    found = ask(client, IMAGES, task)

    assert model.prompted[5].boxes[0] is not None
    assert found['result'][:2] == drawn and found['score'] == SCORE
    added = found['result'][2:]
    assert len(added) == 2 * (FRAMES - 1)
    assert len({item['id'] for item in added}) == len(added)
    for item in added:
        assert item['type'] == 'brushlabels' and item['from_name'] == 'brush'
        number = {'fish': 1, 'crab': 2}[item['value']['brushlabels'][0]]
        mask = decode_brush(item['value']['rle'], HEIGHT, WIDTH, 'it')
        assert (mask == object_mask(item['item_index'], number)).all()


def test_boxes_in_a_video(client: Any, model: ColorFollower, tmp_path: Path) -> None:
    path = tmp_path / 'clip.mkv'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('ffv1', rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'bgr0'
        for t in range(FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(t), 'bgr24')))
        container.mux(stream.encode(None))

    # the tag counts 20 frames a second, the video has 10: frame 7 of the tag is frame 3
    value = {'sequence': [{'frame': 7, 'enabled': True, 'time': 0.3, **box_of(3, 1)}]}
    drawn = [
        {
            'id': 'a',
            'type': 'videorectangle',
            'from_name': 'box',
            'to_name': 'clip',
            'value': {**value, 'labels': ['fish'], 'framesCount': 20, 'duration': 1.0},
        }
    ]
    task = {'id': 3, 'data': {'video': f'/data/local-files/?d={path}'}}
    found = ask(client, VIDEO, task, {'result': drawn})

    (item,) = found['result']
    assert item['id'] == 'a' and item['value']['labels'] == ['fish']
    sequence = item['value']['sequence']
    assert [box['frame'] for box in sequence] == [1 + 2 * t for t in range(FRAMES)]
    assert all(box['enabled'] for box in sequence)
    for t, box in enumerate(sequence):
        for key, wanted in box_of(t, 1).items():
            assert box[key] == pytest.approx(wanted, abs=1e-6)


def test_without_its_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # None makes Python's import fail as if it were not there.
    monkeypatch.setitem(sys.modules, 'label_studio_ml', None)
    monkeypatch.setitem(sys.modules, 'label_studio_ml.model', None)
    monkeypatch.delitem(sys.modules, 'mmvos.annotate.label_studio', raising=False)
    with pytest.raises(SystemExit) as ended:
        main(['label-studio', '--folder', str(tmp_path / 'kept')])
    assert 'pip install "mmvos[label-studio]"' in str(ended.value)
    assert not (tmp_path / 'kept').exists()


def test_a_task_in_which_nothing_is_drawn(client: Any, tmp_path: Path) -> None:
    assert ask(client, IMAGES, {'id': 1, 'data': {'images': []}})['result'] == []
