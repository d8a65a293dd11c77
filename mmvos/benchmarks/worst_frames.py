"""Where results are worst, as one picture: of each sequence the frame with the lowest J.

    mmvos benchmark worst_frames DATA/DAVIS RESULTS --out worst.png
    mmvos benchmark worst_frames DATA/DAVIS BEFORE AFTER --out worst.png

A row for each sequence, the lowest J first; a column for each folder of results, as `mmvos test
--out` and `mmvos segment` write them. The frame is the one that is worst in the first folder, so
that two models are seen side by side where the first one fails. Results are tinted, the outline of
the truth is white. Scored as DAVIS does: the first and the last frame do not count; of several
objects the mean does.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mmvos.apis.overlay_video import color_of
from mmvos.evaluation.davis.scores import score_files
from mmvos.evaluation.davis.sequences import Protocol, SequenceFiles, find_sequences
from mmvos.evaluation.label_files import FrameLabels, ObjectMasks, ResultImages
from mmvos.io.atomic import check_file, write_image
from mmvos.io.davis_folder import find_videos_folder
from mmvos.io.errors import DataError
from mmvos.io.frame_names import IMAGE_SUFFIXES, list_files
from mmvos.io.images import read_image
from mmvos.io.label_png import Labels, object_ids, read_label_png, read_label_size

Picture = NDArray[np.uint8]
OPACITY = 0.5
WHITE = (255, 255, 255)
BLACK = (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX
CAPTION = 22  # pixels of height of the line above a picture


@dataclass(frozen=True)
class WorstFrame:
    """The frame of a sequence that is worst in the first results.

    Attributes:
        sequence: its name.
        position: of the frame in the sequence.
        j: there, of each folder of results.
        results: files of the sequence, of each folder of results.
    """

    sequence: str
    position: int
    j: tuple[float, ...]
    results: tuple[SequenceFiles, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark."""
    parser.add_argument('root', metavar='DAVIS', type=Path, help='folder in the layout of DAVIS')
    parser.add_argument(
        'results', metavar='RESULTS', type=Path, nargs='+', help='folder of label images'
    )
    parser.add_argument('--year', type=int, choices=(2016, 2017), default=2016)
    parser.add_argument('--split', default='val', help='a list of sequences, or a text file')
    parser.add_argument('--out', metavar='IMAGE', type=Path, required=True, help='PNG or JPEG')
    parser.add_argument('--width', type=int, default=427, help='pixels of one frame')
    parser.add_argument('--most', type=int, default=8, help='at most so many sequences')


def run(args: argparse.Namespace) -> None:
    """Find the worst frames, print their J and draw them.

    Args:
        args: the options of ``add_arguments``.

    Raises:
        DataError: results do not fit the ground truth, or the picture cannot be written.
    """
    if args.width < 32 or args.most < 1:
        raise DataError('--width must be at least 32 and --most at least 1')
    if args.out.suffix.lower() not in ('.png', '.jpg', '.jpeg'):
        raise DataError(f'{args.out} must end in .png or .jpg')
    check_file(args.out)

    # The frames, the lowest J first.
    worst = find_worst_frames(args.root, args.results, args.year, args.split)
    for frame in worst:
        scores = ', '.join(f'{j:.3f}' for j in frame.j)
        print(f'{frame.sequence}, frame {frame.position}: J {scores}')

    # One row for each.
    images = find_videos_folder(args.root, 'JPEGImages')
    rows = [draw_row(images, frame, args.width) for frame in worst[: args.most]]
    picture = cv2.cvtColor(stack_rows(rows), cv2.COLOR_BGR2RGB)
    write_image(args.out, Image.fromarray(picture))


