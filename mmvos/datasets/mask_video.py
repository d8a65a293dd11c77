"""Videos to be segmented from prompts: the test sets of DAVIS and YouTube-VOS, in folders of label
images.

One item is one frame, in video order and then frame order; what is said about a video's objects is
asked for apart, with ``prompts``, so that no pipeline carries ground truth. Pont-Tuset et al., The
2017 DAVIS Challenge, 2017; Xu et al., YouTube-VOS, ECCV 2018. Letters: H, W height and width in
pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from numpy.typing import NDArray

from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.label_png import Labels, merge_objects, object_ids, read_label_png
from mmvos.registry import DATASETS
from mmvos.structures import Prompts
from mmvos.structures.rle import tight_box

from .frame_files import image_fault
from .mask_folders import MaskVideo, check_sizes, find_mask_videos

LAYOUTS = ('davis', 'youtube-vos')
PROMPTS = ('mask', 'box', 'point')


@dataclass(frozen=True)
class PromptedVideo:
    """One video of the data set.

    Attributes:
        id: position in the data set, from 1.
        name: of its folder.
        length: number of frames.
        frame_names: of the frames, without suffix; also the names of its label images.
        files: of the frames and the label images.
    """

    id: int
    name: str
    length: int
    frame_names: tuple[str, ...]
    files: MaskVideo


@DATASETS.register_module()
class MaskVideoDataset(BaseDataset):
    """Frames of videos whose objects are given by label images.

    An item given to the pipeline is a dict of lists with one entry, as mmdet's
    ``TransformBroadcaster`` and ``PackTrackInputs`` expect: ``img_path``, ``img_id`` (position of
    the frame in the data set, from 0), ``frame_id`` (in the video, from 0), ``video_id``,
    ``video_length``.

    Args:
        data_root: folder that holds JPEGImages and Annotations, see ``mask_folders``.
        split: list of videos, see ``find_mask_videos``; all by default.
        layout: 'davis': the objects are those of the first frame, and every frame has a label image
            in the results; 'youtube-vos': an object is given in the first frame with its
            annotation, and the results have label images of the frames that the server wants (see
            ``wanted_frames``).
        merge_objects: all objects of a frame are object 1 (DAVIS-2016).
        prompt: 'mask', 'box' for the tight box of that mask, or 'point' for one point in the middle
            of it, where it is widest.
        pipeline: transforms.
        metainfo: see ``BaseDataset``.
        lazy_init: look for the videos at first use.
    """

    METAINFO = dict(classes=('object',))

    def __init__(
        self,
        data_root: str,
        split: str | None = None,
        layout: str = 'davis',
        merge_objects: bool = False,
        prompt: str = 'mask',
        pipeline: Sequence[Any] = (),
        metainfo: dict[str, Any] | None = None,
        lazy_init: bool = False,
    ) -> None:
        for name, value, known in (('layout', layout, LAYOUTS), ('prompt', prompt, PROMPTS)):
            if value not in known:
                raise ValueError(f'{name} must be {" or ".join(map(repr, known))}, not {value!r}')
        self.split = split
        self.layout = layout
        self.merge_objects = merge_objects
        self.prompt = prompt
        self._videos: list[PromptedVideo] = []
        # (V + 1,) item index of each video's first item
        self._starts: NDArray[np.int64] = np.zeros(1, dtype=np.int64)
        # names of the frames that meta.json lists for a video
        self._listed: dict[str, frozenset[str]] = {}
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
    def videos(self) -> list[PromptedVideo]:
        """The videos, in the order of the split."""
        self.full_init()
        return self._videos

    def frame_range(self, video_index: int) -> range:
        """Return the items of ``self.videos[video_index]``, in the order of its frames."""
        self.full_init()
        return range(int(self._starts[video_index]), int(self._starts[video_index + 1]))

    def prompts(self, video: PromptedVideo) -> dict[int, Prompts]:
        """Return the prompts of a video by frame: every object once, where it is given.

        Raises:
            ValueError: no object is given, or a label image cannot be read or has another size than
                its frame.
        """
        frames = video.files.frames
        label_paths = video.files.masks
        if self.layout == 'davis':
            label_paths = label_paths[:1]
            if label_paths[0] is None:
                raise ValueError(
                    f'video {video.name}: its first frame {frames[0]} has no label image'
                )
        known: set[int] = set()
        found = {}
        for index, path in enumerate(label_paths):
            if path is None:
                continue
            labels = self._read(path)
            # The objects that no frame before has given.
            new = [object_id for object_id in object_ids(labels) if object_id not in known]
            if not new:
                continue
            fault = image_fault(frames[index], *labels.shape)
            if fault is not None:
                raise ValueError(f'{frames[index]} {fault} (the label image {path})')
            found[index] = self._prompts(labels, new)
            known.update(new)
        if not found:
            first_path = next(path for path in label_paths if path is not None)
            later = ' or a later label image' if len(label_paths) > 1 else ''
            raise ValueError(f'video {video.name}: no object in {first_path}{later}')
        return found

    def wanted_frames(self, video: PromptedVideo, prompted: Collection[int]) -> frozenset[int]:
        """Return the frames whose label images belong to the results.

        All in DAVIS's layout. In YouTube-VOS's those that meta.json lists for the video's objects;
        where it lists none, the annotated frames if some of them give no new object, so are there
        to be compared with, and else all.

        Args:
            prompted: frames in which objects are given.
        """
        everything = frozenset(range(video.length))
        if self.layout == 'davis':
            return everything
        listed = self._listed.get(video.name)
        if listed:
            names = enumerate(video.frame_names)
            return frozenset(index for index, name in names if name in listed)
        paths = enumerate(video.files.masks)
        annotated = frozenset(index for index, path in paths if path is not None)
        # Annotated frames that give no new object are there to be compared with.
        if annotated - set(prompted):
            return annotated
        return everything

    def find_videos(self) -> list[MaskVideo]:
        """Find the frames and the label images of the videos; another layout of folders is a child
        with another one, see docs/extending.md.

        Raises:
            DataError: a folder or a file of the split is missing, see ``find_mask_videos``.
        """
        return find_mask_videos(self.data_root, self.split)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the folders; return one record per frame, grouped by video.

        Raises:
            DataError: a folder or a file of the split is missing, see ``find_mask_videos``, an
                image has another size than the others of its video, or meta.json cannot be read.
        """
        records: list[dict[str, Any]] = []
        starts = [0]
        for files in self.find_videos():
            # Before a run begins, not when its results are scored.
            check_sizes(files)
            names = tuple(path.stem for path in files.frames)
            video = PromptedVideo(len(self._videos) + 1, files.name, len(names), names, files)
            self._videos.append(video)
            first_image = len(records)
            for index, path in enumerate(files.frames):
                record = dict(
                    img_path=str(path),
                    img_id=first_image + index,
                    frame_id=index,
                    video_id=video.id,
                    video_length=video.length,
                )
                records.append(record)
            starts.append(len(records))
        self._starts = np.asarray(starts)
        meta = Path(self.data_root, 'meta.json')
        if self.layout == 'youtube-vos' and meta.is_file():
            self._listed = _listed_frames(meta)
        print_log(
            f'{self.data_root}: {len(records)} frames in {len(self._videos)} videos',
            logger='current',
        )
        return records

    def prepare_data(self, idx: int) -> Any:
        """Return one frame, after the pipeline."""
        record = self.get_data_info(idx)
        return self.pipeline({key: [value] for key, value in record.items() if key != 'sample_idx'})

    def _read(self, path: Path) -> Labels:
        labels = read_label_png(path)
        return merge_objects(labels) if self.merge_objects else labels

    def _prompts(self, labels: Labels, ids: Sequence[int]) -> Prompts:
        """The prompts of objects in one frame, of the kind that the data set gives."""
        numbers = tuple(ids)
        masks = tuple(labels == object_id for object_id in ids)
        nothing = (None,) * len(ids)
        if self.prompt == 'mask':
            return Prompts(numbers, masks, nothing)
        if self.prompt == 'point':
            points = tuple((_middle_point(mask),) for mask in masks)
            return Prompts(numbers, nothing, nothing, points)
        boxes = tuple(_float_box(mask) for mask in masks)
        return Prompts(numbers, nothing, boxes)


