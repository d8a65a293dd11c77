"""The readers under attack: for each one how a small valid input is made, and how it is read.

Inputs are 24 x 32 pixels; ids, classes and names are those of a usual data set.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HEIGHT, WIDTH, FRAMES = 24, 32, 3


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        make: writes a valid input into a folder.
        read: reads it, as users' programs do, and may write into a second folder; returns a number
            or a text that says what was read.
        harmed: glob patterns of the files that are damaged; all files by default.
    """

    make: Callable[[Path], None]
    read: Callable[[Path, Path], Any]
    harmed: tuple[str, ...] = ('**/*',)


class WrongResultError(AssertionError):
    """What was read cannot be: a score beyond its range, a file that its own reader refuses."""


# ---- the parts of inputs


def labels(shift: int = 0) -> np.ndarray:
    """Two objects, (H, W) uint8."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    image[4:12, 3 + shift : 12 + shift] = 1
    image[10:20, 15:28] = 2
    return image


def save_labels(path: Path, ids: np.ndarray, mode: str = 'P') -> None:
    """Write a label image with colors, or as gray numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(ids)
    if mode == 'P':
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    image.save(path)


def save_frame(path: Path, index: int = 0) -> None:
    """Write a picture of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as a list, column by column, beginning with the background."""
    flat = mask.ravel(order='F').astype(np.int8)
    edges = np.flatnonzero(np.diff(np.r_[0, flat, -1]))
    counts = np.diff(np.r_[0, edges]).tolist()
    return {'size': list(mask.shape), 'counts': counts}


def compressed(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths as COCO's text."""
    from pycocotools import mask as coco_mask

    coded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(mask.shape), 'counts': coded['counts'].decode()}


def annotations_of_videos() -> dict[str, Any]:
    """A YouTube-VIS file of two videos; masks as run lengths, compressed ones and polygons."""
    videos, tracks = [], []
    for number in (1, 2):
        names = [f'v{number}/{t}.jpg' for t in range(FRAMES)]
        videos.append(dict(id=number, height=HEIGHT, width=WIDTH, length=FRAMES, file_names=names))
        squares = run_lengths(labels(number) == 1)
        polygon = [[15.0, 10, 28, 10, 28, 20, 15, 20]]
        tracks.append(_track(2 * number - 1, number, 1, [squares, dict(squares), None]))
        tracks.append(_track(2 * number, number, 2, [polygon, None, polygon]))
    tracks[0]['segmentations'][1] = compressed(labels() == 1)
    categories = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    return dict(info={}, videos=videos, categories=categories, annotations=tracks)


def _track(number: int, video: int, category: int, masks: list[Any]) -> dict[str, Any]:
    boxes = [None if mask is None else [3.0, 4.0, 9.0, 8.0] for mask in masks]
    return dict(
        id=number,
        video_id=video,
        category_id=category,
        iscrowd=0,
        height=HEIGHT,
        width=WIDTH,
        bboxes=boxes,
        areas=[None if mask is None else 72 for mask in masks],
        segmentations=masks,
    )


def write_json(path: Path, content: Any) -> None:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


# ---- data sets


def make_vis(folder: Path) -> None:
    """A YouTube-VIS data set with its frames."""
    write_json(folder / 'a.json', annotations_of_videos())
    for number in (1, 2):
        for t in range(FRAMES):
            save_frame(folder / f'JPEGImages/v{number}/{t}.jpg', t)


def read_vis(folder: Path, out: Path) -> str:
    """All items of the data set, with masks decoded; both ways to treat errors."""
    from mmvos.datasets.youtube_vis import YouTubeVISDataset

    pipeline = [
        dict(
            type='TransformBroadcaster',
            transforms=[
                dict(type='mmvos.LoadFrame'),
                dict(type='LoadTrackAnnotations', with_mask=True),
            ],
        )
    ]
    done = []
    for on_error in ('skip', 'raise'):
        data = YouTubeVISDataset(
            str(folder / 'a.json'),
            data_prefix=dict(img_path=str(folder / 'JPEGImages')),
            pipeline=pipeline,
            on_error=on_error,
        )
        for index in range(len(data)):
            data[index]
        done.append(str(len(data)))
    return ' '.join(done)