def find_worst_frames(
    root: Path, results: Sequence[Path], year: int, split: str
) -> list[WorstFrame]:
    """Score all results and find of each sequence the frame that is worst in the first ones.

    Args:
        root: folder in the layout of DAVIS.
        results: folders of label images.
        year: of the protocol; 2016 takes all ids as one object.
        split: a list of sequences, or a text file.

    Returns:
        Of each sequence its frame, the lowest J first.

    Raises:
        DataError: results do not fit the ground truth.
    """
    protocol = Protocol(year=year)
    # by sequence: of each folder its files, and J of the scored frames
    files: dict[str, list[SequenceFiles]] = {}
    scores: dict[str, list[NDArray[np.float64]]] = {}
    for folder in results:
        for sequence in find_sequences(root, folder, protocol, split):
            found = score_files(sequence, protocol)
            files.setdefault(found.name, []).append(sequence)
            scores.setdefault(found.name, []).append(found.j.mean(axis=0))

    worst = []
    for name, own_files in files.items():
        lowest = int(scores[name][0].argmin())
        position = own_files[0].scored[lowest]
        j = tuple(float(values[lowest]) for values in scores[name])
        worst.append(WorstFrame(name, position, j, tuple(own_files)))
    return sorted(worst, key=lambda frame: frame.j[0])


def draw_row(images: Path, frame: WorstFrame, width: int) -> Picture:
    """Draw a frame once for each folder of results, side by side.

    Args:
        images: folder with one folder of frames per sequence.
        frame: which.
        width: of one picture in pixels.

    Returns:
        (h, n * width, 3) BGR.

    Raises:
        DataError: the frame has no image.
    """
    image = read_frame(images / frame.sequence, frame)
    truth = read_label_png(frame.results[0].truth[frame.position])
    shape = read_label_size(frame.results[0].truth[frame.position])
    pictures = []
    for files, j in zip(frame.results, frame.j, strict=True):
        # (H, W, 3): the result in color, the truth as an outline
        index = files.scored.index(frame.position)
        labels = ResultImages([files.results[index]], shape)[0]
        drawn = draw_result(image, labels, truth)

        # smaller, below a line of text
        height = round(image.shape[0] * width / image.shape[1])
        resized = cv2.resize(drawn, (width, height), interpolation=cv2.INTER_AREA)
        small = np.asarray(resized, dtype=np.uint8)
        caption = f'{frame.sequence} {frame.position}: J {j:.3f}'
        pictures.append(add_caption(small, caption))
    return np.hstack(pictures)


def read_frame(folder: Path, frame: WorstFrame) -> Picture:
    """Read the image of a frame, which has the name of its label image.

    Raises:
        DataError: there is none.
    """
    stem = frame.results[0].truth[frame.position].stem
    for path in list_files(folder, IMAGE_SUFFIXES):
        if path.stem == stem:
            return read_image(path)
    raise DataError(f'{folder} has no image of frame {stem}')


def draw_result(image: Picture, labels: FrameLabels, truth: Labels) -> Picture:
    """Tint the objects of a result and draw the outline of the truth.

    Args:
        image: (H, W, 3) BGR; not changed.
        labels: the result, label image or a mask per object.
        truth: (H, W) labels.

    Returns:
        (H, W, 3) BGR.
    """
    drawn = image.copy()
    for object_id, mask in _masks_of(labels).items():
        # (n, 3): the object's pixels, mixed with its color
        color = np.array(color_of(object_id))
        mixed = (1 - OPACITY) * image[mask] + OPACITY * color
        drawn[mask] = mixed.astype(np.uint8)

    for object_id in object_ids(truth):
        own = (truth == object_id).astype(np.uint8)
        contours, _ = cv2.findContours(own, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, WHITE, thickness=2)
    return drawn


def _masks_of(labels: FrameLabels) -> dict[int, NDArray[np.bool_]]:
    """The mask (H, W) of each object of a result."""
    if isinstance(labels, ObjectMasks):
        return dict(labels.masks)
    masks = {}
    for object_id in object_ids(labels):
        masks[object_id] = labels == object_id
    return masks


def add_caption(picture: Picture, text: str) -> Picture:
    """Put a line of text above a picture (h, w, 3)."""
    line = np.zeros_like(picture, shape=(CAPTION, picture.shape[1], 3))
    baseline = (4, CAPTION - 7)
    cv2.putText(line, text, baseline, FONT, 0.45, WHITE, lineType=cv2.LINE_AA)
    return np.vstack([line, picture])


def stack_rows(rows: Sequence[Picture]) -> Picture:
    """Put rows of pictures below each other, black to the right of narrower ones."""
    width = max(row.shape[1] for row in rows)
    padded = []
    for row in rows:
        missing = width - row.shape[1]
        padded.append(cv2.copyMakeBorder(row, 0, 0, 0, missing, cv2.BORDER_CONSTANT, value=BLACK))
    return np.vstack(padded)