def _float_box(mask: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The tight box x1, y1, x2, y2 of an (H, W) mask that is not empty."""
    box = tight_box(mask)
    assert box is not None
    x1, y1, x2, y2 = box
    return float(x1), float(y1), float(x2), float(y2)


def _middle_point(mask: NDArray[np.bool_]) -> tuple[float, float, bool]:
    """The middle of the pixel of an (H, W) mask that is farthest from its edge, of equal ones the
    first.
    """
    # The edge of the frame is an edge of the object.
    padded = np.pad(mask.astype(np.uint8), 1)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    depth = depth[1:-1, 1:-1]
    deepest = int(depth.argmax())
    row, column = np.unravel_index(deepest, depth.shape)
    x = float(column) + 0.5
    y = float(row) + 0.5
    return x, y, True


def _listed_frames(path: Path) -> dict[str, frozenset[str]]:
    """The frames that YouTube-VOS' meta.json lists, by video.

    It is {"videos": {VIDEO: {"objects": {ID: {"frames": [NAME, ...]}}}}}.

    Raises:
        ValueError: the file is damaged or has another layout.
    """
    listed = {}
    try:
        videos: Mapping[str, Any] = read_json(path)['videos']
        for name, video in videos.items():
            frames: set[str] = set()
            for item in video['objects'].values():
                names = item.get('frames', [])
                if not isinstance(names, list):
                    raise TypeError(f'the frames of an object are {names!r:.40}, which is no list')
                frames.update(names)
            listed[name] = frozenset(frames)
    except DataError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f'{path} is not the meta.json of YouTube-VOS ({type(error).__name__}: {error}); get '
            'the complete file, or remove it to have results for all frames'
        ) from error
    return listed
