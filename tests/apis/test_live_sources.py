"""Cameras and URLs: a fake camera, a served file, a stream that goes on while the model is busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
import numpy as np
import pytest

from mmvos.apis import VideoInferencer, open_source
from mmvos.io.errors import DataError

from .bright_spots import NTSC, picture, write_mp4


class Camera:
    """Stands in for cv2.VideoCapture: camera 0 gives ``length`` pictures, one per 10 ms; there is
    no other.
    """

    length = 30
    opened = 0

    def __init__(self, number: int) -> None:
        self.there, self.index, self.begin = number == 0, -1, time.monotonic()
        Camera.opened += self.there

    def isOpened(self) -> bool:
        return self.there

    def get(self, which: int) -> float:
        return 29.97 if which == cv2.CAP_PROP_FPS else 0.0

    def set(self, which: int, value: float) -> bool:
        return which == cv2.CAP_PROP_BUFFERSIZE and value == 1

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.index += 1
        time.sleep(max(0.0, self.begin + 0.01 * self.index - time.monotonic()))
        return (True, picture(self.index)) if self.index < self.length else (False, None)

    def release(self) -> None:
        Camera.opened -= 1


@pytest.fixture
def camera(monkeypatch) -> type[Camera]:
    monkeypatch.setattr(cv2, 'VideoCapture', Camera)
    monkeypatch.setattr(Camera, 'opened', 0)
    return Camera


def test_a_camera_drops_what_the_model_has_no_time_for(camera, model):
    source = open_source(0)
    assert (source.name, round(float(source.fps), 2), source.length, source.timed) == (
        'camera0',
        29.97,
        None,
        True,
    )
    results = VideoInferencer(model).infer(source)
    places, index = [], -1
    with pytest.raises(ValueError, match=r'camera 0 .* 30'):
        for index, result in enumerate(results):
            assert result.frame_index == index
            # where the square is: the number of the picture
            places.append(int(result.objects[0].box[0]))
            time.sleep(0.05)
    assert places == sorted(places) and places[-1] == 29 and index < 29
    assert camera.opened == 0  # it was given back


def test_all_frames_of_a_camera_where_they_are_wanted(camera, model):
    seen = []
    with pytest.raises(ValueError, match='was it unplugged'):
        for result in VideoInferencer(model).infer('0', drop_frames=False):
            seen.append(int(result.objects[0].box[0]))
    assert camera.opened == 0 and seen == list(range(30))


def test_a_camera_that_is_not_there_is_said(camera):
    with pytest.raises(ValueError, match='camera 3 cannot be opened'):
        open_source(3)


@pytest.fixture
def server(tmp_path) -> Iterator[str]:
    """Serves files of the folder, and at /live motion JPEG that goes on whether it is taken or not,
    40 pictures in 0.8 s.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            if self.path.startswith('/live'):
                self.send_header('Content-Type', 'multipart/x-mixed-replace; boundary=frame')
                self.end_headers()
                for index in range(40):
                    data = cv2.imencode('.jpg', picture(index))[1].tobytes()
                    head = '--frame\r\nContent-Type: image/jpeg\r\n'
                    head += f'Content-Length: {len(data)}\r\n\r\n'
                    self.wfile.write(head.encode() + data + b'\r\n')
                    self.wfile.flush()
                    time.sleep(0.02)
            else:
                data = (tmp_path / self.path.strip('/')).read_bytes()
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f'http://user:secret@127.0.0.1:{httpd.server_port}'
    httpd.shutdown()


def test_a_file_behind_a_url_is_read_whole(tmp_path, server, model):
    pictures = [picture(index) for index in range(6)]
    write_mp4(tmp_path / 'clip.mkv', pictures)
    for url in (f'{server}/clip.mkv', (tmp_path / 'clip.mkv').as_uri()):
        source = open_source(url)
        assert (source.name, source.timed) == ('clip', False) and abs(source.fps - NTSC) < 0.1
        for _ in range(2):
            np.testing.assert_array_equal([frame for _, frame in source], pictures)
    assert len(list(VideoInferencer(model).infer(f'{server}/clip.mkv'))) == 6


def test_of_a_stream_the_newest_frame_is_taken(server, model):
    source = open_source(f'{server}/live')
    assert source.timed and source.length is None
    places = []
    with pytest.raises(ValueError, match=r'/live: no frame came after 40 of them'):  # it went away
        for result in VideoInferencer(model).infer(source):
            places.append(result.objects[0].box[0])
            time.sleep(0.1)
    assert places == sorted(places) and abs(places[-1] - 39) <= 1 and len(places) < 40


@pytest.mark.parametrize(
    'url, sentence',
    [
        (
            'ftp://user:secret@example.org/a.mp4',
            r'ftp://example\.org/a\.mp4 is a URL of a kind that is not read; known are http,',
        ),
        ('{server}/text.mp4', r'http://127\.0\.0\.1:\d+/text\.mp4 cannot be opened as a video \('),
        ('file:///none.mp4', r'none\.mp4 does not exist'),
    ],
)
def test_a_url_that_gives_no_video_is_said_without_its_password(tmp_path, server, url, sentence):
    (tmp_path / 'text.mp4').write_text('no video' * 100)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence) as caught:
        open_source(url.format(server=server))
    assert 'secret' not in str(caught.value)


def test_a_stream_that_breaks_off_is_said(monkeypatch, server):
    class Broken:
        """A container whose third frame does not come."""

        def __init__(self, real: av.container.InputContainer) -> None:
            self.real, self.streams, self.format = real, real.streams, real.format

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def demux(self, stream):
            packets = self.real.demux(stream)
            yield next(packets)
            yield next(packets)
            raise av.error.TimeoutError(110, 'Connection timed out')

    source = open_source(f'{server}/live')
    opened = av.open(f'{server}/live')
    monkeypatch.setattr('mmvos.io.video.open_video', lambda *_: Broken(opened))
    list(zip(source, range(1)))  # the first reading takes the container that is open
    with pytest.raises(DataError, match=r'/live: .* 2 of them \(Connection timed out\)'):
        list(source)
