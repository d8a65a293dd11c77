"""The files that are written of a video: which there are, and their writers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mmvos.io.errors import DataError
from mmvos.models.video_steps import VideoSteps

from .label_png import LabelPngs
from .overlay_video import OverlayVideo, check_side, parse_frame_rate
from .results_json import ResultsJson
from .soft_png import BITS, SoftCutouts, SoftPngs
from .video_source import VideoSource

# In the output folder.
RESULTS_JSON = 'results.json'
MASKS = 'masks'
OVERLAY = 'overlay.mp4'
SOFT = 'soft'
CUTOUT = 'cutout'
FPS_OF_IMAGES = 25  # of the overlay, where the source has no frame rate


@dataclass(frozen=True)
class Output:
    """A writer of results, and the least score of the objects that it gets."""

    writer: ResultsJson | LabelPngs | OverlayVideo | SoftPngs | SoftCutouts
    min_score: float


@dataclass(frozen=True)
class OutputKinds:
    """What is written beside ``results.json``; see ``VideoInferencer.infer``.

    Attributes:
        min_score: of the objects that are drawn.
        png, video: label images, the overlay.
        fps: of the overlay.
        soft: bits of soft masks; None: none are written.
        cutout: objects with their probability as opacity.
    """

    min_score: float
    png: bool
    video: bool
    fps: Fraction | float | None
    soft: int | None
    cutout: bool


def open_outputs(
    folder: Path, source: VideoSource, model: VideoSteps, kinds: OutputKinds
) -> list[Output]:
    """Make the writers of a video's results.

    Args:
        folder: of the results.
        source: the video.
        model: that makes them.
        kinds: what is written.

    Raises:
        DataError, ValueError: something of it cannot be written.
    """
    meta = model.dataset_meta
    # results.json has all objects, whatever their score.
    outputs = [Output(ResultsJson(folder / RESULTS_JSON, meta['category_ids']), 0.0)]
    if kinds.png:
        outputs.append(Output(LabelPngs(folder / MASKS), kinds.min_score))
    if kinds.video:
        check_side(folder / OVERLAY, source.longest_side or 0)
        rate = source.fps or Fraction(FPS_OF_IMAGES)
        time_base = source.time_base
        if kinds.fps is not None:
            # A rate that is asked for replaces the frames' own times.
            rate = parse_frame_rate(kinds.fps)
            time_base = None
        overlay = OverlayVideo(folder / OVERLAY, rate, meta['classes'], time_base)
        outputs.append(Output(overlay, kinds.min_score))

    if (kinds.soft is not None or kinds.cutout) and not model.keeps_soft_masks:
        raise DataError(
            'the model keeps no probabilities, of which soft masks are made; it must be one that '
            'follows prompts, with keeps_soft_masks'
        )
    if kinds.soft is not None:
        if kinds.soft not in BITS:
            raise DataError(f'soft masks have 8 or 16 bits, not {kinds.soft}')
        outputs.append(Output(SoftPngs(folder / SOFT, kinds.soft), kinds.min_score))
    if kinds.cutout:
        outputs.append(Output(SoftCutouts(folder / CUTOUT), kinds.min_score))
    return outputs


def names_of_results(png: bool, video: bool, soft: int | None, cutout: bool) -> list[str]:
    """List what is written in the folder of the results; see `OutputKinds`."""
    names = [RESULTS_JSON]
    for name, is_written in (
        (MASKS, png),
        (OVERLAY, video),
        (SOFT, soft is not None),
        (CUTOUT, cutout),
    ):
        if is_written:
            names.append(name)
    return names
