"""Makes a page on which boxes are drawn around the objects to follow:

    mmvos prompts VIDEO [--out prompts.html]

The page holds the first frame, or those of --frames, and needs nothing else: no server, no network
and no display on the machine that makes it; copy it to any machine and open it in a browser. Drag a
box around each object. The page then shows the command that follows these objects, and saves
prompts.json. Frames are read as ``mmvos segment`` reads them (phone videos upright), and boxes
are in pixels of the frame, however large the browser shows it.
"""

from __future__ import annotations

import argparse
import base64
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.io.errors import DataError

if TYPE_CHECKING:
    from mmvos.apis.video_source import Picture, VideoSource

EXPECTED_ERRORS = (ValueError,)
# The page, its style and its script; nothing is filled into their texts but the data below.
_PAGE = Path(__file__).resolve().parent / 'prompts_page'
_JPEG_QUALITY = 92


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Makes a page on which boxes are drawn around the objects to follow.'
    )
    parser.add_argument('video', help='video file, folder of frames, or glob in quotes')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('prompts.html'),
        help='page to write (default prompts.html)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        nargs='+',
        default=[0],
        metavar='N',
        help='frames to draw on, counted from 0, for objects that come later too (default 0)',
    )
    arguments = parser.parse_args(argv)
    if min(arguments.frames) < 0:
        parser.error(f'frames are counted from 0, got {min(arguments.frames)}')
    return arguments


def pick_frames(video: VideoSource, wanted: set[int]) -> dict[int, Picture]:
    """Read the pictures of some frames; reading ends with the last of them.

    Args:
        video: that is read.
        wanted: indices, at least one.

    Returns:
        The pictures by index.

    Raises:
        DataError: the video ends before.
    """
    last = max(wanted)
    if video.length is not None and last >= video.length:
        raise DataError(_no_frame(video.length, last))

    # Frames come in order, so the last one that is asked for ends it.
    found: dict[int, Picture] = {}
    count = 0
    for index, (_, picture) in enumerate(video):
        count = index + 1
        if index in wanted:
            found[index] = picture
        if len(found) == len(wanted):
            return found
    missing = wanted - found.keys()
    raise DataError(_no_frame(count, min(missing)))


def _no_frame(length: int, frame: int) -> str:
    return f'the video has {length} frames, so there is no frame {frame}; frames count from 0'


def page(video: str, frames: dict[int, Picture]) -> str:
    """Write the page as HTML.

    Args:
        video: as it is named in the command.
        frames: index -> (H, W, 3) uint8 BGR.
    """
    import cv2

    entries = []
    for index, picture in sorted(frames.items()):
        _, jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        height, width = picture.shape[:2]
        encoded = base64.b64encode(jpeg.tobytes()).decode()
        entries.append({'index': index, 'width': width, 'height': height, 'jpeg': encoded})
    title = f'Objects to follow in {Path(video).name}'
    data = {'title': title, 'video': shlex.quote(video), 'frames': entries}

    # In ASCII and without '<' no name can end the element that the data stands in.
    written = json.dumps(data).replace('<', '\\u003c')
    html = (_PAGE / 'page.html').read_text(encoding='utf-8')
    html = _fill(html, '<style id="style">', (_PAGE / 'page.css').read_text(encoding='utf-8'))
    html = _fill(html, '<script id="code">', (_PAGE / 'page.js').read_text(encoding='utf-8'))
    return _fill(html, '<script type="application/json" id="data">', written)


def _fill(html: str, element: str, content: str) -> str:
    """Put content behind an element's first tag."""
    before, tag, after = html.partition(element)
    return before + tag + content + after


def main(argv: Sequence[str] | None = None) -> None:
    """Read the frames and write the page.

    Raises:
        DataError, OSError, ValueError: what is wrong with the video.
    """
    arguments = parse_arguments(argv)

    from mmvos.apis.sources import open_source
    from mmvos.io.atomic import write_text

    frames = pick_frames(open_source(arguments.video), set(arguments.frames))
    write_text(arguments.out, page(arguments.video, frames))
    height, width = next(iter(frames.values())).shape[:2]
    plural = 's' if len(frames) > 1 else ''
    print(f'{arguments.out}: {len(frames)} frame{plural} of {width}x{height}; open it in a browser')
