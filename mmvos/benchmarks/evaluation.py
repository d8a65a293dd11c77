"""Speed of the evaluation on synthetic videos (targets: docs/evaluation.md).

1. J and F of one object in one 480 x 854 frame, one thread. 2. The DAVIS evaluation of a folder of
label PNGs, decoding included, per object and frame, and its memory. 3. The YouTube-VIS evaluation
of 300 videos, 40 classes, 10 predictions per video, from a JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from mmvos.evaluation import evaluate_davis, evaluate_youtube_vis_files
from mmvos.evaluation.j_and_f import j_and_f

_FRAME = 480, 854
_VIS_FRAME = 720, 1280
_CLASSES = 40
_FRAMES_PER_VIDEO = 27  # the average of YouTube-VIS 2019
_PREDICTIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument(
        '--videos', type=int, default=300, help='videos of the YouTube-VIS part (default 300)'
    )
    parser.add_argument(
        '--sequences', type=int, default=30, help='sequences of the DAVIS part (default 30)'
    )
    parser.add_argument(
        '--processes',
        type=int,
        default=os.cpu_count() or 1,
        help='of the DAVIS part (default: cores)',
    )


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    measure_j_and_f()
    with tempfile.TemporaryDirectory() as folder:
        measure_davis(Path(folder), args.sequences, args.processes)
        measure_youtube_vis(Path(folder), args.videos)


def measure_j_and_f(repeats: int = 300) -> None:
    """Print the milliseconds of J and F of one object in one frame.

    Objects of 1 % to 40 % of the frame are compared with themselves, shifted by a few and by many
    pixels.

    Args:
        repeats: how often a pair of masks is compared.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    # Objects from 1 % to 40 % of the frame.
    truths = []
    for share in (0.01, 0.05, 0.1, 0.2, 0.4):
        truths.append(blob(rng, _FRAME, share))
    shifts = {
        'equal': (0, 0),
        'shifted by 6, 8': (6, 8),
        'shifted by 40, 60': (40, 60),
    }

    # Results of three qualities: right, nearly right, and wrong.
    for name, shift in shifts.items():
        pairs = [(np.roll(truth, shift, (0, 1)), truth) for truth in truths]
        start = time.perf_counter()
        for i in range(repeats):
            found, truth = pairs[i % len(pairs)]
            j_and_f(found, truth)
        seconds = (time.perf_counter() - start) / repeats
        print(f'J and F, 480 x 854, {name}: {1e3 * seconds:.3f} ms per object and frame')


def measure_davis(
    folder: Path, sequences: int, processes: int, frames: int = 67, objects: int = 2
) -> None:
    """Print the seconds and the memory of DAVIS' evaluation.

    The default is as large as the validation set of DAVIS-2017: 30 sequences of 67 frames with
    2 objects.

    Args:
        folder: in which the label PNGs are made.
        sequences: how many.
        processes: of the evaluation.
        frames: of each sequence.
        objects: of each sequence.
    """
    # The results are the ground truth, three pixels further down.
    rng = np.random.default_rng(0)
    for number in range(sequences):
        shapes = [blob(rng, _FRAME, 0.08) for _ in range(objects)]
        name = f'video{number:02}'
        write_moving_shapes(folder / 'truth' / name, shapes, frames, ahead=0)
        write_moving_shapes(folder / 'results' / name, shapes, frames, ahead=3)

    start = time.perf_counter()
    report = evaluate_davis(folder / 'truth', folder / 'results', processes=processes)
    seconds = time.perf_counter() - start

    count = sum(row['frames'] for row in report.tables['per_object'])
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    largest_child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    memory = (own + largest_child) / 1024
    print(
        f'davis: {seconds:.1f} s for {count} object-frames with {processes} processes, '
        f'{seconds / count * 1e3:.2f} ms each; this process and the largest child: {memory:.0f} MiB'
    )


