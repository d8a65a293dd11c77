"""Small files under the names that the documents use: clips, label images, data sets, results, a
config with weights.
"""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
from annotation_stand_ins import write_annotation_stand_ins
from colored_videos import write_meta, write_split, write_videos, write_vot
from tiny_masktrack import tiny_model
from tiny_videos import CLASSES, tiny_training, write_tiny_videos

from mmvos.apis.checkpoint import read_checkpoint
from mmvos.apis.overlay_video import OverlayVideo
from mmvos.io.label_png import write_label_png
from mmvos.onnx.graph_set import SHIPPED as GRAPHS
from mmvos.onnx.half_weights import complete_folder
from mmvos.structures import FrameResult

HEIGHT, WIDTH, FRAMES = 240, 320, 3
TRAINED = 'work_dirs/my_config/best_youtube_vis_AP_epoch_12.pth'
SHIPPED = Path(__file__).resolve().parents[1] / 'weights/masktrack_compact.safetensors'


def make_stand_ins(folder: Path) -> None:
    """Writes everything into the folder, and ``../shared/data/DAVIS`` beside it."""
    write_clips(folder)
    write_own_data(folder)
    write_annotation_stand_ins(folder)
    write_davis(folder / 'data/DAVIS', folder / 'results_davis')
    beside = folder.parent / 'shared/data'
    beside.mkdir(parents=True)
    for link in (beside / 'DAVIS', folder / 'DAVIS'):
        link.symlink_to(folder / 'data/DAVIS')
    write_youtube_vos(folder / 'data/youtube_vos/held_out', folder / 'results_youtube_vos')
    write_vot_results(write_vot(folder / 'data/VOT2018'), folder / 'results_vot')
    # as exported in float32: graphs that find their weights without mmvos
    for system, name in (('masktrack', 'exported'), ('siammask', 'exported_siammask')):
        with complete_folder(GRAPHS[system], 'float16') as complete:
            shutil.copytree(complete, folder / name)
    if SHIPPED.is_file():
        for name in ('masktrack_r50s16_mixed/iter_2000.pth', 'masktrack_lite0_mixed/iter_3000.pth'):
            path = folder / 'work_dirs' / name
            path.parent.mkdir(parents=True)
            torch.save({'state_dict': dict(read_checkpoint(SHIPPED).weights)}, path)


def clip_frame(index: int) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) BGR with two textured squares, and their ids (H, W)."""
    rng = np.random.default_rng(0)
    image = cv2.resize(
        rng.integers(60, 120, (HEIGHT // 16, WIDTH // 16, 3), dtype=np.uint8), (WIDTH, HEIGHT)
    )
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (x, y) in enumerate(((20, 40), (210, 50)), 1):
        labels[y : y + 80, x + 3 * index : x + 3 * index + 80] = number
        image[labels == number] = (40, 60, 230) if number == 1 else (230, 200, 40)
    return image, labels


def write_clips(folder: Path) -> None:
    """clip.mp4, my.mp4, frames, first.png, prompts.json; videos of the generator's layout with
    overlays.
    """
    for name in ('clip.mp4', 'my.mp4', 'show0/overlay.mp4', 'show3/overlay.mp4'):
        (folder / name).parent.mkdir(exist_ok=True)
        with OverlayVideo(folder / name, Fraction(25), ()) as video:
            for index in range(FRAMES):
                video.write(
                    str(index), clip_frame(index)[0], FrameResult(index, (HEIGHT, WIDTH), ())
                )
    valid = 'showcase/valid'
    for images, labels in [
        ('frames', 'labels'),
        *(
            (f'{valid}/JPEGImages/valid_000{n}', f'{valid}/Annotations/valid_000{n}')
            for n in (0, 3)
        ),
    ]:
        for name in (images, labels):
            (folder / name).mkdir(parents=True)
        for index in range(FRAMES):
            cv2.imwrite(str(folder / images / f'{index:05d}.jpg'), clip_frame(index)[0])
            write_label_png(folder / labels / f'{index:05d}.png', clip_frame(index)[1])
    write_label_png(folder / 'first.png', clip_frame(0)[1])
    (folder / 'prompts.json').write_text(
        json.dumps(
            [
                {'frame': 0, 'id': 1, 'box': [20, 40, 100, 120]},
                {'frame': 2, 'id': 2, 'box': [216, 50, 296, 130]},
            ]
        )
    )


def write_own_data(folder: Path) -> None:
    """data/own in YouTube-VIS format, results of it, and a MaskTrack R-CNN of its classes."""
    annotations = write_tiny_videos(folder / 'data/own', (3, 2, 2, 2))
    content = json.loads(annotations.read_text())
    (folder / 'data/youtube_vis_2019').mkdir()
    for name in ('own/train_sub', 'own/valid_sub', 'youtube_vis_2019/train'):
        shutil.copy(annotations, folder / f'data/{name}.json')
    (folder / 'OUT.json').write_text(
        json.dumps(
            [
                {
                    'video_id': item['video_id'],
                    'category_id': item['category_id'],
                    'segmentations': item['segmentations'],
                    'score': 0.9,
                }
                for item in content['annotations']
            ]
        )
    )
    for config, checkpoint in (('config.py', 'checkpoint.pth'), ('my_config.py', TRAINED)):
        tiny_training(annotations).dump(folder / config)
        (folder / checkpoint).parent.mkdir(parents=True, exist_ok=True)
        torch.save(
            {
                'state_dict': tiny_model().state_dict(),
                'meta': {'dataset_meta': {'classes': CLASSES}},
            },
            folder / checkpoint,
        )


def write_davis(root: Path, results: Path) -> None:
    """Five sequences by names of DAVIS-2016, one object each, and the ground truth as results of
    the validation ones.
    """
    train, valid = ['bear', 'car-turn', 'mallard-fly'], ['dog', 'goat']
    write_videos(root, {name: (6, {1: 0}) for name in train + valid}, folder='480p')
    for path in sorted((root / 'JPEGImages').rglob('*.png')):
        cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path)))
        path.unlink()
    for year in (2016, 2017):
        write_split(root, f'{year}/train', train)
        write_split(root, f'{year}/val', valid)
    for name in valid:
        shutil.copytree(root / 'Annotations/480p' / name, results / name)


def write_youtube_vos(root: Path, results: Path) -> None:
    """Held-out videos with an object that comes late, and the ground truth as results."""
    write_videos(root, {'a': (5, {1: 0, 2: 2})})
    write_meta(
        root, {'a': {1: [f'{i:05d}' for i in range(5)], 2: [f'{i:05d}' for i in range(2, 5)]}}
    )
    shutil.copytree(root / 'Annotations', results)


def write_vot_results(root: Path, results: Path) -> None:
    """A supervised run that gives the ground truth."""
    for sequence in sorted(root.iterdir()):
        regions = (sequence / 'groundtruth.txt').read_text().split()
        path = results / 'baseline' / sequence.name / f'{sequence.name}_001.txt'
        path.parent.mkdir(parents=True)
        lines = [[float(number) for number in region.split(',')] for region in regions]
        corners = [(x, y, x + w - 1, y, x + w - 1, y + h - 1, x, y + h - 1) for x, y, w, h in lines]
        path.write_text(
            '1\n'
            + '\n'.join(','.join(f'{number:.4f}' for number in region) for region in corners[1:])
            + '\n'
        )
