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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmvos.apis.results_json import ResultsJson
from mmvos.models import VideoModel
from mmvos.structures import Frame, FrameMeta, FrameResult, VideoTracks

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
    """``count`` frames that go through the given ones forth and back; nothing is kept of a frame
    that has been used.
    """
    order = list(frames) + list(frames)[-2:0:-1]
    for index in range(count):
        frame = order[index % len(order)]
        meta = FrameMeta(
            index, frame.meta.original_shape, frame.meta.network_shape, frame.meta.scale
        )
        yield Frame(frame.image.clone(), meta)


def measure(
    model: VideoModel, frames: Iterable[Frame], out: Path, collect: bool, settle: int = 100
) -> Growth:
    """Sends frames through the model, writes the results to ``out``, and reads the memory every ten
    frames.

    Args:
        collect: also keep the tracks, as the test loop does for one video.
        settle: frames before the first reading.
    """
    tracks = VideoTracks(sys.maxsize)
    image = np.zeros((1, 1, 3), np.uint8)
    readings: list[float] = []
    objects, sizes, identities = [], 0, set()
    with ResultsJson(out, ()) as writer:
        for index, result in enumerate(model.run(frames)):
            writer.write('', image, result)
            if collect:
                tracks.add(result)
            objects.append(len(result.objects))
            sizes += _bytes(result)
            identities |= {item.id for item in result.objects}
            if index >= settle and index % 10 == 0:
                readings.append(resident())
    return Growth(
        readings[0],
        max(readings),
        readings[-1],
        float(np.mean(objects)),
        len(identities),
        sizes / MIB,
    )


def _bytes(result: FrameResult) -> int:
    masks = [item.mask for item in result.objects]
    return sum(
        sys.getsizeof(mask) + sys.getsizeof(mask['counts']) + sys.getsizeof(mask['size'])
        for mask in masks
    )
