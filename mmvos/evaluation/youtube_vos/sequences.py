"""Find the videos of a ground truth in the layout of YouTube-VOS and check that they can be
used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmvos.io.davis_folder import find_videos_folder

from ..label_files import check_truth, list_frames, list_sequences


def find_ground_truth(root: Path) -> dict[str, Path]:
    """Ground-truth folders by the name of the video: ROOT/Annotations/VIDEO, or ROOT/VIDEO.

    Raises:
        DataError: there is no such folder, or no video in it.
    """
    folder = root
    if (root / 'Annotations').is_dir():
        folder = find_videos_folder(root, 'Annotations')
    return list_sequences(folder)


def check_ground_truth(folders: Mapping[str, Path]) -> None:
    """Refuse a ground truth whose label images are damaged or of several sizes in one video; only
    headers are read.
    """
    for folder in folders.values():
        check_truth(list(list_frames(folder).values()))
