"""Short multi-object videos made of still images with masks, for training a detector that tracks.

A video is one image in a slight random motion, whose objects stay, with objects cut out of other
images, each in a random motion of its own. The output has the layout of YouTube-VIS with palette
PNGs. A JSON file of classes says what each object is and in which images all objects are marked:
only these become backgrounds. Letters: H, W height and width of the video.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmvos.convert.cutout import Layer, cut_out, place
from mmvos.datasets.youtube_vis_writer import VideoRecord, VideoWriter, keep_visible
from mmvos.io.coco import check_annotation, check_images, read_coco
from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.rle import decode_mask
from mmvos.structures.rle import tight_box

_COUNTS = (0.25, 0.3, 0.25, 0.2)  # share of the videos with 0, 1, 2 and 3 pasted objects
_EDGES = (0.2, 0.8)  # of a pasted object, over the shorter edge of the video
_MAX_ENLARGED = 1.4  # more would show as blur
_MIN_AREA = 100  # pixels of an object that are visible; less is not marked
_MARGIN = 8  # pixels of the image around an object, room for a soft edge
_MEAN_BGR = (103.53, 116.28, 123.675)  # where an image ends


@dataclass(frozen=True)
class Motion:
    """Bounds of what is drawn for a frame: degrees and share of the size to each side, factor."""

    turn: float
    shift: float
    scale: float


_CAMERA = Motion(turn=4, shift=0.06, scale=1.12)
_OBJECT = Motion(turn=10, shift=0.2, scale=1.2)


@dataclass(frozen=True)
class StillObject:
    """One object of an image: its mask as the annotation file has it, and its class."""

    segmentation: object
    class_name: str


@dataclass(frozen=True)
class Still:
    """An image with its objects of known class.

    Attributes:
        path: of the image.
        height, width: in pixels.
        source: the set that it is from.
        objects: those with a class.
        is_background: whether all objects of the image are among them.
    """

    path: Path
    height: int
    width: int
    source: str
    objects: tuple[StillObject, ...]
    is_background: bool

    def read(self) -> np.ndarray:
        """Return the image (H, W, 3) uint8 BGR."""
        picture = cv2.imread(str(self.path), cv2.IMREAD_COLOR)
        if picture is None:
            raise DataError(f'{self.path} is no readable picture')
        return picture

    def mask(self, index: int) -> np.ndarray:
        """Return the mask (H, W) bool of an object.

        Raises:
            DataError: its segmentation cannot be decoded.
        """
        segmentation = self.objects[index].segmentation
        where = f'{self.path}: object {index}'
        mask = decode_mask(segmentation, self.height, self.width, where)
        return np.asarray(mask > 0)


@dataclass(frozen=True)
class StillJob:
    """One video to make; `size` is (W, H)."""

    split: str
    seed: int
    index: int
    length: int
    size: tuple[int, int]


@dataclass(frozen=True)
class StillSets:
    """What videos are made of.

    Attributes:
        backgrounds: images by their source.
        objects: image and number of the object, by class.
        class_shares: how often each class is pasted.
    """

    backgrounds: Mapping[str, Sequence[Still]]
    objects: Mapping[str, Sequence[tuple[Still, int]]]
    class_shares: Mapping[str, float]


def read_stills(ann_file: Path, images: Path, classes_file: Path) -> list[Still]:
    """Read an image set in COCO's format.

    Args:
        ann_file: the JSON file.
        images: the folder that its file names are relative to.
        classes_file: JSON object with the class of each annotation's id (``objects``: class ->
            ids), of each source (``sources``) or of each category's name (``categories``), of which
            the first that knows an object decides; ``backgrounds`` names the sources in whose
            images all objects are marked. Objects that none of them knows have no class, and their
            images are no backgrounds.

    Raises:
        DataError: a file is not usable.
    """
    content = read_coco(ann_file)
    classes = read_json(classes_file)
    if not isinstance(classes, dict):
        raise DataError(f'{classes_file} must hold one JSON object with the classes')
    by_id = {}
    for name, ids in classes.get('objects', {}).items():
        by_id.update(dict.fromkeys(ids, name))
    category_names = {row['id']: row['name'] for row in content.get('categories', [])}
    rows = check_images(content['images'], ann_file)

    # The objects of each image; None for one without class.
    found: dict[object, list[StillObject | None]] = {image_id: [] for image_id in rows}
    for number, annotation in enumerate(content['annotations']):
        check_annotation(annotation, rows, number, ann_file)
        image = rows[annotation['image_id']]
        category = category_names.get(annotation.get('category_id'), '')
        name = by_id.get(annotation.get('id'))
        name = name or classes.get('sources', {}).get(image.get('source', ''))
        name = name or classes.get('categories', {}).get(category)
        is_usable = name is not None and not annotation.get('iscrowd')
        item = StillObject(annotation['segmentation'], name) if is_usable else None
        found[image['id']].append(item)

    stills = []
    for image_id, items in found.items():
        image = rows[image_id]
        source = image.get('source', ann_file.parent.name)
        known = tuple(item for item in items if item is not None)
        still = Still(
            images / image['file_name'],
            image['height'],
            image['width'],
            source,
            known,
            source in classes.get('backgrounds', []) and len(known) == len(items) > 0,
        )
        stills.append(still)
    return stills


def sort_stills(stills: Sequence[Still], class_shares: Mapping[str, float]) -> StillSets:
    """Put the images and objects that may be drawn in order.

    Raises:
        DataError: there is no background, or no object of a class.
    """
    backgrounds: dict[str, list[Still]] = {}
    objects: dict[str, list[tuple[Still, int]]] = {name: [] for name in class_shares}
    for still in stills:
        if still.is_background:
            backgrounds.setdefault(still.source, []).append(still)
        for index, item in enumerate(still.objects):
            if item.class_name in objects:
                objects[item.class_name].append((still, index))

    # Nothing may be missing that is drawn.
    for name, found in objects.items():
        if not found:
            raise DataError(f'the image sets have no object of class {name}')
    if not backgrounds:
        raise DataError('the image sets have no image in which all objects are marked')
    return StillSets(backgrounds, objects, class_shares)


def make_video(
    sets: StillSets, class_names: Sequence[str], root: Path, job: StillJob
) -> VideoRecord:
    """Compose one video and write it under root/split.

    Args:
        sets: the images and their objects.
        class_names: ids count from 1 in their order.
        root: of the data set.
        job: which video.

    Returns:
        What the annotation file says about it.
    """
    rng = np.random.default_rng([job.seed, job.index])
    background = _draw_background(rng, sets)
    pictures, label_maps = _move_background(rng, background, job)
    names = [item.class_name for item in background.objects]

    # Objects of other images, one before the other.
    class_names_of_sets = list(sets.class_shares)
    shares = np.array(list(sets.class_shares.values()))
    probabilities = shares / shares.sum()
    count = int(rng.choice(len(_COUNTS), p=_COUNTS))
    for _ in range(count):
        name = class_names_of_sets[rng.choice(len(shares), p=probabilities)]
        candidates = sets.objects[name]
        still, index = candidates[int(rng.integers(len(candidates)))]
        layers = _move_object(rng, still, index, job)
        if layers is None:
            continue
        names.append(name)
        number = len(names)
        for i, layer in enumerate(layers):
            opacity = layer.alpha[..., None]
            pictures[i] = pictures[i] * (1 - opacity) + layer.color
            label_maps[i][layer.alpha >= 0.5] = number

    # What is hardly visible is not marked.
    for labels in label_maps:
        areas = np.bincount(labels.ravel(), minlength=len(names) + 1)
        is_hardly_visible = areas < _MIN_AREA
        labels[is_hardly_visible[labels]] = 0
    categories = {}
    for number, name in enumerate(names, 1):
        categories[number] = class_names.index(name) + 1
    label_maps, categories = keep_visible(label_maps, categories)

    writer = VideoWriter(root / job.split, f'{job.index:05d}', categories)
    for picture, labels in zip(pictures, label_maps, strict=True):
        rounded = np.clip(picture + 0.5, 0, 255)
        writer.add(rounded.astype(np.uint8), labels)
    return writer.finish()


def _draw_background(rng: np.random.Generator, sets: StillSets) -> Still:
    """Draw an image, of a source that is drawn by the root of its size."""
    sources = list(sets.backgrounds)
    sizes = [len(sets.backgrounds[name]) for name in sources]
    shares = np.sqrt(sizes)
    probabilities = shares / shares.sum()
    source = sources[rng.choice(len(sources), p=probabilities)]
    images = sets.backgrounds[source]
    return images[int(rng.integers(len(images)))]


def _move_background(
    rng: np.random.Generator, still: Still, job: StillJob
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the pictures (H, W, 3) float32 and label maps (H, W) uint8 of a moving image."""
    picture = still.read()
    masks = [still.mask(index) for index in range(len(still.objects))]
    width, height = job.size

    # Between seen whole, with borders, and more than filling the frame.
    ratios = np.array(job.size) / (still.width, still.height)
    smallest = np.log(ratios.min())
    largest = np.log(1.2 * ratios.max())
    factor = np.exp(rng.uniform(smallest, largest))
    flip = -1 if rng.random() < 0.5 else 1

    # The part of the image that is in the middle of the frame.
    margin = np.maximum(1 - ratios / factor, 0) / 2
    center = (0.5 + rng.uniform(-margin, margin)) * (still.width, still.height)

    # Larger objects first: what they hold lies before them.
    largest_first = sorted(range(len(masks)), key=lambda k: -masks[k].sum())
    target = np.array(job.size) / 2
    pictures = []
    label_maps = []
    for _ in range(job.length):
        matrix = _draw_matrix(rng, _CAMERA, center, target, factor, flip, min(job.size))
        image = cv2.warpAffine(
            picture, matrix, job.size, flags=cv2.INTER_AREA, borderValue=_MEAN_BGR
        )
        labels = np.zeros((height, width), np.uint8)
        for index in largest_first:
            mask = masks[index].astype(np.float32)
            alpha = cv2.warpAffine(mask, matrix, job.size)
            labels[alpha >= 0.5] = index + 1
        pictures.append(image.astype(np.float32))
        label_maps.append(labels)
    return pictures, label_maps


