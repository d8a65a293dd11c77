"""A validation set of ImageNet's kind: images with one label each, resized and cropped in the
middle.

Either a folder per class (labels 0, 1, ... in the order of their names), or a flat folder with a
text that says the labels. Letters: S pixels on a side of the crop.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from mmvos.io.frame_names import list_files, list_folders
from mmvos.io.text import read_list

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
Item = tuple[Tensor, int, str]


class LabeledImages(Dataset[Item]):
    """Items are (uint8 (3, S, S) RGB, label, fault); ``fault`` says what is wrong with an image
    that cannot be read, else it is ''.

    Args:
        images: (path, label) of every image.
        shorter: pixels that the shorter side is resized to (bilinear, with antialiasing).
        crop: S.
    """

    def __init__(self, images: list[tuple[Path, int]], shorter: int = 256, crop: int = 224) -> None:
        if not 0 < crop <= shorter:
            raise ValueError(
                f'a crop of {crop} pixels does not fit into images whose shorter side has {shorter}'
            )
        self.images, self.shorter, self.crop = images, shorter, crop

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Item:
        path, label = self.images[index]
        try:
            with Image.open(path) as image:
                pixels = center_crop(image.convert('RGB'), self.shorter, self.crop)
        except Exception as error:  # Pillow raises a dozen unrelated kinds for damaged files
            reason = (str(error) or type(error).__name__).splitlines()[0]
            return (
                torch.zeros(3, self.crop, self.crop, dtype=torch.uint8),
                label,
                f'{path} cannot be read as an image ({reason})',
            )
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), label, ''


def center_crop(image: Image.Image, shorter: int, crop: int) -> np.ndarray:
    """(S, S, 3) uint8: the shorter side resized to ``shorter``, then the middle ``crop`` x ``crop``
    pixels.
    """
    width, height = image.size
    scale = shorter / min(width, height)
    width, height = (
        shorter if side == min(image.size) else int(side * scale) for side in (width, height)
    )
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return np.array(image.crop((left, top, left + crop, top + crop)))


def class_folders(folder: Path, classes: Path | None = None) -> tuple[list[tuple[Path, int]], int]:
    """Images and labels of a folder per class, and the number of classes.

    Args:
        classes: a text with one folder name per line, in the order of the labels, where a folder of
            the data set is not there.
    Raises:
        ValueError: there is no class folder, or one that ``classes`` does not list.
    """
    present = [entry.name for entry in list_folders(folder)]
    if not present:
        raise ValueError(
            f'{folder} holds no folder per class; for a flat folder give the labels with --labels'
        )
    names = present if classes is None else read_list(classes)
    unknown = sorted(set(present) - set(names))
    if unknown or len(set(names)) < len(names):
        raise ValueError(
            f'{classes} '
            + (f'does not list the folder {unknown[0]}' if unknown else 'lists a class twice')
        )
    label_of = {name: label for label, name in enumerate(names)}
    images = [(path, label_of[name]) for name in present for path in _images(folder / name)]
    if not images:
        raise ValueError(f'{folder}: its class folders hold no image')
    return images, len(names)


def flat_folder(folder: Path, labels: Path) -> list[tuple[Path, int]]:
    """Images and labels of a flat folder.

    Args:
        labels: a text with "NAME LABEL" on each line, or with one label per image in the order of
            the images' names.
    Raises:
        ValueError: text and images do not agree; the message names the line or the image.
    """
    paths = _images(folder) if folder.is_dir() else []
    if not paths:
        raise ValueError(f'{folder} holds no image')
    rows = [line.split() for line in read_list(labels)]
    for number, row in enumerate(rows, 1):
        if len(row) not in (1, 2) or len(row) != len(rows[0]) or not row[-1].isdecimal():
            raise ValueError(
                f'{labels}, line {number} is neither "NAME LABEL" nor a label, as the other lines '
                f'are'
            )
    if len(rows) != len(paths):
        raise ValueError(f'{labels} has {len(rows)} lines, but {folder} holds {len(paths)} images')
    if len(rows[0]) == 1:
        return [(path, int(row[0])) for path, row in zip(paths, rows, strict=True)]
    label_of = {name: int(label) for name, label in rows}
    lost = [path.name for path in paths if path.name not in label_of]
    if lost:
        raise ValueError(f'{labels} has no label for {lost[0]}')
    return [(path, label_of[path.name]) for path in paths]


def _images(folder: Path) -> list[Path]:
    return list_files(folder, IMAGES)
