"""VOT: overlaps, EAO and accuracy with numbers from outside, the supervised run, and what is
refused.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mmvos.evaluation import EvaluationInputError, evaluate_vot
from mmvos.evaluation.vot import (
    Interval,
    Run,
    box_of_polygon,
    export_workspace,
    measure,
    overlap,
    read_sequences,
    run_sequences,
    run_supervised,
    summarize,
    trajectory,
)
from mmvos.registry import METRICS

INTERVAL = Interval((5, 20), (4, 19))
BAG = Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'vot'


def square(x: float = 5, y: float = 5, side: float = 10) -> NDArray[np.float64]:
    return np.array([x, y, x + side, y, x + side, y + side, x, y + side], float)


PERFECT = [1] + [square()] * 29
LOST = [1] + [square()] * 9 + [2, 0, 0, 0, 0, 1] + [square()] * 14


def write_dataset(
    root: Path, names: str = 'a', frames: int = 30, numbers: int = 8, pictures: bool = True
) -> Path:
    text = '5,5,15,5,15,15,5,15\n' if numbers == 8 else '5,5,11,11\n'  # the same pixels
    for name in names:
        (root / name).mkdir(parents=True)
        (root / name / 'groundtruth.txt').write_text(text * frames)
        for frame in range(frames if pictures else 0):
            cv2.imwrite(str(root / name / f'{frame + 1:08}.jpg'), np.zeros((60, 80, 3), np.uint8))
    return root


@pytest.mark.parametrize(('shift', 'expected'), [(0, 1), (5, 0.375), (10, 0), (11, 0), (-5, 0.375)])
def test_overlap_of_rasterized_squares(shift: int, expected: float) -> None:
    assert overlap(square(), square(5 + shift)) == expected
    assert overlap(square(), square(5 + shift), (100, 100)) == expected


def test_overlap_counts_only_what_is_inside() -> None:
    """Outside are x < 0: of a square from -5 to 5 the columns 0..5 are left."""
    assert overlap(square(-5, 0), square(0, 0), (100, 100)) == pytest.approx(6 * 11 / (11 * 11))
    assert overlap(square(20, 20), square(20, 20), (10, 10)) == 0


@pytest.mark.parametrize(
    ('polygon', 'box'),
    [
        ([10, 20, 50, 20, 50, 40, 10, 40], (30, 30, 41, 21)),
        ([0, 10, 10, 0, 20, 10, 10, 20], (10, 10, 15.142136, 15.142136)),
    ],
)
def test_box_of_polygon(polygon: list[float], box: tuple[float, ...]) -> None:
    assert box_of_polygon(np.array(polygon, float)) == pytest.approx(box, abs=1e-6)


@pytest.mark.parametrize(('lines', 'eao', 'lost'), [(PERFECT, 1, 0), (LOST, 0.816704, 1)])
def test_expected_overlap(lines: list[object], eao: float, lost: int) -> None:
    run = measure(trajectory(lines), np.array([square()] * 30), (100, 100))
    metrics = summarize({'a': [run]}, INTERVAL).metrics
    assert (metrics['EAO'], metrics['accuracy']) == pytest.approx((eao, 1), abs=1e-6)
    assert (metrics['lost_number'], metrics['robustness']) == pytest.approx((lost, 100 * lost / 30))


def test_conventions_differ_where_they_should() -> None:
    """A failure three frames before the end: no restart. Plain: the segment just ends; toolkit: it
    is filled with zeros.
    """
    truth = np.array([square()] * 30)
    late = measure(trajectory([1] + [square()] * 26 + [2, 0, 0]), truth, (100, 100))
    metrics = summarize({'a': [late]}, Interval((29, 30), (28, 29))).metrics
    assert metrics['EAO'] == pytest.approx((26 / 28 + 26 / 29) / 2)
    assert metrics['toolkit_EAO'] == pytest.approx((26 / 28 + 26 / 29) / 2)
    long = measure(trajectory([1] + [square()] * 59), np.array([square()] * 60), (100, 100))
    both = summarize({'a': [late], 'b': [long]}, Interval((41, 41), (40, 40))).metrics
    assert both['EAO'] == 1  # the late failure has no frame 40
    assert both['toolkit_EAO'] == pytest.approx((26 / 40 + 1) / 2)


def test_a_failure_five_frames_before_the_end_counts_as_restarted() -> None:
    """Frame 25 of 30: 25 + 5 = 30. The segment of 30 frames is filled with zeros and weighs 30 /
    31, no other follows it. At length 35 its mean is 24 / 35, that of the longer sequence is 1.

    A failure in frame 26 just ends its segment, which has no frame 35 then.
    """
    truth = np.array([square()] * 30)
    restarted = measure(trajectory([1] + [square()] * 24 + [2, 0, 0, 0, 0]), truth, (100, 100))
    late = measure(trajectory([1] + [square()] * 25 + [2, 0, 0, 0]), truth, (100, 100))
    long = measure(trajectory([1] + [square()] * 39), np.array([square()] * 40), (100, 100))

    def eao(run: Run) -> float:
        return summarize({'a': [run], 'b': [long]}, Interval((36, 36), (35, 35))).metrics['EAO']

    weight = 30 / 31
    assert eao(restarted) == pytest.approx((weight * 24 / 35 + 1) / (weight + 1))
    assert eao(late) == 1


def test_the_toolkits_measures_have_the_toolkits_pixels() -> None:
    """A diamond in its square: 219 of 441 pixels for the tools, 221 for the toolkit."""
    diamond = np.array([0, 10, 10, 0, 20, 10, 10, 20], float)
    truth = np.array([square(0, 0, 20)] * 30)
    run = measure(trajectory([1] + [diamond] * 29), truth, (100, 100))
    metrics = summarize({'a': [run]}, INTERVAL).metrics
    assert metrics['accuracy'] == pytest.approx(219 / 441)
    assert metrics['EAO'] == pytest.approx(219 / 441)
    assert metrics['toolkit_accuracy'] == pytest.approx(221 / 441)
    assert metrics['toolkit_EAO'] == pytest.approx(221 / 441)


def test_accuracy_is_pooled_and_in_the_toolkit_weighted_by_length() -> None:
    # overlap .375
    half = measure(trajectory([1] + [square(10)] * 19), np.array([square()] * 20), (100, 100))
    full = measure(trajectory([1] + [square()] * 39), np.array([square()] * 40), (100, 100))
    metrics = summarize({'a': [half], 'b': [full]}, INTERVAL).metrics
    assert metrics['accuracy'] == pytest.approx(
        (10 * 0.375 + 30) / 40
    )  # ten frames after a start do not count
    assert metrics['toolkit_accuracy'] == pytest.approx((20 * 0.375 + 40) / 60)


class Copycat:
    """Answers with the truth, but loses the object where told to."""

    def __init__(self, lose: tuple[int, ...] = ()) -> None:
        self.lose, self.calls, self.starts = lose, 0, []

    def init(self, image: NDArray[np.uint8], region: NDArray[np.float64]) -> None:
        self.region = region
        self.starts.append(self.calls)
        self.calls += 1

    def track(self, image: NDArray[np.uint8]) -> NDArray[np.float64]:
        self.calls += 1
        return self.region + 30 if self.calls - 1 in self.lose else self.region


def test_supervised_run_restarts_five_frames_after_a_failure() -> None:
    images = [np.zeros((60, 80, 3), np.uint8)] * 30
    lines = run_supervised(images, np.array([square()] * 30), Copycat(lose=(10,)))
    assert [line if isinstance(line, int) else 3 for line in lines] == [1] + [3] * 9 + [
        2,
        0,
        0,
        0,
        0,
        1,
    ] + [3] * 14


@pytest.mark.parametrize('numbers', [4, 8])
def test_run_files_scores_metric_and_export(tmp_path: Path, numbers: int) -> None:
    root = write_dataset(tmp_path / 'data', 'ab', numbers=numbers)
    sequences = read_sequences(root)
    run_sequences(sequences, lambda: Copycat(lose=(10,)), tmp_path / 'r')
    text = (tmp_path / 'r' / 'baseline' / 'a' / 'a_001.txt').read_text().splitlines()
    assert text[:2] == ['1', '5.0000,5.0000,15.0000,5.0000,15.0000,15.0000,5.0000,15.0000']
    assert text[10:16] == ['2', '0', '0', '0', '0', '1']
    report = evaluate_vot(root, tmp_path / 'r', interval=(5, 20))
    assert report.metrics['EAO'] == pytest.approx(0.816704, abs=1e-6)
    assert report.metrics['lost_number'] == 2
    assert evaluate_vot(root, tmp_path / 'r', interval=(5, 20), processes=2) == report
    metric = METRICS.build({'type': 'mmvos.VOTMetric', 'ground_truth': str(root), 'year': 2016})
    for name in 'ba':
        metric.process({}, [{'sequence': name, 'lines': LOST}])
    assert metric.evaluate(2)['vot/lost_number'] == 2
    export_workspace(tmp_path / 'r', root, tmp_path / 'ws', 'copy-cat', 2019)
    export_workspace(tmp_path / 'r', root, tmp_path / 'ws', 'copy-cat', 2019)
    assert (
        tmp_path / 'ws' / 'results' / 'copy-cat' / 'baseline' / 'b' / 'b_001.txt'
    ).read_text().splitlines() == text
    assert (tmp_path / 'ws' / 'trackers.ini').read_text().count('[copy-cat]') == 1
    assert 'low: 46' in (tmp_path / 'ws' / 'stack.yaml').read_text()
    with pytest.raises(EvaluationInputError, match='no name for a tracker'):
        export_workspace(tmp_path / 'r', root, tmp_path / 'ws', '../x')


@pytest.mark.parametrize('place', ['color', 'imgs', '.'])
def test_frames_are_found_where_they_are(tmp_path: Path, place: str) -> None:
    root = write_dataset(tmp_path / 'data', frames=3)
    (root / 'a' / place).mkdir(exist_ok=True)
    for path in list((root / 'a').glob('*.jpg')):
        path.rename(root / 'a' / place / path.name)
    (sequence,) = read_sequences(root)
    assert [path.stem for path in sequence.frames] == ['00000001', '00000002', '00000003']
    assert sequence.size() == (80, 60)
    sequence.frames[0].unlink()
    with pytest.raises(EvaluationInputError, match=r'has 2 frames but groundtruth\.txt 3 lines'):
        read_sequences(root)


def test_short_sequences_leave_eao_undefined(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / 'data', pictures=False)
    (tmp_path / 'r' / 'a').mkdir(parents=True)
    (tmp_path / 'r' / 'a' / 'a_001.txt').write_text('1\n' + '5,5,15,5,15,15,5,15\n' * 29)
    report = evaluate_vot(root, tmp_path / 'r', year=2018)
    assert (report.metrics['EAO'], report.metrics['accuracy']) == (-1, 1)
    assert 'the longest sequence has 30 frames' in report.notes[0]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('1\n5,5,11,11\n', 'has 2 lines but the sequence has 4 frames'),
        ('5,5,11,11\n' * 4, 'line 1 must be 1'),
        ('1\n5,5,nan,11\n0\n0\n', 'line 2 has a coordinate that is no number'),
        ('1\n5,5,11\n0\n0\n', 'line 2 has 3 numbers'),
        ('1\nx\n0\n0\n', "line 2: 'x' is no region"),
        ('1\n5,5,11,11\n0\n1\n', 'line 3: 0 without a failure'),
        ('1\n2\n5,5,11,11\n1\n', 'line 3: a region before a restart'),
        ('', 'is empty'),
    ],
)
def test_defects_are_named_with_their_place(tmp_path: Path, text: str, message: str) -> None:
    root = write_dataset(tmp_path / 'data', frames=4)
    (tmp_path / 'r' / 'a').mkdir(parents=True)
    (tmp_path / 'r' / 'a' / 'a_001.txt').write_text(text)
    with pytest.raises(EvaluationInputError, match=message):
        evaluate_vot(root, tmp_path / 'r')


def test_missing_and_unknown_sequences_are_refused(tmp_path: Path) -> None:
    root = write_dataset(tmp_path / 'data', 'ab')
    run_sequences(read_sequences(root)[:1], Copycat, tmp_path / 'r')
    with pytest.raises(EvaluationInputError, match='lacks the sequence b'):
        evaluate_vot(root, tmp_path / 'r')
    (root / 'list.txt').write_text('b\n')
    with pytest.raises(EvaluationInputError, match='the sequence'):
        evaluate_vot(root, tmp_path / 'r')


@pytest.mark.skipif(
    not BAG.is_dir(), reason='needs a VOT sequence at ../shared/data/vot beside the checkout'
)
def test_copying_the_start_on_a_real_sequence(tmp_path: Path) -> None:
    """Standing still on a moving bag: between nothing and perfect, with failures; the truth itself
    is perfect.
    """
    sequences = read_sequences(BAG)
    assert sequences[0].truth.shape == (196, 8)
    assert len(sequences[0].frames) == 196
    still = measure(
        trajectory([1] + [sequences[0].truth[0]] * 195), sequences[0].truth, sequences[0].size()
    )
    assert 0 < np.nanmean(still.overlaps) < 0.6
    perfect = measure(
        trajectory([1, *sequences[0].truth[1:]]), sequences[0].truth, sequences[0].size()
    )
    assert summarize({'bag': [perfect]}, INTERVAL).metrics['EAO'] == 1
