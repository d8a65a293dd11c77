"""Where an object is looked for: moved on by a share of its last move, and never outside the
frame.
"""

from __future__ import annotations

import pytest
import torch

from mmvos.models.siammask.state import SiameseState, clamp_to_frame


def state(center: tuple[float, float], velocity: tuple[float, float] = (0.0, 0.0)) -> SiameseState:
    return SiameseState(
        id=3,
        center=center,
        size=(20.0, 10.0),
        kernels=torch.zeros(3, 1, 5, 5),
        color=(1, 2, 3),
        score=0.9,
        region=((10.0, 0.0), (30.0, 0.0), (30.0, 8.0), (10.0, 8.0)),
        velocity=velocity,
    )


@pytest.mark.parametrize(
    ('velocity', 'motion', 'expected'),
    [
        ((8.0, -4.0), 0.5, (44.0, 18.0)),
        ((8.0, -4.0), 0.0, (40.0, 20.0)),
        ((80.0, -50.0), 1.0, (96.0, 0.0)),
    ],
)
def test_ahead(velocity, motion, expected):
    moved = state((40.0, 20.0), velocity).predicted(motion, 72, 96)
    assert moved.center == expected and moved.size == (20.0, 10.0) and moved.velocity == velocity


def test_without_motion_a_centre_outside_stays_there():
    """A box that is given may reach out of the frame."""
    assert state((-5.0, 90.0)).predicted(0.7, 72, 96).center == (-5.0, 90.0)
    assert state((-5.0, 90.0), (1.0, 1.0)).predicted(0.0, 72, 96).center == (-5.0, 90.0)
    assert clamp_to_frame((-5.0, 90.0), 72, 96) == (0.0, 72)


def test_velocity_is_the_difference_of_the_centres():
    assert state((44.0, 21.5)).with_velocity_from(state((40.0, 20.0), (9.0, 9.0))).velocity == (
        4.0,
        1.5,
    )


def test_what_was_seen_is_the_upright_box_of_the_polygon():
    """x from 10 to 30, y from 0 to 8, seen from (18, 6): the middle (20, 4) is 2 to the right and 2
    up.
    """
    assert state((18.0, 6.0)).relative_box(0.5) == (1.0, -1.0, 10.0, 4.0)
