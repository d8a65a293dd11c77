"""What is taken home can be read back with the same masks, and what is brought becomes prompts."""

from __future__ import annotations

import io
import json
import time
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from mmvos.convert import coco, cvat, labelme, mots, youtube_vis
from mmvos.convert.annotation_model import Notes, TrackedVideo, as_rle
from mmvos.convert.yolo import outline_of
from mmvos.io.label_png import read_label_png, write_label_png
from mmvos.structures import rle
from mmvos.studio.exports import FORMATS
from mmvos.studio.records import MODEL, make_entry

from .stand_ins import (
    FRAMES,
    HEIGHT,
    WIDTH,
    OpenStudio,
    box_of,
    follow_colors,
    mask_of,
    object_mask,
    open_studio,
    picture,
    point_of,
    write_frames,
)
from .test_prompts import masks
from .test_runs import run, two_objects


def export(studio: OpenStudio, kind: str, **more: Any) -> tuple[dict[str, Any], Path]:
    """Export to the end; the description and the folder."""
    answer = studio.client.post('/api/exports', json={'format': kind, **more})
    assert answer.status_code == 202, answer.text
    number = answer.json()['id']
    for _ in range(500):
        listed = studio.client.get('/api/exports').json()['exports']
        (found,) = [item for item in listed if item['id'] == number]
        if found['state'] != 'running':
            return found, Path(found['folder'])
        time.sleep(0.02)
    raise AssertionError('the export does not end')


@pytest.fixture
def done(opened: OpenStudio) -> OpenStudio:
    """A studio in which both objects were followed from frame 2 on."""
    two_objects(opened, 2)
    opened.client.patch('/api/objects/2', json={'category': 'fish'})
    run(opened, start=2)
    return opened


def check_video(video: TrackedVideo, number_of: dict[int, int]) -> None:
    """All masks are there, bit by bit."""
    assert len(video.file_names) == FRAMES
    assert {number_of[item.id] for item in video.objects} == {1, 2}
    for item in video.objects:
        assert sorted(item.masks) == list(range(2, FRAMES))
        for t, mask in item.masks.items():
            code = as_rle(mask, HEIGHT, WIDTH)
            found = rle.decode(rle.RLE(size=[HEIGHT, WIDTH], counts=code['counts'].decode()))
            assert (found == object_mask(t, number_of[item.id])).all()


SAME = {1: 1, 2: 2}


def test_davis(done: OpenStudio) -> None:
    found, folder = export(done, 'davis')
    assert found['state'] == 'finished', found
    for t in range(FRAMES):
        labels = read_label_png(folder / 'Annotations/480p/clip' / f'{t:05d}.png')
        for number in (1, 2):
            wanted = object_mask(t, number) if t >= 2 else np.zeros((HEIGHT, WIDTH), bool)
            assert ((labels == number) == wanted).all()


def test_youtube_vis_and_coco(done: OpenStudio) -> None:
    _, folder = export(done, 'youtube-vis')
    source = youtube_vis.read_videos(folder / 'instances.json')
    check_video(source.videos[0], SAME)
    assert [item.category for item in source.videos[0].objects] == ['object', 'fish']
    _, folder = export(done, 'coco')
    (video,), _ = coco.read(folder / 'coco.json', Notes())
    check_video(video, SAME)


def test_cvat(done: OpenStudio) -> None:
    _, folder = export(done, 'cvat')
    (video,), labels = cvat.read([folder / 'clip.xml'], None, Notes())
    assert labels == ['object', 'fish']
    check_video(video, SAME)


def test_labelme(done: OpenStudio) -> None:
    _, folder = export(done, 'labelme')
    (video,), _ = labelme.read(folder / 'clip', 'group', 'skip', Notes())
    assert [Path(name).stem for name in video.file_names] == [f'{t:05d}' for t in range(2, FRAMES)]
    for item in video.objects:
        for t, mask in item.masks.items():
            code = as_rle(mask, HEIGHT, WIDTH)
            found = rle.decode(rle.RLE(size=[HEIGHT, WIDTH], counts=code['counts'].decode()))
            assert (found == object_mask(t + 2, item.id)).all()


