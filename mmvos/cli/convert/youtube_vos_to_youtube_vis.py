"""A YouTube-VOS folder to a YouTube-VIS annotation file:

    mmvos convert youtube_vos_to_youtube_vis FOLDER OUT.json [--split LIST] [--classes a,b]

FOLDER has JPEGImages/VIDEO/FRAME.jpg, Annotations/VIDEO/FRAME.png (pixel value = object id, 255 =
void) and meta.json, which gives every object's class. Listed are the annotated frames only, every
fifth in the published training set: a null in YouTube-VIS says that an object is not visible, which
nobody knows of the others. Masks, ids, classes and void pixels are kept bit by bit. The published
validation folder has first masks only and is refused. File names are relative to FOLDER/JPEGImages.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VOS folder to a YouTube-VIS annotation file.'
    )
    parser.add_argument(
        'folder', type=Path, help='folder with JPEGImages, Annotations and meta.json'
    )
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument('--split', help='file with one video per line (default: all folders)')
    parser.add_argument(
        '--classes', metavar='A,B', help='order of the classes (default: alphabetical)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one folder."""
    args = parse_arguments(argv)

    from mmvos.convert import youtube_vis, youtube_vos
    from mmvos.convert.annotation_model import Notes, choose_classes, number_categories

    notes = Notes()
    videos = youtube_vos.read(args.folder, args.split)
    found = sorted({item.category for video in videos for item in video.objects})
    categories = number_categories(choose_classes(args.classes, found, str(args.folder)))
    youtube_vis.write_videos(args.out, videos, categories, 'converted from YouTube-VOS', notes)
    notes.show()
