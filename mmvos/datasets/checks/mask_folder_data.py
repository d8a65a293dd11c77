"""Checks a folder in the layout of DAVIS or YouTube-VOS: frames, label images, and what meta.json
says of them.

Of the label images all headers are read, but only the pixels of the first of each video (and of
those with an alpha channel), unless all are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmvos.datasets.frame_files import image_fault
from mmvos.datasets.mask_folders import (
    MaskVideo,
    find_mask_video,
    mask_video_names,
)
from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.label_png import object_ids, read_label_header, read_label_png
from mmvos.io.progress_bar import with_bar

from .findings import Findings


def check_mask_folder(
    root: str | Path,
    findings: Findings,
    split: str | None = None,
    layout: str | None = None,
    images: bool = False,
) -> None:
    """Check one folder.

    Args:
        split: list of videos, see ``find_mask_videos``. layout: 'davis' or 'youtube-vos'; the
            latter where there is a meta.json.
        images: open all label images and look at the first and last bytes of all frames.
    """
    try:
        names = mask_video_names(root, split)
    except ValueError as error:
        findings.error('the folder is not usable', str(error))
        return
    path = Path(root, 'meta.json')
    layout = layout or ('youtube-vos' if path.is_file() else 'davis')
    meta = _read_meta(path, findings) if layout == 'youtube-vos' and path.is_file() else None
    frames = objects = 0
    for name in with_bar(names, 'videos'):
        try:
            video = find_mask_video(root, name)
        except ValueError as error:
            findings.error('a video is not usable', str(error))
            continue
        frames += len(video.frames)
        first_seen = _check_video(video, layout, images, findings)
        objects += len(first_seen)
        if meta is not None:
            _check_meta(video, meta.get(name), first_seen, findings)
    findings.summary = f'{len(names)} videos, {frames} frames, {objects} objects'
    if not images:
        findings.summary += ' in the first label images'


def _check_video(video: MaskVideo, layout: str, images: bool, findings: Findings) -> dict[int, int]:
    """Object id -> frame in which it is seen first, of the label images that were opened."""
    annotated = [(t, path) for t, path in enumerate(video.masks) if path is not None]
    seen: dict[int, int] = {}
    if layout == 'davis' and annotated[0][0] > 0:
        findings.error(
            'the first frame has no label image', f'video {video.name}: {video.frames[0].name}'
        )
    shape: tuple[int, int] | None = None
    with_alpha, unreadable = _check_headers(video, [path for _, path in annotated], findings)
    for t, path in annotated:
        is_first = t == annotated[0][0]
        if not (images or is_first or path in with_alpha):
            continue
        if path in unreadable:
            continue
        try:
            labels = read_label_png(path)
        except DataError as error:
            findings.error('a label image cannot be read', str(error))
            continue
        height, width = labels.shape
        shape = shape or (height, width)
        fault = image_fault(video.frames[t], *labels.shape)
        if fault is not None:
            fault = fault.replace('the annotation file says', 'its label image is')
            findings.error(
                'a frame is damaged or of another size',
                f'video {video.name}: {video.frames[t].name} {fault}',
            )
        ids = object_ids(labels)
        if is_first and not ids:
            findings.error(
                'the first label image shows no object', f'video {video.name}: {path.name}'
            )
        for number in ids:
            if layout == 'davis' and t > 0 and number not in seen:
                findings.note(
                    'an object comes after the first frame and is not followed',
                    f'video {video.name}: object {number} in {path.name}',
                )
            seen.setdefault(number, t)
    if images:
        _check_other_frames(video, shape, findings)
        if seen and max(seen) != len(seen):
            findings.note(
                'object ids have gaps', f'video {video.name}: {", ".join(map(str, sorted(seen)))}'
            )
    return seen


def _check_headers(
    video: MaskVideo, paths: Sequence[Path], findings: Findings
) -> tuple[set[Path], set[Path]]:
    """Check the headers of all label images of a video; returns those with an alpha channel, and
    those that cannot be read.
    """
    with_alpha: set[Path] = set()
    unreadable: set[Path] = set()
    sizes: dict[tuple[int, int], Path] = {}
    for path in paths:
        try:
            header = read_label_header(path)
        except DataError as error:
            findings.error('a label image cannot be read', str(error))
            unreadable.add(path)
            continue
        sizes.setdefault((header.height, header.width), path)
        if header.has_alpha:
            with_alpha.add(path)
            findings.note(
                'a gray label image has an alpha channel, which other programs may refuse',
                f'video {video.name}: {path.name}',
            )
    if len(sizes) > 1:
        other = list(sizes.values())[1]
        findings.error(
            'label images of one video have several sizes', f'video {video.name}: {other.name}'
        )
    return with_alpha, unreadable


def _check_other_frames(
    video: MaskVideo, shape: tuple[int, int] | None, findings: Findings
) -> None:
    """The frames without a label image."""
    if shape is None:
        return
    for frame, mask in zip(video.frames, video.masks):
        fault = image_fault(frame, *shape) if mask is None else None
        if fault is not None:
            findings.error(
                'a frame is damaged or of another size', f'video {video.name}: {frame.name} {fault}'
            )
            return


def _read_meta(path: Path, findings: Findings) -> Mapping[str, Any] | None:
    try:
        videos = read_json(path)['videos']
        assert isinstance(videos, dict)
        return videos
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        findings.error(
            'meta.json is not usable',
            f'{path} is not the meta.json of YouTube-VOS ({type(error).__name__}: {error})',
        )
        return None


def _check_meta(
    video: MaskVideo, entry: Any, first_seen: Mapping[int, int], findings: Findings
) -> None:
    objects = entry.get('objects') if isinstance(entry, Mapping) else None
    if not isinstance(objects, Mapping):
        findings.error('meta.json does not list a video or its objects', f'video {video.name}')
        return
    names = {path.stem for path in video.frames}
    for number in first_seen:
        if str(number) not in objects:
            findings.error(
                'meta.json does not list an object', f'video {video.name}: object {number}'
            )
    for number, item in objects.items():
        where = f'video {video.name}, object {number}'
        if not isinstance(item, Mapping) or not isinstance(item.get('category', ''), str):
            findings.error('meta.json does not list a video or its objects', where)
            continue
        listed = item.get('frames') or []
        if not isinstance(listed, list):
            findings.error('meta.json does not list the frames of an object', where)
            continue
        lost = sorted({str(frame) for frame in listed} - names)
        if lost:
            findings.error(
                'meta.json lists frames that do not exist',
                f'{where}: {lost[0]} and {len(lost) - 1} more',
            )
        if 'category' not in item:
            findings.note('meta.json gives an object no category', where)
