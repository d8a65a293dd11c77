"""Memory over a long video: resident memory of the process while frames go through the model and
the results are written.

The real path: ``VideoModel.run`` and the streaming ``ResultsJson`` of the inference tool. The
tracks that the test loop collects for a video grow with its length by their run lengths; they are
measured beside it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmvos.apis.results_json import ResultsJson
from mmvos.models import VideoModel
from mmvos.structures import Frame, FrameResult, VideoTracks

MIB = 2**20


@dataclass(frozen=True)
class Growth:
    """Resident memory in MiB.

    Attributes:
        settled: after the first 100 frames.
        highest, last: the highest and the last reading after that.
        objects: mean number of objects per frame.
        identities: number of objects of the whole video.
        track_bytes: MiB of the run lengths in all results, which ``VideoTracks`` keeps until a
            video is over.
    """

    settled: float
    highest: float
    last: float
    objects: float
    identities: int
    track_bytes: float


def resident() -> float:
    """Resident memory of this process in MiB."""
    with open('/proc/self/statm', encoding='ascii') as stream:
        return int(stream.read().split()[1]) * os.sysconf('SC_PAGESIZE') / MIB


def looped(frames: Sequence[Frame], count: int) -> Iterator[Frame]:
    """Yield frames that go through the given ones forth and back.

    Nothing is kept of a frame that has been used.

    Args:
        frames: at least one.
        count: of the frames that are made.
    """
    there = list(frames)
    back = there[-2:0:-1]
    order = there + back
    for index in range(count):
        frame = order[index % len(order)]
        meta = replace(frame.meta, index=index)
        yield Frame(frame.image.clone(), meta)


def measure(
    model: VideoModel, frames: Iterable[Frame], out: Path, collect: bool, settle: int = 100
) -> Growth:
    """Send frames through the model, write the results, and read the memory every ten frames.

    Args:
        model: for inference.
        frames: of one video.
        out: file of the results.
        collect: also keep the tracks, as the test loop does for one video.
        settle: frames before the first reading.

    Returns:
        What was read.
    """
    tracks = VideoTracks(sys.maxsize)
    image = np.zeros((1, 1, 3), np.uint8)
    readings: list[float] = []
    objects: list[int] = []
    identities: set[int] = set()
    track_bytes = 0
    with ResultsJson(out, ()) as writer:
        for index, result in enumerate(model.run(frames)):
            writer.write('', image, result)
            if collect:
                tracks.add(result)
            objects.append(len(result.objects))
            identities.update(item.id for item in result.objects)
            track_bytes += _bytes(result)
            # Until then the memory still grows to what the model needs.
            if index >= settle and index % 10 == 0:
                readings.append(resident())
    return Growth(
        settled=readings[0],
        highest=max(readings),
        last=readings[-1],
        objects=float(np.mean(objects)),
        identities=len(identities),
        track_bytes=track_bytes / MIB,
    )


def _bytes(result: FrameResult) -> int:
    """Return the bytes of the run lengths in a result."""
    total = 0
    for item in result.objects:
        mask = item.mask
        total += sys.getsizeof(mask)
        total += sys.getsizeof(mask['counts'])
        total += sys.getsizeof(mask['size'])
    return total
