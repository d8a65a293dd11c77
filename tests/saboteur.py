"""Kills a run from inside at a chosen place, and writes down which frames were tested; imported by
a config's custom_imports.

Environment: ``KILL_AT_ITERATION`` (in training, counted from 0), ``KILL_AFTER_VIDEOS`` and
``INTERRUPT_AFTER_VIDEOS`` (in a test), ``FRAMES_LOG`` (a file).
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from mmvos.evaluation.resumable_results import ResumableResults
from mmvos.models import VideoModel
from mmvos.registry import HOOKS


def kill() -> None:
    """As ``kill -9``: nothing is flushed, no exit handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module(force=True)
class KillHook(Hook):
    """Kills the training before an iteration."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == int(os.environ.get('KILL_AT_ITERATION', -1)):
            kill()


def watch_tests() -> None:
    """Logs every frame that a test runs, and kills it after the chosen number of finished
    videos.
    """
    append, make_frame = ResumableResults.append, VideoModel.make_frame
    done: list[int] = []

    def append_then_kill(self: ResumableResults, video_id: int, entries: Any) -> None:
        append(self, video_id, entries)
        done.append(video_id)
        if len(done) == int(os.environ.get('KILL_AFTER_VIDEOS', -1)):
            kill()
        if len(done) == int(os.environ.get('INTERRUPT_AFTER_VIDEOS', -1)):
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C

    def make_frame_and_log(self: VideoModel, batch: dict[str, Any]) -> Any:
        frame = make_frame(self, batch)
        if 'FRAMES_LOG' in os.environ:
            meta = batch['data_samples'][0][0].metainfo
            with Path(os.environ['FRAMES_LOG']).open('a') as stream:
                stream.write(f'{meta["video_id"]}/{meta["frame_id"]}\n')
        return frame

    ResumableResults.append, VideoModel.make_frame = append_then_kill, make_frame_and_log


watch_tests()
