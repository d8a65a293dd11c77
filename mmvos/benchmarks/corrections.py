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
        """Return J, F, and J of the frames that were not given.

        The first and the last frame do not count.
        """
        scored = range(1, len(self.j) - 1)
        scored_j = [self.j[index] for index in scored]
        scored_f = [self.f[index] for index in scored]
        others_j = [self.j[index] for index in scored if index not in self.given]
        mean_j = float(np.mean(scored_j))
        mean_f = float(np.mean(scored_f))
        mean_others = float(np.mean(others_j))
        return mean_j, mean_f, mean_others


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
    """Correct all sequences and print the means of each round.

    Args:
        args: the options of ``add_arguments``.
    """
    config = load_config(args.model)
    weights = args.weights or shipped_weights(config)
    model = init_model(config, weights, args.device)
    dtype = getattr(torch, args.precision)
    inferencer = VideoInferencer(optimize(model, dtype))
    print(f'{args.model}, {weights}, {args.precision}, torch {torch.__version__}', flush=True)

    rounds: list[Round] = []
    for video in find_mask_videos(args.root, args.split):
        if args.sequences and video.name not in args.sequences:
            continue
        for direction in args.directions:
            folder = None
            if args.masks:
                folder = Path(args.masks, direction, video.name)
            rounds += correct_sequence(inferencer, video, direction, args.rounds, folder)
            # What is done so far is kept, as a run takes hours.
            if args.out:
                write_rounds(rounds, Path(args.out))

    for direction in args.directions:
        for number in range(args.rounds + 1):
            print_round(rounds, direction, number)


def write_rounds(rounds: Sequence[Round], path: Path) -> None:
    """Write rounds as a JSON list of objects."""
    content = [vars(item) for item in rounds]
    with open_atomic(path, 'w') as stream:
        json.dump(content, stream)


def print_round(rounds: Sequence[Round], direction: str, number: int) -> None:
    """Print the means over the sequences after some corrections.

    Args:
        rounds: of all sequences.
        direction: how they were segmented.
        number: of the corrections.
    """
    means = []
    for item in rounds:
        if item.direction == direction and item.number == number:
            means.append(item.means())
    mean_j, mean_f, others = np.mean(means, axis=0)
    lowest = min(j for j, _, _ in means)
    print(
        f'{direction}, {number} corrections, {len(means)} sequences: J {mean_j:.3f} F '
        f'{mean_f:.3f}, J of others {others:.3f}, lowest J {lowest:.3f}'
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

    Returns:
        A round for each number of corrections; fewer where no frame is left to correct.

    Raises:
        DataError: a frame has no mask.
    """
    truth = read_truth(video)
    source = open_source(video.frames[0].parent)
    given = [0]
    rounds = []
    for number in range(corrections + 1):
        # Segment with what is given so far; only the last round's masks are written.
        out_dir = folder if number == corrections else None
        begin = time.perf_counter()
        found = segment(inferencer, source, truth, given, direction, out_dir)
        seconds = time.perf_counter() - begin

        # Score each frame.
        scores = [score(mask, true) for mask, true in zip(found, truth, strict=True)]
        j = tuple(frame_j for frame_j, _ in scores)
        f = tuple(frame_f for _, frame_f in scores)
        this_round = Round(video.name, direction, number, tuple(given), j, f, seconds)
        rounds.append(this_round)
        mean_j, mean_f, _ = this_round.means()
        print(
            f'{video.name} {direction} {number}: J {mean_j:.3f} F {mean_f:.3f}, given {given}, '
            f'{seconds:.0f} s',
            flush=True,
        )

        # The true mask of the worst frame is given next.
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
    """Segment a video whose object is given in some frames by its true masks.

    Args:
        inferencer: with a model that takes masks.
        source: of the frames.
        truth: the mask (H, W) of each frame.
        given: the frames whose masks are given.
        direction: see ``VideoInferencer.infer``.
        out_dir: of the results; None writes none.

    Returns:
        The mask (H, W) of each frame.
    """
    prompts = {}
    for index in given:
        prompts[index] = Prompts(ids=(1,), masks=(truth[index],), boxes=(None,))
    masks = []
    for result in inferencer.infer(source, prompts, out_dir, direction=direction):
        followed = result.objects[0]
        masks.append(decode(followed.mask))
    return masks


def score(mask: Mask, true: Mask) -> tuple[float, float]:
    """Return J and F of a mask (H, W)."""
    radius = contour_radius(*true.shape)
    found = region(mask, radius)
    expected = region(true, radius)
    j = jaccard(found, expected)
    f = contour_accuracy(found, expected)
    return j, f


def worst_frame(j: Sequence[float], truth: Sequence[Mask], given: Sequence[int]) -> int | None:
    """Find the frame that is corrected next.

    Args:
        j: of each frame.
        truth: its mask (H, W), with which it can be corrected if it is not empty.
        given: frames that are corrected already.

    Returns:
        The frame with the lowest J; None where there is none left.
    """
    left = [index for index in range(len(j)) if index not in given and truth[index].any()]
    return min(left, key=lambda index: j[index], default=None)