def read_check_vis(folder: Path, out: Path) -> str:
    """The table that `mmvos check` prints."""
    from mmvos.datasets.checks.findings import Findings
    from mmvos.datasets.checks.youtube_vis_data import check_youtube_vis

    findings = Findings('a.json')
    check_youtube_vis(folder / 'a.json', findings, folder / 'JPEGImages', images=True)
    return findings.table()


def make_coco(folder: Path) -> None:
    """COCO with track ids, which is read as stills, too."""
    images = [
        dict(id=t + 1, height=HEIGHT, width=WIDTH, file_name=f'v1/{t}.jpg') for t in range(FRAMES)
    ]
    rows = []
    for t in range(FRAMES):
        save_frame(folder / f'v1/{t}.jpg', t)
        common = dict(image_id=t + 1, iscrowd=0, area=72.0, bbox=[3.0, 4.0, 9.0, 8.0])
        squares = run_lengths(labels(t) == 1)
        polygon = [[15.0, 10, 28, 10, 28, 20, 15, 20]]
        rows.append(dict(common, id=2 * t + 1, category_id=1, track_id=1, segmentation=squares))
        rows.append(dict(common, id=2 * t + 2, category_id=2, track_id=2, segmentation=polygon))
    categories = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    write_json(folder / 'c.json', dict(images=images, annotations=rows, categories=categories))


def read_stills(folder: Path, out: Path) -> str:
    """All items of the data set of still images."""
    from mmvos.datasets import ImageClipDataset

    data = ImageClipDataset(
        str(folder / 'c.json'), data_prefix=dict(img_path=str(folder)), min_area=0
    )
    for index in range(len(data)):
        data.prepare_data(index)
    return str(len(data))


def read_still_pairs(folder: Path, out: Path) -> str:
    """Views of objects in still images, as the siamese trackers are trained with."""
    from mmvos.datasets import ImagePairs

    data = ImagePairs(str(folder / 'c.json'), data_prefix=dict(img_path=str(folder)), min_area=10)
    for index in range(len(data)):
        data.draw(index, np.random.default_rng(0), 2)
    return str(len(data))


def make_davis(folder: Path) -> None:
    """The folders of DAVIS."""
    for name in ('dog', 'goat'):
        for t in range(FRAMES):
            save_frame(folder / f'JPEGImages/480p/{name}/{t:05d}.jpg', t)
            save_labels(folder / f'Annotations/480p/{name}/{t:05d}.png', labels(t))
    for year in (2016, 2017):
        path = folder / f'ImageSets/{year}/val.txt'
        path.parent.mkdir(parents=True)
        path.write_text('dog\ngoat\n')


def read_mask_folders(folder: Path, out: Path) -> str:
    """Videos to be segmented, clips and pairs of a DAVIS folder."""
    from mmvos.datasets import MaskClipDataset, MaskFolderPairs, MaskVideoDataset

    test = MaskVideoDataset(str(folder), '2017/val', 'davis')
    prompts = [len(test.prompts(video)) for video in test.videos]
    clips = MaskClipDataset(str(folder), '2017/val')
    for index in range(len(clips)):
        clips.prepare_data(index)
    pairs = MaskFolderPairs(str(folder), '2017/val', min_area=10)
    for index in range(len(pairs)):
        pairs.draw(index, np.random.default_rng(0), 2)
    return f'{len(test)} {prompts} {len(clips)}'


def read_check_folder(folder: Path, out: Path) -> str:
    """The table that `mmvos check` prints."""
    from mmvos.datasets.checks.findings import Findings
    from mmvos.datasets.checks.mask_folder_data import check_mask_folder

    findings = Findings('folder')
    is_davis = (folder / 'ImageSets').is_dir()
    check_mask_folder(folder, findings, '2017/val' if is_davis else None, images=True)
    return findings.table()


def make_vos(folder: Path) -> None:
    """The folders of YouTube-VOS, and results for them."""
    objects = {}
    for number, name in ((1, 'cat'), (2, 'dog')):
        frames = [f'{5 * t:05d}' for t in range(FRAMES)]
        objects[str(number)] = {'category': name, 'frames': frames}
    for video in ('a1', 'b2'):
        for t in range(FRAMES):
            save_frame(folder / f'JPEGImages/{video}/{5 * t:05d}.jpg', t)
            save_labels(folder / f'Annotations/{video}/{5 * t:05d}.png', labels(t))
            save_labels(folder / f'results/{video}/{5 * t:05d}.png', labels(t))
    write_json(folder / 'meta.json', {'videos': {v: {'objects': objects} for v in ('a1', 'b2')}})
    (folder / 'seen.txt').write_text('cat\n')


