"""Results of Label Studio, as plain JSON: what a user has drawn in a video or in a list of images,
and the same objects in all frames.

A video has ``videorectangle`` regions: boxes in some frames, numbered from 1 by the frame rate of
its ``<Video>`` tag, between which the page moves straight. A list of images (``<Image
valueList="$frames"/>``) has ``brushlabels``, ``polygonlabels`` and ``rectanglelabels`` regions,
each in one image (``item_index``). Positions are percentages of the frame's sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree

from mmvos.convert.annotation_model import as_rle, check_mask, encoded
from mmvos.convert.brush_rle import decode_brush, encode_brush
from mmvos.convert.shape_polygons import outer_outlines, rectangle, turned
from mmvos.io.errors import DataError
from mmvos.structures import FrameResult, TrackedObject
from mmvos.structures import rle as run_lengths

from .drawn_objects import Drawing, DrawnObject, Size

VIDEO_RATE = 24  # frames per second of a <Video> tag that does not say it
_KINDS = ('brush', 'polygon', 'rectangle')  # the best one first
_DIGITS = 4  # of a score
Row = Mapping[str, Any]


@dataclass(frozen=True)
class MediaTag:
    """The tag of a labeling config that shows the frames.

    Attributes:
        name: of the tag.
        key: of the task's data with the URL of the video, or the list of the images' URLs.
        is_video: whether it is a <Video>.
        rate: frames per second of a <Video>.
    """

    name: str
    key: str
    is_video: bool
    rate: Fraction


@dataclass(frozen=True)
class LabelingConfig:
    """What a labeling config says about frames.

    Attributes:
        media: the tag that shows them.
        control: name of the tag by which new regions are drawn.
        kind: of new regions, 'videorectangle' or one of brush, polygon, rectangle.
    """

    media: MediaTag
    control: str
    kind: str


def read_config(text: str) -> LabelingConfig:
    """Read a labeling config.

    Raises:
        DataError: it has no video with boxes, and no list of images with regions.
    """
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise DataError('the labeling config declares a DOCTYPE, which Label Studio does not use')
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DataError(f'the labeling config is no XML ({error})') from error

    # The first medium that has a control for regions.
    for tag in root.iter():
        if tag.tag == 'Video':
            key = tag.get('value', '')
        elif tag.tag == 'Image' and tag.get('valueList'):
            key = tag.get('valueList', '')
        else:
            continue
        is_video = tag.tag == 'Video'
        rate = Fraction(tag.get('frameRate') or tag.get('framerate') or VIDEO_RATE)
        media = MediaTag(tag.get('name', ''), key.removeprefix('$'), is_video, rate)
        kinds = ('videorectangle',) if is_video else _KINDS
        for kind in kinds:
            for control in root.iter():
                name = control.tag.lower().removesuffix('labels')
                if name == kind and control.get('toName') == media.name:
                    return LabelingConfig(media, control.get('name', ''), kind)
    raise DataError(
        'the labeling config has no <Video> with <VideoRectangle>, and no <Image valueList="..."> '
        'with <BrushLabels>, <PolygonLabels> or <RectangleLabels>'
    )


def drawn_results(task: Row, context: Row | None) -> list[Row]:
    """What a user has drawn in a task: what the page has sent, else the last annotation or draft.

    Args:
        task: of Label Studio.
        context: of an interactive request.
    """
    found: Any = (context or {}).get('result')
    if not found:
        found = _last_result(task)
    if not isinstance(found, list):
        raise DataError('the result of the annotation is no list')
    return [item for item in found if isinstance(item, dict)]


def _last_result(task: Row) -> Any:
    """The regions of the last draft, or else of the last annotation that was not cancelled."""
    drafts = [item for item in task.get('drafts') or () if isinstance(item, dict)]
    annotations = []
    for item in task.get('annotations') or ():
        if isinstance(item, dict) and not item.get('was_cancelled'):
            annotations.append(item)
    candidates = drafts or annotations
    if not candidates:
        return []
    return candidates[-1].get('result')


def read_regions(
    results: Sequence[Row], config: LabelingConfig, size: Size, frames: int, fps: Fraction | None
) -> list[Drawing]:
    """Read what is drawn in the frames.

    Args:
        results: of `drawn_results`.
        config: of the project.
        size: (H, W) of the frames.
        frames: their number.
        fps: frames per second of the video.

    Raises:
        DataError: a region cannot be read, or is in no frame.
    """
    media = config.media
    labels_of = _labels(results)
    drawings = []
    for place, region in enumerate(results):
        if region.get('to_name') != media.name:
            continue
        kind = str(region.get('type', '')).lower().removesuffix('labels')
        where = f'region {region.get("id", place)}'
        label = labels_of.get(str(region.get('id')), 'object')
        # Boxes of a video have frames of their own, a region of images is in one image.
        if media.is_video and kind == 'videorectangle':
            drawings += _boxes_of(region, label, config, size, frames, fps, where)
        elif not media.is_video and kind in _KINDS:
            index = region.get('item_index', 0)
            if not isinstance(index, int) or not 0 <= index < frames:
                raise DataError(f'{where} is in image {index}, but there are {frames}')
            mask = _mask_of(region, kind, size, where)
            drawings.append(Drawing(index, label, None, mask, where, region))
    return drawings


def _labels(results: Sequence[Row]) -> dict[str, str]:
    """The label of each region by its id."""
    labels_of: dict[str, str] = {}
    for region in results:
        value = region.get('value')
        if not isinstance(value, dict):
            continue
        for key, given in value.items():
            has_label = key.endswith('labels') and isinstance(given, list) and given
            if has_label:
                number = str(region.get('id'))
                labels_of[number] = str(given[0])
    return labels_of


def _boxes_of(
    region: Row,
    label: str,
    config: LabelingConfig,
    size: Size,
    frames: int,
    fps: Fraction | None,
    where: str,
) -> list[Drawing]:
    """The boxes of a video's region in the frames in which somebody has drawn them."""
    group = str(region.get('id', where))
    drawings = []
    for box in _value(region, 'sequence', list, where):
        # Label Studio counts frames from 1 at a rate of its own.
        number = _value({'value': box}, 'frame', (int, float), where)
        index = frame_index(int(number), config.media.rate, fps)
        if not 0 <= index < frames:
            raise DataError(f'{where} has a box in frame {number}, but the video has {frames}')
        mask = _rectangle_of(box, size, where)
        place = f'{where}, frame {number}'
        drawings.append(Drawing(index, label, group, mask, place, region))
    return drawings


