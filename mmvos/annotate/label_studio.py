"""A machine learning backend for Label Studio: what is drawn in some frames of a task is followed
through all of its frames.

Label Studio sends a task with its annotation, or what the user has just drawn; the prediction holds
the same objects in all frames. The server is that of label-studio-ml; the extra "label-studio"
installs it. `mmvos label-studio` starts it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from label_studio_ml.model import LabelStudioMLBase

from mmvos.apis import VideoInferencer
from mmvos.apis.sources import open_source
from mmvos.apis.video_source import VideoSource
from mmvos.convert.annotation_model import Notes
from mmvos.io.errors import DataError
from mmvos.version import __version__

from .drawn_objects import join_drawings, make_prompts
from .label_studio_results import (
    LabelingConfig,
    drawn_results,
    read_config,
    read_regions,
    write_regions,
)

Row = Mapping[str, Any]


class PropagationBackend(LabelStudioMLBase):
    """Follows what is drawn in some frames of a task.

    Attributes:
        inferencer: follows the objects; set before the server starts, and shared by all projects.
    """

    inferencer: ClassVar[VideoInferencer]

    def predict(
        self, tasks: Sequence[Row], context: Row | None = None, **kwargs: Any
    ) -> list[dict[str, Any]]:
        """Make a prediction for each task.

        Args:
            tasks: of Label Studio.
            context: what a user has just drawn, in an interactive request.
            kwargs: more that the server says; not used.

        Returns:
            For each task its result; an empty one where nothing is drawn.

        Raises:
            DataError: a region, a frame or the labeling config cannot be read.
        """
        config = read_config(str(self.label_config or ''))
        return [self._predict_task(task, context, config) for task in tasks]

    def _predict_task(
        self, task: Row, context: Row | None, config: LabelingConfig
    ) -> dict[str, Any]:
        """The prediction of one task."""
        answer: dict[str, Any] = {'result': [], 'score': 0.0, 'model_version': self._version()}
        drawn = drawn_results(task, context)
        if not drawn:
            return answer
        with ExitStack() as stack:
            # The frames, and what is drawn in some of them.
            source = self._open(task, config, stack)
            seekable = source.seekable()
            first = next(iter(seekable.read(0, 0))).picture
            size = (first.shape[0], first.shape[1])
            drawings = read_regions(drawn, config, size, seekable.count, source.fps)
            if not drawings:
                return answer
            objects = join_drawings(drawings)
            prompts = make_prompts(objects, size, Notes())

            # From all of these to all others, both ways.
            results = self.inferencer.infer(source, prompts, direction='both')
            regions = write_regions(objects, results, drawn, config, size, source.fps)
        scores = [region['score'] for region in regions if 'score' in region]
        answer['result'] = regions
        if scores:
            answer['score'] = sum(scores) / len(scores)
        return answer

    def _open(self, task: Row, config: LabelingConfig, stack: ExitStack) -> VideoSource:
        """Open the frames of a task."""
        data = task.get('data')
        given = data.get(config.media.key) if isinstance(data, dict) else None
        if config.media.is_video:
            if not isinstance(given, str):
                raise DataError(f'the task has no video "{config.media.key}"')
            return open_source(self._fetch(given, task))
        if not isinstance(given, list) or not all(isinstance(url, str) for url in given):
            raise DataError(f'the task has no list of images "{config.media.key}"')
        # Links in a folder: images of any names and folders, in the order of the list.
        folder = Path(stack.enter_context(TemporaryDirectory(prefix='mmvos-')))
        for number, url in enumerate(given):
            image = self._fetch(url, task).resolve()
            (folder / f'{number:06d}{image.suffix.lower()}').symlink_to(image)
        return open_source(folder)

    def _fetch(self, url: str, task: Row) -> Path:
        """The file of a URL of Label Studio, which its own function downloads where needed."""
        more = {}
        if 'task_id' in inspect.signature(self.get_local_path).parameters:
            more['task_id'] = task.get('id')
        path = Path(self.get_local_path(url, **more))
        if not path.is_file():
            raise DataError(f'{url} is not there; set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY')
        return path

    def _version(self) -> str:
        return f'mmvos {__version__}'


def make_app(inferencer: VideoInferencer, folder: Path) -> Any:
    """Make the server's application (Flask).

    Args:
        inferencer: follows the objects.
        folder: where label-studio-ml keeps what it likes to keep.

    Raises:
        DataError: the model takes no prompts.
    """
    from label_studio_ml.api import init_app

    if not inferencer.model.takes_prompts:
        raise DataError('the model finds its objects by itself; take a system that is told them')
    PropagationBackend.inferencer = inferencer
    return init_app(PropagationBackend, model_dir=str(folder))
