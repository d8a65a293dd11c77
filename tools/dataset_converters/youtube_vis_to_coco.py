"""A YouTube-VIS annotation or results file to COCO with track ids:

    python tools/dataset_converters/youtube_vis_to_coco.py IN.json OUT.json [--results RESULTS.json
    --min-score 0.5]

Every frame becomes an image with ``video_id`` and ``frame_id`` (from 0), every visible object in it
an annotation with ``track_id`` and, for mm-style readers, the same number as ``instance_id``; a
result also has its ``score``. Polygons stay polygons, run lengths become compressed ones.
``coco_to_youtube_vis.py`` reads it back. An object that no frame shows and void pixels have no
place in COCO; a note says how many there were.
"""

from __future__ import annotations

import argparse
from typing import Any

from tqdm import tqdm
from tracked_videos import Notes, told
from youtube_vis_file import AnnotationFile, add_source_arguments, described, read_source

from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_json


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='A YouTube-VIS annotation or results file to COCO with track ids.'
    )
    add_source_arguments(parser)
    return parser.parse_args()


def to_coco(source: AnnotationFile, notes: Notes) -> dict[str, Any]:
    """The content of the COCO file; images and annotations are numbered from 1."""
    category_id = {category['name']: category['id'] for category in source.categories}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for video in tqdm(source.videos, 'converting', delay=2, leave=False):
        first = len(images) + 1
        images += [
            {
                'id': first + t,
                'file_name': name,
                'height': video.height,
                'width': video.width,
                'video_id': video.id,
                'frame_id': t,
            }
            for t, name in enumerate(video.file_names)
        ]
        for item in video.objects:
            rows = described(item, video, notes)
            if not rows:
                notes.add(
                    'objects that no frame shows are left out',
                    f'video {video.folder}, object {item.id}',
                )
            for t, (mask, box, area) in rows.items():
                annotations.append(
                    {
                        'id': len(annotations) + 1,
                        'image_id': first + t,
                        'video_id': video.id,
                        'category_id': category_id[item.category],
                        'track_id': item.id,
                        'instance_id': item.id,
                        'segmentation': mask,
                        'bbox': box,
                        'area': area,
                        'iscrowd': int(item.crowd),
                    }
                )
                if item.score is not None:
                    annotations[-1]['score'] = item.score
        if video.void:
            notes.add('videos have void pixels, which COCO cannot say', f'video {video.folder}')
    videos = [{'id': video.id, 'name': video.name or video.folder} for video in source.videos]
    return {
        'info': {'description': 'converted from YouTube-VIS'},
        'licenses': [],
        'videos': videos,
        'images': images,
        'categories': list(source.categories),
        'annotations': annotations,
    }


def main() -> None:
    """Converts one file."""
    arguments = parse_arguments()
    notes = Notes()
    with told('youtube_vis_to_coco'):
        data = to_coco(read_source(arguments), notes)
        write_json(arguments.out, data)
    print(
        f'{arguments.out}: {len(data["videos"])} videos, {len(data["images"])} images, '
        f'{len(data["annotations"])} annotations'
    )
    notes.show()


if __name__ == '__main__':
    run_command('youtube_vis_to_coco', main)