def frame_index(number: int, rate: Fraction, fps: Fraction | None) -> int:
    """The frame of a video, from 0, that Label Studio counts as ``number``.

    Args:
        number: from 1, at the rate of the tag.
        rate: of the tag.
        fps: of the video; None where it is not known, and is taken for the tag's.
    """
    return round((number - 1) / rate * (fps or rate))


def frame_number(index: int, rate: Fraction, fps: Fraction | None) -> int:
    """What Label Studio counts a frame as; the opposite of `frame_index`."""
    return round(index / (fps or rate) * rate) + 1


def _rectangle_of(value: Row, size: Size, where: str) -> list[list[float]]:
    """A rectangle in percent, turned about its upper left corner, as a polygon."""
    height, width = size

    def pixels(key: str, extent: int) -> float:
        percent = _value({'value': value}, key, (int, float), where)
        return float(percent) * extent / 100

    x = pixels('x', width)
    y = pixels('y', height)
    w = pixels('width', width)
    h = pixels('height', height)
    corners = rectangle(x, y, x + w, y + h)
    degrees = float(value.get('rotation') or 0)
    return [turned(corners, x, y, degrees)]


def _mask_of(region: Row, kind: str, size: Size, where: str) -> Any:
    """The mask of a region in an image: run lengths or polygons."""
    height, width = size
    value = region.get('value')
    if not isinstance(value, dict):
        raise DataError(f'{where} has no value')
    mask: Any
    if kind == 'rectangle':
        mask = _rectangle_of(value, size, where)
    elif kind == 'polygon':
        mask = [_polygon_of(region, size, where)]
    else:
        data = _value(region, 'rle', list, where)
        mask = encoded(decode_brush(data, height, width, where))
    check_mask(mask, height, width, where)
    return mask


def _polygon_of(region: Row, size: Size, where: str) -> list[float]:
    """The points of a polygon, from percent to pixels: [x, y, x, y, ...]."""
    height, width = size
    points = _value(region, 'points', list, where)
    polygon = []
    try:
        for x, y in points:
            polygon.append(float(x) * width / 100)
            polygon.append(float(y) * height / 100)
    except (TypeError, ValueError):
        raise DataError(f'{where}: its points are not [x, y]') from None
    return polygon


