"""Inference on a user's videos: a model from its name or config and its weights, and the results of
a video frame by frame.

This file puts the room together: sources, checkpoint, prompts and writers do not know each other.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings

from mmvos.io.errors import DataError
from mmvos.io.paths import user_path
from mmvos.models import VideoModel
from mmvos.optimize import optimize
from mmvos.registry import MODELS
from mmvos.structures import Frame, FrameResult, Prompts

from .array_pipeline import array_pipeline
from .background import WriteBehind, newest, read_ahead
from .checkpoint import load_weights, read_checkpoint
from .label_png import LabelPngs
from .live import LiveVideo
from .model_index import find_model, model_of_config, project_root, shipped_models
from .overlay_video import OverlayVideo, check_side, draw_overlay, parse_frame_rate
from .prompt_files import Told, read_told
from .results_json import ResultsJson
from .sources import Picture, Source, SourceFrame, VideoSource, check_picture, open_source
from .systems import SYSTEMS, how_to_get
from .video_run import VideoRun
from .window import Window

RESULTS_JSON, MASKS, OVERLAY = 'results.json', 'masks', 'overlay.mp4'  # in the output folder
FPS_OF_IMAGES = 25  # of the overlay, where the source has no frame rate
Packed = tuple[SourceFrame, dict[str, Any]]  # a frame of the source, its collated sample
Writer = ResultsJson | LabelPngs | OverlayVideo


def load_config(model: str | Path) -> Config:
    """The config of a system (``SYSTEMS``), of a shipped model by its name, or at a path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such name; the message lists close ones.
    """
    path, name = user_path(model), str(model)
    if path.suffix == '.py' or path.is_file():
        if not path.is_file():
            raise FileNotFoundError(f'the config {model} does not exist')
        return Config.fromfile(path)
    known = shipped_models(project_root())
    return Config.fromfile(
        find_model(SYSTEMS[name].model if name in SYSTEMS else name, known).config
    )


def shipped_weights(cfg: Config) -> str:
    """Path or URL of the weights that come with a config.

    Raises:
        FileNotFoundError: none come with it, or they are not where they belong; the message says
            how to get some.
    """
    path = Path(cfg.filename or 'CONFIG')
    try:
        root = project_root()
        model = model_of_config(path, shipped_models(root))
    except FileNotFoundError:
        model = None
    if model is not None and model.weights is not None and model.weights_are_here:
        return model.weights
    shown = model.config.relative_to(root).as_posix() if model is not None else str(path)
    fault = (
        f'{shown} comes without weights'
        if model is None or model.weights is None
        else f'{model.weights} is missing'
    )
    raise FileNotFoundError(
        f'{fault}; give some with weights=FILE (--checkpoint FILE on the command line). Ways to '
        f'get them:\n'
        f'{how_to_get(path.stem, shown)}'
    )


def init_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    device: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
) -> VideoModel:
    """Builds a video model ready for inference.

    Args:
        config: name of a shipped model or system, path of a config, or the config.
        checkpoint: file or URL; without one a name has the weights that come with it, the weights
            of a config are random.
        device: e.g. 'cpu', 'cuda:0'; a GPU where there is one by default.
        cfg_options: overrides of the config by dotted keys.

    Returns:
        The model in evaluation mode, with ``cfg`` (the config) and ``dataset_meta`` (classes,
        category_ids and palette, from the checkpoint, else from the config's test data set).

    Raises:
        FileNotFoundError: config or checkpoint do not exist, or no weights come with the name.
        ValueError: the checkpoint cannot be read or does not fit the model, or there is no such
            name.
    """
    cfg = config if isinstance(config, Config) else load_config(config)
    if checkpoint is None and not isinstance(config, Config) and Path(config).suffix != '.py':
        checkpoint = shipped_weights(cfg)
    if cfg_options:
        cfg.merge_from_dict(dict(cfg_options))
    import_modules_from_strings(
        **cfg.get('custom_imports', {'imports': ['mmvos.models', 'mmvos.datasets']})
    )
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    loaded = read_checkpoint(checkpoint) if checkpoint is not None else None
    model: VideoModel = revert_sync_batchnorm(MODELS.build(cfg.model))
    meta = dict(cfg.get('test_dataloader', {}).get('dataset', {}).get('metainfo') or {})
    if loaded is not None:
        load_weights(model, loaded)
        meta = dict(loaded.dataset_meta) if loaded.dataset_meta.get('classes') else meta
        # one that is told its objects knows no classes
        if not meta.get('classes') and not model.takes_prompts:
            warnings.warn(
                f'{checkpoint} does not say its classes: no names, category id is label + 1'
            )
    meta.setdefault('classes', ())
    meta.setdefault('category_ids', tuple(range(1, len(meta['classes']) + 1)))
    model.cfg, model.dataset_meta = cfg, meta
    model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()
    return model


class VideoInferencer:
    """Segments videos with one model: whole ones (``infer``), or frame by frame in a loop of the
    caller's (``start``, ``step``, ``add``, ``remove``), which may last for ever.

    Args:
        model: name of a shipped model ('masktrack-rcnn_r50_fpn_youtubevis2019') or system
            ('siammask'), path of a config, a config, or a model from ``init_model``.
        weights: checkpoint, file or URL; by default the one that comes with the name or config.
        device: see ``init_model``. A model built here is made faster for good (``optimize``).

    Raises:
        FileNotFoundError, ValueError: see ``init_model``; no weights are given and none come with
            the config.
    """

    def __init__(
        self,
        model: str | Path | Config | VideoModel,
        weights: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        if isinstance(model, (str, Path, Config)):
            cfg = model if isinstance(model, Config) else load_config(model)
            if weights is None:
                weights = shipped_weights(cfg)
            model = optimize(init_model(cfg, weights, device))
        self.model = model
        self._prepare = array_pipeline(self.model.cfg)
        self._live = LiveVideo(self.model, self._prepare, {})

    def start(self, prompts: Told = None) -> None:
        """Begins a new video for ``step``; the one before is forgotten.

        Args:
            prompts: see ``infer``; objects can also be added later.

        Raises:
            ValueError: the model takes no prompts, or they cannot be read.
        """
        self._live = LiveVideo(self.model, self._prepare, self._read(prompts, 1))

    def step(self, frame: Picture) -> FrameResult:
        """The objects of the next frame of the video begun by ``start``.

        Args:
            frame: (H, W, 3) uint8 BGR, of one size through the video.

        Raises:
            ValueError: the frame is not so, or an added object does not fit it; the video can go on
                after that.
        """
        return self._live.step(check_picture(self._live.index, frame))

    def add(self, prompts: Told) -> tuple[int, ...]:
        """Adds objects in the next frame given to ``step``; a known id starts that object anew.

        Args:
            prompts: of one frame, see ``infer``; boxes and bool masks without an id get ids that
                this video has not had yet.

        Returns:
            The ids of the objects.

        Raises:
            ValueError: the model takes no prompts, an object with this id was removed, or the
                prompts cannot be read.
        """
        by_frame = self._read(prompts, self._live.free_id)
        if list(by_frame) != [0]:
            raise ValueError(
                f'add takes objects of the next frame, these are of frames {sorted(by_frame)}: '
                f'give them to start'
            )
        self._live.add(by_frame[0])
        return by_frame[0].ids

    def remove(self, object_id: int) -> None:
        """Removes an object from the video begun by ``start``: no later result shows it, and its id
        is not given again.

        A model that finds its objects goes on recognising it, so that it does not come back under
        another id.

        Raises:
            ValueError: there is no such object.
        """
        self._live.remove(object_id)

    def infer(
        self,
        source: Source | VideoSource,
        prompts: Told = None,
        out_dir: str | Path | None = None,
        *,
        score_thr: float | None = None,
        png: bool = True,
        video: bool = True,
        show: bool = False,
        fps: Fraction | float | None = None,
        drop_frames: bool | None = None,
        run: VideoRun | None = None,
    ) -> Iterator[FrameResult]:
        """Segments one video and yields the result of each frame as soon as it is there.

        Memory does not grow with the length of the video. The files are complete when the iterator
        ends, is closed or fails; they then hold the frames so far.

        Args:
            source: a video file, a folder of images, a glob, a camera's number, a URL, an iterable
                of (H, W, 3) uint8 BGR arrays, or an opened source.
            prompts: the objects, for models that are told them: ``Prompts``, boxes or an array of
                ids in the first frame, the path of a label image or a prompts.json, or {frame
                index: one of these}; see ``read_told``.
            out_dir: where to write ``results.json`` (all objects, YouTube-VIS schema, video id 1),
                ``masks/<frame>.png`` and ``overlay.mp4``; nothing is written without it.
            score_thr: objects with a lower score in a frame are left out of its label image,
                overlay and window; by default 0.3, but 0 with prompts: what is told is there.
            png, video: whether to write label images and the overlay.
            show: also show the overlay in a window; q, Escape or closing it ends the video.
            fps: frame rate of the overlay; by default the frames keep their own times, and images
                and arrays, which have none, come 25 a second.
            drop_frames: take the newest frame and drop those that came while the model was busy; by
                default only where frames come by the clock (cameras, streams). Frames are counted
                as they are taken; their names count what has come.
            run: keeps what a run that is killed goes on with, see ``VideoRun``; it must be entered,
                and left after the iterator has ended.

        Raises:
            FileNotFoundError, ValueError: the source or the prompts cannot be read; see
                ``open_source``, also while iterating; a model that takes no prompts has some, or
                one that needs them none; a prompt is for a frame after the end; the frame rate is
                none, or the frames are too large for an overlay; there is no way to show a window.
        """
        told = self._read(prompts, 1)
        if self.model.takes_prompts and not told:
            raise ValueError(
                'the model follows what it is told: say which objects with prompts, e.g. boxes or '
                'a label image'
            )
        opened = source if isinstance(source, VideoSource) else open_source(source)
        check_prompted_frames(told, opened)
        least = score_thr if score_thr is not None else 0.0 if told else 0.3
        writers: list[tuple[Writer, float]] = []  # with the least score of what they write
        if out_dir is not None:
            out, meta = Path(out_dir), self.model.dataset_meta
            writers.append((ResultsJson(out / RESULTS_JSON, meta['category_ids']), 0.0))
            if png:
                writers.append((LabelPngs(out / MASKS), least))
            if video:
                check_side(out / OVERLAY, opened.longest_side or 0)
                rate = opened.fps or Fraction(FPS_OF_IMAGES)
                time_base = opened.time_base
                if fps is not None:
                    # A rate that is asked for replaces the frames' own times.
                    rate, time_base = parse_frame_rate(fps), None
                overlay = OverlayVideo(out / OVERLAY, rate, meta['classes'], time_base)
                writers.append((overlay, least))
        window = (Window(opened.name), least) if show else None
        drops = opened.timed if drop_frames is None else drop_frames
        return self._run(opened, told, writers, window, drops, run)

    def _run(
        self,
        source: VideoSource,
        prompts: Mapping[int, Prompts],
        writers: list[tuple[Writer, float]],
        window: tuple[Window, float] | None,
        drops: bool,
        run: VideoRun | None,
    ) -> Iterator[FrameResult]:
        waiting: deque[SourceFrame] = deque()  # gone into the model, result not yet out
        with ExitStack() as stack:
            if window is not None:
                stack.enter_context(window[0])
            behind = []
            for writer, least in writers:
                stack.enter_context(writer)
                behind.append((stack.enter_context(WriteBehind(writer.write)), least))
            frames = source.frames()
            if drops:
                frames = stack.enter_context(closing(newest(frames)))
            is_ahead = not (source.live or drops)
            results = self._results(frames, waiting, prompts, is_ahead, run)
            for result in stack.enter_context(closing(results)):
                shown = waiting.popleft()
                for output, least in behind:
                    output.write(shown.name, shown.picture, _confident(result, least), shown.time)
                goes_on = window is None or window[0].show(
                    self._drawn(shown.picture, _confident(result, window[1]))
                )
                yield result
                if not goes_on:
                    return
        if run is not None:
            run.finish()

    def _results(
        self,
        frames: Iterator[SourceFrame],
        waiting: deque[SourceFrame],
        prompts: Mapping[int, Prompts],
        is_ahead: bool,
        run: VideoRun | None,
    ) -> Generator[FrameResult, None, None]:
        """The result of each frame: those that an earlier run has finished, then the model's."""
        done, state = run.start() if run is not None else (0, None)
        for index in range(done):
            frame = next(frames, None)
            if frame is None:
                break
            waiting.append(frame)
            assert run is not None
            yield run.read(index)
        # A frame that is finished needs its prompt no more.
        left = {index: prompt for index, prompt in prompts.items() if index >= done}
        states: list[Any] = [state]

        def keep_state(state: Any) -> None:
            states[0] = state

        packed = self._pack(frames, done)
        with closing(read_ahead(packed) if is_ahead else packed) as batches:
            shown = self._frames(batches, waiting)
            for result in self.model.run(shown, left, state, keep_state):
                if run is not None:
                    run.append(result, states[0])
                yield result

    def _read(self, prompts: Told, first_id: int) -> dict[int, Prompts]:
        told = read_told(prompts, first_id)
        if told and not self.model.takes_prompts:
            raise ValueError(
                f'{type(self.model).__name__} takes no prompts: it finds the objects of its '
                f'classes by itself; '
                f'leave them out, or take a system that follows what it is told'
            )
        return told

    def _drawn(self, picture: Picture, result: FrameResult) -> Picture:
        return draw_overlay(picture, result, self.model.dataset_meta['classes'])

    def _pack(self, frames: Iterator[SourceFrame], first: int) -> Generator[Packed, None, None]:
        for index, frame in enumerate(frames, first):
            yield frame, pseudo_collate([self._prepare(index, frame.picture)])

    def _frames(self, packed: Iterator[Packed], waiting: deque[SourceFrame]) -> Iterator[Frame]:
        for frame, batch in packed:
            waiting.append(frame)
            yield self.model.make_frame(batch)


def check_prompted_frames(prompts: Mapping[int, Prompts], source: VideoSource) -> None:
    """Refuse prompts for frames after the end, where the length is known before the work.

    Raises:
        DataError: there is no such frame.
    """
    last = max(prompts, default=0)
    if source.length is not None and last >= source.length:
        raise DataError(
            f'{source.name} has {source.length} frames, so there is no frame {last}, for which '
            f'there is a prompt; frames count from 0'
        )


def _confident(result: FrameResult, score_thr: float) -> FrameResult:
    return replace(
        result, objects=tuple(item for item in result.objects if item.score >= score_thr)
    )
