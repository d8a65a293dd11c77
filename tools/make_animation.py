"""Makes a small moving picture out of a video, for a page: python tools/make_animation.py
overlay.mp4 OUT.webp [--width 480]

OUT is an animated WebP or GIF, by its suffix, that repeats for ever. Several videos of one size
stand side by side; the shortest ends the picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image

from mmvos.apis.sources import open_source
from mmvos.cli.arguments import frame_rate
from mmvos.cli.guard import run_command
from mmvos.io.atomic import atomic_path

_FPS = 25  # where the source has none


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Makes a small moving picture out of a video.')
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
    arguments = parser.parse_args()
    if arguments.out.suffix.lower() not in ('.webp', '.gif'):
        parser.error(f'OUT must end in .webp or .gif, got {arguments.out}')
    if min(arguments.width, arguments.every) < 1:
        parser.error('--width and --every must be at least 1')
    return arguments


def main() -> None:
    """Reads, scales and writes."""
    arguments = parse_arguments()
    try:
        videos = [open_source(video) for video in arguments.videos]
        rows = [[picture for _, picture in frames] for frames in zip(*videos)]
        # BGR -> RGB
        pictures = [np.concatenate(row, axis=1)[..., ::-1] for row in rows[:: arguments.every]]
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'make_animation: {error}')
    height, width = pictures[0].shape[:2]
    size = (arguments.width * len(videos), round(height * arguments.width * len(videos) / width))
    images = [
        Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS) for picture in pictures
    ]
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
    print(
        f'{arguments.out}: {len(images)} pictures of {size[0]}x{size[1]}, '
        f'{arguments.out.stat().st_size / 1e6:.2f} MB'
    )


if __name__ == '__main__':
    run_command('make_animation', main)
