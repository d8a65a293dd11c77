"""The sequences of VOT as a data set of frames, for the loops that test a model on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset

from mmvos.io.errors import DataError
from mmvos.registry import DATASETS

from .sequences import VOTSequence, read_sequences


@dataclass(frozen=True)
class VOTVideo:
    """One sequence.

    Attributes:
        id: position in the data set, from 1.
        length: number of frames.
        sequence: frames and true regions.
    """

    id: int
    length: int
    sequence: VOTSequence

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.sequence.name


@DATASETS.register_module()
class VOTDataset(BaseDataset):
    """Frames of sequences whose object is given by its first region, and again by a later one after
    it was lost.

    An item is one frame, in sequence order and then frame order, as ``MaskVideoDataset`` gives it.

    Args:
        data_root: folder that holds one folder with groundtruth.txt (4 or 8 numbers a line) and
            frames per sequence; all of them, or those in its list.txt.
        pipeline: transforms.
        metainfo: see ``BaseDataset``.
        lazy_init: look for the sequences at first use.

    Raises:
        DataError: a sequence is damaged or has no frames.
    """

    METAINFO = dict(classes=('object',))

    def __init__(
        self,
        data_root: str,
        pipeline: Sequence[Any] = (),
        metainfo: dict[str, Any] | None = None,
        lazy_init: bool = False,
    ) -> None:
        self._videos: list[VOTVideo] = []
        self._starts: list[int] = []
        super().__init__(
            '',
            metainfo,
            data_root,
            dict(img_path=''),
            pipeline=list(pipeline),
            test_mode=True,
            lazy_init=lazy_init,
        )

    @property
    def videos(self) -> list[VOTVideo]:
        """The sequences, by name."""
        self.full_init()
        return self._videos

    def frame_range(self, video_index: int) -> range:
        """The items of ``self.videos[video_index]``, in the order of its frames."""
        self.full_init()
        start = self._starts[video_index]
        return range(start, start + self._videos[video_index].length)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List one record per frame, grouped by sequence.

        Raises:
            DataError: a sequence has no frames.
        """
        records: list[dict[str, Any]] = []
        for sequence in read_sequences(Path(self.data_root)):
            if not sequence.frames:
                raise DataError(
                    f'The sequence {sequence.name} has no frames beside its groundtruth.txt; get '
                    f'them.'
                )
            video = VOTVideo(len(self._videos) + 1, len(sequence.frames), sequence)
            self._videos.append(video)
            self._starts.append(len(records))
            for index, path in enumerate(sequence.frames):
                records.append(
                    dict(
                        img_path=str(path),
                        img_id=len(records),
                        frame_id=index,
                        video_id=video.id,
                        video_length=video.length,
                    )
                )
        return records

    def prepare_data(self, idx: int) -> Any:
        """One frame through the pipeline."""
        record = self.get_data_info(idx)
        return self.pipeline({key: [value] for key, value in record.items() if key != 'sample_idx'})
