"""What the propagator does where an object is small, lost, found again, or not seen where a box
says it is; and padded frames.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_segmenter import HEIGHT, WIDTH, clip_sample, frame, square_mask, tiny_segmenter

from mmvos.ops.crop import draw_clicks
from mmvos.structures import Frame, Prompts
from mmvos.structures.rle import decode

BOX = (10.0, 10.0, 40.0, 50.0)


def told(mask):
    return Prompts((1,), (mask,), (None,))


def answering(model, answer):
    """Makes the propagator find what ``answer`` (number of the call) says, (HEIGHT, WIDTH) bool,
    whatever it sees.
    """
    calls = []
    segment = model.tracker._segment

    def replaced(*arguments, **options):
        found, levels = segment(*arguments, **options)
        calls.append(1)
        answered = torch.from_numpy(answer(len(calls) - 1)).float()
        return answered.expand_as(found).clone(), levels

    model.tracker._segment = replaced
    return model


@torch.no_grad()
def states(model, prompts, count):
    state, seen = model.init_state(), []
    for index in range(count):
        state, _ = model.step(frame(index), state, prompts if index == 0 else None)
        seen.append(state[0])
    return seen


@pytest.mark.parametrize('side', [1, 3])
def test_a_small_object_that_is_found_is_not_lost(side):
    """200 x 300 pixels and more would call everything below 6 pixels lost."""
    model, mask = tiny_segmenter(), np.zeros((200, 300), dtype=bool)
    mask[20 : 20 + side, 10 : 10 + side] = True
    answering(model, lambda call: mask)
    state = model.init_state()
    with torch.no_grad():
        for index in range(3):
            state, _ = model.step(
                frame(index, height=200, width=300), state, told(mask) if index == 0 else None
            )
    assert state[0].frames_lost == 0 and state[0].guide[20, 10] == 1


def test_specks_are_no_sign_of_a_large_object():
    speck = np.zeros((HEIGHT, WIDTH), dtype=bool)
    model = answering(tiny_segmenter(), lambda _: speck)
    assert [state.frames_lost for state in states(model, told(square_mask(10, 10)), 4)] == [
        0,
        1,
        2,
        3,
    ]


def test_the_square_grows_while_an_object_is_lost_and_fits_it_as_soon_as_it_is_found():
    where = square_mask(40, 30)
    model = answering(tiny_segmenter(), lambda call: where & (call >= 12))
    sides = []
    squares = model.tracker._squares
    model.tracker._squares = lambda *arguments: (
        sides.append(int((found := squares(*arguments))[0, 2])) or found
    )
    states(model, told(square_mask(10, 10)), 16)
    # 1.8 * 24 = 43
    assert sides[:3] == [43, 43, 52] and max(sides) == sides[13] == round(1.2 * WIDTH)
    assert sides[14:] == [43, 43]


def test_an_object_that_was_lost_for_long_is_known_again():
    # Halved 200 times, the guide would be 0 in float32, and half of its area with it.
    where = square_mask(10, 10)
    model = answering(tiny_segmenter(), lambda call: where & (call >= 200))
    found = states(model, told(square_mask(10, 10)), 203)
    assert found[199].frames_lost == 199 and found[202].frames_lost == 0
    assert (found[199].guide > 0).sum() == where.sum()


def test_a_box_in_which_nothing_is_found_is_the_answer():
    nothing = np.zeros((HEIGHT, WIDTH), dtype=bool)
    model = answering(tiny_segmenter(), lambda _: nothing)
    with torch.no_grad():
        state, result = model.step(frame(0), model.init_state(), Prompts((1,), (None,), (BOX,)))
    filled = nothing.copy()
    filled[10:50, 10:40] = True
    assert (
        np.array_equal(decode(result.objects[0].mask), filled)
        and tuple(state[0].box.tolist()) == BOX
    )


@pytest.mark.parametrize('mode', ['crop', 'roi'])
def test_in_the_padding_is_no_object_and_the_guide_is_unknown(mode):
    """A frame padded by 32 rows and 32 columns, of which nothing comes into guides, boxes and
    areas.
    """
    model = tiny_segmenter(mode=mode)
    model.tracker.head.register_forward_hook(lambda _module, _arguments, logits: logits * 0 + 20)
    guides = []
    model.tracker.head.register_forward_pre_hook(
        lambda _module, arguments: guides.append(arguments[1])
    )
    meta, state = frame(0).meta, model.init_state()
    with torch.no_grad():
        for index in range(3):
            padded = Frame(frame(index, height=104, width=128).image, replace(meta, index=index))
            state, result = model.step(
                padded, state, told(square_mask(72, 48)) if index == 0 else None
            )
    assert decode(result.objects[0].mask)[-1, -1]
    assert state[0].box[2] <= WIDTH + 1 and state[0].box[3] <= HEIGHT + 1
    assert [float(guide[0, 0, -1, -1]) for guide in guides] == [0, 0]
    # remembered as background; a few pixels are object
    assert max(state[0].first[1][-1, -1], state[0].last[1][-1, -1]) < -0.3


def test_a_frame_of_another_size_is_named():
    model = tiny_segmenter()
    frames = [frame(0), frame(1), frame(2, height=80, width=120)]
    with pytest.raises(ValueError, match=r'frame 2 is 120x80, .*96x72'):
        list(model.run(frames, {0: told(square_mask(10, 10))}))


def test_what_was_predicted_is_no_guide_in_the_padding_of_a_training_frame():
    model = tiny_segmenter(rollout=1.0).train()
    mask = np.stack([square_mask(40, 30)] * 3)[:, None]
    guide = mask * 2.0 - 1
    guide[..., :56, :] = 0  # a window that reaches beyond the frame, but for its last rows
    whole = []
    encode = model.tracker._encode
    model.tracker._encode = lambda *arguments: whole.append(arguments[3]) or encode(*arguments)
    model.loss(
        torch.randn(1, 3, 3, HEIGHT, WIDTH), [clip_sample(mask, guide, np.array([[2], [1], [1]]))]
    )
    assert (
        all(torch.equal(seen[0] == 0, torch.from_numpy(guide[0, 0] == 0)) for seen in whole)
        and len(whole) == 3
    )
    assert not torch.equal(whole[2][0], torch.from_numpy(guide[2, 0]).float())


def test_clicks_are_disks_in_the_square() -> None:
    # A square at (10, 20) of side 32, seen at 64 pixels: a click at (20, 30) is at (20, 20).
    clicks = torch.tensor([[[20.0, 30.0, 1.0], [40.0, 50.0, -1.0], [12.0, 22.0, 0.0]]])
    drawn = draw_clicks(clicks, torch.tensor([[10, 20, 32]]), 64)[0, 0]
    # Radius 64 / 64 = 1: the four pixels around the corner of four.
    assert drawn[19:21, 19:21].eq(1).all() and drawn.gt(0).sum() == 4
    assert drawn[59:61, 59:61].eq(-1).all() and drawn.lt(0).sum() == 4


def test_in_training_a_box_changes_by_at_most_15_percent_from_frame_to_frame():
    """Guides of 20, 40 and 40 pixels a side, squares of twice the box: 40, 2 * 23, 2 * 26.45."""
    model = tiny_segmenter(rollout=0.0, train_context=(2.0, 2.0)).train()
    sides = (20, 40, 40)
    masks = np.stack([square_mask(20, 10, side) for side in sides])[:, None]
    squares = []
    encode = model.tracker._encode
    model.tracker._encode = lambda *arguments: squares.append(arguments[2]) or encode(*arguments)
    sample = clip_sample(masks, masks * 2.0 - 1, np.array([[2], [1], [1]]))
    model.loss(torch.randn(1, 3, 3, HEIGHT, WIDTH), [sample])
    assert [int(square[0, 2]) for square in squares] == [40, 46, 53]


@pytest.mark.parametrize(('ratio', 'lost'), [(None, 0), (0.05, 1)])
def test_how_much_of_an_object_must_be_left_is_an_option(ratio, lost):
    """Of 24 x 24 = 576 pixels 200 are left; 5 % of 72 x 96 pixels are 345, half of 576 are 288."""
    rest = np.zeros((HEIGHT, WIDTH), dtype=bool)
    rest[10:20, 10:30] = True
    model = tiny_segmenter() if ratio is None else tiny_segmenter(min_area_ratio=ratio)
    model = answering(model, lambda _: rest)
    assert states(model, told(square_mask(10, 10)), 2)[1].frames_lost == lost


def test_how_much_is_seen_around_an_object_is_an_option():
    """The side of the square is 1.8 times the longer side of the box, or 3 times."""
    box = torch.tensor([[40.0, 30.0, 60.0, 40.0]])
    for model, side in ((tiny_segmenter(), 36), (tiny_segmenter(context=3.0), 60)):
        square = model.tracker._squares(frame(0), box)
        assert square.tolist() == [[50 - side // 2, 35 - side // 2, side]]


def test_how_fast_the_search_grows_is_an_option():
    nothing = np.zeros((HEIGHT, WIDTH), dtype=bool)
    model = answering(tiny_segmenter(search_growth=1.5), lambda _: nothing)
    seen = states(model, told(square_mask(36, 24)), 3)
    # 1.8 * 24 = 43 until it is missed once, then 1.8 * 36 = 65
    assert [int(state.box[2] - state.box[0]) for state in seen] == [24, 24, 24]
    squares = []
    find = model.tracker._squares
    model.tracker._squares = lambda *arguments: squares.append(find(*arguments)) or squares[-1]
    states(model, told(square_mask(36, 24)), 3)
    assert [int(square[0, 2]) for square in squares] == [43, 43, 65]