def read_vos(folder: Path, out: Path) -> str:
    """Videos to be segmented of a YouTube-VOS folder."""
    from mmvos.datasets.mask_video import MaskVideoDataset

    data = MaskVideoDataset(str(folder), None, 'youtube-vos')
    done = [f'{len(data)} frames']
    for video in data.videos:
        prompted = data.prompts(video)
        done.append(f'{len(prompted)} {len(data.wanted_frames(video, prompted))}')
    return ', '.join(done)


# ---- images, videos, prompts, checkpoints


def make_label(folder: Path) -> None:
    """Label images of all kinds."""
    save_labels(folder / 'palette.png', labels())
    save_labels(folder / 'gray.png', labels(), 'L')
    save_labels(folder / 'binary.png', (labels() > 0).astype(np.uint8) * 255, 'L')
    save_labels(folder / 'deep.png', labels().astype(np.uint16) * 300, 'I;16')
    Image.fromarray(labels() > 0).save(folder / 'bit.png')


def read_label(folder: Path, out: Path) -> str:
    """Header and pixels of each image."""
    from mmvos.io.label_png import object_ids, read_label_header, read_label_png

    done, refused = [], None
    for path in sorted(folder.iterdir()):
        try:
            read_label_header(path)
            done.append(f'{path.name} {object_ids(read_label_png(path))}')
        except ValueError as error:
            refused = error
    if refused is not None:
        raise refused
    return ' '.join(done)


def make_images(folder: Path) -> None:
    """A folder of frames per kind of image, and pictures of many pages."""
    for suffix in ('jpg', 'png', 'bmp', 'webp', 'tif'):
        for t in range(2):
            save_frame(folder / suffix / f'{t}.{suffix}', t)
    pixels = np.random.default_rng(0).integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    (folder / 'deep').mkdir()
    for t in range(2):
        Image.fromarray(pixels).save(folder / 'deep' / f'{t}.png')


def read_images(folder: Path, out: Path) -> str:
    """All frames of all folders."""
    return _read_sources(sorted(folder.iterdir()))


def _read_sources(sources: list[Path]) -> str:
    from mmvos.apis.sources import open_source

    done, refused = [], None
    for source in sources:
        try:
            done.append(f'{source.name} {sum(1 for _ in open_source(str(source)))}')
        except ValueError as error:
            refused = error
    if refused is not None:
        raise refused
    return ' '.join(done)


def make_pages(folder: Path) -> None:
    """TIFF stack, animated PNG, animated WebP, GIF."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = []
    for t in range(FRAMES):
        pixels = np.random.default_rng(t).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        frames.append(Image.fromarray(pixels))
    for name in ('a.tif', 'a.png', 'a.webp', 'a.gif'):
        more = {} if name == 'a.tif' else {'duration': 80}
        frames[0].save(folder / name, save_all=True, append_images=frames[1:], **more)


def make_videos(folder: Path) -> None:
    """A video per container."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    kinds = {
        'a.mp4': 'mpeg4',
        'b.avi': 'mjpeg',
        'c.mkv': 'mpeg4',
        'd.webm': 'libvpx',
        'e.mov': 'libx264',
    }
    for name, codec in kinds.items():
        with av.open(str(folder / name), 'w') as container:
            stream = container.add_stream(codec, rate=10)
            stream.height, stream.width = 32, 48
            stream.pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
            for t in range(4):
                pixels = np.full((32, 48, 3), 40 * t, np.uint8)
                frame = av.VideoFrame.from_ndarray(pixels, format='rgb24')
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


def read_videos(folder: Path, out: Path) -> str:
    """All frames of the videos that are not as they were made."""
    (valid,) = folder.parent.parent.glob('valid*')
    changed = []
    for path in sorted(folder.iterdir()):
        was = valid / path.name
        if not was.is_file() or path.is_dir() or was.read_bytes() != path.read_bytes():
            changed.append(path)
    return _read_sources(changed or sorted(folder.iterdir()))


