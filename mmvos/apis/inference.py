"""Inference on a user's videos: a model from its config and checkpoint, and the results of a video frame by
frame.

This file puts the room together: sources, checkpoint and writers do not know each other.
"""
from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from mmcv.transforms import Compose
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmvos.models import PromptedSegmenter, VideoModel
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts

from .background import WriteBehind, read_ahead
from .checkpoint import load_weights, read_checkpoint
from .label_png import LabelPngs
from .overlay_video import OverlayVideo
from .results_json import ResultsJson
from .sources import Picture, Source, VideoSource, open_source

RESULTS_JSON, MASKS, OVERLAY = 'results.json', 'masks', 'overlay.mp4'  # in the output folder
FPS_OF_IMAGES = 25  # of the overlay, where the source has no frame rate
Packed = tuple[str, Picture, dict[str, Any]]  # name and picture of a frame, its collated sample
Writer = ResultsJson | LabelPngs | OverlayVideo
_FILE_LOADERS = ('LoadFrame', 'LoadImageFromFile')


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None, device: str | None = None,
               cfg_options: Mapping[str, Any] | None = None) -> VideoModel:
    """Builds a video model ready for inference.

    Args:
        config: path of a config, or the config.
        checkpoint: file or URL; without one the weights are random.
        device: e.g. 'cpu', 'cuda:0'; a GPU where there is one by default.
        cfg_options: overrides of the config by dotted keys.

    Returns:
        The model in evaluation mode, with ``cfg`` (the config) and ``dataset_meta`` (classes, category_ids
        and palette, from the checkpoint, else from the config's test data set).

    Raises:
        FileNotFoundError: config or checkpoint do not exist.
        ValueError: the checkpoint cannot be read or does not fit the model.
    """
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    if cfg_options:
        cfg.merge_from_dict(dict(cfg_options))
    import_modules_from_strings(**cfg.get('custom_imports', {'imports': ['mmvos.models', 'mmvos.datasets']}))
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loaded = read_checkpoint(checkpoint) if checkpoint is not None else None
    model: VideoModel = revert_sync_batchnorm(MODELS.build(cfg.model))
    meta = dict(cfg.get('test_dataloader', {}).get('dataset', {}).get('metainfo') or {})
    if loaded is not None:
        load_weights(model, loaded)
        meta = dict(loaded.dataset_meta) if loaded.dataset_meta.get('classes') else meta
        if not meta.get('classes') and not isinstance(model, PromptedSegmenter):  # which knows no classes
            warnings.warn(f'{checkpoint} does not say its classes: no names, category id is label + 1')
    meta.setdefault('classes', ())
    meta.setdefault('category_ids', tuple(range(1, len(meta['classes']) + 1)))
    model.cfg, model.dataset_meta = cfg, meta
    model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()
    return model