def _value(region: Row, key: str, kind: Any, where: str) -> Any:
    """A part of a region's value, which must be of a kind."""
    value = region.get('value')
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise DataError(f'{where}: its {key} is {str(found)[:40]}')
    return found


def write_regions(
    objects: Sequence[DrawnObject],
    results: Iterable[FrameResult],
    drawn: Sequence[Row],
    config: LabelingConfig,
    size: Size,
    fps: Fraction | None,
) -> list[dict[str, Any]]:
    """Make the regions of all frames; those that are drawn stay as they are.

    Args:
        objects: what is drawn; object k has the id k + 1 in the results.
        results: of all frames.
        drawn: of `drawn_results`.
        config, size, fps: see `read_regions`.
    """
    # What was found of each object, by frame; nothing where it is not seen.
    found: dict[int, dict[int, TrackedObject]] = {}
    count = 0
    for result in results:
        count += 1
        for item in result.objects:
            if item.box[2] > item.box[0] and item.box[3] > item.box[1]:
                found.setdefault(item.id, {})[result.frame_index] = item
    if config.media.is_video:
        return _video_regions(objects, found, drawn, config, size, fps, count)

    # In images a region for each object that is not drawn there.
    regions = [dict(region) for region in drawn]
    for number, given in enumerate(objects, 1):
        for index, seen in sorted(found.get(number, {}).items()):
            if index not in given.drawings:
                regions.append(_image_region(given, seen, index, config, size))
    return regions


def _video_regions(
    objects: Sequence[DrawnObject],
    found: Mapping[int, Mapping[int, TrackedObject]],
    drawn: Sequence[Row],
    config: LabelingConfig,
    size: Size,
    fps: Fraction | None,
    count: int,
) -> list[dict[str, Any]]:
    """The regions of a video, with a box in each frame in which their object is seen."""
    number_of = {item.group: number for number, item in enumerate(objects, 1)}
    height, width = size
    regions = []
    for region in drawn:
        number = number_of.get(str(region.get('id')))
        if number is None or 'sequence' not in region.get('value', {}):
            regions.append(dict(region))
            continue
        seen = found.get(number, {})
        kept = {int(box['frame']): box for box in region['value']['sequence']}
        sequence = []
        for index in sorted({*seen, *objects[number - 1].drawings}):
            at = frame_number(index, config.media.rate, fps)
            is_last = index + 1 < count and index + 1 not in seen
            box = kept.get(at)
            if box is None:
                x1, y1, x2, y2 = seen[index].box
                box = {
                    'frame': at,
                    'time': float((at - 1) / config.media.rate),
                    'x': x1 / width * 100,
                    'y': y1 / height * 100,
                    'width': (x2 - x1) / width * 100,
                    'height': (y2 - y1) / height * 100,
                    'rotation': 0,
                }
            # A box that is not enabled is the last one before a gap.
            sequence.append({**box, 'enabled': not is_last})
        scores = [item.score for item in seen.values()]
        score = round(sum(scores) / len(scores), _DIGITS) if scores else 0.0
        value = {**region['value'], 'sequence': sequence}
        regions.append({**region, 'value': value, 'score': score})
    return regions


def _image_region(
    item: DrawnObject, seen: TrackedObject, index: int, config: LabelingConfig, size: Size
) -> dict[str, Any]:
    """The region of an object in one image."""
    height, width = size
    kind = config.kind
    value: dict[str, Any]
    # As the project takes them: brush, the largest outline, or a box, in percent.
    if kind == 'brush':
        value = {'format': 'rle', 'rle': encode_brush(run_lengths.decode(seen.mask))}
    elif kind == 'polygon':
        outlines = outer_outlines(as_rle(seen.mask, *size))
        largest = max(outlines, key=len)
        points = [[x / width * 100, y / height * 100] for x, y in largest.tolist()]
        value = {'points': points, 'closed': True}
    else:
        x1, y1, x2, y2 = seen.box
        value = {
            'x': x1 / width * 100,
            'y': y1 / height * 100,
            'width': (x2 - x1) / width * 100,
            'height': (y2 - y1) / height * 100,
            'rotation': 0,
        }
    value[f'{kind}labels'] = [item.label]
    return {
        'id': f'mmvos_{item.group}_{index}',
        'type': f'{kind}labels',
        'from_name': config.control,
        'to_name': config.media.name,
        'original_width': width,
        'original_height': height,
        'image_rotation': 0,
        'item_index': index,
        'value': value,
        'score': round(seen.score, _DIGITS),
    }