def test_mots(done: OpenStudio) -> None:
    _, folder = export(done, 'mots')
    paths = list(folder.rglob('gt.txt'))
    assert len(paths) == 1
    video = mots.read(paths[0], None, False, mots.parse_classes('1=object,2=fish'))
    check_video(video, {1001: 1, 2001: 2})


def test_yolo(done: OpenStudio) -> None:
    _, folder = export(done, 'yolo')
    assert (folder / 'labels/clip/00000.txt').read_text() == ''
    lines = (folder / 'labels/clip/00005.txt').read_text().splitlines()
    assert [line.split()[0] for line in lines] == ['0', '1']
    numbers = np.array(lines[1].split()[1:], float).reshape(-1, 2) * (WIDTH, HEIGHT)
    filled = cv2.fillPoly(
        np.zeros((HEIGHT, WIDTH), np.uint8), [(numbers - 0.5).round().astype(np.int32)], 1
    )
    assert (filled.astype(bool) == object_mask(5, 2)).all()


def test_an_outline_joins_parts_and_lines() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[2:6, 2:8] = 1
    mask[12:18, 20:28] = 1
    mask[10, 4] = 1
    outline = outline_of(
        rle.encode(mask.astype(bool)) | {'counts': rle.encode(mask.astype(bool))['counts'].encode()}
    )
    filled = cv2.fillPoly(np.zeros_like(mask), [(outline - 0.5).round().astype(np.int32)], 1)
    assert (filled[mask > 0] == 1).mean() > 0.95
    assert filled.sum() < mask.sum() + 60  # the bridges


def test_cutouts_are_transparent_but_for_the_objects(done: OpenStudio) -> None:
    _, folder = export(done, 'cutout', objects=[1])
    image = np.asarray(Image.open(folder / '00004.png'))
    assert image.shape == (HEIGHT, WIDTH, 4)
    assert ((image[..., 3] == 255) == object_mask(4, 1)).all()
    assert (image[object_mask(4, 1)][:, :3] == (0, 255, 40)).all()


@pytest.mark.skipif('libvpx-vp9' not in av.codecs_available, reason='this PyAV has no VP9')
def test_a_webm_has_an_alpha_channel(done: OpenStudio) -> None:
    _, folder = export(done, 'webm')
    with av.open(str(folder / 'cutout.webm')) as container:
        stream = container.streams.video[0]
        assert stream.metadata.get('alpha_mode') == '1'
        context = av.CodecContext.create('libvpx-vp9', 'r')
        frames = []
        for packet in container.demux(stream):
            frames += context.decode(packet)
        assert len(frames) == FRAMES
        alpha = frames[5].to_ndarray(format='rgba')[..., 3]
    both = object_mask(5, 1) | object_mask(5, 2)
    assert ((alpha > 128) == both).mean() > 0.97


def test_an_overlay_is_a_video_of_all_frames(done: OpenStudio) -> None:
    _, folder = export(done, 'overlay')
    with av.open(str(folder / 'overlay.mp4')) as container:
        frames = [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]
    assert len(frames) == FRAMES
    assert np.abs(frames[0].astype(int) - picture(0)).mean() < 25
    assert np.abs(frames[5].astype(int) - picture(5))[object_mask(5, 1)].mean() > 20


def test_an_overlay_has_the_colors_of_the_page(done: OpenStudio) -> None:
    done.client.patch('/api/objects/2', json={'color': '#0000ff'})
    _, folder = export(done, 'overlay')
    with av.open(str(folder / 'overlay.mp4')) as container:
        frames = [frame.to_ndarray(format='bgr24') for frame in container.decode(video=0)]
    x, y = map(int, point_of(5, 2))
    blue, green, red = frames[5][y + 2, x].astype(int).tolist()
    # (80, 255, 0) under blue at .45
    assert abs(blue - 159) < 30 and abs(green - 140) < 30 and red < 30


def test_a_download_is_the_file_or_a_zip(done: OpenStudio) -> None:
    found, _ = export(done, 'coco')
    answer = done.client.get(f'/api/exports/{found["id"]}/file')
    assert 'coco.json' in answer.headers['content-disposition']
    assert answer.json()['annotations']
    found, _ = export(done, 'davis')
    answer = done.client.get(f'/api/exports/{found["id"]}/file')
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert 'davis/Annotations/480p/clip/00005.png' in names
    assert not list(done.session.exports.root.glob('*.zip'))
    assert done.client.get('/api/exports/77/file').status_code == 404


