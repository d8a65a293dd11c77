"""MOTS text files to a YouTube-VIS annotation file:

    mmvos convert mots_to_youtube_vis SEQ/gt/gt.txt [...] OUT.json [--frames FOLDER]
        [--classes 1=car,2=cat]
    mmvos convert mots_to_youtube_vis instances_txt/*.txt OUT.json --frames image_02
        --frame-numbers name

(the second for KITTI).

A line is "frame id class height width run-lengths". A video is named after the file, or after the
folder of ``gt/gt.txt``. Its frames are the images in FOLDER/VIDEO or FOLDER/VIDEO/img1; without
FOLDER they are 1 to the ``seqLength`` of ``seqinfo.ini``, or to the last frame of the file, and
taken to be called VIDEO/img1/000001.jpg and so on. Frame numbers are positions from 1 (MOTS
Challenge) or, with ``--frame-numbers name``, the numbers that the images are called (KITTI, from
0). Masks and ids are kept. The id 10000 marks regions to be ignored, of all classes: each class
gets a crowd object there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='MOTS text files to a YouTube-VIS annotation file.'
    )
    parser.add_argument('text', type=Path, nargs='+', help='one text file per video')
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument(
        '--frames', type=Path, help='folder with a folder of frames per video; they are checked'
    )
    parser.add_argument(
        '--frame-numbers',
        choices=('position', 'name'),
        default='position',
        help='position: frame 1 is the first image (default); name: the number the image is called',
    )
    parser.add_argument(
        '--classes',
        metavar='ID=NAME,...',
        default='1=car,2=pedestrian',
        help='(default 1=car,2=pedestrian)',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the files into one."""
    args = parse_arguments(argv)

    from mmvos.convert import mots, youtube_vis
    from mmvos.convert.annotation_model import Notes, check_frames

    notes = Notes()
    classes = mots.parse_classes(args.classes)
    by_name = args.frame_numbers == 'name'
    videos = [mots.read(path, args.frames, by_name, classes) for path in args.text]
    if args.frames:
        check_frames(videos, args.frames)

    # The ids of the classes stay.
    categories = []
    for number, name in classes.items():
        categories.append({'id': number, 'name': name, 'supercategory': 'object'})
    youtube_vis.write_videos(args.out, videos, categories, 'converted from MOTS', notes)
    notes.show()
