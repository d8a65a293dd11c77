"""Reading videos: order, sizes, frame rate, rotation, and one clear sentence for each bad input."""

from __future__ import annotations

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mmvos.apis.sources import natural_key, open_source

from .bright_spots import NTSC, picture, write_mp4


def test_a_video_file_keeps_rate_count_and_pixels(tmp_path):
    pictures = [picture(index) for index in range(7)]
    source = open_source(write_mp4(tmp_path / 'clip.mp4', pictures))
    assert (source.name, source.fps, source.length) == ('clip', Fraction(30000, 1001), 7)
    for _ in range(2):  # a source can be read again
        names, frames = zip(*source, strict=True)
        assert names == ('00000', '00001', '00002', '00003', '00004', '00005', '00006')
        np.testing.assert_array_equal(frames, pictures)


@pytest.mark.skipif(not hasattr(av.VideoStream, 'set_display_rotation'), reason='PyAV too old')
@pytest.mark.parametrize('degrees, turns', [(90, 1), (-90, 3), (180, 2)])
def test_a_rotated_phone_video_comes_upright(tmp_path, degrees, turns):
    path = write_mp4(tmp_path / 'phone.mp4', [picture(0)], rotation=degrees)
    ((_, frame),) = open_source(path)
    np.testing.assert_array_equal(frame, np.rot90(picture(0), turns))  # counterclockwise


def test_folder_in_natural_order_with_any_names(tmp_path):
    names = ['frame_10', 'frame_2', 'Frame_1', 'x', '7']
    for gray, name in enumerate(names):
        cv2.imwrite(str(tmp_path / f'{name}.png'), np.full((4, 6, 3), gray, np.uint8))
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '._frame_2.png').write_bytes(b'left by another system')
    (tmp_path / 'folder.png').mkdir()
    source = open_source(tmp_path)
    assert source.length == 5 and source.fps is None
    assert [(name, int(frame[0, 0, 0])) for name, frame in source] == [
        ('7', 4),
        ('Frame_1', 2),
        ('frame_2', 1),
        ('frame_10', 0),
        ('x', 3),
    ]
    assert [name for name, _ in open_source(str(tmp_path / 'frame_*.png'))] == [
        'frame_2',
        'frame_10',
    ]
    assert [name for name, _ in open_source(tmp_path / 'x.png')] == ['x']


def test_natural_key_orders_numbers_by_value():
    assert sorted(['a10b2', 'a9', 'a10b1', 'a'], key=natural_key) == ['a', 'a9', 'a10b1', 'a10b2']


def test_an_image_that_lies_on_its_side_is_turned(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned; show it turned clockwise
    for name in ('a.jpg', 'b.jpg'):
        Image.fromarray(picture(0)).save(tmp_path / name, exif=exif)
    shapes = {frame.shape for _, frame in open_source(tmp_path)}
    assert shapes == {(64, 48, 3)}


def test_arrays_are_taken_one_at_a_time():
    taken = []

    def camera():
        for index in range(3):
            taken.append(index)
            yield picture(index)

    frames = iter(open_source(camera()))
    next(frames)
    assert taken == [0]


def test_other_pixel_formats_become_bgr(tmp_path):
    Image.fromarray(np.full((4, 6), 200, np.uint8)).save(tmp_path / '0.png')
    Image.fromarray(np.full((4, 6), 200 * 256, np.uint16)).save(tmp_path / '1.png')
    Image.new('RGBA', (6, 4), (200, 200, 200, 9)).save(tmp_path / '2.png')
    for _, frame in open_source(tmp_path):
        np.testing.assert_array_equal(frame, np.full((4, 6, 3), 200, np.uint8))


def _noise(seed):
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), np.uint8)


def _missing(folder):
    return folder / 'none.mp4'


def _empty(folder):
    (folder / 'readme.txt').touch()
    return folder


def _no_match(folder):
    return f'{folder}/*.jpg'


def _corrupt_image(folder):
    cv2.imwrite(str(folder / '0.png'), picture(0))
    (folder / '1.png').write_bytes(b'\x89PNG no more')
    return folder


