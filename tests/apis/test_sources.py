"""Reading videos: order, sizes, frame rate, rotation, and one clear sentence for each bad input."""

from __future__ import annotations

import struct
import warnings
import zlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mmvos.apis.sources import open_source
from mmvos.io.errors import DataError

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


# The matrix of an mp4 shows the pixel (x, y) at (a x + c y, b x + d y), apart from a shift.
@pytest.mark.parametrize(
    'a, b, c, d, shown',
    [
        (1, 0, 0, 1, lambda image: image),
        (-1, 0, 0, 1, lambda image: image[:, ::-1]),  # a front camera: mirrored
        (1, 0, 0, -1, lambda image: image[::-1]),
        (-1, 0, 0, -1, lambda image: image[::-1, ::-1]),
        (0, 1, -1, 0, lambda image: np.rot90(image, -1)),  # a phone held upright: clockwise
        (0, -1, 1, 0, lambda image: np.rot90(image)),
        (0, 1, 1, 0, lambda image: image.transpose(1, 0, 2)),  # upright and mirrored
        (0, -1, -1, 0, lambda image: image.transpose(1, 0, 2)[::-1, ::-1]),
    ],
)
def test_the_whole_display_matrix_is_applied(tmp_path, a, b, c, d, shown):
    path = write_mp4(tmp_path / 'front.mp4', [picture(0)])
    data = path.read_bytes()
    matrix = data.index(b'tkhd') + 44  # after version, times, id, duration, layer and volume
    numbers = [number << 16 for number in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30]
    path.write_bytes(data[:matrix] + struct.pack('>9i', *numbers) + data[matrix + 36 :])
    ((_, frame),) = open_source(path)
    np.testing.assert_array_equal(frame, shown(picture(0)))


@pytest.mark.parametrize('name', ['12:30:45.mp4', '~.mp4', 'a [1080p].mp4', '\udcff.mp4', '7'])
def test_any_file_name_is_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_mp4(tmp_path / 'clip.mp4', [picture(0)]).rename(tmp_path / name)
    assert len(list(open_source(name))) == 1


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path):
    folder = tmp_path / 'clip [1080p]'
    (folder / 'a').mkdir(parents=True)
    for name in ('a/1.png', 'a/2.png', 'x.png'):
        cv2.imwrite(str(folder / name), picture(0))
    assert open_source(folder).length == 1
    assert [name for name, _ in open_source(f'{folder}/a/*.png')] == ['1', '2']
    assert [name for name, _ in open_source(f'{folder}/[a-b]/[2-9].png')] == ['2']


def _save_pages(path, pages, **options):
    images = [Image.fromarray(page) for page in pages]
    images[0].save(path, save_all=True, append_images=images[1:], **options)
    return path


@pytest.mark.parametrize(
    'name, options, times',
    [
        ('stack.tif', {}, [0, None, None]),
        ('anim.png', {'duration': [40, 120, 40]}, [0, 40, 160]),
        ('anim.webp', {'duration': [40, 120, 40], 'lossless': True}, [0, 40, 160]),
    ],
)
def test_all_pictures_of_a_file_are_frames(tmp_path, name, options, times):
    pictures = [picture(index) for index in range(3)]
    path = _save_pages(tmp_path / name, [image[..., ::-1] for image in pictures], **options)
    source = open_source(path)
    assert source.length == 3 and source.fps == (Fraction(25) if options else None)
    for _ in range(2):
        names, frames, shown_at = zip(*source.frames(), strict=True)
        assert names == ('00000', '00001', '00002')
        np.testing.assert_array_equal(frames, pictures)
        assert [time if time is None else 1000 * time for time in shown_at] == times


def test_thumbnails_of_a_stack_are_no_frames(tmp_path):
    thumbnail = {254: 1}  # the tag NewSubfileType: a reduced-resolution image
    pages = [Image.fromarray(picture(0)), Image.fromarray(picture(0)[::4, ::4])]
    pages[1].encoderinfo = {'tiffinfo': thumbnail}
    pages[0].save(tmp_path / 'a.tif', save_all=True, append_images=pages[1:])
    assert [frame.shape for _, frame in open_source(tmp_path / 'a.tif')] == [(48, 64, 3)]


