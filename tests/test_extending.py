"""The examples of docs/extending.md: each file is taken out of the document, written into a folder,
and used as the document says.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import documents
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample, TrackDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from PIL import Image
from tiny_masktrack import batch, two_objects

from mmvos.cli import evaluate
from mmvos.evaluation import benchmarks
from mmvos.io.errors import DataError
from mmvos.io.label_png import write_label_png
from mmvos.registry import DATASETS, METRICS, MODELS
from mmvos.structures import Frame, FrameMeta, Prompts
from mmvos.structures.rle import decode

DOCUMENT = documents.ROOT / 'docs/extending.md'
# What design and issue ask for: how many files it takes to add one.
MOST_FILES = {'tracker': 3, 'data set': 2, 'benchmark': 3, 'backbone': 1, 'converter': 1}
REGISTRATION = 'mmvos/evaluation/benchmarks.py'
HEIGHT, WIDTH = 24, 32


def read_files(text: str) -> dict[str, str]:
    """The Python files of a document by their paths, which their first lines name."""
    files = {}
    for block in documents.blocks(text):
        if block.language == 'py':
            path = block.lines[0].removeprefix('# ')
            files[path] = '\n'.join(block.lines) + '\n'
    return files


FILES = read_files(DOCUMENT.read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def project(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a user's project with the files of the document, on Python's path."""
    folder = tmp_path_factory.mktemp('project')
    shutil.copytree(documents.ROOT / 'configs/_base_', folder / 'configs/_base_')
    for path, text in FILES.items():
        if path != REGISTRATION:
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding='utf-8')
    init_default_scope('mmdet')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield folder


def read_config(project: Path, name: str) -> Config:
    """A config of the project; it imports the modules that it names."""
    return Config.fromfile(project / 'configs/my_project' / name)


def test_a_part_takes_few_files() -> None:
    sections = re.split(r'^## An? ', DOCUMENT.read_text(encoding='utf-8'), flags=re.MULTILINE)[1:]
    counts = {text.splitlines()[0]: len(read_files(text)) for text in sections}
    assert counts.keys() == MOST_FILES.keys()
    for part, count in counts.items():
        assert 1 <= count <= MOST_FILES[part], part


def test_files_are_100_columns_wide() -> None:
    too_long = [line for text in FILES.values() for line in text.splitlines() if len(line) > 100]
    assert not too_long


# The tracker


def clip(number: int, x: int) -> tuple[torch.Tensor, TrackDataSample]:
    """Three frames (3, 3, H, W) and their sample: a red square on green moves to the right."""
    noise = 0.2 * torch.randn(3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(number))
    images = noise + torch.tensor([-1.0, 1.0, 0.0])[:, None, None]
    sample = TrackDataSample()
    frames = []
    for t in range(3):
        mask = square(x + 4 * t)
        images[t, :, torch.from_numpy(mask)] += torch.tensor([2.0, -2.0, 0.0])[:, None]
        masks = BitmapMasks(mask[None].astype(np.uint8), HEIGHT, WIDTH)
        frames.append(DetDataSample(gt_instances=InstanceData(masks=masks)))
    sample.video_data_samples = frames
    return images, sample


def square(x: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[8:16, x : x + 8] = True
    return mask


def test_the_tracker_learns_and_follows_an_object(project: Path) -> None:
    torch.manual_seed(0)
    model = MODELS.build(read_config(project, 'color_davis.py').model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    clips = [clip(0, 2), clip(1, 10)]
    inputs = torch.stack([images for images, _ in clips])
    samples = [sample for _, sample in clips]
    losses = []
    for _ in range(10):
        loss = model(inputs, samples)['loss_mask']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]

    model.eval()
    images, _ = clip(2, 6)
    meta = [FrameMeta(t, (HEIGHT, WIDTH), (HEIGHT, WIDTH), (1.0, 1.0)) for t in range(3)]
    frames = [Frame(images[t : t + 1], meta[t]) for t in range(3)]
    prompts = {0: Prompts((7,), (square(6),), (None,))}
    results = list(model.run(frames, prompts))
    for t, result in enumerate(results):
        assert [item.id for item in result.objects] == [7]
        mask = decode(result.objects[0].mask)
        expected = square(6 + 4 * t)
        assert (mask & expected).sum() / (mask | expected).sum() > 0.9

    # A step changes nothing that it is given.
    with torch.no_grad():
        state, _ = model.step(frames[0], model.init_state(), prompts[0])
        first = model.step(frames[1], state)
        second = model.step(frames[1], state)
    assert first[1] == second[1]
    assert torch.equal(first[0][0].prototypes, second[0][0].prototypes)
    assert state[0].features is None


# The data set


def write_flat_folder(folder: Path) -> Path:
    """Videos a (2 frames) and b_c (3 frames), the first frame of each with objects 1 and 2."""
    folder.mkdir()
    labels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    labels[2:6, 3:9] = 1
    labels[10:20, 12:30] = 2
    for name, length in (('b_c', 3), ('a', 2)):
        for t in range(length):
            image = Image.new('RGB', (WIDTH, HEIGHT), (40 * t, 90, 60))
            image.save(folder / f'{name}_{t}.jpg')
        write_label_png(folder / f'{name}_0.png', labels)
    return folder


def test_the_data_set_finds_videos_and_prompts(project: Path, tmp_path: Path) -> None:
    folder = write_flat_folder(tmp_path / 'flat')
    config = read_config(project, 'masktrack_flat-folder.py').test_dataloader.dataset
    config.data_root = str(folder)
    dataset = DATASETS.build(config)
    assert [(video.name, video.length) for video in dataset.videos] == [('a', 2), ('b_c', 3)]
    assert dataset.frame_range(1) == range(2, 5)
    prompts = dataset.prompts(dataset.videos[1])
    assert list(prompts) == [0] and prompts[0].ids == (1, 2)
    assert prompts[0].masks[0].sum() == 4 * 6
    item = dataset[4]
    sample = item['data_samples'][0]
    assert (sample.video_id, sample.frame_id, sample.ori_shape) == (2, 2, (HEIGHT, WIDTH))

    (folder / 'a_0.png').unlink()
    with pytest.raises(DataError, match=r'flat: the video a .*label image'):
        DATASETS.build(config)


# The benchmark


def write_labels(folder: Path, frames: list[list[int]]) -> None:
    """A row of pixels for each frame."""
    folder.mkdir(parents=True)
    for t, row in enumerate(frames):
        write_label_png(folder / f'{t:05d}.png', np.array([row], dtype=np.uint8))


TRUTH = [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 2, 2, 0, 0]]
# Object 1: 4 of 4 pixels, 2 of 4, 4 and 2 too many of 6; object 2 is not found.
FOUND = [[1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0]]
IOU = (2 / 4 + 4 / 6 + 0) / 3
IOU_WITH_FIRST = (1 + 2 / 4 + 4 / 6 + 0) / 4


