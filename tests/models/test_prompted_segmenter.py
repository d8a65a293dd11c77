"""The loop over prompted objects: prompts, merging, ids, late and lost objects, replay; and the
propagator's own rules.
"""

import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, clip_sample, frame, square_mask, tiny_segmenter

from mmvos.models.tracker import PromptedObjects, PromptKind
from mmvos.optimize import optimize
from mmvos.structures import Prompts
from mmvos.structures.rle import decode


def told(**masks: np.ndarray) -> Prompts:
    """Mask prompts by id: told(_1=mask)."""
    return Prompts(
        tuple(int(name[1:]) for name in masks), tuple(masks.values()), (None,) * len(masks)
    )


def run(model, prompts, count=4):
    return list(model.run((frame(i) for i in range(count)), prompts))


def test_a_given_mask_is_the_answer_of_its_frame():
    results = run(tiny_segmenter(), {0: told(_1=square_mask(10, 10))}, 1)
    assert np.array_equal(decode(results[0].objects[0].mask), square_mask(10, 10))
    assert results[0].objects[0].box == (10, 10, 34, 34) and results[0].objects[0].score == 1


def test_every_object_is_in_every_result_from_its_prompt_on_in_order_of_id():
    prompts = {0: told(_7=square_mask(10, 10)), 2: told(_3=square_mask(60, 40))}
    assert [[item.id for item in result.objects] for result in run(tiny_segmenter(), prompts)] == [
        [7],
        [7],
        [3, 7],
        [3, 7],
    ]


def test_before_the_first_prompt_there_is_nothing():
    results = run(tiny_segmenter(), {2: told(_1=square_mask(10, 10))}, 3)
    assert [len(result.objects) for result in results] == [0, 0, 1]


def test_pixels_of_a_late_prompt_belong_to_nobody_else():
    prompts = {0: told(_1=square_mask(10, 10, 40)), 1: told(_2=square_mask(20, 20))}
    result = run(tiny_segmenter(), prompts, 2)[1]
    masks = [decode(item.mask) for item in result.objects]
    assert np.array_equal(masks[1], square_mask(20, 20)) and not (masks[0] & masks[1]).any()


@pytest.mark.parametrize('merge', ['soft', 'hard'])
def test_masks_never_overlap(merge):
    prompts = {0: told(_1=square_mask(10, 10), _2=square_mask(30, 30), _3=square_mask(50, 10))}
    for result in run(tiny_segmenter(merge=merge), prompts):
        assert sum(decode(item.mask).astype(int) for item in result.objects).max() <= 1


def test_order_of_objects_does_not_matter():
    a, b = square_mask(10, 10), square_mask(50, 30)
    model = tiny_segmenter()
    for one, other in zip(
        run(model, {0: told(_1=a, _2=b)}), run(model, {0: told(_2=b, _1=a)}), strict=True
    ):
        assert [(x.id, x.mask) for x in one.objects] == [(x.id, x.mask) for x in other.objects]


def test_replaying_a_step_changes_neither_state_nor_result():
    model = tiny_segmenter()
    with torch.no_grad():
        state, _ = model.step(
            frame(0), model.init_state(), told(_1=square_mask(10, 10), _2=square_mask(50, 30))
        )
        kept = [(item.guide.clone(), item.first[1].clone(), item.last[1].clone()) for item in state]
        first, second = (model.step(frame(1), state)[1] for _ in range(2))
    assert first == second
    for item, copies in zip(state, kept, strict=True):
        assert all(
            torch.equal(a, b)
            for a, b in zip((item.guide, item.first[1], item.last[1]), copies, strict=True)
        )


@pytest.mark.parametrize('mode', ['crop', 'roi'])
def test_a_box_is_segmented_on_its_own_frame(mode):
    model = tiny_segmenter(mode=mode)
    result = next(model.run([frame(0)], {0: Prompts((1,), (None,), ((10.0, 10.0, 40.0, 50.0),))}))
    mask = decode(result.objects[0].mask)
    box = np.zeros((HEIGHT, WIDTH), dtype=bool)
    box[10:50, 10:40] = True
    assert mask.any() and not np.array_equal(mask, box)


