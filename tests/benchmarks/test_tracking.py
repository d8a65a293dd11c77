"""The benchmark of SiamMask: the plain transcription finds what the tracker finds, the agreement,
and that it runs to its end.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import run_mmvos
from tiny_siamese import TINY_OPTIONS, frame, picture, tiny_siamese

from mmvos.benchmarks import tracking
from mmvos.benchmarks.siammask import agreement, plain
from mmvos.benchmarks.synthetic_video import SyntheticVideo
from mmvos.structures import FrameResult, Prompts, TrackedObject
from mmvos.structures.rle import decode, encode

ROOT = Path(__file__).resolve().parents[2]
BOXES = ((20.0, 12.5, 52.0, 40.0), (60.25, 30.0, 90.0, 60.0))


@pytest.mark.parametrize('refine', [True, False], ids=['sharp', 'base'])
def test_the_plain_transcription_finds_what_the_tracker_finds(refine):
    model = tiny_siamese(3, refine)
    results = list(model.run([frame(t) for t in range(4)], {0: Prompts((1,), (None,), BOXES[:1])}))
    baseline = plain.PlainSiamese(model)
    baseline.start(picture(0), BOXES)
    for t in range(1, 4):
        first, second = baseline.step(picture(t))
        assert (first != decode(results[t].objects[0].mask)).mean() < 2e-3 and 0 < first.mean() < 1
        assert (first != second).any()


def test_boxes_are_those_of_the_ovals_and_of_their_left_halves():
    labels = np.zeros((20, 40), np.uint8)
    for k in range(8):
        labels[2:12, 5 * k : 5 * k + 4] = k + 1
    boxes = tracking.boxes_of(SyntheticVideo((), labels), 10)
    assert boxes[:2] == [(0, 2, 4, 12), (5, 2, 9, 12)] and boxes[8:] == [
        (0, 2, 2, 12),
        (5, 2, 7, 12),
    ]


def test_agreement_is_the_mean_overlap_without_the_first_frame():
    def result(*masks):
        return FrameResult(
            0,
            (4, 4),
            tuple(
                TrackedObject(k, 0, 1.0, (0, 0, 0, 0), encode(mask)) for k, mask in enumerate(masks)
            ),
        )

    none, half, most = (np.arange(16).reshape(4, 4) < count for count in (0, 8, 12))
    exact, reduced = (
        [result(none, none), result(half, none)],
        [result(most, most), result(most, none)],
    )
    assert agreement.mean_overlap(exact, reduced) == pytest.approx((8 / 12 + 1) / 2)
    assert agreement.mean_overlap(exact, exact) == 1


def test_it_prints_a_row_per_precision_and_number_of_objects(tmp_path):
    config = ROOT / 'configs/siammask/siammask-sharp_r50_4xb16-20e_davis.py'
    options = [
        f'{key}={value}'.replace(' ', '').replace('(', '[').replace(')', ']')
        for key, value in TINY_OPTIONS.items()
    ]
    done = run_mmvos(
        'benchmark',
        'tracking',
        '--configs',
        str(config),
        '--cfg-options',
        *options,
        '--objects',
        '1',
        '10',
        '--precisions',
        'float32',
        '--devices',
        'cpu',
        '--seconds',
        '1',
        folder=tmp_path,
    )
    assert done.status == 0, done.output
    rows = [
        [cell.strip() for cell in line.split('|')[1:-1]]
        for line in done.output.splitlines()
        if 'float32' in line
    ]
    assert [row[:2] for row in rows] == [
        ['plain, float32', '1'],
        ['float32', '1'],
        ['float32', '10'],
    ], done.output
    assert all(float(row[2]) > 0 and float(row[5]) > 0 for row in rows) and [
        rows[k][4] for k in (0,)
    ] == ['1.00']
