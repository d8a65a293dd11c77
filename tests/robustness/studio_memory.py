"""Memory and times of `mmvos studio` on long videos.

A synthetic video is written, a studio opens it, frames are asked for all over it, an object with a
mask in every frame is stored, and the timeline and an export are made. The memory of the process is
that of the system (peak resident set), beside what it had with a video of 50 frames.

    python -m tests.robustness.studio_memory --frames 2000 20000
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mmvos.structures import rle
from mmvos.studio.opening import Place, open_session
from mmvos.studio.records import MODEL, make_entry
from mmvos.studio.worker import Worker

_SIDES = (16, 9)  # of a frame
_LOOKS = 40  # frames that are asked for, all over the video
_BATCH = 100  # masks that are stored at a time


def write_video(path: Path, frames: int, height: int) -> None:
    """A gray video with a bright rectangle that goes to and fro."""
    width = width_of(height)
    with av.open(str(path), 'w') as container:
        options = {'preset': 'ultrafast', 'g': '50'}
        stream: Any = container.add_stream('libx264', rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
        for index in range(frames):
            image = np.full((height, width, 3), 90, np.uint8)
            image[mask_at(index, height)] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='bgr24')))
        container.mux(stream.encode(None))


def width_of(height: int) -> int:
    """The width of a frame, even."""
    return 2 * round(height * _SIDES[0] / _SIDES[1] / 2)


def mask_at(index: int, height: int) -> NDArray[np.bool_]:
    """(H, W) bool: where the rectangle is."""
    width = width_of(height)
    mask = np.zeros((height, width), bool)
    way = width // 2
    left = abs((3 * index) % (2 * way) - way)
    mask[height // 4 : height // 2, left : left + width // 5] = True
    return mask


def measure(path: str, folder: str, frames: int, height: int, answers: Any) -> None:
    """Use a studio in this process and tell times and peak memory."""
    Worker.load = lambda self, name: None  # type: ignore[assignment,return-value,method-assign]
    times: dict[str, float] = {}
    clock = time.process_time
    begin = clock()
    with open_session(Place(Path(folder), Path(path)), 'masktrack') as session:
        session.video.jpeg(0)
        times['first frame'] = clock() - begin
        session.video.wait_for_index()
        times['index'] = clock() - begin
        assert session.video.frames == frames

        begin = clock()
        for index in np.random.default_rng(0).integers(frames, size=_LOOKS).tolist():
            session.video.jpeg(index)
        times['a frame anywhere'] = (clock() - begin) / _LOOKS

        session.add_object({})
        begin = clock()
        rows = []
        for index in range(frames):
            mask = mask_at(index, height)
            rows.append((index, 1, make_entry(rle.encode(mask), 0.9, MODEL)))
            if len(rows) == _BATCH or index + 1 == frames:
                session.project.store_results(rows)
                rows = []
        times['all masks stored'] = clock() - begin
        begin = clock()
        session.timeline()
        times['timeline'] = clock() - begin
        begin = clock()
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
        write_video(path, frames, height)
        place = str(Path(folder) / 'project')
        arguments = (str(path), place, frames, height, theirs)
        process = context.Process(target=measure, args=arguments)
        process.start()
        found: tuple[dict[str, float], float] = mine.recv()
        process.join()
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Print a line for each length."""
    parser = argparse.ArgumentParser(description='Memory of the studio on long videos.')
    parser.add_argument('--frames', type=int, nargs='+', default=[2000, 20000])
    parser.add_argument('--height', type=int, default=480, help='of a frame in pixels')
    args = parser.parse_args(argv)
    for frames in (50, *args.frames):
        times, peak = peak_of(frames, args.height)
        shown = ', '.join(f'{name} {seconds:.3f} s' for name, seconds in times.items())
        print(f'{frames} frames: peak {peak:.0f} MB; CPU: {shown}', flush=True)


if __name__ == '__main__':
    main()
