"""Soft masks: what is written is the probability, and the mask is where it is above one half."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_segmenter import frame, square_mask, tiny_segmenter

from mmvos.apis import VideoInferencer, inference
from mmvos.apis.video_run import VideoRun
from mmvos.cli import segment
from mmvos.io.errors import DataError
from mmvos.models.video_steps import VideoSteps
from mmvos.structures import (
    UNKNOWN_LABEL,
    Frame,
    FrameMeta,
    FrameResult,
    Prompts,
    TrackedObject,
    rle,
)
from mmvos.structures.soft_mask import from_plain, soft_mask

SIZE = HEIGHT, WIDTH = 12, 17


def ramp(index: int, number: int) -> np.ndarray:
    """(H, W): a probability that is another in each pixel, frame and object."""
    values = np.arange(HEIGHT * WIDTH, dtype=np.float32).reshape(SIZE) / (HEIGHT * WIDTH)
    values[:2] = 0
    return values * (0.5 + index / 10) * (0.6 if number == 1 else 0.3)


class Ramps(VideoSteps):
    """Finds the same soft masks whatever the picture is."""

    takes_prompts = True
    dataset_meta: dict[str, Any] = {'classes': (), 'category_ids': ()}

    def make_frame(self, batch: Any) -> Frame:
        return Frame(None, FrameMeta(batch[0], SIZE, SIZE, (1.0, 1.0)))

    def init_state(self) -> int:
        return 0

    def remove(self, state: int, object_id: int) -> int:
        raise NotImplementedError

    def identity(self) -> list[Any]:
        return []

    def step(
        self, frame: Frame, state: int, prompts: Prompts | None = None
    ) -> tuple[int, FrameResult]:
        objects = []
        for number in (1, 2):
            values = ramp(frame.meta.index, number)
            code = rle.encode(values > 0.4)
            soft = soft_mask(values)
            box = rle.bounding_box(code)
            objects.append(TrackedObject(number, UNKNOWN_LABEL, 0.9, box, code, soft=soft))
        return state + 1, FrameResult(frame.meta.index, SIZE, tuple(objects))


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(inference, 'frame_preparation', lambda model: lambda *given: given)
    folder = tmp_path / 'clip'
    folder.mkdir()
    for index in range(3):
        picture = np.full((*SIZE, 3), (10, 20, 30 + index), np.uint8)
        cv2.imwrite(str(folder / f'{index}.png'), picture)
    return folder


def run(clip: Path, out: Path, **more: Any) -> None:
    model = Ramps()
    model.keeps_soft_masks = True
    box = (0, 0, 5, 5)
    results = VideoInferencer(model).infer(clip, [box, box], out, png=False, video=False, **more)
    assert len(list(results)) == 3


@pytest.mark.parametrize('bits, kind', [(8, np.uint8), (16, np.uint16)])
def test_pixels_are_probabilities(clip: Path, tmp_path: Path, bits: int, kind: Any) -> None:
    run(clip, tmp_path / 'out', soft=bits)
    largest = 2**bits - 1
    for index in range(3):
        for number in (1, 2):
            path = tmp_path / f'out/soft/{number}/{index}.png'
            found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            assert found.dtype == kind and found.shape == SIZE
            # two roundings for 8 bits
            tolerance = 0.5 + (bits == 8) * 0.01
            assert np.abs(found - ramp(index, number) * largest).max() <= tolerance
    assert not (tmp_path / 'out/cutout').exists()


def test_opacity_is_the_sum_of_probabilities(clip: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / 'out', cutout=True)
    found = cv2.imread(str(tmp_path / 'out/cutout/2.png'), cv2.IMREAD_UNCHANGED)
    opacity = (ramp(2, 1) + ramp(2, 2)) * 255
    assert np.abs(found[..., 3] - opacity).max() <= 0.51
    is_seen = found[..., 3] > 0
    assert (found[is_seen][:, :3] == (10, 20, 32)).all() and (found[~is_seen] == 0).all()


def test_both_ways_and_a_journal_keep_them(clip: Path, tmp_path: Path) -> None:
    run(clip, tmp_path / 'out', soft=16)
    run(clip, tmp_path / 'both', soft=16, direction='both')
    for path in (tmp_path / 'out/soft').rglob('*.png'):
        other = tmp_path / 'both' / path.relative_to(tmp_path / 'out')
        assert other.read_bytes() == path.read_bytes()
    # bit by bit, also of an object that is nowhere
    for values in (ramp(1, 1), np.zeros(SIZE, np.float32)):
        soft = soft_mask(values)
        back = from_plain(soft.to_plain())
        assert (back.top, back.left) == (soft.top, soft.left)
        assert (back.full(*SIZE) == np.round(values * 65535).astype(np.uint16)).all()
    _, result = Ramps().step(Ramps().make_frame((0, None)), 0)
    with VideoRun(tmp_path / 'run', 'x', (), {}, goes_on=False) as journal:
        assert journal.start() == (0, None)
        journal.append(result, None)
        journal.index_results()
        for one, two in zip(journal.read(0).objects, result.objects):
            assert one.soft is not None and two.soft is not None
            assert (one.soft.full(*SIZE) == two.soft.full(*SIZE)).all()


def test_a_mask_is_where_its_probability_is_above_one_half() -> None:
    model = tiny_segmenter()
    prompts = Prompts((4,), (square_mask(20, 20),), (None,))
    state, result = model.inference_step(frame(0), model.init_state(), prompts)
    assert result.objects[0].soft is None
    model.keeps_soft_masks = True
    _, result = model.inference_step(frame(1), state)
    (found,) = result.objects
    assert found.soft is not None
    values = found.soft.full(*result.shape) / 65535
    mask = rle.decode(found.mask)
    assert mask.shape == values.shape
    assert values[mask].min(initial=1) >= 0.499 and values[~mask].max(initial=0) <= 0.501


def test_the_command_asks_the_model_for_them(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []

    def build_model(*given: Any) -> Ramps:
        models.append(Ramps())
        return models[-1]

    monkeypatch.setattr(segment, 'build_model', build_model)
    words = [str(clip), '--box', '0,0,5,5', '--no-video', '--no-png', '--out']
    segment.main([*words, str(tmp_path / 'soft'), '--soft', '8', '--cutout'])
    names = [path.name for path in sorted((tmp_path / 'soft').rglob('*.png'))]
    assert names == ['0.png', '1.png', '2.png'] * 3
    segment.main([*words, str(tmp_path / 'plain')])
    assert not list((tmp_path / 'plain').rglob('*.png'))
    assert [model.keeps_soft_masks for model in models] == [True, False]


def test_a_model_that_keeps_none_is_refused(clip: Path, tmp_path: Path) -> None:
    for more in ({'soft': 8}, {'cutout': True}):
        with pytest.raises(DataError, match='probabilities'):
            VideoInferencer(Ramps()).infer(clip, [(0, 0, 5, 5)], tmp_path / 'out', **more)
    assert not (tmp_path / 'out').exists()