def make_prompts(folder: Path) -> None:
    """A prompts.json with boxes and masks."""
    save_labels(folder / 'm.png', labels())
    entries = [
        {'frame': 0, 'id': 1, 'box': [2, 3, 20, 15.5]},
        {'frame': 0, 'id': 2, 'mask': 'm.png'},
        {'frame': 2, 'id': 3, 'box': [1.0, 1.0, 9.0, 9.0]},
        {'frame': 2, 'id': 4, 'points': [[5, 5.5, 1], [20, 6, 0]]},
        {'frame': 4, 'id': 4, 'points': [[5, 5, 1]], 'box': [1, 1, 9, 9], 'restart': True},
    ]
    write_json(folder / 'p.json', entries)


def read_prompts(folder: Path, out: Path) -> str:
    """Prompts by frame."""
    from mmvos.apis.prompt_files import read_prompts as read

    found = read(folder / 'p.json')
    for frame, prompts in found.items():
        for box in prompts.boxes:
            if box is not None and not all(map(math.isfinite, box)):
                raise WrongResultError(f'frame {frame} has the box {box}')
    return str({frame: prompts.ids for frame, prompts in found.items()})


def make_checkpoint(folder: Path) -> None:
    """A checkpoint of a training, an old one, and weights as safetensors."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    weights = {'a.weight': torch.arange(6.0).reshape(2, 3), 'a.bias': torch.ones(2)}
    meta = {'dataset_meta': {'classes': ('cat', 'dog')}, 'epoch': 3, 'iter': 30}
    content = {'meta': meta, 'state_dict': weights, 'optimizer': {'state': {}}}
    torch.save(content, folder / 'a.pth')
    torch.save(content, folder / 'b.pth', _use_new_zipfile_serialization=False)
    save_file(weights, str(folder / 'c.safetensors'), {'classes': '["cat"]'})


def read_checkpoints(folder: Path, out: Path) -> str:
    """Weights and classes of each file."""
    from mmvos.apis.checkpoint import read_checkpoint

    done, refused = [], None
    for path in sorted(folder.iterdir()):
        try:
            checkpoint = read_checkpoint(path)
        except (ValueError, FileNotFoundError) as error:
            refused = error
            continue
        for name, value in checkpoint.weights.items():
            if value.is_floating_point() and not bool(value.isfinite().all()):
                raise WrongResultError(f'{path.name}: {name} is not finite')
        done.append(f'{path.name} {len(checkpoint.weights)}')
    if refused is not None:
        raise refused
    return ' '.join(done)


# ---- converters


def convert(name: str, *arguments: Any, checks: bool = True) -> str:
    """Run a converter's command line; what it wrote must be good for our own reader."""
    module = import_module(f'mmvos.cli.convert.{name}')
    module.main([str(argument) for argument in arguments])
    out = Path(arguments[1])
    if checks and out.suffix == '.json':
        _check_written(out)
    return out.name


def _check_written(path: Path) -> None:
    from mmvos.datasets.checks.findings import Findings
    from mmvos.datasets.checks.youtube_vis_data import check_youtube_vis

    findings = Findings(path.name)
    check_youtube_vis(path, findings)
    if findings.count('error'):
        raise WrongResultError(f'what was written is refused: {findings.table()}')


def read_coco(folder: Path, out: Path) -> str:
    """COCO to YouTube-VIS."""
    return convert('coco_to_youtube_vis', folder / 'c.json', out / 'o.json')


