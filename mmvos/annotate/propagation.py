"""Following the objects that are drawn in some frames through all frames of the video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from mmvos.apis import VideoInferencer
from mmvos.apis.video_source import VideoSource
from mmvos.io.errors import DataError
from mmvos.io.output_lock import OutputLock
from mmvos.structures import FrameResult, Prompts


class PartlyAnnotated(Protocol):
    """Annotations of a tool that name the objects of some frames.

    Attributes:
        source: the video.
        prompts: the objects by frame index.
        lock_file: is locked while somebody writes the output.
        output: what is written.
    """

    source: VideoSource
    prompts: dict[int, Prompts]
    lock_file: Path
    output: Path

    def write(self, results: Iterable[FrameResult]) -> str:
        """Write annotations of all frames.

        Args:
            results: of all frames, in order.

        Returns:
            What was written, in words.
        """


def propagate(
    annotations: PartlyAnnotated,
    inferencer: VideoInferencer,
    direction: str = 'both',
    progress: Callable[[int, int], object] | None = None,
) -> str:
    """Follow the objects of annotated frames through the video, and write what the tool reads.

    Args:
        annotations: `LabelmeFolder`, `CvatFile` or `CocoFile`.
        inferencer: follows the objects.
        direction: 'both' ways from each annotated frame, which uses all of them for the frames
            between; or 'forward' or 'backward'.
        progress: is told after each frame how many are computed and how many there are.

    Returns:
        What was written, in words.

    Raises:
        DataError: the model takes no prompts, a frame cannot be read, or the output cannot be
            written.
    """
    with OutputLock(annotations.lock_file, annotations.output):
        results: Any = inferencer.infer(
            annotations.source, annotations.prompts, direction=direction, progress=progress
        )
        with closing(results):
            return annotations.write(_counted(results, annotations.source, direction, progress))


def _counted(
    results: Iterator[FrameResult],
    source: VideoSource,
    direction: str,
    progress: Callable[[int, int], object] | None,
) -> Iterator[FrameResult]:
    """The results; one pass forwards tells nobody how far it is, so it is told here."""
    count = 0
    for result in results:
        count += 1
        if direction == 'forward' and progress is not None:
            progress(count, source.length or count)
        yield result

    # A video that breaks off is not written as if it were whole.
    if source.length is not None and count != source.length:
        raise DataError(
            f'{source.name} has {source.length} frames, but {count} could be read; nothing is '
            f'written of the others'
        )
