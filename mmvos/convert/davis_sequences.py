"""Sequences of a DAVIS-layout folder, each with the name of the class its object belongs to.

Layout: `JPEGImages/480p/SEQ/*.jpg`, `Annotations/480p/SEQ/*.png` with the same stems (any pixel > 0
is the object), both also without the level 480p, `ImageSets/2016/{train,val}.txt` with one
sequence per line (or one frame path per line, as in the original lists).
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmvos.io.davis_folder import find_videos_folder, read_video_names
from mmvos.io.frame_names import list_files
from mmvos.io.json_file import read_json
from mmvos.io.label_png import read_label_png

# Coarse on purpose: each class of the val list must occur in the train list, which has no dog,
# camel, goat or soapbox. In val are animal (camel, dog, goat, libby), bird (blackswan), vehicle
# (car-shadow) and rider: people with what carries them (scooter-black, soapbox); person and ball
# are in train only.
_MEMBERS = {
    'animal': 'bear camel cows dog dog-agility elephant goat libby rhino',
    'ball': 'soccerball',
    'bird': 'blackswan flamingo mallard-fly mallard-water',
    'person': 'breakdance breakdance-flare dance-jump dance-twirl hike hockey kite-walk lucia '
    'parkour '
    'rollerblade stroller swing tennis',
    'rider': 'bmx-bumps bmx-trees horsejump-high horsejump-low kite-surf motocross-bumps '
    'motocross-jump '
    'motorbike paragliding paragliding-launch scooter-black scooter-gray soapbox surf',
    'vehicle': 'boat bus car-roundabout car-shadow car-turn drift-chicane drift-straight '
    'drift-turn train',
}
LISTS = {'train': 'train', 'valid': 'val'}  # our split -> DAVIS list
DAVIS_2016_CLASSES = {
    sequence: name for name, members in _MEMBERS.items() for sequence in members.split()
}


@dataclass(frozen=True)
class DavisSequence:
    """Files of one sequence, frame by frame."""

    name: str
    class_name: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]

    def image(self, index: int) -> np.ndarray:
        """Return frame `index` as (H, W, 3) uint8 BGR.

        Raises:
            ValueError: the file is no picture.
        """
        path = self.images[index]
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise ValueError(f'sequence {self.name}: {path} is no readable picture')
        return picture

    def mask(self, index: int) -> np.ndarray:
        """Return the object of frame `index` as (H, W) bool; the size is checked against the
        picture by `frame`."""
        return np.asarray(read_label_png(self.masks[index]) > 0)

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return picture (H, W, 3) uint8 BGR and mask (H, W) bool.

        Raises:
            ValueError: unreadable file, or mask and picture of different sizes.
        """
        picture = self.image(index)
        mask = self.mask(index)
        if picture.shape[:2] != mask.shape:
            raise ValueError(
                f'sequence {self.name}, frame {self.images[index].stem}: the mask is {mask.shape}, '
                f'the picture {picture.shape[:2]} (height, width); they must be of one size'
            )
        return picture, mask


def read_list(root: Path, split: str) -> list[str]:
    """Return the sequence names of ImageSets/2016/SPLIT.txt, in its order.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: the list is empty.
    """
    path = root / 'ImageSets' / '2016' / f'{split}.txt'
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing; {root} must be a DAVIS-layout folder')
    return read_video_names(path)


def find_sequence(root: Path, name: str, classes: Mapping[str, str]) -> DavisSequence:
    """Return the sequence called `name`.

    Args:
        root: DAVIS-layout folder.
        name: sequence.
        classes: sequence -> class name.

    Raises:
        FileNotFoundError: a folder or the mask of a frame is missing.
        ValueError: the sequence has no class, no frame, or no object in any frame.
    """
    if name not in classes:
        raise ValueError(
            f'sequence {name} has no class; give one with --classes FILE.json, which holds '
            f'{{"{name}": "..."}}'
        )
    image_dir = find_videos_folder(root, 'JPEGImages') / name
    mask_dir = find_videos_folder(root, 'Annotations') / name
    for folder in (image_dir, mask_dir):
        if not folder.is_dir():
            raise FileNotFoundError(f'sequence {name}: folder {folder} is missing')

    # Each frame has a mask of its name.
    images = tuple(list_files(image_dir, ('.jpg',)))
    masks = tuple(mask_dir / f'{image.stem}.png' for image in images)
    if not images:
        raise ValueError(f'sequence {name}: no .jpg frame in {image_dir}')
    missing = [mask for mask in masks if not mask.is_file()]
    if missing:
        raise FileNotFoundError(f'sequence {name}: mask {missing[0]} is missing')
    sequence = DavisSequence(name, classes[name], images, masks)
    # An object that is never seen cannot be cut out.
    if not any(sequence.mask(index).any() for index in range(len(masks))):
        raise ValueError(
            f'sequence {name}: no mask in {mask_dir} shows an object; take it off the list'
        )
    return sequence


def read_sequences(root: Path, classes_file: Path | None) -> dict[str, list[DavisSequence]]:
    """Return the sequences of each of our splits.

    Args:
        root: DAVIS-layout folder.
        classes_file: JSON file {sequence: class}, goes before the built-in names.

    Raises:
        FileNotFoundError, ValueError: see `read_list` and `find_sequence`; also a sequence in both
            lists, a list with less than two.
    """
    classes = dict(DAVIS_2016_CLASSES)
    if classes_file:
        classes.update(_read_classes(classes_file))
    names = {split: read_list(root, davis_list) for split, davis_list in LISTS.items()}
    both = set(names['train']) & set(names['valid'])
    if both:
        raise ValueError(
            f'sequence {min(both)} is in both lists of {root}/ImageSets/2016; take it off one'
        )
    for split, listed in names.items():
        if len(listed) < 2:
            raise ValueError(
                f'{root}/ImageSets/2016/{LISTS[split]}.txt must name at least two sequences'
            )
    found = {}
    for split, listed in names.items():
        found[split] = [find_sequence(root, name, classes) for name in listed]

    # A class that is only validated cannot be learned.
    learned = {sequence.class_name for sequence in found['train']}
    validated = {sequence.class_name for sequence in found['valid']}
    unseen = sorted(validated - learned)
    if unseen:
        print(
            f'warning: no train sequence of class {", ".join(unseen)}, so its validation AP says '
            'nothing',
            file=sys.stderr,
        )
    return found


def _read_classes(path: Path) -> dict[str, str]:
    """Read the class of each sequence from a JSON file."""
    classes = read_json(path)
    is_object = isinstance(classes, dict)
    if not is_object or not all(isinstance(name, str) for name in classes.values()):
        raise ValueError(f'{path} must hold one object {{"sequence": "class", ...}}')
    return classes
