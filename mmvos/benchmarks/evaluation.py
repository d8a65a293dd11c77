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
    """Objects of 1 % to 40 % of the frame against themselves, shifted by a few and by many
    pixels.
    """
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    truths = [blob(rng, _FRAME, share) for share in (0.01, 0.05, 0.1, 0.2, 0.4)]
    for name, shift in (
        ('equal', (0, 0)),
        ('shifted by 6, 8', (6, 8)),
        ('shifted by 40, 60', (40, 60)),
    ):
        pairs = [(np.roll(truth, shift, (0, 1)), truth) for truth in truths]
        start = time.perf_counter()
        for i in range(repeats):
            j_and_f(*pairs[i % len(pairs)])
        milliseconds = (time.perf_counter() - start) / repeats * 1e3
        print(f'J and F, 480 x 854, {name}: {milliseconds:.3f} ms per object and frame')


def measure_davis(
    folder: Path, sequences: int, processes: int, frames: int = 67, objects: int = 2
) -> None:
    """Label PNGs as large a set as DAVIS-2017 val: 30 sequences, 2 objects, 67 frames."""
    rng = np.random.default_rng(0)
    for number in range(sequences):
        shapes = [blob(rng, _FRAME, 0.08) for _ in range(objects)]
        for kind, extra in (('truth', 0), ('results', 3)):
            target = folder / kind / f'video{number:02}'
            target.mkdir(parents=True)
            for frame in range(frames):
                labels = np.zeros(_FRAME, np.uint8)
                for i, shape in enumerate(shapes, 1):
                    labels[np.roll(shape, (frame + extra, frame * i), (0, 1))] = i
                image = Image.fromarray(labels, 'P')
                image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
                image.save(target / f'{frame:05}.png')
    start = time.perf_counter()
    report = evaluate_davis(folder / 'truth', folder / 'results', processes=processes)
    seconds = time.perf_counter() - start
    count = sum(row['frames'] for row in report.tables['per_object'])
    memory = (
        sum(
            resource.getrusage(who).ru_maxrss
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        / 1024
    )
    print(
        f'davis: {seconds:.1f} s for {count} object-frames with {processes} processes, '
        f'{seconds / count * 1e3:.2f} ms each; this process and the largest child: {memory:.0f} MiB'
    )


def measure_youtube_vis(folder: Path, videos: int) -> None:
    """Two objects per video; of the ten predictions six have the class of an object."""
    rng = np.random.default_rng(0)
    pool = [
        [encode(np.roll(shape, (4 * i, 6 * i), (0, 1))) for i in range(8)]
        for shape in (
            blob(rng, _VIS_FRAME, share) for share in rng.uniform(0.01, 0.2, min(40, 2 * videos))
        )
    ]
    truth: dict[str, Any] = {
        'videos': [],
        'annotations': [],
        'categories': [{'id': i, 'name': f'class {i}'} for i in range(1, _CLASSES + 1)],
    }
    results = []
    for video in range(1, videos + 1):
        truth['videos'].append(
            {
                'id': video,
                'height': _VIS_FRAME[0],
                'width': _VIS_FRAME[1],
                'length': _FRAMES_PER_VIDEO,
            }
        )
        shapes, categories = rng.integers(len(pool), size=2), rng.integers(1, _CLASSES + 1, 2)
        for k in range(2):
            truth['annotations'].append(
                {
                    'id': 2 * video + k - 1,
                    'video_id': video,
                    'category_id': int(categories[k]),
                    'iscrowd': 0,
                    'segmentations': track(rng, pool[shapes[k]]),
                }
            )
        for k in range(_PREDICTIONS):
            category = categories[k % 2] if k < 6 else rng.integers(1, _CLASSES + 1)
            results.append(
                {
                    'video_id': video,
                    'category_id': int(category),
                    'score': float(rng.random()),
                    'segmentations': track(rng, pool[shapes[k % 2]]),
                }
            )
    paths = folder / 'truth.json', folder / 'results.json'
    for path, data in zip(paths, (truth, results), strict=True):
        path.write_text(json.dumps(data))
    start = time.perf_counter()
    report = evaluate_youtube_vis_files(*paths)
    print(
        f'youtube-vis: {time.perf_counter() - start:.2f} s for {videos} videos, {len(results)} '
        f'predictions, '
        f'{paths[1].stat().st_size / 2**20:.0f} MiB of results; AP {report.metrics["AP"]:.3f}'
    )


def blob(rng: np.random.Generator, size: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """A shape with a wavy outline that covers about `share` of the frame."""
    height, width = size
    y, x = np.mgrid[:height, :width] - np.array([height / 2, width / 2])[:, None, None]
    angle, radius = np.arctan2(y, x), np.hypot(y, x)
    waves = sum(rng.normal(0, 0.12) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 12))
    return radius < np.sqrt(share * height * width / np.pi) * (1 + waves)


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Compressed RLE with text, as in a results file."""
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': rle['size'], 'counts': rle['counts'].decode()}


def track(rng: np.random.Generator, masks: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """A mask per frame, absent in one of ten."""
    return [
        masks[rng.integers(len(masks))] if rng.random() < 0.9 else None
        for _ in range(_FRAMES_PER_VIDEO)
    ]