def _move_object(
    rng: np.random.Generator, still: Still, index: int, job: StillJob
) -> list[Layer] | None:
    """Cut an object out and move it; None where it has no pixel."""
    picture = still.read()
    mask = still.mask(index)
    box = tight_box(mask)
    if box is None:
        return None
    x1, y1, x2, y2 = box

    # Cut it out of a window with a margin around its box.
    left = max(x1 - _MARGIN, 0)
    top = max(y1 - _MARGIN, 0)
    rows = slice(top, y2 + _MARGIN)
    columns = slice(left, x2 + _MARGIN)
    cut = cut_out(picture[rows, columns], mask[rows, columns])
    center = np.array([(x1 + x2) / 2 - left, (y1 + y2) / 2 - top])

    # Its size in the video: the root of its box' area, a share of the frame's shorter side.
    edge = np.sqrt((x2 - x1) * (y2 - y1))
    smallest, largest = np.log(_EDGES)
    wanted = min(job.size) * np.exp(rng.uniform(smallest, largest))
    factor = min(wanted / edge, _MAX_ENLARGED)
    flip = -1 if rng.random() < 0.5 else 1

    # It moves around one place.
    target = rng.uniform(0.1, 0.9, 2) * job.size
    layers = []
    for _ in range(job.length):
        matrix = _draw_matrix(rng, _OBJECT, center, target, factor, flip, factor * edge)
        layers.append(place(cut, matrix, job.size))
    return layers


def _draw_matrix(
    rng: np.random.Generator,
    motion: Motion,
    center: np.ndarray,
    target: np.ndarray,
    factor: float,
    flip: int,
    extent: float,
) -> np.ndarray:
    """Draw where a frame's motion takes an image: a (2, 3) matrix.

    Args:
        rng: draws the motion.
        motion: its bounds.
        center: (2,) point of the image, around which it turns.
        target: (2,) the point's place in the frame without motion.
        factor: scale without motion.
        flip: -1 mirrors the image.
        extent: in frame pixels, of which the shift is a share.
    """
    angle = np.radians(rng.uniform(-motion.turn, motion.turn))
    scale = factor * np.exp(rng.uniform(-1, 1) * np.log(motion.scale))
    shift = rng.uniform(-motion.shift, motion.shift, 2) * extent

    # (2, 2): mirrored, then turned and scaled
    cos = np.cos(angle)
    sin = np.sin(angle)
    rotation = np.array(
        [
            [cos, -sin],
            [sin, cos],
        ]
    )
    mirror = np.diag([flip, 1])
    linear = scale * rotation @ mirror

    # The center comes to its place.
    offset = target + shift - linear @ center
    return np.column_stack([linear, offset])