def make_cvat(folder: Path) -> None:
    """CVAT for video 1.1: a polygon, a box that turns, an ellipse, a brush mask."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = []
    for t in range(FRAMES):
        points = f'{3 + t}.00,4.00;{12 + t}.00,4.00;{12 + t}.00,12.00'
        shapes.append(f'<polygon frame="{t}" keyframe="1" outside="0" points="{points}"/>')
    box = (
        '<box frame="{}" keyframe="1" outside="0" xtl="5" ytl="5" xbr="20" ybr="15" rotation="{}"/>'
    )
    boxes = box.format(0, 350) + box.format(2, 10)
    ellipse = '<ellipse frame="1" keyframe="1" outside="0" cx="16" cy="12" rx="5" ry="4"/>'
    mask = (
        '<mask frame="0" keyframe="1" outside="0" rle="3, 2, 4" left="2" top="3" width="3" '
        'height="3"/>'
    )
    tracks = [shapes, [boxes], [ellipse], [mask]]
    body = ''.join(
        f'<track id="{number}" label="{label}" source="manual">{"".join(content)}</track>'
        for number, (label, content) in enumerate(zip(['car', 'dog', 'car', 'dog'], tracks))
    )
    names = ''.join(f'<label><name>{name}</name></label>' for name in ('car', 'dog'))
    size = f'<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size>'
    task = (
        f'<task><id>7</id><name>yard</name><size>{FRAMES}</size><mode>interpolation</mode>'
        f'<start_frame>0</start_frame><stop_frame>{FRAMES - 1}</stop_frame><frame_filter>'
        f'</frame_filter><labels>{names}</labels>{size}</task>'
    )
    text = f'<annotations><version>1.1</version><meta>{task}</meta>{body}</annotations>'
    (folder / 'yard.xml').write_text(f'<?xml version="1.0" encoding="utf-8"?>\n{text}')


def read_cvat(folder: Path, out: Path) -> str:
    """CVAT to YouTube-VIS."""
    return convert('cvat_to_youtube_vis', folder / 'yard.xml', out / 'o.json')


def make_labelme(folder: Path) -> None:
    """A folder of one video with all kinds of shapes."""
    import base64

    stream = io.BytesIO()
    Image.fromarray(np.ones((10, 12), bool)).save(stream, 'PNG')
    mask = base64.b64encode(stream.getvalue()).decode()
    for t in range(FRAMES):
        save_frame(folder / f'yard/{t}.jpg', t)
        shapes = [
            dict(label='dog', group_id=1, shape_type='polygon', points=[[2, 3], [12, 3], [9, 14]]),
            dict(label='cat', group_id=2, shape_type='circle', points=[[22, 12], [22, 17]]),
            dict(label='cat', group_id=3, shape_type='rectangle', points=[[1, 1], [20, 20]]),
            dict(label='cat', group_id=4, shape_type='mask', points=[[2, 2], [13, 11]], mask=mask),
            dict(label='cat', group_id=4, shape_type='point', points=[[2, 2]]),
        ]
        content = dict(
            imagePath=f'{t}.jpg',
            imageHeight=HEIGHT,
            imageWidth=WIDTH,
            imageData=None,
            shapes=shapes,
        )
        write_json(folder / f'yard/{t}.json', content)


def read_labelme(folder: Path, out: Path) -> str:
    """Labelme to YouTube-VIS."""
    return convert('labelme_to_youtube_vis', folder, out / 'o.json')


def make_mots(folder: Path) -> None:
    """A text of MOTS with compressed run lengths."""
    lines = []
    for t in range(1, FRAMES + 1):
        for number, object_class in ((1001, 1), (2001, 2)):
            coded = compressed(labels(t) == object_class)['counts']
            lines.append(f'{t} {number} {object_class} {HEIGHT} {WIDTH} {coded}')
    (folder / 'v0/gt').mkdir(parents=True)
    (folder / 'v0/gt/gt.txt').write_text('\n'.join(lines) + '\n')
    (folder / 'v0/seqinfo.ini').write_text(
        f'[Sequence]\nname=v0\nseqLength={FRAMES}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n'
        'imDir=img1\nimExt=.jpg\nframeRate=10\n'
    )


def read_mots(folder: Path, out: Path) -> str:
    """MOTS to YouTube-VIS."""
    return convert('mots_to_youtube_vis', folder / 'v0/gt/gt.txt', out / 'o.json')


def read_davis(folder: Path, out: Path) -> str:
    """DAVIS to YouTube-VIS."""
    return convert('davis_to_youtube_vis', folder, out / 'o.json')


def read_vos_converter(folder: Path, out: Path) -> str:
    """YouTube-VOS to YouTube-VIS."""
    return convert('youtube_vos_to_youtube_vis', folder, out / 'o.json')


def make_annotations(folder: Path) -> None:
    """A YouTube-VIS file alone."""
    write_json(folder / 'a.json', annotations_of_videos())


def read_vis_to_davis(folder: Path, out: Path) -> str:
    """YouTube-VIS to label images."""
    overlaps = ('--overlaps', 'smaller')
    return convert('youtube_vis_to_davis', folder / 'a.json', out / 'o', *overlaps)


def read_vis_to_mots(folder: Path, out: Path) -> str:
    """YouTube-VIS to MOTS."""
    overlaps = ('--overlaps', 'smaller')
    return convert('youtube_vis_to_mots', folder / 'a.json', out / 'o', *overlaps)


def read_vis_to_coco(folder: Path, out: Path) -> str:
    """YouTube-VIS to COCO and back."""
    convert('youtube_vis_to_coco', folder / 'a.json', out / 'c.json', checks=False)
    try:
        return convert('coco_to_youtube_vis', out / 'c.json', out / 'o.json')
    except ValueError as error:
        # what has no object, or one without a mask, is good COCO and no YouTube-VIS
        raise ValueError(f'{folder / "a.json"}: {error}') from error


def read_split(folder: Path, out: Path) -> str:
    """A part of a training file held out."""
    module = import_module('mmvos.cli.convert.split_youtube_vis')
    module.main([str(folder / 'a.json'), '--out', str(out), '--fraction', '0.5'])
    return 'split'


# ---- scores


def make_vis_results(folder: Path) -> None:
    """Annotations and results of the same videos."""
    content = annotations_of_videos()
    write_json(folder / 'a.json', content)
    results = []
    for track in content['annotations']:
        masks = [run_lengths(labels(t) == 1) for t in range(FRAMES)]
        results.append(
            dict(
                video_id=track['video_id'],
                category_id=track['category_id'],
                score=0.25 * track['id'],
                segmentations=masks,
            )
        )
    write_json(folder / 'r.json', results)


def check_scores(report: Any) -> str:
    """All metrics are fractions, undefined (-1 or NaN), or differences of fractions."""
    for name, value in report.metrics.items():
        least = -1.0 if 'decay' in name or value == -1 else 0.0
        unbounded = 'robustness' in name or name == 'lost_number'
        if not math.isnan(value) and not unbounded and not least <= value <= 1.0:
            raise WrongResultError(f'{name} is {value}')
        if math.isinf(value):
            raise WrongResultError(f'{name} is {value}')
    return str(report.metrics)


def read_vis_scores(folder: Path, out: Path) -> str:
    """AP."""
    from mmvos.evaluation.youtube_vis import evaluate_youtube_vis_files

    return check_scores(evaluate_youtube_vis_files(folder / 'a.json', folder / 'r.json'))


def make_davis_results(folder: Path) -> None:
    """A DAVIS folder and results."""
    make_davis(folder / 'gt')
    for name in ('dog', 'goat'):
        for t in range(FRAMES):
            save_labels(folder / f'results/{name}/{t:05d}.png', labels(t))


def read_davis_scores(folder: Path, out: Path) -> str:
    """J and F."""
    from mmvos.evaluation import evaluate_davis

    return check_scores(evaluate_davis(folder / 'gt', folder / 'results'))


def read_vos_scores(folder: Path, out: Path) -> str:
    """G, seen and unseen."""
    from mmvos.evaluation.youtube_vos import evaluate_youtube_vos

    return check_scores(evaluate_youtube_vos(folder, folder / 'results', folder / 'seen.txt'))


def make_vot(folder: Path) -> None:
    """VOT sequences and a supervised run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'gt/s').mkdir(parents=True)
    (folder / 'gt/list.txt').write_text('s\n')
    (folder / 'gt/s/groundtruth.txt').write_text('5,5,15,5,15,15,5,15\n' * 24)
    for t in range(24):
        save_frame(folder / f'gt/s/color/{t + 1:08d}.jpg', t)
    (folder / 'r/baseline/s').mkdir(parents=True)
    track = '1\n5,5,11,11\n2\n0\n0\n0\n0\n1\n' + '5.5,5,15,5,15,15,5,15\n' * 16
    (folder / 'r/baseline/s/s_001.txt').write_text(track)