def write_moving_shapes(
    folder: Path, shapes: Sequence[NDArray[np.bool_]], frames: int, ahead: int
) -> None:
    """Write label PNGs of shapes that move by a pixel a frame downwards, each faster sideways.

    Args:
        folder: of the PNGs; it is made.
        shapes: (H, W) each, in frame 0.
        frames: how many.
        ahead: pixels by which the shapes are further down, as a result that is not quite right.
    """
    folder.mkdir(parents=True)
    for frame in range(frames):
        labels = np.zeros(_FRAME, np.uint8)
        for object_id, shape in enumerate(shapes, 1):
            shift = (frame + ahead, frame * object_id)
            moved = np.roll(shape, shift, axis=(0, 1))
            labels[moved] = object_id
        image = Image.fromarray(labels, 'P')
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
        image.save(folder / f'{frame:05}.png')


def measure_youtube_vis(folder: Path, videos: int) -> None:
    """Print the seconds of YouTube-VIS' evaluation.

    Each video has two objects; of its ten predictions six have the class of an object.

    Args:
        folder: in which the ground truth and the results are written.
        videos: how many.
    """
    rng = np.random.default_rng(0)
    # Shapes of all sizes, each in eight places.
    pool = []
    for share in rng.uniform(0.01, 0.2, min(40, 2 * videos)):
        shape = blob(rng, _VIS_FRAME, share)
        places = []
        for i in range(8):
            moved = np.roll(shape, (4 * i, 6 * i), (0, 1))
            places.append(encode(moved))
        pool.append(places)

    categories = [{'id': i, 'name': f'class {i}'} for i in range(1, _CLASSES + 1)]
    truth: dict[str, Any] = {'videos': [], 'annotations': [], 'categories': categories}
    results = []
    height, width = _VIS_FRAME
    for video in range(1, videos + 1):
        truth['videos'].append(
            {'id': video, 'height': height, 'width': width, 'length': _FRAMES_PER_VIDEO}
        )
        shapes = rng.integers(len(pool), size=2)
        classes = rng.integers(1, _CLASSES + 1, 2)
        for k in range(2):
            truth['annotations'].append(
                {
                    'id': 2 * video + k - 1,
                    'video_id': video,
                    'category_id': int(classes[k]),
                    'iscrowd': 0,
                    'segmentations': track(rng, pool[shapes[k]]),
                }
            )
        for k in range(_PREDICTIONS):
            if k < 6:
                category = classes[k % 2]
            else:
                category = rng.integers(1, _CLASSES + 1)
            results.append(
                {
                    'video_id': video,
                    'category_id': int(category),
                    'score': float(rng.random()),
                    'segmentations': track(rng, pool[shapes[k % 2]]),
                }
            )

    truth_path = folder / 'truth.json'
    truth_path.write_text(json.dumps(truth))
    results_path = folder / 'results.json'
    results_path.write_text(json.dumps(results))
    start = time.perf_counter()
    report = evaluate_youtube_vis_files(truth_path, results_path)
    seconds = time.perf_counter() - start
    mebibytes = results_path.stat().st_size / 2**20
    print(
        f'youtube-vis: {seconds:.2f} s for {videos} videos, {len(results)} predictions, '
        f'{mebibytes:.0f} MiB of results; AP {report.metrics["AP"]:.3f}'
    )


def blob(rng: np.random.Generator, size: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """Draw a shape with a wavy outline in the middle of a frame.

    Args:
        rng: of the waves.
        size: (height, width) of the frame.
        share: of the frame that the shape covers, about.

    Returns:
        (height, width).
    """
    height, width = size
    middle = np.array([height / 2, width / 2])
    y, x = np.mgrid[:height, :width] - middle[:, None, None]
    angle = np.arctan2(y, x)
    distance = np.hypot(y, x)
    # The outline: a circle with ten waves on it.
    waves = np.zeros(size)
    for frequency in range(2, 12):
        amplitude = rng.normal(0, 0.12)
        phase = rng.uniform(0, 6.3)
        waves += amplitude * np.cos(frequency * angle + phase)
    radius = np.sqrt(share * height * width / np.pi)
    return distance < radius * (1 + waves)


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Compressed RLE with text, as in a results file."""
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': rle['size'], 'counts': rle['counts'].decode()}


def track(rng: np.random.Generator, masks: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """Draw a mask per frame, absent in one of ten."""
    drawn: list[dict[str, Any] | None] = []
    for _ in range(_FRAMES_PER_VIDEO):
        if rng.random() < 0.9:
            drawn.append(masks[rng.integers(len(masks))])
        else:
            drawn.append(None)
    return drawn