@pytest.mark.parametrize('bits', [10, 12, 14])
@pytest.mark.parametrize('form', ['folder', 'gray stack', 'color stack'])
def test_bits_that_are_in_use_are_shown(tmp_path, bits, form):
    levels = np.array([0, 40, 128, 255], np.uint16)  # of 8 bits
    deep = np.repeat(levels[:, None], 6, axis=1) << (bits - 8)  # (4, 6)
    if form == 'folder':
        source = tmp_path
        for name in ('0.png', '1.png'):
            cv2.imwrite(str(source / name), deep)
    elif form == 'gray stack':
        source = _save_pages(tmp_path / 'a.tif', [deep, deep])
    else:
        source = tmp_path / 'a.tif'
        color = np.repeat(deep[..., None], 3, axis=2)
        cv2.imwritemulti(str(source), [color, color])
    with pytest.warns(UserWarning, match=rf'{bits} of them'):
        frames = [frame for _, frame in open_source(source)]
    assert len(frames) == 2
    for frame in frames:
        np.testing.assert_array_equal(frame[:, 0, 0], levels)


def test_a_color_beyond_the_measured_depth_is_white(tmp_path):
    for index in range(40):  # of 8 images spread over them the depth is measured
        level = 60000 if index == 1 else 4000
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((4, 6), level, np.uint16))
    with pytest.warns(UserWarning, match=r'1\.png: colors above 4095'):
        frames = [int(frame[0, 0, 0]) for _, frame in open_source(tmp_path)]
    assert frames[:3] == [250, 255, 250]


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


def _unknown_codec(folder):
    data = write_mp4(folder / 'new.mkv', [picture(0)]).read_bytes()
    (folder / 'new.mkv').write_bytes(data.replace(b'V_MPEG4/ISO/AVC', b'V_MPEG9/ISO/XYZ'))
    return folder / 'new.mkv'


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


def _empty_file(folder):
    (folder / 'empty.mp4').touch()
    return folder / 'empty.mp4'


def _long_name(folder):
    return folder / ('x' * 300 + '.mp4')


def _null_byte(folder):
    return f'{folder}/a\0.mp4'


def _home_of_nobody(folder):
    return '~.mp4'


def _bomb(folder):
    data = bytearray(cv2.imencode('.png', picture(0))[1].tobytes())
    data[16:24] = bytes.fromhex('0000ffff0000ffff')  # width and height in the header
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, 'big')
    (folder / 'bomb.png').write_bytes(data)
    return folder


def _stack_among_images(folder):
    pages = [Image.fromarray(picture(index)) for index in range(3)]
    pages[0].save(folder / '0.png')
    pages[0].save(folder / '1.tif', save_all=True, append_images=pages[1:])
    return folder


def _float_image(folder):
    Image.fromarray(np.ones((4, 6), np.float32)).save(folder / '0.tif')
    return folder


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
        (_empty, FileNotFoundError, 'holds no images among its 1 files; images end in .jpg'),
        (_no_match, FileNotFoundError, r'\*.jpg holds no images'),
        (
            _corrupt_image,
            ValueError,
            '1.png is not an image that can be decoded',
        ),
        (_truncated_jpeg, ValueError, '1.jpg is not an image that can be decoded'),
        (_truncated_png, ValueError, '1.png is not an image that can be decoded'),
        (_mixed_sizes, ValueError, '1.png is 60x48 but the first frame is 64x48; all frames of'),
        (_one_name_twice, ValueError, 'would be one frame name; keep one of them'),
        (_corrupt_mp4, ValueError, 'bad.mp4 is not a video file, or it is damaged'),
        (_headless_mp4, ValueError, 'cut.mp4 is not a video file, or it is damaged'),
        (_unknown_codec, ValueError, r'new\.mkv holds a video in a format that is not known'),
        (_sound_only, ValueError, 'sound.mp4 holds no video stream'),
        (_empty_file, ValueError, r'empty\.mp4 is empty'),
        (_long_name, FileNotFoundError, r'xxx\.mp4 does not exist'),
        (_null_byte, FileNotFoundError, 'does not exist'),
        (_home_of_nobody, FileNotFoundError, r'^~\.mp4 does not exist'),
        (_bomb, ValueError, r'bomb\.png claims .*pixels'),
        (_stack_among_images, ValueError, r'1\.tif holds 3 pictures'),
        (_float_image, ValueError, r'0\.tif holds floating-point numbers'),
        (_no_array, ValueError, 'frame 1 is a str, not a numpy array'),
        (_float_array, ValueError, r'frame 0 must be a uint8 array of shape \(height, width, 3\)'),
        (_arrays_of_two_sizes, ValueError, 'frame 00001 is 64x40 but the first frame is 64x48'),
        (_no_frame, ValueError, 'video has no frame'),
    ],
)
def test_bad_input_gives_one_sentence(tmp_path, make, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        list(open_source(make(tmp_path)))
    assert isinstance(caught.value, DataError)
    assert '\n' not in str(caught.value)


def test_mixed_sizes_stop_before_the_first_frame(tmp_path):
    with pytest.raises(ValueError, match='60x48'):
        open_source(_mixed_sizes(tmp_path))


@pytest.mark.parametrize('make', [_truncated_jpeg, _truncated_png])
def test_truncated_images_are_seen_whatever_opencv_does(tmp_path, monkeypatch, make):
    folder = make(tmp_path)
    gray = np.full((48, 64, 3), 128, np.uint8)  # some versions fill what is missing and go on
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: gray)
    with pytest.raises(DataError, match=r'1\.\w+ is not an image'):
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
        with pytest.warns(UserWarning, match=r'cut\.mp4 announces 20 frames.* 10'):
            assert len(list(open_source(path))) == 10
    else:
        with pytest.raises(ValueError, match=r'cut\.mp4: .*damaged, frame \d+'):
            list(open_source(path))