def read_vot(folder: Path, out: Path) -> str:
    """Accuracy, robustness, EAO."""
    from mmvos.evaluation import evaluate_vot

    return check_scores(evaluate_vot(folder / 'gt', folder / 'r', interval=(2, 4)))


# ---- results that a run goes on from


def make_results(folder: Path) -> None:
    """A record, a journal and a stored state."""
    import torch

    from mmvos.io.journal import append
    from mmvos.io.stored_state import save_state

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'j.jsonl').open('wb') as stream:
        for number in range(4):
            append(stream, {'video_id': number, 'entries': [{'score': 0.5}], 'name': f'v{number}'})
    state = {'index': 3, 'memory': [torch.ones(2, 3), (1, 2.5, 'a')], 'none': None}
    save_state(folder / 's.state', 3, state)


def read_results(folder: Path, out: Path) -> str:
    """What is whole of them."""
    from mmvos.io.journal import cut_off_damage, lines_of, read_line
    from mmvos.io.stored_state import load_state

    path = folder / 'j.jsonl'
    cut_off_damage(path)
    contents = [read_line(line) for line, _ in lines_of(path)]
    if any(content.get('entries') != [{'score': 0.5}] for content in contents):
        raise WrongResultError(f'{path.name}: a damaged line was taken')
    state = load_state(folder / 's.state')
    if state is not None and (state[0] != 3 or bool((state[1]['memory'][0] != 1).any())):
        raise WrongResultError('a damaged state was taken')
    return f'{len(contents)} {state is not None}'


