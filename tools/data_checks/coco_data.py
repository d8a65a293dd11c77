"""Checks the COCO JSON of an image set that serves as a source of still images
(``StaticClipDataset``, ``StillPairs``).
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from mmvos.datasets.frame_files import image_fault, missing_frames
from mmvos.io.rle import mask_fault

from .findings import Findings


def check_coco(
    path: str | Path, findings: Findings, folder: str | Path, images: bool = False
) -> None:
    """Checks one file.

    Args:
        folder: what the file names are relative to. images: look at the first and last bytes of
            every image.
    """
    try:
        data = json.loads(Path(path).read_bytes())
        rows, annotations = data['images'], data['annotations']
        by_id = {
            row['id']: (row['file_name'], int(row['height']), int(row['width'])) for row in rows
        }
    except OSError as error:
        findings.error('the file is not usable', f'{path} cannot be read: {error.strerror}')
        return
    except (ValueError, KeyError, TypeError) as error:
        findings.error(
            'the file is not usable',
            f'{path} is no COCO JSON with images and annotations ({type(error).__name__}: {error})',
        )
        return
    findings.summary = f'{len(by_id)} images, {len(annotations)} objects'
    if len(by_id) < len(rows):
        findings.error('images have the same id', f'{len(rows) - len(by_id)} of {len(rows)}')
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
    for number, count in Counter(
        row.get('id') for row in annotations if isinstance(row, dict)
    ).items():
        if count > 1:
            findings.error('annotations have the same id', f'annotation {number}, {count} times')
    for row in annotations:
        _check_annotation(row, by_id, findings)


def _check_annotation(
    row: Any, images: dict[Any, tuple[str, int, int]], findings: Findings
) -> None:
    if not isinstance(row, dict) or not isinstance(row.get('image_id'), int):
        findings.error('an annotation is not usable', f'{str(row)[:60]} has no image_id')
        return
    where = f'annotation {row.get("id")}'
    if row['image_id'] not in images:
        findings.error('an annotation has no image', f'{where}: image {row["image_id"]}')
    elif not row.get('segmentation'):
        findings.note('an annotation has no mask', where)
    else:
        try:
            fault = mask_fault(row['segmentation'], *images[row['image_id']][1:])
        except TypeError:
            fault = 'the mask is malformed'
        if fault is not None:
            findings.error('a mask is not usable', f'{where}: {fault}')