@pytest.fixture
def registered(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do to the list of benchmarks what the document says."""
    names = dict(vars(benchmarks))
    exec(FILES[REGISTRATION], names)
    added = {benchmark.name: benchmark for benchmark in names['_ALL']}
    assert list(added) == [*benchmarks.BENCHMARKS, 'mean-iou']
    monkeypatch.setitem(benchmarks.BENCHMARKS, 'mean-iou', added['mean-iou'])


def test_the_benchmark_scores_results(
    registered: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_labels(tmp_path / 'truth/v', TRUTH)
    write_labels(tmp_path / 'found/v', FOUND)
    words = ['mean-iou', '--gt', str(tmp_path / 'truth'), '--results']
    words.append(str(tmp_path / 'found'))
    for option, expected in (([], IOU), (['--first'], IOU_WITH_FIRST)):
        evaluate.main([*words, *option, '--out', str(tmp_path / 'scores.json')])
        report = json.loads((tmp_path / 'scores.json').read_text())
        assert report['metrics']['IoU'] == pytest.approx(expected)
        assert f'{expected:.4f}' in capsys.readouterr().out

    (tmp_path / 'found/v/00001.png').unlink()
    with pytest.raises(DataError, match=r'lacks frame 00001\.png'):
        evaluate.main(words)


def test_the_metric_belongs_to_the_benchmark(registered: None, tmp_path: Path) -> None:
    write_labels(tmp_path / 'truth/v', TRUTH)
    import my_project.mean_iou.metric  # noqa: F401 registers it

    metric = METRICS.build(dict(type='mmvos.MeanIoUMetric', ground_truth=str(tmp_path / 'truth')))
    benchmark = benchmarks.choose_benchmark(None, [metric])
    assert benchmark.name == 'mean-iou' and benchmark.gives_prompts
    labels = [np.array([row], dtype=np.uint8) for row in FOUND]
    metric.process(None, [{'sequence': 'v', 'frames': [], 'labels': labels}])
    assert metric.evaluate(1) == {'mean-iou/IoU': pytest.approx(IOU)}


# The backbone


def test_the_backbone_is_trained_by_every_loss(project: Path) -> None:
    torch.manual_seed(0)
    model = MODELS.build(read_config(project, 'masktrack-rcnn_mobilenet-v2_fpn.py').model)
    losses = model(**model.data_preprocessor(batch(two_objects()), True))
    total = torch.zeros(())
    for name, value in losses.items():
        if 'loss' in name:
            total = total + (sum(value) if isinstance(value, list) else value)
    assert torch.isfinite(total)
    total.backward()
    without = [
        name
        for name, weight in model.detector.backbone.named_parameters()
        if weight.requires_grad and weight.grad is None
    ]
    assert not without


# The converter


def test_the_converter_writes_an_annotation_file(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from my_project import mot_boxes

    frames = tmp_path / 'img1'
    frames.mkdir()
    for t in (1, 2):
        Image.new('RGB', (8, 6)).save(frames / f'{t:06d}.jpg')
    source = tmp_path / 'gt.txt'
    source.write_text('1,5,1,2,3,2,1\n2,5,2,2,3,2,1\n2,9,0,0,2,2,1\n')
    out = tmp_path / 'out.json'
    monkeypatch.setattr(sys, 'argv', ['mot_boxes', str(source), str(frames), str(out)])
    mot_boxes.main()
    data = json.loads(out.read_text())
    assert data['videos'][0]['file_names'] == ['img1/000001.jpg', 'img1/000002.jpg']
    assert (data['videos'][0]['height'], data['videos'][0]['width']) == (6, 8)
    first, second = data['annotations']
    assert (first['id'], second['id']) == (5, 9)
    assert first['areas'] == [6, 6] and second['areas'] == [None, 4]
    assert first['bboxes'] == [[1, 2, 3, 2], [2, 2, 3, 2]]

    source.write_text('1,5,1,2,3,2,1\n3,5,1,2,3,2,1\n')
    with pytest.raises(DataError, match=r'gt\.txt: line 2: there is no frame 3'):
        mot_boxes.main()