def _write(path, container, codec, count=20, **options):
    with av.open(str(path), 'w', format=container, options=options) as output:
        stream = output.add_stream(codec, rate=25)
        stream.height, stream.width = 48, 64
        stream.pix_fmt = 'rgb8' if codec == 'gif' else 'yuv420p'
        for index in range(count):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(_noise(index), format='bgr24')))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    'name, container, codec, options, announced',
    [
        ('a.mkv', 'matroska', 'libx264', {}, ' of about 20'),
        ('a.webm', 'webm', 'libvpx', {}, ' of about 20'),
        ('live.webm', 'webm', 'libvpx', {'live': '1'}, ''),  # a browser's: no sizes, no length
        ('a.gif', 'gif', 'gif', {}, ''),
        ('a.y4m', 'yuv4mpegpipe', 'rawvideo', {}, ''),
    ],
)
def test_a_file_that_ends_in_the_middle_is_told(
    tmp_path, name, container, codec, options, announced
):
    path = _write(tmp_path / name, container, codec, **options)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert len(list(open_source(path))) == 20
    data = path.read_bytes()
    for share in (0.5, 0.7):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.warns(UserWarning, match=rf'{name} is cut off: .* after \d+{announced} frames'):
            assert 8 <= len(list(open_source(path))) <= 15


def test_a_trimmed_video_is_whole(tmp_path):
    """A phone trims by an edit list: all frames stay in the file, some are not shown."""
    path = write_mp4(tmp_path / 'phone.mp4', [picture(index) for index in range(20)], Fraction(20))
    data = bytearray(path.read_bytes())
    entry = data.index(b'elst') + 12  # behind version, flags and the number of entries
    shown, begin, _ = struct.unpack('>IiI', data[entry : entry + 12])
    clock = struct.unpack('>I', data[data.index(b'mdhd') + 16 :][:4])[0]
    # of 1 s the half second from 0.25 s on
    data[entry : entry + 8] = struct.pack('>Ii', shown // 2, begin + clock // 4)
    path.write_bytes(data)
    source = open_source(path)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        frames = [frame for _, frame in source]
    assert source.length == 10
    np.testing.assert_array_equal(frames, [picture(index) for index in range(5, 15)])


def test_a_browsers_recording_has_the_rate_of_its_frames(tmp_path):
    path = tmp_path / 'browser.webm'
    with av.open(str(path), 'w', options={'live': '1'}) as output:
        stream = output.add_stream('libvpx', rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        stamps = [7, 40, 73, 107, 140, 900, 933, 967, 1001]  # milliseconds, with a pause
        for index, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(_noise(index), format='bgr24')
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = path.read_bytes()
    rate = data.index(b'\x23\xe3\x83')  # DefaultDuration, which a browser leaves out
    length = 4 + (data[rate + 3] & 0x7F)
    void = b'\xec' + bytes([0x80 | (length - 2)]) + bytes(length - 2)
    path.write_bytes(data[:rate] + void + data[rate + length :])
    source = open_source(path)
    assert source.fps is not None and abs(source.fps - 30) < 1
    assert [1000 * frame.time for frame in source.frames()] == stamps


def test_h264_in_avi_has_the_rate_and_the_times_of_its_frames(tmp_path):
    path = tmp_path / 'a.avi'
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('libx264', rate=600)  # a clock of 600 ticks, 20 for a frame
        stream.height, stream.width, stream.pix_fmt = 48, 64, 'yuv420p'
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(_noise(index), format='bgr24')
            frame.pts, frame.time_base = 20 * index, Fraction(1, 600)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    source = open_source(path)
    assert source.fps == 30
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        times = [frame.time for frame in source.frames()]
    known = [time for time in times if time is not None]
    assert np.allclose(np.diff(np.array(known, float)), 1 / 30) and len(known) >= 27
