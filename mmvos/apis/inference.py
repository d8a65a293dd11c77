"""Inference on a user's videos: whole ones, whose results are written as they come, or frame by
frame in a loop of the caller's.

This file puts the package together: sources, prompts, model and writers do not know each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mmvos.models.video_steps import VideoSteps
from mmvos.structures import Frame, FrameResult, Prompts

from .background import AsyncWriter, latest_only, read_ahead
from .engine_choice import load_model
from .frame_preparation import frame_preparation
from .outputs import Output, OutputKinds, open_outputs
from .overlay_video import draw_overlay
from .passes import (
    VideoPasses,
    check_direction,
    check_prompted_frames,
    check_prompts_at_start,
)
from .prompts import PromptsLike, parse_prompts
from .propagation import PromptedFrame, PropagationStep, look_at_prompts, propagate
from .sources import Source, check_picture, open_source
from .streaming_session import StreamingSession
from .video_run import VideoRun
from .video_source import Picture, SeekableFrames, SourceFrame, VideoSource
from .window import Window

if TYPE_CHECKING:
    from mmengine.config import Config

MIN_SCORE = 0.3  # of what is drawn, where the model finds its objects by itself
Packed = tuple[SourceFrame, Any]  # a frame of the source, and it prepared for the model


class VideoInferencer:
    """Segments videos with one model: whole ones (``infer``), or frame by frame in a loop of the
    caller's (``start``, ``step``, ``add``, ``remove``), which may last for ever.

    Args:
        model: name of a shipped model ('masktrack-rcnn_r50_fpn_youtubevis2019') or system
            ('siammask'), path of a config, a config, or a model from ``init_model``.
        weights: checkpoint, file or URL; by default the one that comes with the name or config.
        device: see ``init_model``. A model built here is made faster for good (``optimize``).
        engine: what computes the network: 'torch', or 'onnxruntime' or 'openvino' for a system that
            comes as ONNX graphs; by default the fastest that is installed, see `choose_engine`.

    Raises:
        FileNotFoundError, ValueError: see ``init_model``; no weights are given and none come with
            the config; the engine does not know the system.
    """

    def __init__(
        self,
        model: str | Path | Config | VideoSteps,
        weights: str | Path | None = None,
        device: str | None = None,
        engine: str | None = None,
    ) -> None:
        if not isinstance(model, VideoSteps):
            model = load_model(model, weights, device, engine)
        self.model = model
        self._prepare = frame_preparation(model)
        self._session = StreamingSession(self.model, self._prepare, {})

    def prepare_frame(self, picture: Picture, index: int = 0) -> Frame:
        """Make a frame for ``model.inference_step``, by which a caller keeps states of its own.

        Args:
            picture: (H, W, 3) uint8 BGR.
            index: of the frame.

        Raises:
            DataError: the picture is no such array.
        """
        return self.model.make_frame(self._prepare(index, check_picture(index, picture)))

    def look_at_prompts(
        self,
        source: SeekableFrames,
        index: int,
        prompts: PromptsLike,
        found: FrameResult | None = None,
    ) -> PromptedFrame | None:
        """Look at a frame in which objects are given, for `propagate`.

        Args:
            source: from ``open_source(...).seekable()``.
            index: of the frame.
            prompts: its objects, in a form that the first frame may have, see `infer`.
            found: what was found in this frame so far; points correct objects of it.

        Returns:
            What is remembered of the frame, and the masks of its objects; None where points leave
            nothing of the only objects.

        Raises:
            ValueError: the prompts cannot be read, or do not fit the frame or the model.
        """
        parsed = self._parse({index: prompts}, 1)
        given = parsed[index]
        (frame,) = self._read_range(source, index, index)
        return look_at_prompts(self.model, frame, given, found)

    def propagate(
        self,
        source: SeekableFrames,
        start: int,
        stop: int,
        prompted: Mapping[int, PromptedFrame],
        state: Any = None,
    ) -> Iterator[PropagationStep]:
        """Follow objects through a range of frames, in either direction.

        Args:
            source: from ``open_source(...).seekable()``.
            start: the first frame of the range.
            stop: the last one, included; where it lies before ``start`` it goes backwards.
            prompted: what `look_at_prompts` gave for all frames of the video in which objects are
                given, by their index; those outside the range are remembered.
            state: of the step at the frame beside ``start``, from which it goes on; None where the
                range begins in a prompted frame.

        Yields:
            Result and state after each frame, as soon as they are there.
        """
        backwards = stop < start
        with closing(self._read_range(source, start, stop)) as frames:
            yield from propagate(self.model, frames, prompted, state, backwards)

    def start(self, prompts: PromptsLike = None) -> None:
        """Begin a new video for ``step``; the one before is forgotten.

        Args:
            prompts: see ``infer``; objects can also be added later.

        Raises:
            ValueError: the model takes no prompts, or they cannot be read.
        """
        by_frame = self._parse(prompts, 1)
        self._session = StreamingSession(self.model, self._prepare, by_frame)

    def step(self, frame: Picture) -> FrameResult:
        """Find the objects of the next frame of the video begun by ``start``.

        Args:
            frame: (H, W, 3) uint8 BGR, of one size through the video.

        Raises:
            ValueError: the frame is not so, or an added object does not fit it; the video can go on
                after that.
        """
        return self._session.step(check_picture(self._session.index, frame))

    def add(self, prompts: PromptsLike) -> tuple[int, ...]:
        """Add objects in the next frame given to ``step``, or correct known ones (see ``Prompts``).

        Args:
            prompts: of one frame, see ``infer``; boxes and bool masks without an id get ids that
                this video has not had yet.

        Returns:
            The ids of the objects.

        Raises:
            ValueError: the model takes no prompts, an object with this id was removed, some known
                objects are to start anew and others not, or the prompts cannot be read.
        """
        by_frame = self._parse(prompts, self._session.free_id)
        if list(by_frame) != [0]:
            raise ValueError(
                f'add takes objects of the next frame, these are of frames {sorted(by_frame)}: '
                f'give them to start'
            )
        self._session.add(by_frame[0])
        return by_frame[0].ids

    def remove(self, object_id: int) -> None:
        """Remove an object from the video begun by ``start``: no later result shows it, and its id
        is not given again.

        A model that finds its objects goes on recognising it, so that it does not come back under
        another id.

        Raises:
            ValueError: there is no such object.
        """
        self._session.remove(object_id)

    def infer(
        self,
        source: Source | VideoSource,
        prompts: PromptsLike = None,
        out_dir: str | Path | None = None,
        *,
        score_thr: float | None = None,
        png: bool = True,
        video: bool = True,
        show: bool = False,
        fps: Fraction | float | None = None,
        drop_frames: bool | None = None,
        run: VideoRun | None = None,
        direction: str = 'forward',
        progress: Callable[[int, int], object] | None = None,
        soft: int | None = None,
        cutout: bool = False,
    ) -> Iterator[FrameResult]:
        """Segment one video and yield the result of each frame as soon as it is there.

        Memory does not grow with the length of the video. The files are complete when the iterator
        ends, is closed or fails; they then hold the frames so far.

        Args:
            source: a video file, a folder of images, a glob, a camera's number, a URL, an iterable
                of (H, W, 3) uint8 BGR arrays, or an opened source.
            prompts: the objects, for models that follow prompts: ``Prompts``, boxes or an array of
                ids in the first frame, the path of a label image or a prompts.json, or {frame
                index: one of these, or {id: {'points': [(x, y, 1)]}}}; see ``parse_prompts``.
            out_dir: where to write ``results.json`` (all objects, YouTube-VIS schema, video id 1),
                ``masks/<frame>.png`` and ``overlay.mp4``; nothing is written without it.
            score_thr: objects with a lower score in a frame are left out of its label image,
                overlay and window; by default 0.3, but 0 with prompts: a prompted object is there.
            png, video: whether to write label images and the overlay.
            show: also show the overlay in a window; q, Escape or closing it ends the video.
            fps: frame rate of the overlay; by default the frames keep their own times, and images
                and arrays, which have none, come 25 a second.
            drop_frames: take the newest frame and drop those that came while the model was busy; by
                default only where frames come by the clock (cameras, streams). Frames are counted
                as they are taken; their names count what has come.
            run: keeps what a run that is killed goes on with, see ``VideoRun``; it must be entered,
                and left after the iterator has ended.
            direction: 'forward'; 'backward', which is the same on the reversed video: objects are
                followed from their last prompted frame to the first frame; or 'both' ways from each
                prompted frame, all of which are remembered, so that the frames between two of them
                use both. These two are for models that follow prompts and for sources that can be
                read backwards; they yield the results in the order of the frames when all is
                computed. See ``mmvos.apis.passes``.
            progress: of these two is told, after each frame, how many are computed and how many
                there are to be computed.
            soft: 8 or 16: also write ``soft/<object id>/<frame>.png``, the probabilities of each
                object in so many bits.
            cutout: also write ``cutout/<frame>.png``, in which all but the objects is transparent,
                with their probability as opacity. These two are for models that follow prompts and
                set ``model.keeps_soft_masks``.

        Raises:
            FileNotFoundError, ValueError: the source or the prompts cannot be read; see
                ``open_source``, also while iterating; a model that takes no prompts has some, or
                one that needs them none; a prompt is for a frame after the end; the frame rate is
                none, or the frames are too large for an overlay; there is no way to show a window.
        """
        by_frame = self._parse(prompts, 1)
        if self.model.takes_prompts and not by_frame:
            raise ValueError(
                'the model follows the objects of prompts: say which objects with prompts, e.g. '
                'boxes or a label image'
            )
        opened = source if isinstance(source, VideoSource) else open_source(source)
        check_prompted_frames(by_frame, opened)
        check_direction(direction, opened, self.model.takes_prompts)
        opened = check_prompts_at_start(opened, by_frame)

        # Everything that can be refused is refused before the first frame.
        if score_thr is None:
            score_thr = 0.0 if by_frame else MIN_SCORE
        outputs = []
        if out_dir is not None:
            kinds = OutputKinds(score_thr, png, video, fps, soft, cutout)
            outputs = open_outputs(Path(out_dir), opened, self.model, kinds)
        window = Window(opened.name) if show else None
        drops = opened.timed if drop_frames is None else drop_frames
        if direction == 'forward':
            # Frames are read ahead of the model, but not where they come by the clock or on demand.
            is_ahead = not (opened.live or drops)
            results = partial(self._results, prompts=by_frame, is_ahead=is_ahead, run=run)
        else:
            results = partial(
                self._results_of_passes,
                source=opened,
                prompts=by_frame,
                direction=direction,
                progress=progress,
                run=run,
            )
        return self._run(opened, outputs, window, score_thr, drops, run, results)

    def _run(
        self,
        source: VideoSource,
        outputs: Sequence[Output],
        window: Window | None,
        min_score: float,
        drops: bool,
        run: VideoRun | None,
        results_of: Callable[..., Generator[FrameResult, None, None]],
    ) -> Iterator[FrameResult]:
        """Go through a video: read ahead -> model -> write behind.

        Args:
            source, run: see `infer`.
            outputs: the writers.
            window: shows the objects from ``min_score`` on.
            min_score: see ``window``.
            drops: whether frames that come while the model is busy are dropped.
            results_of: takes the frames, and a queue that gets each frame before its result is
                yielded.
        """
        waiting: deque[SourceFrame] = deque()  # gone into the model, result not yet out
        with ExitStack() as stack:
            if window is not None:
                stack.enter_context(window)

            # Each writer works in a thread of its own, behind the model.
            behind = []
            for output in outputs:
                stack.enter_context(output.writer)
                writing = stack.enter_context(AsyncWriter(output.writer.write))
                behind.append((writing, output.min_score))

            frames = source.frames()
            if drops:
                frames = stack.enter_context(closing(latest_only(frames)))

            results = stack.enter_context(closing(results_of(frames, waiting)))
            for result in results:
                shown = waiting.popleft()
                for writing, least in behind:
                    kept = _confident(result, least)
                    writing.write(shown.name, shown.picture, kept, shown.time)
                goes_on = True
                if window is not None:
                    kept = _confident(result, min_score)
                    classes = self.model.dataset_meta['classes']
                    goes_on = window.show(draw_overlay(shown.picture, kept, classes))
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
        """Yield the result of each frame: those that an earlier run has finished, then the
        model's.

        Args:
            frames: of the source, from the first.
            waiting: gets each frame before its result is yielded.
            prompts: by frame index.
            is_ahead: whether frames are read while the model works.
            run: what a stopped run goes on with.
        """
        # 1. What an earlier run has finished: the frames are read past, the results are there.
        done = 0
        state: Any = None
        if run is not None:
            done, state = run.start()
        for index in range(done):
            frame = next(frames, None)
            if frame is None:
                break
            waiting.append(frame)
            assert run is not None
            yield run.read(index)

        # 2. The model goes on from its state; a frame that is finished needs its prompt no more.
        due = {index: prompt for index, prompt in prompts.items() if index >= done}
        states: list[Any] = [state]

        def keep_state(state: Any) -> None:
            states[0] = state

        packed = self._pack(frames, done)
        if is_ahead:
            packed = read_ahead(packed)
        with closing(packed) as batches:
            model_frames = self._frames(batches, waiting)
            for result in self.model.run(model_frames, due, state, keep_state):
                if run is not None:
                    run.append(result, states[0])
                yield result

    def _results_of_passes(
        self,
        frames: Iterator[SourceFrame],
        waiting: deque[SourceFrame],
        source: VideoSource,
        prompts: Mapping[int, Prompts],
        direction: str,
        progress: Callable[[int, int], object] | None,
        run: VideoRun | None,
    ) -> Generator[FrameResult, None, None]:
        """Go through a video backwards or both ways, then yield the results in its order.

        Args:
            frames: of the source, from the first, for the writers.
            waiting: gets each frame before its result is yielded.
            source, prompts, direction, progress, run: see `infer`.
        """
        with ExitStack() as stack:
            if run is None:
                # The results wait on the disk, not in memory.
                folder = stack.enter_context(TemporaryDirectory(prefix='mmvos-'))
                run = stack.enter_context(VideoRun(folder, '', (), {}, goes_on=False))
            seekable = source.seekable()
            read = partial(self._read_range, seekable)
            passes = VideoPasses(self.model, prompts, seekable.count, direction, read)
            for done in passes.compute(run):
                if progress is not None:
                    progress(done, passes.steps)
            for index, frame in enumerate(frames):
                waiting.append(frame)
                height, width = frame.picture.shape[:2]
                yield passes.result(index, (height, width), run)

    def _read_range(
        self, source: SeekableFrames, start: int, stop: int
    ) -> Generator[Frame, None, None]:
        """Read frames in either direction, ahead of the model, as it takes them."""
        step = -1 if stop < start else 1

        def pack() -> Iterator[dict[str, Any]]:
            for number, frame in enumerate(source.read(start, stop)):
                yield self._prepare(start + number * step, frame.picture)

        with closing(read_ahead(pack())) as batches:
            for batch in batches:
                yield self.model.make_frame(batch)

    def _pack(self, frames: Iterator[SourceFrame], first: int) -> Generator[Packed, None, None]:
        """Put frames through the test pipeline; ``first`` is the index of the first one."""
        for index, frame in enumerate(frames, first):
            yield frame, self._prepare(index, frame.picture)

    def _frames(self, packed: Iterator[Packed], waiting: deque[SourceFrame]) -> Iterator[Frame]:
        """Make what the model takes, and note the frames whose results are to come."""
        for frame, batch in packed:
            waiting.append(frame)
            yield self.model.make_frame(batch)

    def _parse(self, prompts: PromptsLike, first_id: int) -> dict[int, Prompts]:
        """Parse prompts, and refuse them where the model takes none."""
        by_frame = parse_prompts(prompts, first_id)
        if by_frame and not self.model.takes_prompts:
            raise ValueError(
                f'{type(self.model).__name__} takes no prompts: it finds the objects of its '
                f'classes by itself; leave them out, or take a system that follows prompts'
            )
        return by_frame


def _confident(result: FrameResult, min_score: float) -> FrameResult:
    """Leave objects with a lower score out."""
    kept = tuple(item for item in result.objects if item.score >= min_score)
    return replace(result, objects=kept)
