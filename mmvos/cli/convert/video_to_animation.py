"""A small moving picture out of a video, for a page:

    mmvos convert video_to_animation overlay.mp4 OUT.webp [--width 480]

OUT is an animated WebP or GIF, by its suffix, that repeats for ever. Several videos of one size
stand side by side; the shortest ends the picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmvos.cli.arguments import frame_rate

if TYPE_CHECKING:
    from PIL import Image

    from mmvos.apis.sources import VideoSource

EXPECTED_ERRORS = (ValueError,)
_SUFFIXES = ('.webp', '.gif')
_FPS = 25  # where the source has none


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='A small moving picture out of a video.')
    parser.add_argument('videos', nargs='+', metavar='VIDEO', help='video file or folder of frames')
    parser.add_argument('out', type=Path, help='.webp or .gif')
    parser.add_argument(
        '--width', type=int, default=480, help='of one video, in pixels (default 480)'
    )
    parser.add_argument('--every', type=int, default=1, help='take every n-th frame (default 1)')
    parser.add_argument(
        '--fps',
        type=frame_rate,
        help='pictures per second (default: as the first video, by --every)',
    )
    parser.add_argument('--quality', type=int, default=60, help='of a WebP, 0 to 100 (default 60)')
    arguments = parser.parse_args(argv)
    if arguments.out.suffix.lower() not in _SUFFIXES:
        parser.error(f'OUT must end in .webp or .gif, got {arguments.out}')
    if min(arguments.width, arguments.every) < 1:
        parser.error('--width and --every must be at least 1')
    return arguments


def main(argv: Sequence[str] | None = None) -> None:
    """Read, scale and write.

    Raises:
        DataError, OSError, ValueError: a video cannot be read.
    """
    arguments = parse_arguments(argv)

    from mmvos.apis.sources import open_source
    from mmvos.io.atomic import atomic_path

    videos = [open_source(video) for video in arguments.videos]
    images = scaled_pictures(videos, arguments.width, arguments.every)
    # As fast as the video, if nothing else is asked for.
    fps = arguments.fps or (videos[0].fps or _FPS) / arguments.every
    with atomic_path(arguments.out) as partial:
        images[0].save(
            partial,
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / fps),
            loop=0,
            quality=arguments.quality,
            method=6,
        )
    width, height = images[0].size
    megabytes = arguments.out.stat().st_size / 1e6
    print(f'{arguments.out}: {len(images)} pictures of {width}x{height}, {megabytes:.2f} MB')


def scaled_pictures(videos: Sequence[VideoSource], width: int, every: int) -> list[Image.Image]:
    """Put the frames of the videos side by side and scale them.

    Args:
        videos: of one size; frames are (H, W, 3) BGR.
        width: of one video in a picture, in pixels.
        every: take every n-th frame.
    """
    import numpy as np
    from PIL import Image

    from mmvos.io.progress_bar import with_bar

    images = []
    rows = with_bar(zip(*videos), 'reading', unit=' frames')
    for number, row in enumerate(rows):
        if number % every:
            continue
        # (H, n * W, 3) BGR, then RGB
        wide = np.concatenate([picture for _, picture in row], axis=1)
        image = Image.fromarray(wide[..., ::-1])
        new_width = width * len(videos)
        new_height = round(wide.shape[0] * new_width / wide.shape[1])
        images.append(image.resize((new_width, new_height), Image.Resampling.LANCZOS))
    return images