class VideoInferencer:
    """Segments videos with one model.

    Args:
        model: path of a config, a config, or a model from ``init_model``.
        weights: checkpoint, file or URL, for a config.
        device: for a config, see ``init_model``. A model built here is made faster for good (``accelerate``).
    """

    def __init__(self, model: str | Path | Config | VideoModel, weights: str | Path | None = None,
                 device: str | None = None) -> None:
        if isinstance(model, (str, Path, Config)):
            model = init_model(model, weights, device).accelerate()
        self.model = model
        self._prepare = array_pipeline(self.model.cfg)

    def infer(self, source: Source | VideoSource, prompts: Mapping[int, Prompts] | None = None,
              out_dir: str | Path | None = None, *, score_thr: float | None = None, png: bool = True,
              video: bool = True, fps: Fraction | float | None = None) -> Iterator[FrameResult]:
        """Segments one video and yields the result of each frame as soon as it is there.

        Memory does not grow with the length of the video. The files are complete when the iterator ends, is
        closed or fails; they then hold the frames so far.

        Args:
            source: a video file, a folder of images, a glob, an iterable of (H, W, 3) uint8 BGR arrays, or an
                opened source.
            prompts: by frame index, for models that are told their objects.
            out_dir: where to write ``results.json`` (all objects, YouTube-VIS schema, video id 1),
                ``masks/<frame>.png`` and ``overlay.mp4``; nothing is written without it.
            score_thr: objects with a lower score in a frame are left out of its label image and overlay; by
                default 0.3, but 0 with prompts: what is told is there.
            png, video: whether to write label images and the overlay.
            fps: frame rate of the overlay; the source's by default, 25 for images and arrays.

        Raises:
            FileNotFoundError, ValueError: the source cannot be read; see ``open_source``, also while
                iterating.
        """
        opened = source if isinstance(source, VideoSource) else open_source(source)
        least = score_thr if score_thr is not None else 0.0 if prompts else 0.3
        writers: list[tuple[Writer, float]] = []  # with the least score of what they write
        if out_dir is not None:
            out, meta = Path(out_dir), self.model.dataset_meta
            writers.append((ResultsJson(out / RESULTS_JSON, meta['category_ids']), 0.0))
            if png:
                writers.append((LabelPngs(out / MASKS), least))
            if video:
                rate = Fraction(fps or opened.fps or FPS_OF_IMAGES).limit_denominator(100_000)
                writers.append((OverlayVideo(out / OVERLAY, rate, meta['classes']), least))
        return self._run(opened, prompts, writers)

    def _run(self, source: VideoSource, prompts: Mapping[int, Prompts] | None,
             writers: list[tuple[Writer, float]]) -> Iterator[FrameResult]:
        pictures: deque[tuple[str, Picture]] = deque()  # gone into the model, result not yet out
        with ExitStack() as stack:
            behind = []
            for writer, least in writers:
                stack.enter_context(writer)
                behind.append((stack.enter_context(WriteBehind(writer.write)), least))
            packed = self._pack(source)
            packed = stack.enter_context(closing(packed if source.live else read_ahead(packed)))
            for result in self.model.run(self._frames(packed, pictures), prompts):
                name, picture = pictures.popleft()
                for output, least in behind:
                    output.write(name, picture, _confident(result, least))
                yield result

    def _pack(self, source: VideoSource) -> Generator[Packed, None, None]:
        for index, (name, picture) in enumerate(source):
            yield name, picture, pseudo_collate([self._prepare(index, picture)])

    def _frames(self, packed: Iterator[Packed], pictures: deque[tuple[str, Picture]]) -> Iterator[Frame]:
        for name, picture, batch in packed:
            pictures.append((name, picture))
            yield self.model.make_frame(batch)


def _confident(result: FrameResult, score_thr: float) -> FrameResult:
    return replace(result, objects=tuple(item for item in result.objects if item.score >= score_thr))


def array_pipeline(cfg: Config) -> Callable[[int, Picture], dict[str, Any]]:
    """The config's test pipeline as a function of frame index and picture; built once, for all frames."""
    if 'test_dataloader' not in cfg:
        raise ValueError(f'{cfg.filename or "the config"} has no test_dataloader, whose pipeline is used')
    steps = [_from_array(step) for step in get_test_pipeline_cfg(cfg)]
    # Pipelines of video data sets go over lists of frames.
    in_lists = str(steps[0]['type']).endswith('TransformBroadcaster')
    pipeline = Compose(steps)

    def prepare(index: int, picture: Picture) -> dict[str, Any]:
        height, width = picture.shape[:2]
        record = {'img': picture, 'img_id': index, 'frame_id': index, 'video_id': 1, 'height': height,
                  'width': width}
        packed: dict[str, Any] = pipeline({key: [record[key]] for key in record} if in_lists else record)
        return packed

    return prepare


def _from_array(step: Mapping[str, Any]) -> dict[str, Any]:
    """The step of a pipeline, taking pictures where it would read files."""
    if str(step['type']).endswith(_FILE_LOADERS):
        return {'type': 'mmdet.LoadImageFromNDArray'}
    inner = step.get('transforms')
    return {**step, 'transforms': [_from_array(item) for item in inner]} if inner else dict(step)