def test_exports_do_not_touch_each_other(done: OpenStudio) -> None:
    first = export(done, 'coco')[1]
    second = export(done, 'coco')[1]
    assert first != second
    assert export(done, 'coco', folder='mine')[1].name == 'mine'


@pytest.mark.parametrize('folder', ['../x', '/x', 'a/../../x', '', 3, 'a\x00b', 'C:\\x'])
def test_an_export_does_not_leave_its_folder(done: OpenStudio, folder: Any) -> None:
    answer = done.client.post('/api/exports', json={'format': 'coco', 'folder': folder})
    assert answer.status_code == 422
    assert not (done.session.exports.root / '..' / 'x').exists()


def test_an_export_through_a_link_is_refused(done: OpenStudio, tmp_path: Path) -> None:
    root = done.session.exports.root
    root.mkdir(parents=True, exist_ok=True)
    outside = tmp_path / 'outside'
    outside.mkdir()
    (root / 'link').symlink_to(outside)
    answer = done.client.post('/api/exports', json={'format': 'coco', 'folder': 'link'})
    assert answer.status_code == 422
    assert not list(outside.iterdir())


def test_what_cannot_be_exported(opened: OpenStudio) -> None:
    for wrong in ({}, {'format': 'gif'}, {'format': 'coco'}, {'format': []}, {'format': {}}):
        assert opened.client.post('/api/exports', json=wrong).status_code == 422
    two_objects(opened, 0)
    answer = opened.client.post('/api/exports', json={'format': 'coco', 'objects': [9]})
    assert answer.status_code == 404


# ---- bringing


def bring(studio: OpenStudio, files: dict[str, bytes], kind: str = 'auto') -> dict[str, Any]:
    """Import files."""
    parts = [('files', (name, content)) for name, content in files.items()]
    answer = studio.client.post('/api/imports', files=parts, data={'format': kind})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def label_png(tmp_path: Path, frame: int) -> bytes:
    """A label image of both objects."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number in (1, 2):
        labels[object_mask(frame, number)] = number
    write_label_png(tmp_path / 'labels.png', labels)
    return (tmp_path / 'labels.png').read_bytes()


def test_label_pngs_become_prompts_and_are_followed(opened: OpenStudio, tmp_path: Path) -> None:
    found = bring(opened, {'00003.png': label_png(tmp_path, 3)})
    assert found['frames'] == [3]
    assert len(found['objects']) == 2
    assert (mask_of(masks(opened, 3)['2']) == object_mask(3, 2)).all()
    assert masks(opened, 3)['1']['source'] == 'corrected'
    run(opened, start=3)
    assert (mask_of(masks(opened, 9)['1']) == object_mask(9, 1)).all()
    opened.client.post('/api/undo')
    assert opened.client.get('/api/project').json()['objects'] == []
    assert masks(opened, 3) == {}


@pytest.mark.parametrize('kind', ['cvat', 'coco', 'labelme', 'davis'])
def test_what_was_exported_can_be_brought_back(done: OpenStudio, kind: str) -> None:
    found, _ = export(done, kind)
    content = done.client.get(f'/api/exports/{found["id"]}/file').content
    name = {'cvat': 'clip.xml', 'coco': 'coco.json'}.get(kind, f'{kind}.zip')
    brought = bring(done, {name: content}, 'auto' if kind != 'davis' else 'davis')
    assert brought['frames'] == list(range(2, FRAMES))
    ids = [item['id'] for item in brought['objects']]
    assert ids == [3, 4]
    for number in (1, 2):
        entry = masks(done, 6)[str(ids[number - 1])]
        assert (mask_of(entry) == object_mask(6, number)).all()


def test_coco_of_one_image_needs_no_tracks(opened: OpenStudio) -> None:
    box = box_of(4, 1)
    outline = [box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]
    size = {'height': HEIGHT, 'width': WIDTH}
    annotation = {'id': 1, 'image_id': 7, 'category_id': 1, 'segmentation': [outline]}
    annotation |= {'bbox': [box[0], box[1], 16, 12], 'area': 192, 'iscrowd': 0}
    data = {
        'images': [{'id': 7, 'file_name': '00004.png', **size}],
        'categories': [{'id': 1, 'name': 'fish'}],
        'annotations': [annotation],
    }
    found = bring(opened, {'a.json': json.dumps(data).encode()})
    assert found['frames'] == [4]
    assert found['objects'][0]['category'] == 'fish'
    assert (mask_of(masks(opened, 4)['1']) == object_mask(4, 1)).all()


def zipped(**members: bytes) -> bytes:
    """A zip with any names of members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    'files',
    [
        {'a.zip': zipped(**{'../../escaped.png': b'x'})},
        {'../escaped.png': b'x'},
        {'/escaped.png': b'x'},
        {'a.zip': b'PK no zip'},
        {'00000.png': b'no png'},
        {'a.json': b'{'},
        {'a.json': b'[]'},
        {'a.json': b'{"shapes": 3}'},
        {'a.xml': b'<!DOCTYPE a [<!ENTITY x "y">]><annotations/>'},
        {'a.xml': b'<annotations/>'},
        {'a.txt': b'hello'},
    ],
)
def test_wrong_files_are_refused_and_nothing_is_left(
    opened: OpenStudio, tmp_path: Path, files: dict[str, bytes]
) -> None:
    before = sorted(path.name for path in opened.session.project.folder.iterdir())
    parts = [('files', (name, content)) for name, content in files.items()]
    answer = opened.client.post('/api/imports', files=parts, data={'format': 'auto'})
    assert answer.status_code == 422, answer.text
    assert answer.json()['error']
    after = sorted(path.name for path in opened.session.project.folder.iterdir())
    assert after == before
    assert not list(tmp_path.rglob('*escaped*'))
    assert opened.client.get('/api/project').json()['objects'] == []


