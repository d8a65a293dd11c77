"""Multi-object videos made of real footage: objects of a DAVIS-layout folder, pasted over its other
sequences.

Each video is one sequence, whose own object stays, with the tracks of objects cut out of other
sequences; order of occlusion, scale, path, flip and time offset are drawn from the seed. The output
has the layout of YouTube-VIS with palette PNGs. Videos of the training part use only sequences of
the DAVIS train list, those of the validation part only the val list. The name of a video tells its
sequences, background first. Letters: H, W height and width of the video.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmvos.convert.cutout import Layer, box_of, center_of, cut_out, paste, place
from mmvos.convert.davis_sequences import LISTS, DavisSequence
from mmvos.convert.sample_motion import draw_path
from mmvos.datasets.youtube_vis_writer import VideoRecord, VideoWriter, keep_visible

ROOM = 8  # pixels around a box that is cut out, for the soft edge
MOTIONS = (
    ('cross',),
    ('return', 'wander'),
    ('cross', 'return'),
    ('wander', 'wander'),
    ('cross', 'wander', 'return'),
)  # of the pasted objects; videos take them in turn


@dataclass(frozen=True)
class VideoJob:
    """One video to make; `size` is (long, short) edge in pixels, `step` the source frames between
    two frames.
    """

    split: str
    seed: int
    index: int
    length: int
    step: int
    size: tuple[int, int]


def draw_frames(rng: np.random.Generator, available: int, length: int, step: int) -> list[int]:
    """Draw which frames of a sequence become those of a video.

    Args:
        rng: draws the first one, and whether they go forward or backward.
        available: frames of the sequence.
        length: of the video.
        step: from frame to frame; smaller where the sequence is short.

    Returns:
        ``length`` indices; a short sequence goes back and forth.
    """
    # The step becomes smaller where the sequence is too short for it.
    largest_step = (available - 1) // max(length - 1, 1)
    step = max(1, min(step, largest_step))

    if available >= length:
        reach = step * (length - 1)
        start = int(rng.integers(available - reach))
        frames = list(range(start, start + reach + 1, step))
    else:
        # forward and back again
        swing = [*range(available), *range(available - 2, 0, -1)]
        frames = [swing[i % len(swing)] for i in range(length)]

    if rng.random() < 0.5:
        frames.reverse()
    return frames


def cut_track(
    rng: np.random.Generator,
    source: DavisSequence,
    motion: str,
    meet: np.ndarray,
    job: VideoJob,
    size: tuple[int, int],
) -> list[Layer | None]:
    """Cut one object out of its frames and send it along a drawn path.

    Args:
        source: the sequence of the object.
        motion: see `sample_motion.draw_path`.
        meet: (2,) point to cross at half time, pixels.
        job: of the video.
        size: (W, H).

    Returns:
        One layer per frame; None where the source shows nothing of the object.
    """
    # pictures and masks of the object, and its boxes
    numbers = draw_frames(rng, len(source.images), job.length, job.step)
    frames = [source.frame(number) for number in numbers]
    boxes = [box_of(mask) for _, mask in frames]

    # how large it is: the edge of a square as large as its box
    edges = []
    for box in boxes:
        if box is not None:
            area = np.prod(box[2:] - box[:2])
            edges.append(np.sqrt(area))
    if not edges:
        return [None] * job.length
    edge = np.median(edges)

    # how large it becomes, even in the logarithm; more than 1.3 would show as blur
    logarithm = rng.uniform(np.log(0.2), np.log(0.6))
    wanted_edge = size[1] * np.exp(logarithm)
    scale = min(wanted_edge / edge, 1.3)
    flip = -1 if rng.random() < 0.5 else 1
    path = draw_path(rng, motion, job.length, size, scale * edge / 2, meet)

    layers: list[Layer | None] = []
    for (picture, mask), box, target in zip(frames, boxes, path, strict=True):
        if box is None:
            layers.append(None)
            continue

        # cut out with room for the soft edge
        x0, y0 = np.maximum(box[:2] - ROOM, 0)
        _, _, right, bottom = box
        window = (slice(y0, bottom + ROOM), slice(x0, right + ROOM))
        layer = cut_out(picture[window], mask[window])

        # scaled, maybe flipped, and its center brought to the path
        center = center_of(box) - (x0, y0)
        shift_x, shift_y = target - scale * center * (flip, 1)
        matrix = np.array([[scale * flip, 0, shift_x], [0, scale, shift_y]])
        layers.append(place(layer, matrix, size))
    return layers


def read_background(
    rng: np.random.Generator, source: DavisSequence, job: VideoJob
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the pictures (H, W, 3) uint8 and own masks (H, W) bool of the video before anything is
    pasted.
    """
    pictures: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    flip = rng.random() < 0.5
    for index in draw_frames(rng, len(source.images), job.length, job.step):
        picture, mask = source.frame(index)

        # The long and the short edge fit into the video's.
        height, width = mask.shape
        by_long_edge = max(job.size) / max(height, width)
        by_short_edge = min(job.size) / min(height, width)
        scale = min(by_long_edge, by_short_edge)
        size = (round(width * scale), round(height * scale))

        # resized, and maybe flipped
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, size, interpolation=method)
        coverage = cv2.resize(mask.astype(np.float32), size, interpolation=method)
        mask = coverage >= 0.5
        if flip:
            picture = np.ascontiguousarray(picture[:, ::-1])
            mask = np.ascontiguousarray(mask[:, ::-1])
        pictures.append(picture)
        masks.append(mask)
    return pictures, masks