JSON, PNG, TEXT = '**/*.json', '**/*.png', '**/*.txt'
TARGETS: dict[str, Target] = {
    'data set of YouTube-VIS': Target(make_vis, read_vis, (JSON,)),
    'frames of YouTube-VIS': Target(make_vis, read_vis, ('**/*.jpg',)),
    'check of YouTube-VIS': Target(make_vis, read_check_vis),
    'COCO stills': Target(make_coco, read_stills, (JSON,)),
    'COCO pairs': Target(make_coco, read_still_pairs, (JSON,)),
    'DAVIS folder': Target(make_davis, read_mask_folders),
    'check of DAVIS': Target(make_davis, read_check_folder),
    'YouTube-VOS folder': Target(make_vos, read_vos, (JSON, 'Annotations/**/*', 'JPEG*/**/*')),
    'check of YouTube-VOS': Target(make_vos, read_check_folder),
    'label images': Target(make_label, read_label),
    'images': Target(make_images, read_images),
    'images of many pages': Target(make_pages, read_images),
    'video mp4': Target(make_videos, read_videos, ('*.mp4',)),
    'video avi': Target(make_videos, read_videos, ('*.avi',)),
    'video mkv': Target(make_videos, read_videos, ('*.mkv',)),
    'video webm': Target(make_videos, read_videos, ('*.webm',)),
    'video mov': Target(make_videos, read_videos, ('*.mov',)),
    'prompts': Target(make_prompts, read_prompts),
    'checkpoints': Target(make_checkpoint, read_checkpoints),
    'coco_to_youtube_vis': Target(make_coco, read_coco, (JSON,)),
    'cvat_to_youtube_vis': Target(make_cvat, read_cvat),
    'labelme_to_youtube_vis': Target(make_labelme, read_labelme, (JSON,)),
    'mots_to_youtube_vis': Target(make_mots, read_mots),
    'davis_to_youtube_vis': Target(make_davis, read_davis, (PNG, TEXT)),
    'youtube_vos_to_youtube_vis': Target(make_vos, read_vos_converter, (JSON, 'Annot*/**/*')),
    'youtube_vis_to_davis': Target(make_annotations, read_vis_to_davis),
    'youtube_vis_to_mots': Target(make_annotations, read_vis_to_mots),
    'youtube_vis_to_coco': Target(make_annotations, read_vis_to_coco),
    'split_youtube_vis': Target(make_annotations, read_split),
    'scores of YouTube-VIS': Target(make_vis_results, read_vis_scores),
    'scores of DAVIS': Target(make_davis_results, read_davis_scores, (PNG, TEXT)),
    'scores of YouTube-VOS': Target(make_vos, read_vos_scores, (JSON, PNG, TEXT)),
    'scores of VOT': Target(make_vot, read_vot),
    'partial results': Target(make_results, read_results),
}


@contextlib.contextmanager
def quiet() -> Any:
    """Prints and notes of readers go nowhere."""
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
    sys.stdout.flush()
