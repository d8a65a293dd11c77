import copy

import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, frame, square_mask, tiny_segmenter

import mmvos.datasets  # noqa: F401 registers the transforms
from mmvos.engine import OnlineFineTuner
from mmvos.structures import Frame, FrameMeta, Prompts
from mmvos.structures.rle import decode

CLIPS = [
    dict(type='mmvos.SimulateMotion', clip_length=2),
    dict(type='mmvos.CropClip', size=64),
    dict(type='mmvos.DeformGuides'),
    dict(type='mmvos.PackClip'),
]
WRAPPER = dict(type='mmvos.SafeOptimWrapper', optimizer=dict(type='AdamW', lr=3e-3))


def scene(index: int, x: int) -> Frame:
    """A frame of noise with a bright square of 24 pixels whose left edge is at x."""
    made = frame(index)
    made.image.mul_(0.3)
    made.image[0, :, torch.from_numpy(square_mask(x, 20))] += torch.tensor([1.5, -1.0, 0.5])[
        :, None
    ]
    return made


def told(x: int, index: int = 0) -> dict[int, Prompts]:
    return {index: Prompts((3,), (square_mask(x, 20),), (None,))}


def overlap(result, x: int) -> float:
    mask, truth = decode(result.objects[0].mask), square_mask(x, 20)
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize(
    'settings', [dict(pipeline=CLIPS), dict(pipeline=CLIPS[-1:], iterations=1)]
)
def test_adapting_helps_and_leaves_the_model_alone(settings):
    model = tiny_segmenter(train_context=(1.5, 1.8))
    before = copy.deepcopy(model.state_dict())
    frames = [scene(t, 20 + 3 * t) for t in range(4)]
    plain = list(model.run(frames, told(20)))[3]
    tuner = OnlineFineTuner(steps=25, batch_size=4, optim_wrapper=WRAPPER, **settings)
    results = list(tuner.run(model, frames, told(20)))
    assert len(results) == 4 and overlap(results[3], 29) > overlap(plain, 29) + 0.1
    assert (
        all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        and tuner.seconds > 0
    )


def test_it_is_repeatable_and_leaves_the_random_numbers_alone():
    model = tiny_segmenter()
    tuner = OnlineFineTuner(steps=2, batch_size=2, optim_wrapper=WRAPPER, pipeline=CLIPS)
    np.random.seed(7)
    torch.manual_seed(7)
    expected = (
        np.random.RandomState(7).rand(),
        torch.rand(1, generator=torch.Generator().manual_seed(7)),
    )
    runs = [
        [r.label_map() for r in tuner.run(model, [scene(t, 20) for t in range(2)], told(20))]
        for _ in range(2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert np.random.rand() == expected[0] and torch.equal(torch.rand(1), expected[1])


def test_late_prompts_adapt_on_their_own_frame_and_nothing_is_lost():
    tuner = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)
    results = list(tuner.run(tiny_segmenter(), (scene(t, 20) for t in range(4)), told(20, index=2)))
    assert [len(result.objects) for result in results] == [0, 0, 1, 1]


def test_a_prompt_for_a_frame_that_never_comes_is_named():
    tuner = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)
    with pytest.raises(ValueError, match='no frame 9'):
        list(tuner.run(tiny_segmenter(), [scene(0, 20)], told(20, index=9)))


def test_learning_rate_follows_its_schedule(monkeypatch):
    rates = []
    schedule = [dict(type='MultiStepLR', by_epoch=False, milestones=[2], gamma=0.1)]
    tuner = OnlineFineTuner(
        steps=4, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS, param_scheduler=schedule
    )
    step = torch.optim.AdamW.step

    def watched(self, *arguments, **options):
        rates.append(self.param_groups[0]['lr'])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, 'step', watched)
    list(tuner.run(tiny_segmenter(), [scene(0, 20)], told(20)))
    assert rates == pytest.approx([3e-3, 3e-3, 3e-4, 3e-4])


def test_a_boxs_answer_is_what_is_learned():
    tuner = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)
    prompts = {0: Prompts((1,), (None,), ((10.0, 10.0, 50.0, 50.0),))}
    assert len(list(tuner.run(tiny_segmenter(), [scene(0, 20)], prompts))) == 1


def test_nothing_to_do_is_refused():
    with pytest.raises(ValueError, match='steps'):
        OnlineFineTuner(steps=0, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)


def test_frame_size_of_the_network_may_differ_from_the_files():
    tuner = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)
    small = scene(0, 20)
    small = Frame(small.image, FrameMeta(0, (144, 192), (HEIGHT, WIDTH), (0.5, 0.5)))
    big = square_mask(20, 20).repeat(2, 0).repeat(2, 1)
    result = next(iter(tuner.run(tiny_segmenter(), [small], {0: Prompts((1,), (big,), (None,))})))
    assert result.shape == (144, 192) and (decode(result.objects[0].mask) ^ big).mean() < 0.01


def test_the_adapted_model_makes_its_own_features_of_the_prompts_frame():
    """In mode 'roi' a frame keeps its features; those of the first frame would be the unadapted
    model's.
    """
    model, calls = tiny_segmenter(mode='roi'), []
    tuner = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS)
    adapt = tuner.adapted

    def adapted(*arguments):
        tuned = adapt(*arguments)
        tuned.tracker.backbone.register_forward_hook(lambda *_: calls.append(1))
        return tuned

    tuner.adapted = adapted
    list(tuner.run(model, [scene(t, 20) for t in range(2)], told(20)))
    assert len(calls) == 2


def test_frames_before_the_first_prompt_are_not_kept():
    tuner, taken = OnlineFineTuner(steps=1, batch_size=1, optim_wrapper=WRAPPER, pipeline=CLIPS), []
    frames = (taken.append(t) or scene(t, 20) for t in range(4))
    results = tuner.run(tiny_segmenter(), frames, told(20, index=3))
    assert next(results).frame_index == 0 and taken == [0]
    assert [result.frame_index for result in results] == [1, 2, 3]
