"""From a source to results: one result per frame as frames come, files that agree, memory that
stays.
"""

from __future__ import annotations

import gc
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from PIL import Image

from mmvos.apis import VideoInferencer, VideoSource, init_model, open_source
from mmvos.apis.passes import check_prompted_frames, check_prompts_at_start
from mmvos.apis.prompt_files import box_prompts
from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.structures import Prompts, VideoTracks, rle

from .bright_spots import NTSC, bright_spots_config, picture, write_mp4


def test_results_of_a_video_file(tmp_path, model):
    pictures = [picture(index) for index in range(6)]
    results = list(VideoInferencer(model).infer(write_mp4(tmp_path / 'clip.mp4', pictures)))
    assert [result.frame_index for result in results] == list(range(6))
    assert [[item.id for item in result.objects] for result in results] == [[1, 2], [1]] * 3
    for image, result in zip(pictures, results, strict=True):
        np.testing.assert_array_equal(rle.decode(result.objects[0].mask), image[..., 2] > 128)


def test_files_agree_with_the_results(tmp_path, model):
    video = write_mp4(tmp_path / 'clip.mp4', [picture(index) for index in range(5)])
    out = tmp_path / 'out'
    tracks = VideoTracks(5)
    for result in VideoInferencer(model).infer(video, out_dir=out, score_thr=0.3):
        tracks.add(result)
    red, green = json.loads((out / 'results.json').read_text())
    assert (red['category_id'], red['score']) == (7, pytest.approx(0.9))
    assert (green['category_id'], green['score']) == (3, pytest.approx(0.2))
    assert [red['segmentations'], green['segmentations']] == [
        list(track.masks) for track in tracks.tracks()
    ]
    for index in range(5):  # the green bar's score is below the threshold
        labels = np.asarray(Image.open(out / 'masks' / f'{index:05d}.png'))
        np.testing.assert_array_equal(labels, picture(index)[..., 2] > 128)
    overlay = open_source(out / 'overlay.mp4')
    assert (overlay.fps, overlay.length) == (NTSC, 5)
    assert {path.name for path in out.iterdir()} == {'results.json', 'masks', 'overlay.mp4'}


def test_only_the_files_that_are_asked_for(tmp_path, model):
    list(
        VideoInferencer(model).infer([picture(0)], out_dir=tmp_path / 'out', png=False, video=False)
    )
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['results.json']


@pytest.mark.parametrize(
    'fps, expected', [(None, Fraction(25)), (12.5, Fraction(25, 2)), (NTSC, NTSC)]
)
def test_frame_rate_of_frames_without_one(tmp_path, model, fps, expected):
    list(VideoInferencer(model).infer([picture(0), picture(1)], out_dir=tmp_path, fps=fps))
    assert open_source(tmp_path / 'overlay.mp4').fps == expected


def test_an_array_that_is_filled_again_is_shown_as_it_was(tmp_path, model):
    def one_array():
        array = np.empty_like(picture(0))
        for index in range(8):
            array[:] = 30 * index  # the next picture into the same memory, as from a pipe
            yield array

    list(VideoInferencer(model).infer(one_array(), out_dir=tmp_path, png=False))
    shown = [int(frame[..., 0].mean()) for _, frame in open_source(tmp_path / 'overlay.mp4')]
    # H.264 changes gray levels a little; objects are drawn on the brightest pictures.
    np.testing.assert_allclose(shown[:4], [0, 30, 60, 90], atol=6)