def test_shared_features_are_computed_once_for_all_objects():
    model, calls = tiny_segmenter(mode='roi'), []
    model.tracker.backbone.register_forward_hook(lambda *_: calls.append(1))
    run(model, {0: told(_1=square_mask(10, 10), _2=square_mask(50, 30), _3=square_mask(30, 40))}, 3)
    assert len(calls) == 3


def test_all_objects_are_one_batch():
    model, sizes = tiny_segmenter(), []
    model.tracker.head.register_forward_hook(
        lambda _module, arguments, _result: sizes.append(len(arguments[1]))
    )
    run(model, {0: told(_1=square_mask(10, 10), _2=square_mask(50, 30), _3=square_mask(30, 40))}, 3)
    assert sizes == [3, 3]


def blind(model, *, frames: set[int]) -> None:
    """Makes the head see nothing in its calls of these numbers."""
    calls = []

    def hide(_module, _arguments, logits):
        calls.append(1)
        return logits * 0 + (-20 if len(calls) - 1 in frames else 20)

    model.tracker.head.register_forward_hook(hide)


def test_a_lost_object_has_empty_masks_and_its_guide_fades():
    model = tiny_segmenter()
    blind(model, frames=set(range(50)))
    state, guides = model.init_state(), []
    with torch.no_grad():
        for index in range(20):
            state, result = model.step(
                frame(index), state, told(_1=square_mask(10, 10)) if index == 0 else None
            )
            guides.append(float(state[0].guide.abs().max()))
    assert not decode(result.objects[0].mask).any() and result.objects[0].score == 0
    assert (
        result.objects[0].box == (0, 0, 0, 0)
        and guides[:4] == [1, 0.5, 0.25, 0.125]
        and state[0].frames_lost == 19
    )


def test_an_object_that_comes_back_keeps_its_id():
    model = tiny_segmenter()
    blind(model, frames={0, 1})
    results = run(model, {0: told(_4=square_mask(10, 10))}, 4)
    assert [bool(decode(result.objects[0].mask).any()) for result in results] == [
        True,
        False,
        False,
        True,
    ]


def test_prompt_for_a_known_id_starts_it_anew():
    prompts = {0: told(_1=square_mask(10, 10)), 2: told(_1=square_mask(60, 40))}
    result = run(tiny_segmenter(), prompts, 3)[2]
    assert len(result.objects) == 1 and np.array_equal(
        decode(result.objects[0].mask), square_mask(60, 40)
    )


def test_a_prompt_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match='object 5'):
        run(tiny_segmenter(), {0: Prompts((5,), (np.ones((4, 4), dtype=bool),), (None,))})


def test_memory_holds_two_frames_however_long_the_video():
    model, state = tiny_segmenter(), None
    with torch.no_grad():
        for index in range(12):
            state, _ = model.step(
                frame(index),
                state or model.init_state(),
                told(_1=square_mask(10, 10)) if index == 0 else None,
            )
    assert state[0].first[0].shape == state[0].last[0].shape == (64, 16) and state[0].top is None


def test_padding_holds_no_object():
    model = tiny_segmenter()
    padded = frame(0, height=80, width=128)
    object.__setattr__(padded, 'meta', frame(0).meta)
    result = next(model.run([padded], {0: told(_1=square_mask(70, 46))}))
    assert result.shape == (HEIGHT, WIDTH) and np.array_equal(
        decode(result.objects[0].mask), square_mask(70, 46)
    )


def test_acceleration_keeps_the_masks():
    model = tiny_segmenter()
    prompts = {0: told(_1=square_mask(10, 10), _2=square_mask(50, 30))}
    plain = [result.label_map() for result in run(model, prompts)]
    optimize(model)
    for a, b in zip(plain, run(model, prompts), strict=True):
        assert (a != b.label_map()).mean() < 0.002


