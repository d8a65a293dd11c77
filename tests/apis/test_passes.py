"""Backwards and both ways: the frames that are computed, and what comes out in the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_segmenter import clicked_segmenter, tiny_segmenter

from mmvos.apis import VideoInferencer, open_source, video_run
from mmvos.apis.passes import FrameRange, given_frames, plan_passes
from mmvos.apis.propagation import by_importance, life_of
from mmvos.apis.video_run import VideoRun, fingerprint_of
from mmvos.io.errors import DataError
from mmvos.structures import Prompts
from mmvos.structures.rle import decode

from .bright_spots import bright_spots_config, write_mp4
from .tiny_systems import MODELS

HEIGHT, WIDTH = 72, 96


def inferencer(build=tiny_segmenter) -> VideoInferencer:
    model = build()
    model.cfg, model.dataset_meta = bright_spots_config(), dict(classes=(), category_ids=())
    return VideoInferencer(model)


def picture(index: int) -> np.ndarray:
    """Noise with a bright square that moves to the right."""
    image = np.random.default_rng(index).integers(0, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    left = 10 + 3 * (index % 20)
    image[20:44, left : left + 24] = (40, 220, 250)
    return image


def mask(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    left = 10 + 3 * (index % 20)
    mask[20:44, left : left + 24] = True
    return mask


def masks(given, restart=False):
    ids = tuple(given)
    return Prompts(ids, tuple(given.values()), (None,) * len(ids), restart=restart)


def points(object_id, *given):
    return Prompts((object_id,), (None,), (None,), (given,))


def found(results):
    """By frame the objects' masks and scores."""
    return [[(item.id, item.mask, item.score) for item in result.objects] for result in results]


# ---- which frames are gone through


def lines(prompts, count, direction='both'):
    return [
        (item.start, item.stop, item.backwards) for item in plan_passes(prompts, count, direction)
    ]


def test_one_prompt_in_the_middle_goes_both_ways():
    prompts = {4: masks({1: mask(4)})}
    assert lines(prompts, 10) == [(4, 9, False), (4, 0, True)]
    assert lines(prompts, 10, 'backward') == [(4, 0, True)]
    assert lines({0: masks({1: mask(0)})}, 3) == [(0, 2, False)]
    assert lines({2: masks({1: mask(0)})}, 3) == [(2, 2, False), (2, 0, True)]


def test_between_two_prompts_each_pass_goes_to_the_middle():
    prompts = {2: masks({1: mask(2)}), 7: masks({1: mask(7)})}
    # Frames 3, 4 are nearer to 2, frames 5, 6 to 7.
    assert lines(prompts, 10) == [(2, 4, False), (7, 9, False), (7, 5, True), (2, 0, True)]


def test_an_object_that_is_not_given_again_is_followed_through():
    prompts = {0: masks({1: mask(0), 2: mask(5)}), 6: masks({1: mask(6)})}
    assert lines(prompts, 8) == [(0, 7, False), (6, 4, True)]


def test_points_that_correct_wait_for_their_pass():
    prompts = {0: masks({1: mask(0)}), 4: points(1, (30.0, 30.0, True))}
    assert lines(prompts, 6) == [(0, 5, False), (4, 3, True)]
    assert given_frames(prompts)[1].points == (4,)


def test_a_restart_ends_what_was_before():
    prompts = {0: masks({1: mask(0)}), 6: masks({1: mask(6)}, restart=True)}
    assert lines(prompts, 8) == [(0, 7, False)]
    assert life_of(3, [0, 6, 9], [6]) == [0] and life_of(6, [0, 6, 9], [6]) == [6, 9]


def test_the_two_frames_around_come_first():
    assert by_importance(5, [0, 1, 4, 9, 12, 30], False) == [4, 9, 1, 12, 0, 30]
    assert by_importance(9, [0, 1, 4, 9, 12, 30], True) == [9, 4, 1, 12, 0, 30]
    assert by_importance(9, [0, 1, 4, 9, 12, 30], False) == [9, 12, 4, 1, 0, 30]
    assert by_importance(2, [7], False) == [7]