def test_the_overlay_has_the_times_of_the_frames(tmp_path, model):
    milliseconds = [0, 40, 80, 400, 440, 1000]
    with av.open(str(tmp_path / 'screen.mkv'), 'w') as container:
        stream = container.add_stream('libx264', rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, stamp in enumerate(milliseconds):
            frame = av.VideoFrame.from_ndarray(picture(index), format='bgr24')
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    def times(out, fps):
        list(VideoInferencer(model).infer(tmp_path / 'screen.mkv', out_dir=out, fps=fps))
        return [1000 * frame.time for frame in open_source(out / 'overlay.mp4').frames()]

    assert times(tmp_path / 'own', None) == milliseconds
    assert times(tmp_path / 'asked', 10) == [0, 100, 200, 300, 400, 500]


def test_frame_names_are_kept(tmp_path, model):
    for name, index in (('shot_2', 1), ('shot_10', 0)):
        Image.fromarray(picture(index)[..., ::-1]).save(tmp_path / f'{name}.png')
    list(VideoInferencer(model).infer(tmp_path, out_dir=tmp_path / 'out', video=False))
    assert sorted(path.name for path in (tmp_path / 'out/masks').iterdir()) == [
        'shot_10.png',
        'shot_2.png',
    ]
    np.testing.assert_array_equal(
        Image.open(tmp_path / 'out/masks/shot_10.png'), picture(0)[..., 2] > 128
    )


def test_a_result_comes_before_the_next_frame_is_taken(model):
    taken = []

    def camera():
        for index in range(3):
            taken.append(index)
            yield picture(index)

    results = VideoInferencer(model).infer(camera())
    for index in range(3):
        assert next(results).frame_index == index and taken == list(range(index + 1))


def test_stopping_early_leaves_files_of_the_frames_so_far(tmp_path, model):
    video = write_mp4(tmp_path / 'clip.mp4', [picture(index) for index in range(9)])
    results = VideoInferencer(model).infer(video, out_dir=tmp_path / 'out')
    next(results)
    next(results)
    results.close()
    assert len(json.loads((tmp_path / 'out/results.json').read_text())[0]['segmentations']) == 2
    assert len(list(open_source(tmp_path / 'out/overlay.mp4'))) == 2


def test_an_unread_iterator_leaves_nothing_behind(tmp_path, model):
    VideoInferencer(model).infer([picture(0)], out_dir=tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_bad_frames_stop_with_the_file_and_keep_the_earlier_ones(tmp_path, model):
    for index in range(3):
        Image.fromarray(picture(index)[..., ::-1]).save(tmp_path / f'{index}.png')
    (tmp_path / '2.png').write_bytes((tmp_path / '2.png').read_bytes()[:-60])
    with pytest.raises(ValueError, match=r'2\.png is not an image'):
        list(VideoInferencer(model).infer(tmp_path, out_dir=tmp_path / 'out'))
    assert len(json.loads((tmp_path / 'out/results.json').read_text())[0]['segmentations']) == 2


def test_a_writer_that_fails_stops_the_run(tmp_path, model):
    (tmp_path / 'masks').mkdir()
    (tmp_path / 'masks/00001.png').mkdir()
    with pytest.raises(OutputError, match=r'00001\.png .*folder'):
        list(
            VideoInferencer(model).infer([picture(index) for index in range(20)], out_dir=tmp_path)
        )


def test_what_cannot_be_written_is_said_before_the_work(tmp_path, model):
    source = VideoSource('pano', None, 1, lambda: iter(()), longest_side=20_800)
    with pytest.raises(DataError, match=r'overlay\.mp4 .* 20800 pixels'):
        VideoInferencer(model).infer(source, out_dir=tmp_path)
    with pytest.raises(DataError, match='frame rate'):
        VideoInferencer(model).infer([picture(0)], out_dir=tmp_path, fps=-5)
    assert not list(tmp_path.iterdir())


def test_a_prompt_after_the_end_is_said_before_the_work():
    prompts = {0: box_prompts(['1,2,30,40']), 5: box_prompts(['1,2,30,40'])}
    check_prompted_frames(prompts, open_source([picture(0)] * 6))
    check_prompted_frames(prompts, open_source(iter([picture(0)])))  # of unknown length
    with pytest.raises(DataError, match='no frame 5'):
        check_prompted_frames(prompts, open_source([picture(0)] * 5))


@pytest.mark.parametrize(
    ('late', 'fault'),
    [
        (
            Prompts((1,), (None,), ((500.0, 0.0, 600.0, 9.0),)),
            'frame 3: the box prompt of object 1',
        ),
        (Prompts((2,), (np.ones((4, 5), bool),), (None,)), 'frame 3: the mask prompt of object 2'),
        (
            Prompts((1,), (None,), (None,), (((-1.0, 2.0, True),),)),
            'frame 3: the point -1,2 of object 1',
        ),
    ],
)
def test_a_late_prompt_that_fits_no_frame_is_said_at_the_first(late, fault):
    prompts = {0: box_prompts(['1,2,30,40']), 3: late}
    frames = check_prompts_at_start(open_source([picture(0)] * 5), prompts).frames()
    with pytest.raises(DataError, match=fault):
        next(frames)
    del prompts[3]
    assert len(list(check_prompts_at_start(open_source([picture(0)] * 5), prompts))) == 5


def test_a_missing_source_is_said_at_once(model):
    with pytest.raises(FileNotFoundError, match=r'none\.mp4 does not exist'):
        VideoInferencer(model).infer('none.mp4')


def _resident_bytes() -> int:
    return int(Path('/proc/self/statm').read_text().split()[1]) * 4096


@pytest.mark.filterwarnings('ignore::DeprecationWarning')  # pytest would keep one for each frame
@pytest.mark.skipif(
    not Path('/proc/self/statm').exists(), reason='resident memory is read from /proc'
)
def test_memory_does_not_grow_with_the_video(tmp_path, model):
    results = VideoInferencer(model).infer(
        (picture(index) for index in range(2000)), out_dir=tmp_path
    )
    blocks, resident = {}, {}
    for index, _ in enumerate(results):
        if index in (500, 1999):
            gc.collect()
            blocks[index], resident[index] = sys.getallocatedblocks(), _resident_bytes()
    assert blocks[1999] - blocks[500] < 1300  # one Python object per frame would be as many
    assert resident[1999] - resident[500] < 6_000_000  # 1,500 pictures would be 14 MB
    assert len(json.loads((tmp_path / 'results.json').read_text())[0]['segmentations']) == 2000


def test_the_pipeline_is_built_once(monkeypatch, model):
    built = []
    monkeypatch.setattr(
        'mmvos.apis.array_pipeline.Compose', lambda steps: built.append(steps) or Compose(steps)
    )
    list(VideoInferencer(model).infer([picture(0), picture(1)]))
    assert len(built) == 1
    # parts that are known stand there as classes
    loader = built[0][0]['transforms'][0]['type']
    assert loader.__name__ == 'LoadImageFromNDArray'


def test_init_model_takes_weights_and_classes_from_the_checkpoint(tmp_path):
    config = bright_spots_config()
    assert init_model(config, device='cpu').dataset_meta['category_ids'] == [7, 3]
    weights = {'threshold': torch.tensor(50.0)}
    meta = {'dataset_meta': {'classes': ('cat', 'dog')}}
    torch.save({'state_dict': weights, 'meta': meta}, tmp_path / 'a.pth')
    model = init_model(config, tmp_path / 'a.pth', 'cpu')
    assert model.threshold == 50 and model.dataset_meta == {
        'classes': ('cat', 'dog'),
        'category_ids': (1, 2),
    }
    torch.save(weights, tmp_path / 'b.pth')  # says nothing of classes: those of the config
    assert init_model(config, tmp_path / 'b.pth', 'cpu').dataset_meta['classes'] == ('red', 'green')
    del config.test_dataloader.dataset['metainfo']
    with pytest.warns(UserWarning, match=r'b\.pth .* classes'):
        model = init_model(config, tmp_path / 'b.pth', 'cpu')
    assert model.dataset_meta == {'classes': (), 'category_ids': ()}


@pytest.mark.parametrize('device', ['nonsense', 'cuda:99', 'cpu:one'])
def test_a_device_that_is_not_there_is_said(device):
    with pytest.raises(DataError, match=f'the device {device} cannot be used'):
        init_model('masktrack_lite0', device=device)


def test_an_option_that_a_part_does_not_have_is_said():
    options = {'model.tracker.nothing': 1}
    with pytest.raises(DataError, match="gives MaskPropagator the option 'nothing'"):
        init_model('masktrack_lite0', device='cpu', cfg_options=options)


def test_config_options_reach_the_model():
    options = {'model.data_preprocessor.pad_size_divisor': 16}
    model = init_model(bright_spots_config(), device='cpu', cfg_options=options)
    assert model.data_preprocessor.pad_size_divisor == 16 and not model.training


def test_a_config_without_test_pipeline_is_said():
    config = bright_spots_config()
    config.pop('test_dataloader')
    with pytest.raises(ValueError, match='has no test_dataloader'):
        VideoInferencer(init_model(config, device='cpu'))
