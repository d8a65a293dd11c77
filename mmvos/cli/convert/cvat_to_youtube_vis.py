"""Videos annotated in CVAT ("CVAT for video 1.1") to a YouTube-VIS annotation file:

    mmvos convert cvat_to_youtube_vis VIDEO.xml [VIDEO2.xml ...] OUT.json
        [--frames FOLDER] [--classes a,b]

One XML file is one video, named after it (``annotations.xml``: after its folder). The objects are
its tracks; boxes, turned boxes, polygons and ellipses become polygons, masks run lengths, bit by
bit. As CVAT shows it: a box is interpolated between its keyframes, a mask stays until the next one,
and ``outside`` hides an object until its next shape. (CVAT writes every frame of a polygon; one
with gaps is refused, unless no track has a shape in the gap: such frames were deleted in CVAT and
are left out.) ``occluded``, attributes and the order of layers have no place in
YouTube-VIS; masks may overlap there. Polylines, points, cuboids and skeletons have no area and are
left out with a note. The frames are the images in FOLDER/VIDEO, or else are taken to be called
VIDEO/frame_000000.PNG and so on, as CVAT exports them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Videos annotated in CVAT to a YouTube-VIS annotation file.'
    )
    parser.add_argument('xml', type=Path, nargs='+', help='exports as "CVAT for video 1.1"')
    parser.add_argument('out', type=Path, help='the JSON file to write')
    parser.add_argument(
        '--frames',
        type=Path,
        help='folder with a folder of frames per video; they are counted and checked',
    )
    parser.add_argument(
        '--classes',
        metavar='A,B',
        help='order of the classes (default: that of the labels in CVAT)',
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert the files into one."""
    args = parse_arguments(argv)

    from mmvos.convert import cvat, youtube_vis
    from mmvos.convert.annotation_model import (
        Notes,
        check_frames,
        choose_classes,
        number_categories,
    )

    notes = Notes()
    videos, labels = cvat.read(args.xml, args.frames, notes)
    if args.frames:
        check_frames(videos, args.frames)

    # The classes: as asked for, or all labels of the task.
    used = [item.category for video in videos for item in video.objects]
    found = labels if args.classes is None else used
    classes = choose_classes(args.classes, found, str(args.xml[0]))
    categories = number_categories(classes)
    youtube_vis.write_videos(args.out, videos, categories, 'converted from CVAT', notes)
    notes.show()
