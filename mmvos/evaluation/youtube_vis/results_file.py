"""Results of video instance segmentation on disk: the submission JSON and zip, and reading them
back.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmvos.io.atomic import atomic_path, write_text
from mmvos.io.errors import DataError
from mmvos.io.json_file import parse_json, read_json
from mmvos.io.text import MAX_TEXT_BYTES
from mmvos.structures import Track

_MEMBER = 'results.json'  # the name that servers ask for, at the top of the zip
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: equal results give equal bytes


def result_entries(
    video_id: int, tracks: Sequence[Track], category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """The tracks of one video in the official results schema.

    Args:
        video_id: the ground truth's.
        tracks: of all frames of the video.
        category_ids: label -> category id.
    Raises:
        ValueError: a label has no category.
    """
    entries = []
    for track in tracks:
        if not 0 <= track.label < len(category_ids):
            raise ValueError(
                f'video {video_id}, object {track.id}: label {track.label} has no category, there '
                f'are {len(category_ids)}; the model does not belong to this data set'
            )
        entries.append(
            {
                'video_id': video_id,
                'category_id': category_ids[track.label],
                'score': float(track.score),
                'segmentations': list(track.masks),
            }
        )
    return entries


def write_results(entries: list[dict[str, Any]], prefix: str | Path) -> tuple[Path, Path]:
    """Write PREFIX.json and PREFIX.zip (with results.json inside); equal entries give equal bytes.

    Args:
        entries: {video_id: int, category_id: int, score: float, segmentations: L x ({size, counts:
            str} | None)}; NumPy numbers and bytes are written as plain numbers and text.
    Returns:
        The two paths.
    Raises:
        ValueError: a score that is not finite.
    """
    plain = [_plain(entry) for entry in entries]
    text = json.dumps(plain, allow_nan=False, separators=(',', ':'))
    prefix = Path(prefix)
    json_path = prefix.with_name(f'{prefix.name}.json')
    zip_path = prefix.with_name(f'{prefix.name}.zip')
    write_text(json_path, text)
    member = zipfile.ZipInfo(_MEMBER, _FIXED_TIME)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3  # also on other systems
    member.external_attr = 0o644 << 16
    with atomic_path(zip_path) as partial, zipfile.ZipFile(partial, 'w') as archive:
        archive.writestr(member, text)
    return json_path, zip_path


def read_results(path: str | Path) -> Any:
    """Parse a results file: a JSON, or a submission zip with results.json at its top.

    Returns:
        What the file holds; `check_results` says whether it fits a ground truth.
    Raises:
        DataError: the file is missing, broken, or a zip without results.json.
    """
    if not zipfile.is_zipfile(path):
        return read_json(path)
    try:
        with zipfile.ZipFile(path) as archive:
            if _MEMBER not in archive.namelist():
                raise DataError(
                    f'{path} has no {_MEMBER} at its top; zip the file itself, not its folder.'
                )
            # A small zip may unpack to more than the memory holds.
            if archive.getinfo(_MEMBER).file_size > MAX_TEXT_BYTES:
                raise DataError(f'{path}: its {_MEMBER} unpacks to more than any results have.')
            return parse_json(archive.read(_MEMBER), f'{path}, {_MEMBER}')
    except DataError:
        raise
    except Exception as error:  # zipfile and zlib raise seven unrelated kinds
        raise DataError(
            f'{path} cannot be unpacked ({_first_line(error)}); write the file again.'
        ) from None


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of plain numbers and texts."""
    return {
        'video_id': int(entry['video_id']),
        'category_id': int(entry['category_id']),
        'score': float(entry['score']),
        'segmentations': [_plain_mask(mask) for mask in entry['segmentations']],
    }


def _plain_mask(mask: dict[str, Any] | None) -> dict[str, Any] | None:
    if mask is None:
        return None
    counts = mask['counts']
    text = counts.decode() if isinstance(counts, bytes) else counts
    return {'size': [int(side) for side in mask['size']], 'counts': text}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
