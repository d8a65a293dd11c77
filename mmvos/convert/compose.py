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
    """Return `length` source frames from a drawn offset on, forward or backward; short sequences
    swing back and forth."""
    step = max(1, min(step, (available - 1) // max(length - 1, 1)))
    if available >= length:
        start = int(rng.integers(available - step * (length - 1)))
        frames = list(range(start, start + step * (length - 1) + 1, step))
    else:
        swing = [*range(available), *range(available - 2, 0, -1)]
        frames = [swing[i % len(swing)] for i in range(length)]
    return frames[::-1] if rng.random() < 0.5 else frames


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
    frames = [source.frame(i) for i in draw_frames(rng, len(source.images), job.length, job.step)]
    boxes = [box_of(mask) for _, mask in frames]
    edges = [np.sqrt(np.prod(box[2:] - box[:2])) for box in boxes if box is not None]
    if not edges:
        return [None] * job.length
    edge = size[1] * np.exp(rng.uniform(np.log(0.2), np.log(0.6)))
    scale = min(edge / np.median(edges), 1.3)  # more would show as blur
    flip = -1 if rng.random() < 0.5 else 1
    path = draw_path(rng, motion, job.length, size, scale * np.median(edges) / 2, meet)
    layers: list[Layer | None] = []
    for (picture, mask), box, target in zip(frames, boxes, path, strict=True):
        if box is None:
            layers.append(None)
            continue
        x0, y0 = np.maximum(box[:2] - 8, 0)  # room for the soft edge
        window = (slice(y0, box[3] + 8), slice(x0, box[2] + 8))
        shift = target - scale * (center_of(box) - (x0, y0)) * (flip, 1)
        matrix = np.array([[scale * flip, 0, shift[0]], [0, scale, shift[1]]])
        layers.append(place(cut_out(picture[window], mask[window]), matrix, size))
    return layers


def read_background(
    rng: np.random.Generator, source: DavisSequence, job: VideoJob
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the pictures (H, W, 3) uint8 and own masks (H, W) bool of the video before anything is
    pasted.
    """
    pictures, masks = [], []
    flip = rng.random() < 0.5
    for index in draw_frames(rng, len(source.images), job.length, job.step):
        picture, mask = source.frame(index)
        height, width = mask.shape
        scale = min(max(job.size) / max(mask.shape), min(job.size) / min(mask.shape))
        size = (round(width * scale), round(height * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        picture = cv2.resize(picture, size, interpolation=method)
        mask = cv2.resize(mask.astype(np.float32), size, interpolation=method) >= 0.5
        pictures.append(np.ascontiguousarray(picture[:, ::-1]) if flip else picture)
        masks.append(np.ascontiguousarray(mask[:, ::-1]) if flip else mask)
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
        counts = Counter(s.class_name for s in others)
        share = np.sqrt(list(counts.values()))
        name = rng.choice(list(counts), p=share / share.sum())
        members = [s for s in others if s.class_name == name]
        chosen.append(members[rng.integers(len(members))])
        others.remove(chosen[-1])
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
    rng = np.random.default_rng([job.seed, list(LISTS).index(job.split), job.index])
    motions = MOTIONS[job.index % len(MOTIONS)]
    background, *sources = draw_sources(rng, sequences[job.split], job.index, len(motions))
    pictures, own = read_background(rng, background, job)
    size = (own[0].shape[1], own[0].shape[0])
    box = box_of(own[job.length // 2])
    meet = np.array(size) / 2 if box is None else center_of(box)
    tracks = [
        cut_track(rng, source, motion, meet, job, size)
        for source, motion in zip(sources, motions[: len(sources)], strict=True)
    ]
    behind = int(rng.integers(len(tracks) + 1))
    frames = [
        paste(picture, mask, [track[i] for track in tracks], behind)
        for i, (picture, mask) in enumerate(zip(pictures, own, strict=True))
    ]
    categories = {}
    for number, source in enumerate([background, *sources], 1):
        name = merged.get(source.class_name, source.class_name)
        categories[number] = class_names.index(name) + 1
    label_maps, categories = keep_visible([labels for _, labels in frames], categories)
    name = '_'.join([f'{job.index:04d}', background.name, *(source.name for source in sources)])
    writer = VideoWriter(root / job.split, name, categories)
    for (image, _), labels in zip(frames, label_maps, strict=True):
        writer.add(image, labels)
    return writer.finish()
