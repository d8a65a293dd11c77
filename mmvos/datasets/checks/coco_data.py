"""Checks the COCO JSON of an image set that serves as a source of still images
(``ImageClipDataset``, ``ImagePairs``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
        path: the annotation file.
        findings: takes what is found.
        folder: what the file names are relative to.
        images: look at the first and last bytes of every image.
    """
    try:
        data = coco.read_coco(path)
    except DataError as error:
        findings.error('the file is not usable', str(error))
        return
    annotations = data['annotations']
    by_id = _check_image_entries(data['images'], findings)
    findings.summary = f'{len(by_id)} images, {len(annotations)} objects'
    _check_files(by_id, findings, folder, images)

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


def _check_image_entries(
    rows: Sequence[Mapping[str, Any]], findings: Findings
) -> dict[Any, tuple[str, int, int]]:
    """Return (file name, height, width) of the usable entries by their id."""
    by_id: dict[Any, tuple[str, int, int]] = {}
    for row in rows:
        fault = coco.image_fault(row, by_id)
        if fault is None:
            by_id[row['id']] = (row['file_name'], row['height'], row['width'])
        else:
            findings.error('an image entry is not usable', f'image {row.get("id")}: {fault}')
    return by_id


def _check_files(
    by_id: Mapping[Any, tuple[str, int, int]],
    findings: Findings,
    folder: str | Path,
    images: bool,
) -> None:
    """Check that the image files are there, and with ``images`` that they are whole."""
    # Each image is looked for as if it were a video of one frame.
    entries = []
    for number, (name, _, _) in by_id.items():
        entries.append(dict(id=number, file_names=[name]))
    missing = dict(missing_frames(entries, folder))
    for sentence in missing.values():
        of_image = sentence.replace('video', 'image').replace(', frame 0', '')
        findings.error('images are missing', of_image)
    if not images:
        return
    for place, (name, height, width) in enumerate(by_id.values()):
        if place in missing:
            continue
        fault = image_fault(Path(folder, name), height, width)
        if fault is not None:
            findings.error('an image is damaged or of another size', f'{name} {fault}')


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