def _truncated_jpeg(folder):
    for name in '01':
        cv2.imwrite(str(folder / f'{name}.jpg'), _noise(0))
    data = (folder / '1.jpg').read_bytes()
    (folder / '1.jpg').write_bytes(data[: len(data) // 2])
    return folder


def _truncated_png(folder):
    cv2.imwrite(str(folder / '1.png'), _noise(0))
    data = (folder / '1.png').read_bytes()
    (folder / '1.png').write_bytes(data[: len(data) // 2])
    return folder


def _mixed_sizes(folder):
    cv2.imwrite(str(folder / '0.png'), picture(0))
    cv2.imwrite(str(folder / '1.png'), picture(0, 48, 60))
    return folder


def _one_name_twice(folder):
    cv2.imwrite(str(folder / '0.png'), picture(0))
    cv2.imwrite(str(folder / '0.jpg'), picture(0))
    return folder


def _corrupt_mp4(folder):
    (folder / 'bad.mp4').write_bytes(b'\0\0\0\x18ftypmp42' + bytes(200))
    return folder / 'bad.mp4'


def _headless_mp4(folder):
    data = write_mp4(folder / 'cut.mp4', [picture(index) for index in range(9)]).read_bytes()
    (folder / 'cut.mp4').write_bytes(data[: len(data) // 2])  # the index stands at the end
    return folder / 'cut.mp4'


def _sound_only(folder):
    with av.open(str(folder / 'sound.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=44100, layout='mono')
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format='fltp', layout='mono'
        )
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return folder / 'sound.mp4'


def _no_array(folder):
    return [picture(0), 'frame.png']


def _float_array(folder):
    return [picture(0).astype(np.float32)]


def _arrays_of_two_sizes(folder):
    return [picture(0), picture(0, 40)]


def _no_frame(folder):
    return iter([])


@pytest.mark.parametrize(
    'make, error, sentence',
    [
        (
            _missing,
            FileNotFoundError,
            'none.mp4 does not exist; give a video file, a folder of images or a glob',
        ),
        (_empty, FileNotFoundError, 'holds no images among its 1 files; images end in .bmp'),
        (_no_match, FileNotFoundError, r'\*.jpg holds no images'),
        (
            _corrupt_image,
            ValueError,
            '1.png is not an image, or it is damaged; replace or remove it',
        ),
        (_truncated_jpeg, ValueError, '1.jpg is damaged and cannot be decoded'),
        (_truncated_png, ValueError, '1.png is damaged and cannot be decoded'),
        (_mixed_sizes, ValueError, '1.png is 60x48 but the first frame is 64x48; all frames of'),
        (_one_name_twice, ValueError, 'would be one frame name; keep one of them'),
        (_corrupt_mp4, ValueError, 'bad.mp4 is not a video file, or it is damaged'),
        (_headless_mp4, ValueError, 'cut.mp4 is not a video file, or it is damaged'),
        (_sound_only, ValueError, 'sound.mp4 holds no video stream'),
        (_no_array, ValueError, 'frame 1 is a str, not a numpy array'),
        (_float_array, ValueError, r'frame 0 must be a uint8 array of shape \(height, width, 3\)'),
        (_arrays_of_two_sizes, ValueError, 'frame 00001 is 64x40 but the first frame is 64x48'),
        (_no_frame, ValueError, 'video has no frame'),
    ],
)
def test_bad_input_gives_one_sentence(tmp_path, make, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        list(open_source(make(tmp_path)))
    assert '\n' not in str(caught.value)


def test_mixed_sizes_stop_before_the_first_frame(tmp_path):
    with pytest.raises(ValueError, match='60x48'):
        open_source(_mixed_sizes(tmp_path))


@pytest.mark.parametrize('make', [_truncated_jpeg, _truncated_png])
def test_truncated_images_are_seen_whatever_opencv_does(tmp_path, monkeypatch, make):
    folder = make(tmp_path)
    gray = np.full((48, 64, 3), 128, np.uint8)  # some versions fill what is missing and go on
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: gray)
    with pytest.raises(ValueError, match='is damaged and cannot be decoded'):
        list(open_source(folder))


@pytest.mark.parametrize('whole_frames', [True, False])
def test_a_video_that_is_cut_off_is_told(tmp_path, whole_frames):
    path = tmp_path / 'cut.mp4'
    # the index comes first
    with av.open(str(path), 'w', options={'movflags': 'faststart'}) as container:
        stream = container.add_stream('libx264', rate=NTSC, options={'g': '1'})
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        for index in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(_noise(index), format='bgr24')))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        tenth = [packet.pos for packet in container.demux(video=0) if packet.pos][10]
    path.write_bytes(path.read_bytes()[: tenth if whole_frames else tenth + 100])
    if whole_frames:
        with pytest.warns(
            UserWarning, match=r'cut\.mp4 announces 20 frames, but only 10 could be read'
        ):
            assert len(list(open_source(path))) == 10
    else:
        with pytest.raises(
            ValueError, match=r'cut\.mp4: the file is damaged, frame \d+ cannot be decoded'
        ):
            list(open_source(path))
