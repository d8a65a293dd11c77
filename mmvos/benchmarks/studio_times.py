"""How fast mmvos studio answers, and how much memory it takes: everything that a user waits for.

    mmvos benchmark studio_times

One server is started as a user starts it, with MaskTrack, on a video of 854 x 480 in H.264, and
asked what the page asks: the first frame, boxes, clicks, a run. Where Playwright and a Chromium are
installed, a page is opened, too. Then videos of --lengths frames are opened without a model, an
object with a mask in each frame is stored, the timeline and an export are made, and the peak memory
of the process is noted. CPU seconds are those of the server's process: other work on the machine
makes the clock's seconds longer, and hardly these.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from fractions import Fraction
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.structures import rle
from mmvos.studio.opening import Place, open_session
from mmvos.studio.records import MODEL, make_entry
from mmvos.studio.worker import Worker

from .studio import Page
from .synthetic_video import HEIGHT, PICTURES, WIDTH, make_video
from .tables import print_head, print_row

_TRIES = 5  # of each action; the median counts
_BATCH = 100  # masks that are stored at a time
_LOOP = 500  # frames of a long video that are encoded; the others are copies of them
_RATE = 25  # frames a second
_SIDES = (16, 9)  # of a frame of a long video
_CHROMIUM = ('chromium', 'chromium-browser', 'google-chrome', 'chrome')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument('--system', default='masktrack')
    parser.add_argument('--weights', help='checkpoint of the system')
    parser.add_argument('--frames', type=int, default=40, help='frames of the run (default 40)')
    parser.add_argument(
        '--lengths', type=int, nargs='*', default=[50, 2000, 20000], help='frames of long videos'
    )
    parser.add_argument('--height', type=int, default=480, help='of their frames in pixels')


def run(args: argparse.Namespace) -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        _print_waits(args, Path(folder))
    if args.lengths:
        _print_memory(args)


# A table's lines; those of ``timing`` need torch, which would count as the studio's memory.


# ---- what a user waits for


class Stopwatch:
    """Prints seconds by the clock and CPU seconds of another process.

    Args:
        process: id of the process.
    """

    def __init__(self, process: int) -> None:
        self._process = process

    def cpu(self) -> float:
        """CPU seconds of the process so far; nan where the system does not tell."""
        try:
            stat = Path(f'/proc/{self._process}/stat').read_text(encoding='ascii')
        except OSError:
            return float('nan')
        # What stands behind the name in brackets: state is the third field, user time the 14th.
        fields = stat.rpartition(')')[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def peak(self) -> str:
        """Peak memory of the process."""
        try:
            status = Path(f'/proc/{self._process}/status').read_text(encoding='ascii')
        except OSError:
            return '-'
        (line,) = [line for line in status.splitlines() if line.startswith('VmHWM')]
        return f'{int(line.split()[1]) / 1024:.0f} MB'

    def print_since(self, begin: float, name: str) -> None:
        """Print a row for all since the start of the process."""
        seconds = time.perf_counter() - begin
        print_row([name, f'{seconds:.3f}', f'{self.cpu():.3f}'])

    @contextmanager
    def row(self, name: str, parts: int = 1) -> Iterator[None]:
        """Print a row for what is done meanwhile; ``parts`` of it are the same."""
        cpu = self.cpu()
        clock = time.perf_counter()
        yield
        seconds = time.perf_counter() - clock
        used = self.cpu() - cpu
        print_row([name, f'{seconds / parts:.3f}', f'{used / parts:.3f}'])


def _print_waits(args: argparse.Namespace, folder: Path) -> None:
    """Start a server and use it."""
    clip = folder / 'clip.mp4'
    write_clip(clip, args.frames, folder)
    print_head(['', 'seconds', 'CPU seconds of the server'])
    command = [sys.executable, '-m', 'mmvos', 'studio', str(clip), '--no-browser']
    command += ['--system', args.system]
    if args.weights:
        command += ['--weights', args.weights]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = _address_of(server)
            watch = Stopwatch(server.pid)
            _use(Page(address), address, watch, begin, args.frames)
        finally:
            server.terminate()


def _address_of(server: subprocess.Popen[str]) -> str:
    """The address that the server prints."""
    assert server.stdout is not None
    for line in server.stdout:
        if '/?token=' in line:
            return line.split()[-1]
    raise RuntimeError('the studio does not start')


def _use(page: Page, address: str, watch: Stopwatch, begin: float, length: int) -> None:
    """Do what a user does, and print how long each took."""
    page.ask('GET', '/api/project')
    page.fetch('/api/frames/0.jpg')
    watch.print_since(begin, 'from the command to the first frame')
    while page.ask('GET', '/api/project')['model']['state'] == 'loading':
        time.sleep(0.05)
    watch.print_since(begin, 'from the command to a model that is loaded')
    _open_browser(address, watch)

    # Each try is in another frame, where nothing is known of the picture.
    page.ask('POST', '/api/objects', {})
    with watch.row('the first box to its mask'):
        page.put(0, box=box_of(0))
    with watch.row('a box to its mask', _TRIES):
        for frame in range(1, _TRIES + 1):
            page.put(frame, box=box_of(frame))
    with watch.row('a click to its mask', _TRIES):
        for frame in range(_TRIES + 1, 2 * _TRIES + 1):
            page.put(frame, points=[[*middle_of(frame), 1]])
    for frame in range(1, 2 * _TRIES + 1):
        page.ask('DELETE', f'/api/frames/{frame}/objects/1/prompt')

    with watch.row('a frame of a run', length):
        page.run(direction='forward', start=0)
    with watch.row('the first click on a mask that a run found', _TRIES):
        for frame in range(10, 10 + _TRIES):
            page.put(frame, points=[[*middle_of(frame), 1]])
    with watch.row('a further click', _TRIES):
        points = [[*middle_of(9 + _TRIES), 1]]
        for step in range(1, _TRIES + 1):
            x, y = middle_of(9 + _TRIES)
            points.append([x + 3 * step, y, 1])
            page.put(9 + _TRIES, points=points)
    with watch.row('a frame anywhere, as JPEG', _TRIES):
        for frame in range(length - 1, length - 1 - 3 * _TRIES, -3):
            page.fetch(f'/api/frames/{frame}.jpg')
    print_row(['peak memory', watch.peak(), ''])


def _open_browser(address: str, watch: Stopwatch) -> None:
    """Open the page where there is a browser, until its first frame is shown."""
    chromium = next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if chromium is None or find_spec('playwright') is None:
        print_row(['the page in a browser', 'no browser', ''])
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        page = browser.new_page(viewport={'width': 1280, 'height': 720})
        with watch.row('from the address to the first frame in a browser'):
            page.goto(address)
            while not page.evaluate('Boolean(window.studio?.viewer.shown)'):
                time.sleep(0.01)
        browser.close()


def write_clip(path: Path, frames: int, folder: Path) -> None:
    """Write a video of moving ovals, to and fro."""
    pictures = make_video(folder).pictures
    with av.open(str(path), 'w') as container:
        stream: Any = container.add_stream('libx264', rate=_RATE, options={'preset': 'ultrafast'})
        stream.height = HEIGHT
        stream.width = WIDTH
        stream.pix_fmt = 'yuv420p'
        for index in range(frames):
            image = cv2.imread(str(pictures[_picture_of(index)]))
            assert image is not None
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8), format='bgr24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _picture_of(frame: int) -> int:
    """Number of the picture that a frame shows."""
    place = frame % (2 * PICTURES - 2)
    return min(place, 2 * PICTURES - 2 - place)


def middle_of(frame: int) -> tuple[float, float]:
    """Middle of the first oval; see ``make_video``."""
    index = _picture_of(frame)
    return 110 + 3 * index // 2, 130 + index


def box_of(frame: int) -> list[float]:
    """Box of the first oval."""
    x, y = middle_of(frame)
    return [x - 55, y - 75, x + 55, y + 75]


# ---- memory of long videos


def _print_memory(args: argparse.Namespace) -> None:
    """Print a row for each length."""
    print_head(['frames, no model, CPU seconds', *_STEPS, 'peak memory'])
    for frames in args.lengths:
        times, peak = peak_of(frames, args.height)
        print_row([frames, *(f'{times[step]:.3f}' for step in _STEPS), f'{peak:.0f} MB'])


_STEPS = ('first frame', 'index', 'a frame anywhere', 'masks stored', 'timeline', 'export')


def write_long_video(path: Path, frames: int, height: int) -> None:
    """Write a gray video with a bright rectangle that goes to and fro."""
    width = _width_of(height)
    packets: list[Any] = []
    with av.open(str(path), 'w') as container:
        options = {'preset': 'ultrafast', 'g': '50', 'bf': '0'}
        stream: Any = container.add_stream('libx264', rate=_RATE, options=options)
        stream.width = width
        stream.height = height
        stream.pix_fmt = 'yuv420p'
        for index in range(min(frames, _LOOP)):
            image = np.full((height, width, 3), 90, np.uint8)
            image[mask_at(index, height)] = 230
            packets += stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24'))
        packets += stream.encode(None)
        # A long video repeats what was encoded.
        encoded = [(bytes(packet), packet.is_keyframe) for packet in packets]
        for index in range(frames):
            content, is_key = encoded[index % len(encoded)]
            packet = av.Packet(content)
            packet.stream = stream
            packet.time_base = Fraction(1, _RATE)
            packet.pts = packet.dts = index
            packet.is_keyframe = is_key
            container.mux(packet)


def _width_of(height: int) -> int:
    """The width of a frame, even."""
    return 2 * round(height * _SIDES[0] / _SIDES[1] / 2)


def mask_at(index: int, height: int) -> NDArray[np.bool_]:
    """(H, W) bool: where the rectangle is."""
    width = _width_of(height)
    mask = np.zeros((height, width), bool)
    way = width // 2
    left = abs((3 * index) % (2 * way) - way)
    mask[height // 4 : height // 2, left : left + width // 5] = True
    return mask


def _load_nothing(worker: Worker, name: str) -> Any:
    """In the place of ``Worker.load``: without a model its memory does not count."""
    return None


def measure(path: str, folder: str, frames: int, height: int, answers: Any) -> None:
    """Use a studio without a model in this process, and tell times and peak memory."""
    Worker.load = _load_nothing  # type: ignore[assignment,method-assign]
    times: dict[str, float] = {}
    clock = time.process_time

    # 1. The first frame, and the index behind it.
    begin = clock()
    with open_session(Place(Path(folder), Path(path)), 'masktrack') as session:
        session.video.jpeg(0)
        times['first frame'] = clock() - begin
        session.video.wait_for_index()
        times['index'] = clock() - begin
        assert session.video.frames == frames, session.video.frames

        # 2. Frames at random places.
        begin = clock()
        looks = np.random.default_rng(0).integers(frames, size=8 * _TRIES).tolist()
        for index in looks:
            session.video.jpeg(index)
        times['a frame anywhere'] = (clock() - begin) / len(looks)

        # 3. A mask in each frame; they are made before, so that storing alone is timed.
        session.add_object({})
        entries = []
        for index in range(min(frames, _LOOP)):
            entries.append(make_entry(rle.encode(mask_at(index, height)), 0.9, MODEL))
        begin = clock()
        rows = []
        for index in range(frames):
            rows.append((index, 1, entries[index % len(entries)]))
            if len(rows) == _BATCH or index + 1 == frames:
                session.project.store_results(rows)
                rows = []
        times['masks stored'] = clock() - begin

        # 4. The timeline, and an export that holds all masks.
        begin = clock()
        session.timeline()
        times['timeline'] = clock() - begin
        begin = clock()
        with redirect_stdout(io.StringIO()):
            started = session.exports.start({'format': 'coco'})
            while session.exports.find(started['id']).state == 'running':
                time.sleep(0.05)
        assert session.exports.find(started['id']).state == 'finished'
        times['export'] = clock() - begin
    answers.send((times, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def peak_of(frames: int, height: int) -> tuple[dict[str, float], float]:
    """Times in CPU seconds, and peak memory in MB, with a video of so many frames."""
    context = get_context('spawn')
    mine, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'long.mp4'
        write_long_video(path, frames, height)
        place = str(Path(folder) / 'project')
        arguments = (str(path), place, frames, height, theirs)
        process = context.Process(target=measure, args=arguments)
        process.start()
        theirs.close()  # a process that fails ends the waiting
        found: tuple[dict[str, float], float] = mine.recv()
        process.join()
    return found