def test_masks_of_another_size_are_refused(opened: OpenStudio, tmp_path: Path) -> None:
    write_label_png(tmp_path / 'small.png', np.ones((4, 4), np.uint8))
    parts = [('files', ('00000.png', (tmp_path / 'small.png').read_bytes()))]
    answer = opened.client.post('/api/imports', files=parts, data={'format': 'davis'})
    assert answer.status_code == 422
    assert '4x4' in answer.json()['error']


def test_every_format_is_listed(opened: OpenStudio) -> None:
    project = opened.client.get('/api/project').json()
    assert [item['name'] for item in project['export_formats']] == list(FORMATS)
    assert {'labelme', 'cvat', 'coco', 'davis'} == {
        item['name'] for item in project['import_formats']
    }


def test_an_object_in_more_than_255_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pycocotools counts the masks of one call in 8 bits."""
    follow_colors(monkeypatch)
    frames = 300
    with open_studio(write_frames(tmp_path / 'clip', frames), tmp_path / 'project') as studio:
        studio.client.post('/api/objects', json={})
        entry = make_entry(rle.encode(object_mask(0, 1)), 0.9, MODEL)
        studio.session.project.store_results([(t, 1, entry) for t in range(frames)])
        for kind in ('coco', 'davis', 'mots'):
            assert export(studio, kind)[0]['state'] == 'finished'


@pytest.mark.parametrize('kind', ['labelme', 'cvat', 'yolo'])
def test_the_converters_write_what_the_studio_exports(
    done: OpenStudio, tmp_path: Path, kind: str
) -> None:
    """``mmvos convert youtube_vis_to_KIND`` of an exported file gives the exported files."""
    main = import_module(f'mmvos.cli.convert.youtube_vis_to_{kind}').main
    _, exported = export(done, kind)
    _, source = export(done, 'youtube-vis')
    main([str(source / 'instances.json'), str(tmp_path / 'out')])
    wanted = {path.relative_to(exported): path for path in exported.rglob('*') if path.is_file()}
    out = tmp_path / 'out'
    assert {path.relative_to(out) for path in out.rglob('*') if path.is_file()} == set(wanted)
    for name, path in wanted.items():
        assert (out / name).read_bytes() == path.read_bytes()
