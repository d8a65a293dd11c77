"""The tracking function against the SDK's own types and the worker of cvat-cli's agent."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from studio.small_video import HEIGHT, WIDTH, object_mask, picture

from mmvos.io.errors import DataError

from .color_follower import ColorFollower

cvataa = pytest.importorskip(
    'cvat_sdk.auto_annotation', reason='cvat-sdk is not installed: pip install "mmvos[cvat]"'
)
masks = pytest.importorskip('cvat_sdk.masks')


def image(frame: int) -> Image.Image:
    return Image.fromarray(picture(frame)[..., ::-1])


def shape_of(kind: str, frame: int, number: int) -> Any:
    mask = object_mask(frame, number)
    rows, columns = np.nonzero(mask)
    box = [float(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]
    left, top, right, bottom = box
    points = {
        'mask': masks.encode_mask(mask),
        'rectangle': box,
        'polygon': [left, top, right, top, right, bottom, left, bottom],
    }
    return cvataa.TrackableShape(type=kind, points=points[kind])


def mask_of(shape: Any) -> np.ndarray:
    """What a shape covers, by the SDK and by hand."""
    if shape.type == 'mask':
        return masks.decode_mask(shape.points, image_width=WIDTH, image_height=HEIGHT)
    points = np.array(shape.points).reshape(-1, 2)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left, top = np.floor(points.min(axis=0)).astype(int)
    right, bottom = np.ceil(points.max(axis=0)).astype(int)
    mask[top:bottom, left:right] = True
    return mask


def loader() -> Any:
    """What cvat-cli makes of its words."""
    common = pytest.importorskip(
        'cvat_cli._internal.common', reason='cvat-cli is not installed: pip install "mmvos[cvat]"'
    )
    return common.FunctionLoader('mmvos.annotate.cvat_function', None, {'system': 'masktrack'})


def test_the_agents_worker_follows_shapes(model: ColorFollower) -> None:
    agent = pytest.importorskip('cvat_cli._internal.agent')
    tracking = pytest.importorskip('cvat_cli._internal.agent_driver_tracking')
    count = iter(range(100))
    agent._worker_init(loader(), lambda: f'state {next(count)}')
    spec = agent._worker_job_get_function_spec()
    assert isinstance(spec, cvataa.TrackingFunctionSpec)
    driver = agent.get_function_driver_class(spec)
    assert driver.get_remote_function_fields(spec) == {
        'supported_shape_types': ['mask', 'polygon', 'rectangle']
    }

    kinds = ['mask', 'polygon', 'rectangle', 'mask']
    shapes = [shape_of(kind, 1, 1 + place % 2) for place, kind in enumerate(kinds)]
    states = tracking._worker_job_init_tracking(5, image(1), shapes)
    assert len(set(states)) == 4
    for frame in (2, 3, 7):
        found = tracking._worker_job_track(5, image(frame), states)
        assert [shape.type for shape in found] == kinds
        for place, shape in enumerate(found):
            assert (mask_of(shape) == object_mask(frame, 1 + place % 2)).all()
    # nothing is seen of them, and then they are there again
    empty = Image.new('RGB', (WIDTH, HEIGHT))
    assert tracking._worker_job_track(5, empty, states) == [None] * 4
    assert all(tracking._worker_job_track(5, image(4), states))


def test_shapes_that_cannot_be_followed(model: ColorFollower) -> None:
    tracker = loader().load()
    frame = tracker.preprocess_image(None, image(0))
    for kind, points in [
        ('rectangle', [100.0, 5, 120, 9]),
        ('rectangle', [5.0, 5, 5, 9]),
        ('polygon', [1.0, 1, 2, 2]),
        ('polygon', [-9.0, -9, -5, -9, -5, -5]),
        ('points', [1.0, 1]),
    ]:
        with pytest.raises(DataError):
            shape = cvataa.TrackableShape(type=kind, points=points)
            tracker.init_tracking_state(None, frame, shape)


def test_a_system_that_finds_its_objects_is_refused(
    model: ColorFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, 'takes_prompts', False)
    with pytest.raises(DataError, match='masktrack'):
        loader().load()


def test_the_words_of_the_documents_are_those_of_cvat_cli() -> None:
    common = pytest.importorskip('cvat_cli._internal.common')
    commands = pytest.importorskip('cvat_cli._internal.commands_all')
    parser = argparse.ArgumentParser()
    common.configure_common_arguments(parser)
    commands.COMMANDS.configure_parser(parser)
    text = (Path(__file__).parents[2] / 'docs/annotation_tools.md').read_text()
    lines = re.findall(r'^\S*cvat-cli (.*)$', text.replace('\\\n', ' '), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        words = shlex.split(line)
        assert '--function-module' not in words or 'mmvos.annotate.cvat_function' in words
        # It ends the process where it does not understand.
        parser.parse_args(words)
