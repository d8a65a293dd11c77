"""A tracking function for CVAT's agents: shapes that are drawn in a frame are followed through the
frames behind it.

    cvat-cli function create-native mmvos --function-module mmvos.annotate.cvat_function
    cvat-cli function run-agent 1 --function-module mmvos.annotate.cvat_function

Parameters are given by ``-p system=str:siammask``, see `create`. The interface is that of cvat-sdk,
``cvat_sdk.auto_annotation.TrackingFunction``; the extra "cvat" installs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import cvat_sdk.auto_annotation as cvataa
import numpy as np
from cvat_sdk.masks import decode_mask, encode_mask
from numpy.typing import NDArray
from PIL import Image

from mmvos.apis import VideoInferencer
from mmvos.apis.object_prompt import ObjectPrompt, join_objects
from mmvos.convert.annotation_model import as_rle
from mmvos.convert.shape_polygons import outer_outlines
from mmvos.io.errors import DataError
from mmvos.structures import Frame, Prompts
from mmvos.structures import rle as run_lengths

SHAPE_TYPES = ('mask', 'polygon', 'rectangle')
_FEWEST_NUMBERS = 6  # of a polygon: three corners


@dataclass
class ShapeState:
    """What is known of a shape that is followed.

    Attributes:
        kind: of the shape.
        state: of the model after the last frame.
    """

    kind: str
    state: Any


class CvatTracker:
    """Follows shapes, each on its own.

    Args:
        inferencer: its model follows prompts.

    Attributes:
        spec: what CVAT is told about it.
    """

    def __init__(self, inferencer: VideoInferencer) -> None:
        self.spec = cvataa.TrackingFunctionSpec(supported_shape_types=SHAPE_TYPES)
        self._inferencer = inferencer
        self._model = inferencer.model

    def preprocess_image(
        self, context: cvataa.TrackingFunctionContext, image: Image.Image
    ) -> Frame:
        """Prepare a frame for all shapes in it.

        Args:
            context: not used.
            image: of any mode.
        """
        picture = np.ascontiguousarray(np.asarray(image.convert('RGB'))[..., ::-1])
        return self._inferencer.prepare_frame(picture)

    def init_tracking_state(
        self,
        context: cvataa.TrackingFunctionShapeContext,
        pp_image: Frame,
        shape: cvataa.TrackableShape,
    ) -> ShapeState:
        """Look at a shape in the frame in which it is drawn.

        Args:
            context: not used.
            pp_image: of `preprocess_image`.
            shape: what is drawn.

        Raises:
            DataError: the shape has no area in the frame.
        """
        prompts = prompt_of(shape, pp_image.meta.original_shape)
        start = self._model.init_state()
        state, _ = self._model.inference_step(pp_image, start, prompts)
        return ShapeState(shape.type, state)

    def track(
        self,
        context: cvataa.TrackingFunctionShapeContext,
        pp_image: Frame,
        state: ShapeState,
    ) -> cvataa.TrackableShape | None:
        """Find a shape in the next frame.

        Args:
            context: not used.
            pp_image: of `preprocess_image`.
            state: goes on to this frame.

        Returns:
            A shape of the same kind; None where nothing is seen of it.
        """
        state.state, result = self._model.inference_step(pp_image, state.state)
        if not result.objects:
            return None
        (found,) = result.objects
        mask = run_lengths.decode(found.mask)
        if not mask.any():
            return None

        # As it was drawn: a box, a polygon or a mask.
        if state.kind == 'rectangle':
            points = [float(value) for value in found.box]
        elif state.kind == 'polygon':
            points = _largest_outline(found.mask, mask.shape)
        else:
            points = encode_mask(mask)
        return cvataa.TrackableShape(type=state.kind, points=points)


def prompt_of(shape: cvataa.TrackableShape, size: tuple[int, int]) -> Prompts:
    """The prompt that a shape of CVAT is, as object 1.

    Args:
        shape: a mask, a polygon or a rectangle.
        size: (H, W) of the frame.

    Raises:
        DataError: it has no area in the frame, or is of another kind.
    """
    if shape.type == 'rectangle':
        prompt = ObjectPrompt(box=_box_inside(shape.points, size))
        return join_objects({1: prompt}, (), 'the frame')

    height, width = size
    mask: NDArray[np.bool_]
    if shape.type == 'mask':
        mask = decode_mask(shape.points, image_width=width, image_height=height)
    elif shape.type == 'polygon' and len(shape.points) >= _FEWEST_NUMBERS:
        mask = run_lengths.decode(_as_rle([list(shape.points)], size))
    else:
        raise DataError(f'a {shape.type} of {len(shape.points)} numbers cannot be followed')
    if not mask.any():
        raise DataError(f'the {shape.type} covers no pixel of the frame')
    return join_objects({1: ObjectPrompt(mask=mask)}, (), 'the frame')


def _box_inside(
    points: Sequence[float], size: tuple[int, int]
) -> tuple[float, float, float, float]:
    """The part of a rectangle that lies in the frame; its corners may be drawn in any order."""
    height, width = size
    x1, y1, x2, y2 = points
    left = max(min(x1, x2), 0.0)
    right = min(max(x1, x2), float(width))
    top = max(min(y1, y2), 0.0)
    bottom = min(max(y1, y2), float(height))
    if left >= right or top >= bottom:
        raise DataError('the rectangle has no area in the frame')
    return left, top, right, bottom


def _as_rle(polygons: list[list[float]], size: tuple[int, int]) -> run_lengths.RLE:
    """Polygons as run lengths of a frame."""
    code = as_rle(polygons, *size)
    return run_lengths.RLE(size=list(size), counts=code['counts'].decode('ascii'))


def _largest_outline(mask: run_lengths.RLE, size: tuple[int, ...]) -> list[float]:
    """The outline of the largest part of a mask, x and y in turn: a polygon of CVAT is one part."""
    height, width = size
    outlines = outer_outlines(as_rle(mask, height, width))
    areas = []
    for outline in outlines:
        areas.append(cv2.contourArea(outline.astype(np.float32)))
    largest = outlines[int(np.argmax(areas))]
    return [float(value) for value in largest.reshape(-1)]


def create(
    system: str = 'masktrack', engine: str | None = None, device: str | None = None
) -> CvatTracker:
    """Make the function; cvat-cli calls it with the parameters of ``-p``.

    Args:
        system: that follows the shapes.
        engine: what computes the network, see ``VideoInferencer``.
        device: see ``VideoInferencer``.

    Raises:
        DataError: the system takes no prompts.
        FileNotFoundError, ValueError: see ``VideoInferencer``.
    """
    inferencer = VideoInferencer(system, device=device, engine=engine)
    if not inferencer.model.takes_prompts:
        raise DataError(f'{system} finds its objects by itself; take a system that is told them')
    return CvatTracker(inferencer)
