"""COCO with track ids to a YouTube-VIS annotation file:

    mmvos convert coco_to_youtube_vis IN.json OUT.json [--frames FOLDER] [--fill-boxes]

An image belongs to the video ``video_id``, or, where the images have none, to the folder in its
``file_name``; frames are ordered by ``frame_id`` (or ``frame_index``), or, where the images have
none, by name. The object of an annotation is its ``track_id``, ``instance_id`` or
``attributes.track_id``; its masks are polygons or run lengths, which are kept as they are. Videos
are named after the list ``videos``. Boxes, areas, ids, classes and ``iscrowd`` are kept.
YouTube-VIS has one class and one ``iscrowd`` for an object and one size for a video, so input where
they change is refused; keypoints, captions and attributes have no place in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='COCO with track ids to a YouTube-VIS annotation file.'
    )
    parser.add_argument('coco', type=Path, help='COCO file whose annotations have track ids')
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument(
        '--frames', type=Path, help='folder that the file names are relative to: check every frame'
    )
    parser.add_argument(
        '--fill-boxes',
        action='store_true',
        help='annotations without a mask get their filled box as mask',
    )
    parser.add_argument(
        '--ignore-iscrowd',
        action='store_true',
        help='take crowds for objects; CVAT marks every mask that was drawn with the brush as one',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one file."""
    args = parse_arguments(argv)

    from mmvos.convert import coco, youtube_vis
    from mmvos.convert.annotation_model import Notes, check_frames

    notes = Notes()
    videos, categories = coco.read(args.coco, notes, args.fill_boxes, args.ignore_iscrowd)
    if args.frames:
        check_frames(videos, args.frames)
    description = 'converted from COCO with track ids'
    youtube_vis.write_videos(args.out, videos, categories, description, notes)
    notes.show()