def test_every_frame_is_computed_where_it_is_needed():
    """Of any prompts: each object's frames are those of the pass of the nearer prompt."""
    generator = np.random.default_rng(0)
    for _ in range(60):
        count = int(generator.integers(1, 16))
        prompts = {}
        for object_id in range(1, int(generator.integers(2, 5))):
            for at in generator.choice(count, int(generator.integers(1, 4))):
                prompts.setdefault(int(at), {})[object_id] = mask(0)
        prompts = {at: masks(given) for at, given in sorted(prompts.items())}
        ranges = plan_passes(prompts, count, 'both')
        for given in given_frames(prompts).values():
            for index in range(count):
                wanted = [item for item in ranges if item.backwards != given.is_forward(index)]
                covered = [item for item in wanted if index in item.indices()]
                assert len(covered) == 1, (prompts.keys(), ranges, index)
                # The pass has come by a frame in which the object is given, in the same range.
                item = covered[0]
                passed = item.indices()[: item.indices().index(index) + 1]
                assert set(passed) & set(given.frames)


# ---- what comes out


@pytest.mark.parametrize('length', [1, 3, 8])
def test_backwards_is_forwards_of_the_reversed_video(length):
    pictures = [picture(index) for index in range(length)]
    last = length - 1
    prompts = {last: masks({1: mask(last), 2: mask(last + 9)})}
    if length > 3:
        prompts[4] = masks({1: mask(4), 3: mask(12)})
    backward = list(inferencer().infer(pictures, prompts, direction='backward'))
    turned = {last - at: given for at, given in prompts.items()}
    forward = list(inferencer().infer(pictures[::-1], turned))
    assert [result.frame_index for result in backward] == list(range(length))
    assert found(backward) == found(forward)[::-1]


@pytest.mark.parametrize('system', [name for name in MODELS if name != 'masktrack-rcnn'])
def test_every_prompted_system_goes_both_ways(system):
    pictures = [picture(index) for index in range(5)]
    results = list(
        inferencer(MODELS[system]).infer(pictures, {2: masks({1: mask(2)})}, direction='both')
    )
    assert [[item.id for item in result.objects] for result in results] == [[1]] * 5
    forward = list(inferencer(MODELS[system]).infer(pictures, {2: masks({1: mask(2)})}))
    assert found(results[2:]) == found(forward[2:])
    # Backwards the same as on the reversed video.
    turned = list(inferencer(MODELS[system]).infer(pictures[::-1], {2: masks({1: mask(2)})}))
    assert found(results[:3]) == found(turned)[:1:-1]


def test_between_two_prompts_the_result_is_that_of_the_nearer_pass_which_knows_both():
    pictures = [picture(index) for index in range(8)]
    prompts = {1: masks({1: mask(1)}), 6: masks({1: mask(6)})}
    model = inferencer()
    results = list(model.infer(pictures, prompts, direction='both'))
    for at in (1, 6):
        np.testing.assert_array_equal(decode(results[at].objects[0].mask), mask(at))
    # The same by the function that goes through a range.
    source = open_source(pictures).seekable()
    prompted = {at: model.look_at_prompts(source, at, given) for at, given in prompts.items()}
    forward = {
        step.result.frame_index: step.result for step in model.propagate(source, 1, 7, prompted)
    }
    backward = {
        step.result.frame_index: step.result for step in model.propagate(source, 6, 0, prompted)
    }
    expected = [backward[0], *(forward[at] for at in (1, 2, 3)), backward[4], backward[5]]
    assert found(results) == found([*expected, forward[6], forward[7]])
    # A pass that does not know the later frame gives something else.
    alone = list(inferencer().infer(pictures, {1: prompts[1]}))
    assert found(alone)[2] != found(results)[2]


def test_propagation_goes_on_from_any_step_and_changes_no_state():
    pictures = [picture(index) for index in range(9)]
    model = inferencer()
    source = open_source(pictures).seekable()
    prompts = {0: masks({1: mask(0)}), 4: masks({1: mask(4), 2: mask(14)}), 8: masks({1: mask(8)})}
    prompted = {at: model.look_at_prompts(source, at, given) for at, given in prompts.items()}
    for start, stop in ((0, 8), (8, 0)):
        steps = list(model.propagate(source, start, stop, prompted))
        for index in range(8):
            at = steps[index].result.frame_index
            before = [torch.clone(item.guide) for item in steps[index].state]
            following = at + (1 if stop > start else -1)
            for _ in range(2):
                rest = list(model.propagate(source, following, stop, prompted, steps[index].state))
                if following != stop:
                    assert found(s.result for s in rest) == found(
                        s.result for s in steps[index + 1 :]
                    )
            for guide, item in zip(before, steps[index].state, strict=True):
                assert torch.equal(guide, item.guide)


