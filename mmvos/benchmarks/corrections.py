"""How good masks become when the worst frame is corrected, again and again.

    mmvos benchmark corrections DATA/DAVIS
    mmvos benchmark corrections DATA/DAVIS --split FILE --rounds 3 --directions forward both

Of each sequence the first frame's true mask is given (round 0). After each round the true mask of
the frame with the lowest J that is not given yet is added, and the sequence is segmented anew: with
'both' from all given frames both ways, each of which is remembered everywhere; with 'forward' as
frames come, a correction being known from its frame on. All ids of a frame are one object. J and F
are means over all frames but the first and the last, as DAVIS counts; given frames count as they
come out, which is with their given mask, and 'J of others' leaves them out.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mmvos.apis import VideoInferencer, init_model, open_source
from mmvos.apis.model_loading import load_config, shipped_weights
from mmvos.apis.passes import DIRECTIONS
from mmvos.apis.video_source import VideoSource
from mmvos.datasets.mask_folders import MaskVideo, find_mask_videos
from mmvos.evaluation.j_and_f import contour_accuracy, contour_radius, jaccard, region
from mmvos.io.atomic import open_atomic
from mmvos.io.errors import DataError
from mmvos.io.label_png import read_label_png
from mmvos.optimize import optimize
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Round:
    """One round on one sequence.

    Attributes:
        sequence: its name.
        direction: how it was segmented.
        number: 0 is without corrections.
        given: the frames whose true masks were given.
        j, f: of each frame.
        seconds: for segmenting.
    """

    sequence: str
    direction: str
    number: int
    given: tuple[int, ...]
    j: tuple[float, ...]
    f: tuple[float, ...]
    seconds: float

    def means(self) -> tuple[float, float, float]:
        """Return J, F, and J of the frames that were not given; the ends do not count."""
        scored = range(1, len(self.j) - 1)
        others = [self.j[index] for index in scored if index not in self.given]
        mean_j = np.mean([self.j[index] for index in scored])
        mean_f = np.mean([self.f[index] for index in scored])
        return float(mean_j), float(mean_f), float(np.mean(others))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument('root', metavar='DAVIS', help='folder in the layout of DAVIS')
    parser.add_argument(
        '--split', default='2016/val', help='a list of its sequences, or a text file'
    )
    parser.add_argument('--rounds', type=int, default=3, help='corrections of each sequence')
    parser.add_argument('--directions', nargs='+', choices=DIRECTIONS, default=['both'])
    parser.add_argument('--model', default='masktrack', help='a system, model or config')
    parser.add_argument('--weights', help='default: those that come with the model')
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument(
        '--precision', choices=('float32', 'bfloat16', 'float16'), default='float32'
    )
    parser.add_argument('--sequences', nargs='+', help='only these')
    parser.add_argument('--out', metavar='JSON', help='also write the scores of all frames')
    parser.add_argument('--masks', metavar='DIR', help='also keep the results of the last round')


def run(args: argparse.Namespace) -> None:
    """Correct all sequences and print the means of each round."""
    config = load_config(args.model)
    weights = args.weights or shipped_weights(config)
    model = optimize(init_model(config, weights, args.device), getattr(torch, args.precision))
    inferencer = VideoInferencer(model)
    print(f'{args.model}, {weights}, {args.precision}, torch {torch.__version__}', flush=True)
    rounds: list[Round] = []
    for video in find_mask_videos(args.root, args.split):
        if args.sequences and video.name not in args.sequences:
            continue
        for direction in args.directions:
            folder = Path(args.masks, direction, video.name) if args.masks else None
            rounds += correct_sequence(inferencer, video, direction, args.rounds, folder)
            if args.out:
                with open_atomic(Path(args.out), 'w') as stream:
                    json.dump([vars(item) for item in rounds], stream)
    for direction in args.directions:
        for number in range(args.rounds + 1):
            of_round = [
                item for item in rounds if (item.direction, item.number) == (direction, number)
            ]
            mean_j, mean_f, others = np.mean([item.means() for item in of_round], axis=0)
            least = min(item.means()[0] for item in of_round)
            print(
                f'{direction}, {number} corrections, {len(of_round)} sequences: J {mean_j:.3f} '
                f'F {mean_f:.3f}, J of others {others:.3f}, lowest J {least:.3f}'
            )


def correct_sequence(
    inferencer: VideoInferencer,
    video: MaskVideo,
    direction: str,
    corrections: int,
    folder: Path | None = None,
) -> list[Round]:
    """Segment a sequence and correct its worst frame, again and again.

    Args:
        inferencer: with a model that takes masks.
        video: with a mask for each frame.
        direction: see ``VideoInferencer.infer``.
        corrections: how many.
        folder: of results of the last round.
    """
    truth = read_truth(video)
    source = open_source(video.frames[0].parent)
    given = [0]
    rounds = []
    for number in range(corrections + 1):
        begin = time.perf_counter()
        out_dir = folder if number == corrections else None
        found = segment(inferencer, source, truth, given, direction, out_dir)
        seconds = time.perf_counter() - begin
        scores = [score(mask, true) for mask, true in zip(found, truth, strict=True)]
        j = tuple(item[0] for item in scores)
        f = tuple(item[1] for item in scores)
        rounds.append(Round(video.name, direction, number, tuple(given), j, f, seconds))
        mean_j, mean_f, _ = rounds[-1].means()
        print(
            f'{video.name} {direction} {number}: J {mean_j:.3f} F {mean_f:.3f}, given {given}, '
            f'{seconds:.0f} s',
            flush=True,
        )
        worst = worst_frame(j, truth, given)
        if worst is None:
            break
        given = sorted([*given, worst])
    return rounds


def read_truth(video: MaskVideo) -> list[Mask]:
    """Read the masks of all frames, all ids as one object.

    Raises:
        DataError: a frame has none.
    """
    truth = []
    for frame, path in zip(video.frames, video.masks, strict=True):
        if path is None:
            raise DataError(f'{frame} has no mask, so its result cannot be scored')
        truth.append(read_label_png(path) > 0)
    return truth


def segment(
    inferencer: VideoInferencer,
    source: VideoSource,
    truth: Sequence[Mask],
    given: Sequence[int],
    direction: str,
    out_dir: Path | None,
) -> list[Mask]:
    """Segment a video whose object is given in some frames by its true masks."""
    prompts = {index: Prompts((1,), (truth[index],), (None,)) for index in given}
    masks = []
    for result in inferencer.infer(source, prompts, out_dir, direction=direction):
        masks.append(decode(result.objects[0].mask))
    return masks


def score(mask: Mask, true: Mask) -> tuple[float, float]:
    """Return J and F of a mask."""
    radius = contour_radius(*true.shape)
    found, expected = region(mask, radius), region(true, radius)
    return jaccard(found, expected), contour_accuracy(found, expected)


def worst_frame(j: Sequence[float], truth: Sequence[Mask], given: Sequence[int]) -> int | None:
    """Return the frame with the lowest J that can be given; None where there is none left."""
    left = [index for index in range(len(j)) if index not in given and truth[index].any()]
    return min(left, key=lambda index: j[index], default=None)
