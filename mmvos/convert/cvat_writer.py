"""Videos with tracked objects as "CVAT for video 1.1" (XML), which `cvat.read` and CVAT read.

One file is one video. An object is a track of masks: a key frame wherever its mask changes, and an
empty one marked ``outside`` where it leaves.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
from pycocotools import mask as coco_mask

from mmvos.convert.annotation_model import Notes, TrackedVideo
from mmvos.convert.youtube_vis import AnnotationFile, visible
from mmvos.io.atomic import write_bytes
from mmvos.io.paths import output_inside


def write(out: Path, source: AnnotationFile, notes: Notes) -> int:
    """Write OUT/VIDEO.xml of every video.

    Args:
        out: the folder.
        source: the videos and their classes.
        notes: takes what is left out.

    Returns:
        The number of files.

    Raises:
        UnsafeNameError: a name leads out of the folder.
    """
    labels = [str(category['name']) for category in source.categories]
    for video in source.videos:
        root = _video(video, labels, notes)
        ElementTree.indent(root)
        text = ElementTree.tostring(
            root,
            encoding='utf-8',
            xml_declaration=True,
        )
        where = f'{source.source}: video {video.folder}'
        target = output_inside(out, f'{video.folder}.xml', where)
        write_bytes(target, text + b'\n')
    return len(source.videos)


def _video(video: TrackedVideo, labels: list[str], notes: Notes) -> Element:
    """The XML of one video."""
    root = Element('annotations')
    SubElement(root, 'version').text = '1.1'
    task = SubElement(SubElement(root, 'meta'), 'task')
    length = len(video.file_names)
    SubElement(task, 'name').text = video.folder
    SubElement(task, 'size').text = str(length)
    SubElement(task, 'mode').text = 'interpolation'
    SubElement(task, 'start_frame').text = '0'
    SubElement(task, 'stop_frame').text = str(length - 1)
    size = SubElement(task, 'original_size')
    SubElement(size, 'width').text = str(video.width)
    SubElement(size, 'height').text = str(video.height)
    listed = SubElement(task, 'labels')
    for name in labels:
        label = SubElement(listed, 'label')
        SubElement(label, 'name').text = name
        SubElement(label, 'type').text = 'any'
        SubElement(label, 'attributes')

    for item in video.objects:
        track = SubElement(root, 'track', id=str(item.id), label=item.category, source='manual')
        shown = visible(item, video, notes)
        for t, rle in shown.items():
            SubElement(track, 'mask', mask_attributes(t, rle))

            # CVAT shows a mask until the next one.
            if t + 1 < length and t + 1 not in shown:
                SubElement(track, 'mask', mask_attributes(t + 1, rle) | {'outside': '1'})
    return root


def mask_attributes(frame: int, rle: dict[str, Any]) -> dict[str, str]:
    """Make the attributes of a mask: run lengths along the rows of its bounding box.

    Args:
        frame: number of the frame.
        rle: pycocotools run lengths of a mask with a pixel.
    """
    left, top, width, height = (int(value) for value in coco_mask.toBbox(rle))
    mask = coco_mask.decode(rle)
    pixels = mask[top : top + height, left : left + width].reshape(-1)
    # The first run is one of zeros, maybe empty.
    switches = np.flatnonzero(np.diff(pixels, prepend=0))
    runs = np.diff(switches, prepend=0, append=pixels.size)
    return {
        'frame': str(frame),
        'keyframe': '1',
        'outside': '0',
        'occluded': '0',
        'rle': ', '.join(str(run) for run in runs.tolist()),
        'left': str(left),
        'top': str(top),
        'width': str(width),
        'height': str(height),
        'z_order': '0',
    }
