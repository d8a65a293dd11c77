import pytest
import torch

from mmvos.ops.crop import crop_squares, paste_squares, roi_align, square_rois, squares_around


def test_square_has_the_boxs_centre_and_the_longer_side_times_context():
    boxes = torch.tensor([[10.0, 20, 50, 40], [0, 0, 4, 4], [0, 0, 900, 30]])
    assert squares_around(boxes, 1.5, 32, 600).tolist() == [
        [0, 0, 60],
        [-14, -14, 32],
        [150, -285, 600],
    ]


def test_crop_of_the_same_size_copies_pixels_and_is_zero_outside():
    image = torch.arange(1.0, 26).reshape(1, 1, 5, 5)
    crop = crop_squares(image, [0], torch.tensor([[-1, 3, 4]]), 4)[0, 0]
    assert crop.tolist() == [[0, 16, 17, 18], [0, 21, 22, 23], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_crop_by_half_is_the_mean_of_its_pixels_in_the_middle():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1
    crop = crop_squares(image, [0], torch.tensor([[0, 0, 8]]), 4)[0, 0]
    # antialiased bilinear by 2: weights 1/8 3/8 3/8 1/8 over four pixels
    assert crop[1].tolist() == pytest.approx([0, 1 / 8, 7 / 8, 1])


def test_paste_undoes_a_crop_of_the_same_size():
    image = torch.rand(1, 1, 9, 7)
    squares = torch.tensor([[-2, 1, 6], [3, 5, 6]])
    crops = crop_squares(image, [0, 0], squares, 6)
    pasted = paste_squares(crops[:, 0], squares, 9, 7)
    inside = torch.zeros(2, 9, 7, dtype=torch.bool)
    inside[0, 1:7, :4] = inside[1, 5:, 3:] = True
    assert (
        torch.equal(pasted[inside], image[0].expand(2, -1, -1)[inside])
        and not pasted[~inside].any()
    )


def test_a_square_outside_the_frame_gives_zeros_and_pastes_nothing():
    square = torch.tensor([[40, 40, 8]])
    assert not crop_squares(torch.ones(1, 2, 16, 16), [0], square, 4).any()
    assert not paste_squares(torch.ones(1, 4, 4), square, 16, 16).any()


@pytest.mark.parametrize('side', [24, 48, 100])
def test_centre_of_mass_survives_crop_and_paste_at_any_scale(side):
    mask = torch.zeros(1, 1, 120, 160)
    mask[..., 50:70, 60:90] = 1
    squares = torch.tensor([[75 - side // 2, 60 - side // 2, side]])
    back = paste_squares(crop_squares(mask, [0], squares, 48)[:, 0], squares, 120, 160)
    ys, xs = torch.meshgrid(torch.arange(120.0), torch.arange(160.0), indexing='ij')
    assert float((back * xs).sum() / back.sum()) == pytest.approx(74.5, abs=0.02)
    assert float((back * ys).sum() / back.sum()) == pytest.approx(59.5, abs=0.02)


def test_features_are_cut_where_the_image_is():
    levels = torch.zeros(2, 1, 12, 16)
    levels[1, 0, 4:8, 8:12] = 1  # at stride 4: rows 16..32, columns 32..48 of image 1
    cut = roi_align(
        levels, square_rois(torch.tensor([[32, 16, 16], [32, 16, 16]]), [1, 0]), 4, 1 / 4, 2
    )
    # cells at the edge see half outside
    assert cut[0, 0, 1:3, 1:3].eq(1).all() and cut[0].min() > 0.7 and not cut[1].any()