def draw_sources(
    rng: np.random.Generator, sequences: list[DavisSequence], index: int, count: int
) -> list[DavisSequence]:
    """Return the background sequence, each in turn, and up to `count` different others, rare
    classes raised.
    """
    background = sequences[index % len(sequences)]
    others = [s for s in sequences if s is not background]
    chosen: list[DavisSequence] = []
    while others and len(chosen) < count:
        # a class, in proportion to the root of its sequences' number
        counts = Counter(s.class_name for s in others)
        share = np.sqrt(list(counts.values()))
        name = rng.choice(list(counts), p=share / share.sum())

        # one of its sequences
        members = [s for s in others if s.class_name == name]
        member = members[rng.integers(len(members))]
        chosen.append(member)
        others.remove(member)
    return [background, *chosen]


def make_video(
    sequences: dict[str, list[DavisSequence]],
    class_names: list[str],
    merged: Mapping[str, str],
    root: Path,
    job: VideoJob,
) -> VideoRecord:
    """Compose one video and write it under root/split.

    Args:
        sequences: of each split.
        class_names: in the order of their ids.
        merged: class -> the class that it is written as; what is drawn does not depend on it.
        root: folder of the data set.
        job: the video.
    """
    split = list(LISTS).index(job.split)
    rng = np.random.default_rng([job.seed, split, job.index])

    # the background with its own object
    motions = MOTIONS[job.index % len(MOTIONS)]
    background, *sources = draw_sources(rng, sequences[job.split], job.index, len(motions))
    pictures, own = read_background(rng, background, job)
    height, width = own[0].shape
    size = (width, height)

    # the point that others cross: where that object is at half time
    box = box_of(own[job.length // 2])
    if box is None:
        meet = np.array(size) / 2
    else:
        meet = center_of(box)

    # the tracks of the others, some of them behind the background's own object
    tracks = []
    for source, motion in zip(sources, motions, strict=False):
        tracks.append(cut_track(rng, source, motion, meet, job, size))
    behind = int(rng.integers(len(tracks) + 1))

    images = []
    label_maps = []
    for i, (picture, mask) in enumerate(zip(pictures, own, strict=True)):
        layers = [track[i] for track in tracks]
        image, labels = paste(picture, mask, layers, behind)
        images.append(image)
        label_maps.append(labels)

    # Objects that are never seen are none.
    categories = {}
    for number, sequence in enumerate([background, *sources], 1):
        class_name = merged.get(sequence.class_name, sequence.class_name)
        categories[number] = class_names.index(class_name) + 1
    label_maps, categories = keep_visible(label_maps, categories)

    names = [sequence.name for sequence in (background, *sources)]
    name = '_'.join([f'{job.index:04d}', *names])
    writer = VideoWriter(root / job.split, name, categories)
    for image, labels in zip(images, label_maps, strict=True):
        writer.add(image, labels)
    return writer.finish()
