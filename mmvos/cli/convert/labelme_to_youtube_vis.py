"""Folders of labelme files to a YouTube-VIS annotation file:

    mmvos convert labelme_to_youtube_vis FOLDER OUT.json [--classes A,B] [--track-by label]
        [--unlabeled empty]

FOLDER holds one folder per video, or the frames of one video; each frame has a JSON of labelme
beside it, ``label`` is the class and ``group_id`` the object's number in the video. Polygons stay
polygons; rectangles, circles and turned rectangles become polygons, mask shapes run lengths, bit by
bit; several shapes of one object in a frame are joined. Lines and points have no area and are left
out with a note, and so are frames without a JSON (or, with ``--unlabeled empty``, they show no
object). File names are relative to FOLDER (to its parent, for a single video).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Folders of labelme files to a YouTube-VIS annotation file.'
    )
    parser.add_argument(
        'folder',
        type=Path,
        help='folder with one folder per video, or with the frames of one video',
    )
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument(
        '--classes', metavar='A,B', help='order of the classes (default: alphabetical)'
    )
    parser.add_argument(
        '--track-by',
        choices=('group', 'label'),
        default='group',
        help='label: all shapes of a class are one object, where group_id is not used (default '
        'group)',
    )
    parser.add_argument(
        '--unlabeled',
        choices=('skip', 'empty'),
        default='skip',
        help='frames without a JSON: leave them out (default), or say that they show no object',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one folder."""
    args = parse_arguments(argv)

    from mmvos.convert import labelme, youtube_vis
    from mmvos.convert.annotation_model import (
        ConversionError,
        Notes,
        check_frames,
        choose_classes,
        number_categories,
    )

    notes = Notes()
    videos, root = labelme.read(args.folder, args.track_by, args.unlabeled, notes)
    check_frames(videos, root)

    # The classes: as asked for, or all that shapes have.
    found = sorted({item.category for video in videos for item in video.objects})
    classes = choose_classes(args.classes, found, str(args.folder))
    if not classes:
        raise ConversionError(f'{args.folder} has no shape with an area.')
    categories = number_categories(classes)
    youtube_vis.write_videos(args.out, videos, categories, 'converted from labelme', notes)
    print(f'file names are relative to {root}')
    notes.show()