def test_points_correct_what_a_pass_finds_and_count_in_both_directions():
    pictures = [picture(index) for index in range(7)]
    model = inferencer(clicked_segmenter)
    prompts = {0: masks({1: mask(0)}), 4: points(1, (60.0, 60.0, True), (12.0, 12.0, False))}
    results = list(model.infer(pictures, prompts, direction='both'))
    source = open_source(pictures).seekable()
    first = {0: model.look_at_prompts(source, 0, prompts[0])}
    *_, before = model.propagate(source, 0, 4, first)
    corrected = model.look_at_prompts(source, 4, prompts[4], before.result)
    assert corrected.prompts.masks[0] is not None
    np.testing.assert_array_equal(
        decode(results[4].objects[0].mask), decode(corrected.result.objects[0].mask)
    )
    # Frame 3 is nearer to the correction: it comes from there, backwards.
    steps = list(model.propagate(source, 4, 3, first | {4: corrected}))
    assert found(results)[3] == found([steps[1].result])[0]


def test_objects_of_two_passes_do_not_overlap():
    pictures = [picture(index) for index in range(6)]
    prompts = {0: masks({1: mask(0)}), 5: masks({2: mask(5)})}
    results = list(inferencer().infer(pictures, prompts, direction='both'))
    for result in results:
        assert [item.id for item in result.objects] == [1, 2]
        shown = [decode(item.mask) for item in result.objects]
        assert not (shown[0] & shown[1]).any()


def test_what_cannot_go_backwards_is_refused_before_the_work(model):
    prompts = {0: masks({1: mask(0)})}
    with pytest.raises(DataError, match='come once and in order'):
        inferencer().infer(iter([picture(0)]), prompts, direction='backward')
    with pytest.raises(DataError, match='finds its objects by itself'):
        VideoInferencer(model).infer([picture(0)], direction='backward')
    with pytest.raises(DataError, match="not 'sideways'"):
        inferencer().infer([picture(0)], prompts, direction='sideways')
    with pytest.raises(DataError, match='no frame 3'):
        inferencer().infer([picture(0)] * 3, {3: prompts[0]}, direction='both')


def test_the_ranges_of_a_video_are_counted():
    assert len(FrameRange(3, 3, True)) == 1 and list(FrameRange(3, 1, True).indices()) == [3, 2, 1]


# ---- a run that is stopped


def segment(model, clip, out, prompts, direction, stop_at=None):
    fingerprint = fingerprint_of(model.model, clip, prompts, direction=direction)
    names = ('results.json', 'masks', 'overlay.mp4')
    with VideoRun(out, fingerprint, names, {'config': 'tiny'}, True) as run:
        steps = []

        def progress(done, total):
            steps.append(done)
            if done == stop_at:
                raise KeyboardInterrupt

        results = list(
            model.infer(clip, prompts, out, run=run, direction=direction, progress=progress)
        )
    return steps, results


@pytest.mark.parametrize('direction', ['backward', 'both'])
@pytest.mark.parametrize('stop_at', [1, 6, 9, 12])
def test_a_run_that_is_stopped_goes_on(tmp_path, monkeypatch, direction, stop_at):
    monkeypatch.setattr(video_run, '_SECONDS', -1)
    clip = write_mp4(tmp_path / 'clip.mp4', [picture(index) for index in range(16)])
    model = inferencer(clicked_segmenter)
    prompts = {
        3: masks({1: mask(3)}),
        8: points(1, (60.0, 60.0, True), (12.0, 12.0, False)),
        12: masks({1: mask(12), 2: mask(2)}),
    }
    if direction == 'backward':
        prompts[8] = masks({1: mask(8)})
    _, whole = segment(model, clip, tmp_path / 'whole', prompts, direction)
    out = tmp_path / 'out'
    with pytest.raises(KeyboardInterrupt):
        segment(model, clip, out, prompts, direction, stop_at)
    steps, results = segment(model, clip, out, prompts, direction)
    assert steps[0] == stop_at + 1
    assert found(results) == found(whole)
    for name in ('results.json', 'masks/00005.png'):
        assert (out / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()
    assert not (out / 'unfinished').exists()
    assert [result.frame_index for result in results] == list(range(16))
