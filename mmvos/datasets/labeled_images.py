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
        self.images = images
        self.shorter = shorter
        self.crop = crop

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
    """Resize the shorter side of an image and cut out its middle.

    Args:
        image: of any size.
        shorter: pixels of the resized shorter side.
        crop: side S of the square in the middle.

    Returns:
        (S, S, 3) uint8.
    """
    width, height = image.size
    scale = shorter / min(width, height)
    if width <= height:
        new_width = shorter
    else:
        new_width = int(width * scale)
    if height <= width:
        new_height = shorter
    else:
        new_height = int(height * scale)
    resized = image.resize((new_width, new_height), Image.Resampling.BILINEAR)

    left = round((new_width - crop) / 2)
    top = round((new_height - crop) / 2)
    middle = resized.crop((left, top, left + crop, top + crop))
    return np.array(middle)


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
    """Find images and labels of a flat folder.

    Args:
        folder: of the images.
        labels: a text with "NAME LABEL" on each line, or with one label per image in the order of
            the images' names.

    Returns:
        The path and the label of each image.

    Raises:
        ValueError: text and images do not agree; the message names the line or the image.
    """
    paths = _images(folder) if folder.is_dir() else []
    if not paths:
        raise ValueError(f'{folder} holds no image')
    rows = _label_rows(labels)
    if len(rows) != len(paths):
        raise ValueError(f'{labels} has {len(rows)} lines, but {folder} holds {len(paths)} images')

    # Labels alone, in the order of the names.
    if len(rows[0]) == 1:
        return [(path, int(row[0])) for path, row in zip(paths, rows, strict=True)]

    label_of = {name: int(label) for name, label in rows}
    labeled = []
    for path in paths:
        if path.name not in label_of:
            raise ValueError(f'{labels} has no label for {path.name}')
        labeled.append((path, label_of[path.name]))
    return labeled


def _label_rows(labels: Path) -> list[list[str]]:
    """Return the words of each line, which all are [LABEL], or all are [NAME, LABEL]."""
    rows = [line.split() for line in read_list(labels)]
    for number, row in enumerate(rows, 1):
        is_label_row = len(row) in (1, 2) and row[-1].isdecimal()
        if not is_label_row or len(row) != len(rows[0]):
            raise ValueError(
                f'{labels}, line {number} is neither "NAME LABEL" nor a label, as the other lines '
                f'are'
            )
    return rows


def _images(folder: Path) -> list[Path]:
    return list_files(folder, IMAGES)
