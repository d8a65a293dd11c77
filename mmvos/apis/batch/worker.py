"""VideoWorker: segments one video of many and keeps what came of it, whatever that is."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from mmvos.apis.inference import VideoInferencer
from mmvos.apis.outputs import RESULTS_JSON, names_of_results
from mmvos.apis.passes import check_direction, check_prompted_frames
from mmvos.apis.sources import open_source
from mmvos.apis.video_run import VideoRun, fingerprint_of
from mmvos.apis.video_source import VideoSource
from mmvos.io.atomic import OutputError
from mmvos.io.errors import DataError
from mmvos.io.json_file import read_json
from mmvos.io.output_lock import LockedError
from mmvos.io.paths import output_inside
from mmvos.io.stored_state import digest_of
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import Prompts

from .outcome import Outcome, OutcomeFile, read_outcome, touch_outcome, write_outcome
from .prompt_folder import find_prompts
from .videos import Video

# A video at which processes end without a word (most often for want of memory) is left alone then.
MOST_DEATHS = 2


class FrameCounter(Protocol):
    """Shows how far a video has come; a context manager."""

    def __enter__(self) -> FrameCounter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def advance(self, note: str = '') -> None:
        """Count a frame."""


@dataclass(frozen=True)
class BatchSettings:
    """How the videos of a run are segmented.

    Attributes:
        out: folder of the folders of results.
        prompts: folder of the prompts, see ``prompt_folder``; None for a model that takes none.
        score_thr, png, video, fps, direction, soft, cutout: see ``VideoInferencer.infer``.
        made_by: see ``RunRecord``; the video is added as 'data'.
    """

    out: Path
    prompts: Path | None
    score_thr: float | None = None
    png: bool = True
    video: bool = True
    fps: Fraction | float | None = None
    direction: str = 'forward'
    soft: int | None = None
    cutout: bool = False
    made_by: Mapping[str, str] = field(default_factory=dict)


class VideoWorker:
    """Segments videos one after the other with one model.

    Args:
        model: of all videos.
        settings: of all videos.
        since: what other processes of the same launch have ended after this moment is not done
            again; by the clock of the file system in nanoseconds, None where there are no others.
        waits: whether a video that another process works on is left for later, instead of being a
            fault.
        show: makes what shows the frames of a video as they come.
    """

    def __init__(
        self,
        model: VideoSteps,
        settings: BatchSettings,
        since: int | None = None,
        waits: bool = False,
        show: Callable[[VideoSource], FrameCounter] | None = None,
    ) -> None:
        self.settings = settings
        self._inferencer = VideoInferencer(model)
        model.keeps_soft_masks = bool(settings.soft or settings.cutout) and model.takes_prompts
        # The weights are looked at once, not for each video.
        self._identity = digest_of(model.identity())
        self._since = since
        self._waits = waits
        self._show = show

    def segment(self, video: Video) -> Outcome | None:
        """Segment a video, go on with it, or find that it is finished.

        A fault of the video, or of the code, is its outcome; it does not stop the others.

        Returns:
            What came of it; None where another process works on it now.

        Raises:
            OutputError: nothing can be written any more: the disk is full, or read-only.
        """
        settings = self.settings
        folder = output_inside(settings.out, video.name, str(settings.out))
        found = read_outcome(folder)
        if found is not None and found.is_over and self._is_recent(found):
            return found.outcome
        try:
            return self._segment(video, folder)
        except LockedError as error:
            if self._waits:
                return None
            # The folder belongs to the other process, so nothing is written there.
            return Outcome(video.name, str(video.path), fault=str(error), is_new=True)
        except OutputError as error:
            if error.meets_all_files:
                raise
            fault = str(error)
        except MemoryError:
            fault = 'the memory is used up'
        except (DataError, OSError, ValueError) as error:
            fault = _sentence_of(error)
        except Exception as error:  # a defect of the code, or of a library, with this video
            traceback.print_exc()
            fault = f'{type(error).__name__}: {error}'
        failed = Outcome(video.name, str(video.path), fault=fault, is_new=True)
        try:
            write_outcome(folder, failed)
        except OutputError as error:
            # The folder may be the fault.
            if error.meets_all_files:
                raise
        return failed

    def _segment(self, video: Video, folder: Path) -> Outcome:
        """Segment a video; see `segment`."""
        # 1. What can be refused is refused before anything is written.
        settings = self.settings
        source = open_source(video.path)
        prompts: dict[int, Prompts] = {}
        if settings.prompts is not None:
            prompts = find_prompts(settings.prompts, video)
        check_prompted_frames(prompts, source)
        check_direction(settings.direction, source, self._inferencer.model.takes_prompts)

        # 2. The run, which knows what an earlier one has finished.
        with self._begin(video, folder, prompts) as run:
            found = read_outcome(folder)
            if run.was_finished:
                return self._finished_before(video, folder, found, run.frames)
            deaths = 0
            if found is not None and not found.is_over and self._is_recent(found):
                deaths = found.deaths + 1
            if deaths >= MOST_DEATHS:
                raise DataError(
                    f'{deaths} processes that worked on it ended without a word; was the memory '
                    f'used up?'
                )
            begun = Outcome(video.name, str(video.path), fault='it was not finished')
            write_outcome(folder, begun, is_over=False, deaths=deaths)

            # 3. The frames. The outcome is there before the run says that it is finished.
            outcome = self._infer(video, folder, source, prompts, run)
            write_outcome(folder, outcome)
        return outcome

    def _begin(self, video: Video, folder: Path, prompts: Mapping[int, Prompts]) -> VideoRun:
        """Make the run of a video, which a later one with the same settings goes on with."""
        settings = self.settings
        fingerprint = fingerprint_of(
            self._identity,
            video.path,
            prompts,
            score_thr=settings.score_thr,
            png=settings.png,
            video=settings.video,
            fps=settings.fps,
            direction=settings.direction,
            soft=settings.soft,
            cutout=settings.cutout,
        )
        names = names_of_results(settings.png, settings.video, settings.soft, settings.cutout)
        made_by = {**settings.made_by, 'data': str(video.path)}
        return VideoRun(folder, fingerprint, names, made_by, goes_on=True)

    def _infer(
        self,
        video: Video,
        folder: Path,
        source: VideoSource,
        prompts: Mapping[int, Prompts],
        run: VideoRun,
    ) -> Outcome:
        """Go through the frames of a video."""
        settings = self.settings
        began = time.monotonic()
        frames = 0
        seen: set[int] = set()
        with ExitStack() as stack:
            # Results come frame by frame, and are written on the way.
            results: Any = self._inferencer.infer(
                source,
                prompts,
                folder,
                score_thr=settings.score_thr,
                png=settings.png,
                video=settings.video,
                fps=settings.fps,
                run=run,
                direction=settings.direction,
                soft=settings.soft,
                cutout=settings.cutout,
            )
            stack.enter_context(closing(results))
            # What is shown counts with the frames.
            counter = None
            if self._show is not None:
                counter = stack.enter_context(self._show(source))
            for result in results:
                frames += 1
                seen.update(item.id for item in result.objects)
                if counter is not None:
                    counter.advance(f'{len(result.objects)} objects')
        seconds = round(time.monotonic() - began, 3)
        return Outcome(video.name, str(video.path), frames, len(seen), seconds, is_new=True)

    def _finished_before(
        self, video: Video, folder: Path, found: OutcomeFile | None, frames: int
    ) -> Outcome:
        """What an earlier run said of a video that it finished."""
        if found is not None and found.outcome.frames and not found.outcome.fault:
            touch_outcome(folder)
            return found.outcome
        # A fault that came later, e.g. of prompts that are mended now, is over.
        objects = len(read_json(folder / RESULTS_JSON))
        outcome = Outcome(video.name, str(video.path), frames, objects)
        write_outcome(folder, outcome)
        return outcome

    def _is_recent(self, found: OutcomeFile) -> bool:
        """Whether an outcome is of this launch."""
        return self._since is not None and found.changed > self._since


def resolved(video: Video) -> Video:
    """A video with a path that does not depend on the folder in which a process works."""
    return replace(video, path=video.path.absolute())


def _sentence_of(error: Exception) -> str:
    """An error in one sentence."""
    if isinstance(error, OSError) and not isinstance(error, DataError) and error.strerror:
        return f'{error.filename}: {error.strerror}' if error.filename else error.strerror
    return str(error) or type(error).__name__
