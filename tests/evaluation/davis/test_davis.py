"""DAVIS: the official conventions, where ours differs from the official code, and what is
refused.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_folders import SIZE, labels, write
from PIL import Image

from mmvos.evaluation import EvaluationInputError, evaluate_davis
from mmvos.evaluation.davis import Protocol
from mmvos.io.label_png import write_label_png
from mmvos.registry import METRICS

SHARED = Path(__file__).resolve().parents[4] / 'shared' / 'data' / 'DAVIS'
UNSUPERVISED = Protocol(2017, 'unsupervised')
GOOD = [labels(o1=(5, 5, 20, 20), o2=(10, 40, 10, 20))] * 5
BAD = [labels(o1=(5, 5, 20, 10), o2=(10, 40, 10, 20))] * 5  # half of object 1


def test_mean_is_over_objects_and_not_over_sequences(tmp_path: Path) -> None:
    one = [labels(o1=(0, 0, 10, 10))] * 5
    truth = write(tmp_path / 'gt', {'a': GOOD, 'b': one})
    report = evaluate_davis(truth, write(tmp_path / 'r', {'a': BAD, 'b': one}))
    assert report.metrics['J_mean'] == pytest.approx((0.5 + 1 + 1) / 3)
    assert [row['J_mean'] for row in report.tables['per_sequence']] == pytest.approx([0.75, 1])
    assert [
        (row['sequence'], row['object'], row['frames']) for row in report.tables['per_object']
    ] == [('a', 1, 3), ('a', 2, 3), ('b', 1, 3)]
    both = report.metrics['J_mean'] + report.metrics['F_mean']
    assert report.metrics['J&F_mean'] == pytest.approx(both / 2)


def test_first_and_last_frame_are_not_scored_and_need_not_be_there(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'a': GOOD})
    results = write(tmp_path / 'r', {'a': [BAD[0], *GOOD[1:4], BAD[4]]})
    assert evaluate_davis(truth, results).metrics['J&F_mean'] == 1
    (results / 'a' / '00000.png').unlink()
    (results / 'a' / '00004.png').unlink()
    assert evaluate_davis(truth, results).metrics['J&F_mean'] == 1


def test_gap_in_the_ids_scores_no_phantom_object(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'a': [labels(o1=(5, 5, 20, 20), o3=(10, 40, 10, 20))] * 4})
    results = write(tmp_path / 'r', {'a': [labels(o1=(5, 5, 20, 10), o3=(10, 40, 10, 20))] * 4})
    assert evaluate_davis(truth, results).metrics['J_mean'] == pytest.approx((0.5 + 1) / 2)
    assert evaluate_davis(truth, results, Protocol(official=True)).metrics[
        'J_mean'
    ] == pytest.approx((0.5 + 1 + 1) / 3)


def test_late_objects_are_named_and_not_scored(tmp_path: Path) -> None:
    late = [labels(o1=(5, 5, 20, 20))] * 2 + GOOD[:3]
    report = evaluate_davis(write(tmp_path / 'gt', {'a': late}), write(tmp_path / 'r', {'a': late}))
    assert len(report.tables['per_object']) == 1
    assert 'a: the objects [2] are not in the first frame' in report.notes[0]
    with pytest.raises(EvaluationInputError, match=r'the id 2'):
        evaluate_davis(
            tmp_path / 'gt', tmp_path / 'r', Protocol(official=True)
        )  # the official code gives up, too


def test_year_2016_merges_ids_and_reads_gray_masks(tmp_path: Path) -> None:
    merged = [(frame > 0).astype(np.uint8) * 255 for frame in GOOD]
    truth = write(tmp_path / 'gt', {'a': merged}, mode='L')
    report = evaluate_davis(truth, write(tmp_path / 'r', {'a': GOOD}), Protocol(2016))
    assert (report.metrics['J&F_mean'], len(report.tables['per_object'])) == (1, 1)
    # Black and white is object 1 in any year, also in palette images.
    for mode in 'LP':
        same = write(tmp_path / f'same{mode}', {'a': merged}, mode=mode)
        for year in (2016, 2017):
            assert evaluate_davis(truth, same, Protocol(year)).metrics['J&F_mean'] == 1
    void = write(tmp_path / 'void', {'a': [np.full(SIZE, 255, np.uint8)] * len(GOOD)})
    for path in void.glob('a/*'):  # in DAVIS's colors, where 255 is not white
        write_label_png(path, np.full(SIZE, 255, np.uint8))
    with pytest.raises(EvaluationInputError, match='a: no object'):
        evaluate_davis(void, tmp_path / 'r')


def test_semi_supervised_void_is_background(tmp_path: Path) -> None:
    frame = labels(o1=(5, 5, 20, 20), o255=(5, 25, 20, 20))
    truth = write(tmp_path / 'gt', {'a': [frame] * 4})
    over = write(tmp_path / 'r', {'a': [labels(o1=(5, 5, 20, 40))] * 4})
    assert evaluate_davis(truth, over).metrics['J_mean'] == 0.5


def test_unsupervised_matches_proposals_and_leaves_void_out(tmp_path: Path) -> None:
    truth = write(
        tmp_path / 'gt',
        {'a': [labels(o1=(5, 5, 20, 20), o255=(5, 25, 20, 10), o2=(30, 40, 10, 20))] * 3},
    )
    results = write(
        tmp_path / 'r',
        {'a': [labels(o7=(5, 5, 20, 30), o4=(30, 40, 10, 20), o9=(45, 0, 2, 2))] * 3},
    )
    report = evaluate_davis(truth, results, UNSUPERVISED)
    assert report.metrics['J&F_mean'] == 1
    assert [row['frames'] for row in report.tables['per_object']] == [3, 3]  # all frames count


def test_unsupervised_objects_without_proposal_are_missed(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'a': GOOD})
    results = write(tmp_path / 'r', {'a': [labels(o1=(10, 40, 10, 20))] * 5})
    assert evaluate_davis(truth, results, UNSUPERVISED).metrics['J_mean'] == 0.5
    many = np.arange(SIZE[0] * SIZE[1], dtype=np.uint32).reshape(SIZE) % 22
    with pytest.raises(EvaluationInputError, match='21 proposals; at most 20'):
        evaluate_davis(
            truth, write(tmp_path / 'm', {'a': [many.astype(np.uint8)] * 5}), UNSUPERVISED
        )


def test_permuted_ground_truth_is_perfect_only_unsupervised(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'a': GOOD})
    swapped = write(tmp_path / 'r', {'a': [np.array([0, 2, 1], np.uint8)[frame] for frame in GOOD]})
    found = evaluate_davis(truth, swapped, UNSUPERVISED).metrics
    assert (found['J_mean'], found['J_recall'], found['J_decay']) == (1, 1, 0)
    assert evaluate_davis(truth, swapped).metrics['J_mean'] == 0


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), task=st.sampled_from(['semi-supervised', 'unsupervised']))
def test_names_of_objects_and_order_of_files_change_nothing(seed: int, task: str) -> None:
    rng = np.random.default_rng(seed)
    truth = {
        name: [np.roll(GOOD[0], rng.integers(-5, 5, 2), (0, 1)) for _ in range(4)] for name in 'ab'
    }
    results = {
        name: [np.roll(frame, rng.integers(-4, 4, 2), (0, 1)) for frame in truth[name]]
        for name in 'ab'
    }
    renamed = np.array([0, 5, 3], np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        scores = []
        for number, table in enumerate((np.arange(3, dtype=np.uint8), renamed)):
            roots = []
            for kind, videos in (('gt', truth), ('r', results)):
                root = Path(folder) / f'{kind}{number}'
                for name in list(videos)[:: -1 if number else 1]:
                    write(root, {name: [table[frame] for frame in videos[name]]})
                roots.append(root)
            report = evaluate_davis(*roots, Protocol(2017, task))
            rows = report.tables['per_object']
            scores.append(
                (
                    report.metrics,
                    sorted((row['sequence'], row['J_mean'], row['F_decay']) for row in rows),
                )
            )
    assert scores[0][1] == scores[1][1]
    assert scores[0][0] == pytest.approx(scores[1][0], abs=1e-12)


def test_processes_change_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shifts = {
        name: [np.roll(frame, rng.integers(-5, 5, 2), (0, 1)) for frame in GOOD] for name in 'abc'
    }
    truth = write(tmp_path / 'gt', dict.fromkeys('abc', GOOD))
    results = write(tmp_path / 'r', shifts)
    assert evaluate_davis(truth, results, processes=2) == evaluate_davis(
        truth, results, processes=1
    )


def test_split_lists_and_layout(tmp_path: Path) -> None:
    root = tmp_path / 'DAVIS'
    write(root / 'Annotations' / '480p', {'a': GOOD, 'b': GOOD})
    (root / 'ImageSets' / '2017').mkdir(parents=True)
    (root / 'ImageSets' / '2017' / 'val.txt').write_text('b\n')
    results = write(tmp_path / 'r', {'b': GOOD})
    assert len(evaluate_davis(root, results).tables['per_sequence']) == 1
    with pytest.raises(EvaluationInputError, match='split test is neither'):
        evaluate_davis(root, results, split='test')
    with pytest.raises(EvaluationInputError, match='no folder Full-Resolution'):
        evaluate_davis(root, results, resolution='Full-Resolution')
    with pytest.raises(EvaluationInputError, match='no folder Annotations_unsupervised'):
        evaluate_davis(root, results, UNSUPERVISED)


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (lambda r: (r / 'a' / '00002.png').unlink(), r'a lacks frame 00002\.png'),
        (
            lambda r: shutil.copy(r / 'a' / '00002.png', r / 'a' / '00009.png'),
            r'a has frame 00009\.png',
        ),
        (lambda r: shutil.rmtree(r / 'a'), 'lacks the sequence a'),
        (lambda r: shutil.copytree(r / 'a', r / 'z'), 'has the sequence z'),
        (
            lambda r: Image.new('RGB', SIZE[::-1]).save(r / 'a' / '00001.png'),
            r'00001\.png is a RGB image',
        ),
        (
            lambda r: Image.new('P', (9, 9)).save(r / 'a' / '00001.png'),
            r'00001\.png is 9 x 9 but the ground truth is 48 x 70',
        ),
        (
            lambda r: Image.new('L', SIZE[::-1], 133).save(r / 'a' / '00001.png'),
            'gray image with the value 133',
        ),
        (
            lambda r: write(r, {'a': [GOOD[0], labels(o5=(0, 0, 9, 9))]}),
            r'00001\.png has the id 5, .* \(it has 1, 2\)',
        ),
        (
            lambda r: write(r, {'a': [GOOD[0], labels(o1=(9, 9, 9, 9), o255=(0, 0, 9, 9))]}),
            r'00001\.png has the id 255',
        ),
        (
            lambda r: (r / 'a' / '00001.png').write_bytes(b'no image'),
            r'00001\.png is not an image',
        ),
        (
            lambda r: Image.new('L', SIZE[::-1]).save(r / 'a' / '00001.png', 'JPEG'),
            'is a JPEG image',
        ),
    ],
)
def test_defects_are_named_with_their_place(tmp_path: Path, spoil: object, message: str) -> None:
    truth = write(tmp_path / 'gt', {'a': GOOD, 'b': GOOD})
    results = write(tmp_path / 'r', {'a': GOOD, 'b': GOOD})
    spoil(results)  # type: ignore[operator]
    with pytest.raises(EvaluationInputError, match=message):
        evaluate_davis(truth, results)


def test_metric_equals_the_folder_evaluation(tmp_path: Path) -> None:
    truth = write(tmp_path / 'gt', {'a': GOOD, 'b': GOOD})
    results = write(tmp_path / 'r', {'a': BAD, 'b': GOOD})
    for task in ('semi-supervised', 'unsupervised'):
        metric = METRICS.build(
            {'type': 'mmvos.DAVISMetric', 'ground_truth': str(truth), 'year': 2017, 'task': task}
        )
        metric.process({}, [{'sequence': 'b', 'labels': np.stack(GOOD)}])
        metric.process({}, [{'sequence': 'a', 'labels': np.stack(BAD)}])
        expected = evaluate_davis(truth, results, Protocol(2017, task)).metrics
        assert metric.evaluate(2) == {f'davis/{name}': value for name, value in expected.items()}
    metric = METRICS.build({'type': 'mmvos.DAVISMetric', 'ground_truth': str(truth), 'year': 2016})
    metric.process({}, [{'sequence': 'b', 'labels': np.stack(GOOD)}])
    with pytest.raises(EvaluationInputError, match='no result, the first is'):
        metric.evaluate(1)


def test_metric_reads_a_split(tmp_path: Path) -> None:
    root = tmp_path / 'DAVIS'
    write(root / 'Annotations' / 'small', {'a': GOOD, 'b': GOOD})
    listed = tmp_path / 'mine.txt'
    listed.write_text('b')
    metric = METRICS.build(
        {
            'type': 'mmvos.DAVISMetric',
            'ground_truth': str(root),
            'split': str(listed),
            'resolution': 'small',
        }
    )
    assert list(metric.folders) == ['b']


@pytest.mark.skipif(
    not SHARED.is_dir(), reason='needs DAVIS-2016 at ../shared/data/DAVIS beside the checkout'
)
@pytest.mark.parametrize(
    ('sequence', 'j', 'f'), [('blackswan', 0.804392, 0.851108), ('libby', 0.551032, 0.761224)]
)
def test_official_numbers_of_shifted_ground_truth(
    tmp_path: Path, sequence: str, j: float, f: float
) -> None:
    """The official tool's values for predictions that are the truth shifted by 6 rows and 8
    columns.
    """
    source = sorted((SHARED / 'Annotations' / '480p' / sequence).glob('*.png'))
    (tmp_path / sequence).mkdir()
    for path in source:
        Image.fromarray(np.roll(np.array(Image.open(path)), (6, 8), (0, 1))).save(
            tmp_path / sequence / path.name
        )
    listed = tmp_path / 'one.txt'
    listed.write_text(sequence)
    report = evaluate_davis(SHARED, tmp_path, Protocol(2016), split=str(listed))
    assert (report.metrics['J_mean'], report.metrics['F_mean']) == pytest.approx((j, f), abs=1e-6)


def test_a_folder_without_480p_is_a_ground_truth(tmp_path: Path) -> None:
    write(tmp_path / 'own/Annotations', {'a': GOOD})
    write(tmp_path / 'r', {'a': BAD})
    expected = evaluate_davis(tmp_path / 'own/Annotations', tmp_path / 'r').metrics
    assert evaluate_davis(tmp_path / 'own', tmp_path / 'r').metrics == expected
    with pytest.raises(EvaluationInputError, match=r'no folder 480p.* 1080p'):
        write(tmp_path / 'other/Annotations/1080p', {'a': GOOD})
        evaluate_davis(tmp_path / 'other', tmp_path / 'r')


def test_frames_without_leading_zeros_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    truth = [labels(o1=(5, t, 20, 20)) for t in range(12)]
    # The result of the last frame, which is not scored, is empty.
    result = [*truth[:11], labels()]
    write(tmp_path / 'gt', {'a': truth})
    write(tmp_path / 'r', {'a': result})
    for folder in ('gt', 'r'):
        for t in range(12):
            path = tmp_path / folder / 'a' / f'{t:05}.png'
            path.rename(path.with_name(f'{t + 1}.png'))
    (tmp_path / 'r/a/._1.png').write_bytes(b'what a Mac leaves')
    (tmp_path / 'r/.ipynb_checkpoints').mkdir()
    shutil.copy(tmp_path / 'r/a/1.png', tmp_path / 'r/.ipynb_checkpoints')
    assert evaluate_davis(tmp_path / 'gt', tmp_path / 'r').metrics['J_mean'] == 1


def test_results_of_the_command_that_segments_many_videos(tmp_path: Path) -> None:
    write(tmp_path / 'gt', {'a': GOOD, 'b': GOOD})
    for name, frames in (('a', BAD), ('b', GOOD)):
        write(tmp_path / 'r' / name, {'masks': frames})
        (tmp_path / 'r' / name / 'results.json').write_text('[]')
    (tmp_path / 'r/videos.csv').touch()
    report = evaluate_davis(tmp_path / 'gt', tmp_path / 'r')
    assert report.metrics['J_mean'] == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    (tmp_path / 'r/a/masks/00002.png').unlink()
    with pytest.raises(EvaluationInputError, match=r'masks lacks frame 00002\.png'):
        evaluate_davis(tmp_path / 'gt', tmp_path / 'r')


def test_results_in_a_folder_per_object(tmp_path: Path) -> None:
    """Two masks overlap: object 1 has 400 of 500 pixels right, object 2 all of its own."""
    truth = labels(o1=(0, 0, 20, 20), o2=(0, 20, 20, 5))
    write(tmp_path / 'gt', {'a': [truth] * 4})
    for number, mask, mode in (
        ('001', labels(o1=(0, 0, 20, 25)), 'P'),
        ('002', labels(o255=(0, 20, 20, 5)), 'L'),
    ):
        # Before an object comes, its folder may have no file.
        frames = [mask] * 4
        write(tmp_path / 'r' / 'a', {number: frames}, mode=mode)
    (tmp_path / 'r/a/002/00000.png').unlink()
    report = evaluate_davis(tmp_path / 'gt', tmp_path / 'r')
    assert [row['J_mean'] for row in report.tables['per_object']] == [0.8, 1]
    (tmp_path / 'r/a/002/00001.png').unlink()
    report = evaluate_davis(tmp_path / 'gt', tmp_path / 'r')
    assert [row['J_mean'] for row in report.tables['per_object']] == [0.8, 0.5]
    merged = evaluate_davis(tmp_path / 'gt', tmp_path / 'r', Protocol(2016))
    assert merged.metrics['J_mean'] == 1
    write_label_png(tmp_path / 'r/a/002/00001.png', truth)
    with pytest.raises(EvaluationInputError, match=r'002/00001\.png .*object 2 .*several objects'):
        evaluate_davis(tmp_path / 'gt', tmp_path / 'r')
    shutil.rmtree(tmp_path / 'r/a/002')
    write(tmp_path / 'r/a', {'005': [np.minimum(truth, 1)] * 4})
    with pytest.raises(EvaluationInputError, match=r'has the id 5'):
        evaluate_davis(tmp_path / 'gt', tmp_path / 'r')


def test_ids_above_255_are_scored(tmp_path: Path) -> None:
    truth = labels(o1=(0, 0, 10, 10)).astype(np.uint16)
    truth[20:30, :20] = 255
    truth[30:40, :20] = 300
    result = truth.copy()
    result[35:40, :20] = 0
    for folder, image in (('gt', truth), ('r', result)):
        (tmp_path / folder / 'a').mkdir(parents=True)
        for t in range(3):
            write_label_png(tmp_path / folder / 'a' / f'{t}.png', image)
    rows = evaluate_davis(tmp_path / 'gt', tmp_path / 'r').tables['per_object']
    assert [(row['object'], row['J_mean']) for row in rows] == [(1, 1), (255, 1), (300, 0.5)]


def test_the_ground_truth_is_looked_at_before_a_run(tmp_path: Path) -> None:
    metric = {'type': 'mmvos.DAVISMetric', 'ground_truth': str(tmp_path / 'gt')}
    write(tmp_path / 'gt', {'a': GOOD})
    METRICS.build(metric)
    Image.new('P', (9, 9)).save(tmp_path / 'gt/a/00002.png')
    with pytest.raises(EvaluationInputError, match=r'00002\.png is 9 x 9'):
        METRICS.build(metric)
    Image.new('RGB', SIZE[::-1]).save(tmp_path / 'gt/a/00002.png')
    with pytest.raises(EvaluationInputError, match=r'00002\.png is a RGB image'):
        METRICS.build(metric)
    write(tmp_path / 'gt', {'a': [labels(), *GOOD[1:]]})
    with pytest.raises(EvaluationInputError, match='a: no object'):
        METRICS.build(metric)