def clips(kinds: np.ndarray, away: bool = False):
    """Two clips of three frames: a square that moves; the guide is the square of the frame
    before.
    """
    frames = torch.randn(2, 3, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    masks = np.stack([square_mask(20 + 4 * t, 20) for t in range(3)])[:, None]
    guides = np.concatenate([masks[:1], masks[:2]]).astype(float) * 2 - 1
    return frames, [clip_sample(masks, guides, kinds)] * 2


@pytest.mark.parametrize(
    ('kinds', 'roi_ratio'), [((0, 1, 1), 0.0), ((2, 1, 3), 0.0), ((0, 1, 1), 1.0)]
)
def test_loss_reaches_every_part(kinds, roi_ratio):
    model = tiny_segmenter(roi_ratio=roi_ratio).train()
    inputs, samples = clips(np.array(kinds)[:, None])
    sum(model.loss(inputs, samples).values()).backward()
    without = {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None
    }
    assert without == ({'tracker.backbone.guide_conv.weight'} if roi_ratio else set())


def test_exact_guides_teach_nothing():
    model = tiny_segmenter().train()
    inputs, samples = clips(np.zeros((3, 1), dtype=int))
    losses = model.loss(inputs, samples)
    assert sum(losses.values()).item() == 0


def test_a_guide_that_was_moved_away_has_an_empty_target():
    model = tiny_segmenter().train()
    seen = []
    model.tracker.head.loss = lambda logits, targets, weights: (
        seen.append(targets) or {'loss_mask': logits.sum() * 0}
    )
    inputs, samples = clips(np.array([[2], [3], [1]]))
    model.loss(inputs, samples)
    sums = seen[0].sum(dim=(1, 2, 3)).view(3, 2)
    assert not sums[1].any() and (sums[[0, 2]] > 100).all()


def test_a_net_learns_to_correct_shifted_guides():
    """The anti-copy test in its short form: guides shifted by a tenth come out better than they
    went in.
    """
    generator = torch.Generator().manual_seed(0)
    model = tiny_segmenter(roi_ratio=0.0, rollout=0.0, train_context=(1.5, 1.8)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)

    def draw(count):
        images = torch.randn(count, 1, 3, HEIGHT, WIDTH, generator=generator) * 0.3
        masks = np.stack([square_mask(*rng.integers(8, (56, 36)), 28) for _ in range(count)])
        for image, mask in zip(images, masks, strict=True):
            image[0, :, torch.from_numpy(mask)] += torch.tensor([1.5, -1.0, 0.5])[:, None]
        shifted = np.stack([np.roll(mask, rng.choice([-3, 3], 2), (0, 1)) for mask in masks])
        samples = [
            clip_sample(mask[None, None], guide[None, None] * 2.0 - 1, np.array([[1]]))
            for mask, guide in zip(masks, shifted, strict=True)
        ]
        return images, samples, masks, shifted

    for _ in range(40):
        images, samples, _, _ = draw(6)
        optimizer.zero_grad()
        sum(model.loss(images, samples).values()).backward()
        optimizer.step()
    model.eval()
    images, _, masks, shifted = draw(8)
    before, after = [], []
    with torch.no_grad():
        for image, mask, guide in zip(images, masks, shifted, strict=True):
            held = frame(0)
            object.__setattr__(held, 'image', image)
            prior = torch.from_numpy(guide * 2.0 - 1).float()[None]
            _, states = model.tracker.start(
                held, PromptedObjects((1,), prior, (PromptKind.MASK,), ())
            )
            squares = model.tracker._squares(held, states[0].box[None])
            answer, _ = model.tracker._segment(held, states[0].guide[None], squares, [])
            found = answer[0].numpy() > 0.5
            before.append((mask & guide).sum() / (mask | guide).sum())
            after.append((mask & found).sum() / (mask | found).sum())
    assert np.mean(after) > np.mean(before) + 0.05, (np.mean(before), np.mean(after))


@pytest.mark.parametrize(('rate', 'side'), [(0.02, 24.48), (0.5, 36.0)])
def test_the_box_grows_slowly_when_the_mask_grows_at_once(rate, side):
    model = tiny_segmenter(box_change=rate)
    blind(model, frames=set())  # everything in the square is object: 43 pixels a side
    with torch.no_grad():
        state, _ = model.step(frame(0), model.init_state(), told(_1=square_mask(36, 24)))
        state, _ = model.step(frame(1), state)
    width, height = (state[0].box[2:] - state[0].box[:2]).tolist()
    assert width == pytest.approx(side, abs=1e-3) and height == pytest.approx(side, abs=1e-3)


@pytest.mark.parametrize('passes', [1, 3])
def test_a_box_can_be_gone_over_several_times(passes):
    model, calls = tiny_segmenter(box_passes=passes), []
    model.tracker.head.register_forward_hook(lambda *_: calls.append(1))
    next(model.run([frame(0)], {0: Prompts((1,), (None,), ((10.0, 10.0, 40.0, 50.0),))}))
    assert len(calls) == passes
