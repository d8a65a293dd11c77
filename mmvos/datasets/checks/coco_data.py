"""Checks the COCO JSON of an image set that serves as a source of still images
(``ImageClipDataset``, ``ImagePairs``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mmvos.datasets.frame_files import image_fault, missing_frames
from mmvos.io import coco
from mmvos.io.errors import DataError
from mmvos.io.rle import mask_fault

from .findings import Findings


def check_coco(
    path: str | Path, findings: Findings, folder: str | Path, images: bool = False
) -> None:
    """Check one file.

    Args:
        folder: what the file names are relative to. images: look at the first and last bytes of
            every image.
    """
    try:
        data = coco.read_coco(path)
    except DataError as error:
        findings.error('the file is not usable', str(error))
        return
    rows, annotations = data['images'], data['annotations']
    by_id: dict[Any, tuple[str, int, int]] = {}
    for row in rows:
        fault = coco.image_fault(row, by_id)
        if fault is None:
            by_id[row['id']] = (row['file_name'], row['height'], row['width'])
        else:
            findings.error('an image entry is not usable', f'image {row.get("id")}: {fault}')
    findings.summary = f'{len(by_id)} images, {len(annotations)} objects'
    entries = [dict(id=number, file_names=[name]) for number, (name, _, _) in by_id.items()]
    missing = dict(missing_frames(entries, folder))
    for sentence in missing.values():
        findings.error(
            'images are missing', sentence.replace('video', 'image').replace(', frame 0', '')
        )
    for place, (name, height, width) in enumerate(by_id.values()) if images else ():
        fault = image_fault(Path(folder, name), height, width) if place not in missing else None
        if fault is not None:
            findings.error('an image is damaged or of another size', f'{name} {fault}')
    counts = Counter(str(row['id']) for row in annotations if 'id' in row)
    for number, count in counts.items():
        if count > 1:
            findings.error('annotations have the same id', f'annotation {number}, {count} times')
    for row in annotations:
        _check_annotation(row, by_id, findings)
    crowds = coco.crowds_in_words(annotations)
    if crowds:
        is_all = all(row.get('iscrowd') for row in annotations)
        add = findings.error if is_all else findings.note
        add('crowds are not trained on', crowds.removeprefix('; '))


def _check_annotation(
    row: Any, images: dict[Any, tuple[str, int, int]], findings: Findings
) -> None:
    where = f'annotation {row.get("id")}'
    fault = coco.annotation_fault(row, images)
    if fault is not None:
        findings.error('an annotation is not usable', f'{where}: {fault}')
        return
    if not row.get('segmentation'):
        findings.note('an annotation has no mask', where)
        return
    _, height, width = images[row['image_id']]
    fault = mask_fault(row['segmentation'], height, width)
    if fault is not None:
        findings.error('a mask is not usable', f'{where}: {fault}')
