"""Motion of the sample videos: paths of the objects and of the camera, all in screen pixels.

A video has a plot: two objects cross, one leaves and comes back, both, or all wander. Time runs
from 0 to 1 over the video whatever its number of frames.
"""

import cv2
import numpy as np

from mmvos.convert.sample_shapes import Pose

Array = np.ndarray
PLOTS = (('cross', 'wander'), ('return', 'wander'), ('cross', 'wander', 'return'), ('wander',))


def draw_plot(rng: np.random.Generator, index: int) -> list[str]:
    """Return the motion of each object of the video with this index: 1 to 4 of wander, cross,
    return, enter.
    """
    plot = list(PLOTS[index % len(PLOTS)])

    # how many objects there are, at least those of the plot
    count = int(rng.choice([1, 2, 3, 4], p=[0.15, 0.35, 0.3, 0.2]))
    missing = max(count, len(plot)) - len(plot)
    others = rng.choice(
        ['wander', 'enter', 'return'],
        size=missing,
        p=[0.6, 0.25, 0.15],
    )
    return plot + [str(motion) for motion in others]


def _smooth_step(t: Array, start: float, length: float) -> Array:
    """From 0 before ``start`` to 1 after ``length``, without a corner."""
    x = np.clip((t - start) / length, 0, 1)
    return x * x * (3 - 2 * x)


def _wander(rng: np.random.Generator, t: Array, size: Array, radius: float) -> Array:
    """A way (length, 2) from one place in the frame to another, swaying."""
    margin = 0.7 * radius
    start = rng.uniform(margin, size - margin)
    end = rng.uniform(margin, size - margin)

    # (length, 2): waves of their own in x and y
    turns = rng.uniform(0.5, 1.5) * t[:, None] + rng.random(2)
    width = rng.uniform(0, 0.08, 2) * size
    sway = width * np.sin(2 * np.pi * turns)

    way = (end - start) * 0.6
    return start + way * t[:, None] + sway


def _outside(rng: np.random.Generator, point: Array, size: Array, radius: float) -> Array:
    """Return a place beyond the nearest side of the frame, far enough that nothing of the object
    shows.
    """
    # the distances to left, top, right and bottom, of which the smallest decides
    gaps = np.concatenate([point, size - point])
    side = int(np.argmin(gaps))
    axis = side % 2
    other_axis = 1 - axis

    place = point.copy()
    if side < 2:
        place[axis] = -1.9 * radius - 4
    else:
        place[axis] = size[axis] + 1.9 * radius + 4

    # It may leave obliquely.
    place[other_axis] += rng.uniform(-0.15, 0.15) * size[other_axis]
    return place


def draw_path(
    rng: np.random.Generator,
    motion: str,
    length: int,
    size: tuple[int, int],
    radius: float,
    meet: Array | None = None,
) -> Array:
    """Return the centers (length, 2) of one object.

    Args:
        motion: wander, cross (straight through `meet`), return (leaves for a while), enter (comes
            late).
        size: width and height of the frame in pixels.
        radius: of the object, pixels.
        meet: (2,) the point to cross at half time; needed by cross.
    """
    t = np.linspace(0, 1, length)
    box = np.array(size, float)
    if motion == 'cross':
        assert meet is not None

        # straight through the point, which is reached at about half time
        direction = rng.choice([-1, 1], 2)
        way = direction * rng.uniform([0.5, 0.1], [0.9, 0.5]) * box
        since_meeting = t[:, None] - rng.uniform(0.42, 0.58)
        return meet + since_meeting * way

    inside = _wander(rng, t, box, radius)
    if motion == 'wander':
        return inside

    # (length,): how far it is away, 1 being wholly outside
    outside = _outside(rng, inside[length // 2], box, radius)
    if motion == 'return':
        start = rng.uniform(0.15, 0.3)
        end = start + rng.uniform(0.35, 0.45)
        away = _smooth_step(t, start, 0.2) - _smooth_step(t, end, 0.2)
    else:
        start = rng.uniform(0.1, 0.3)
        away = 1 - _smooth_step(t, start, 0.3)
    return inside + (outside - inside) * away[:, None]


def draw_poses(rng: np.random.Generator, centers: Array, radius: float) -> list[Pose]:
    """Add turning, growing, stretching and bending to a path.

    Args:
        rng: draws them.
        centers: (length, 2), the path.
        radius: of the object in pixels.

    Returns:
        One pose per frame.
    """
    t = np.linspace(0, 1, len(centers))

    # (length,): it turns evenly
    first_angle = rng.uniform(0, 2 * np.pi)
    turn = rng.uniform(-1.2, 1.2) * np.pi
    angle = first_angle + turn * t

    # grows or shrinks, and pulses
    pulse = 0.08 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t)
    trend = rng.uniform(-0.35, 0.35) * (t - 0.5)
    growth = np.exp(trend + pulse)

    # is stretched to and fro
    turns = rng.uniform(0.5, 1.5) * t + rng.random()
    stretch = np.exp(0.14 * np.sin(2 * np.pi * turns))

    # and bends
    turns = rng.uniform(1, 2.5) * t + rng.random()
    phase = 2 * np.pi * turns

    poses = []
    for i, (x, y) in enumerate(centers):
        pose = Pose(
            center=(float(x), float(y)),
            radius=float(radius * growth[i]),
            angle=float(angle[i]),
            stretch=float(stretch[i]),
            phase=float(phase[i]),
        )
        poses.append(pose)
    return poses


def camera_views(
    rng: np.random.Generator, picture: Array, length: int, size: tuple[int, int]
) -> list[Array]:
    """Cut the views of a camera that pans, turns and zooms over a larger picture.

    Args:
        rng: draws the motion.
        picture: (H', W', 3), larger than the views.
        length: how many.
        size: (W, H) of the views.

    Returns:
        (H, W, 3) each.
    """
    width, height = size
    big_h, big_w = picture.shape[:2]
    slack = np.array([big_w - width, big_h - height]) / 2

    # (length, 2) and (length,): a steady pan with a trembling hand, a turn and a zoom
    t = np.linspace(-1, 1, length)
    way = rng.uniform(-0.7, 0.7, 2) * slack
    pan = way * t[:, None] + rng.normal(0, 0.8, (length, 2))
    turn = rng.uniform(-0.06, 0.06) * t
    zoom = np.exp(rng.uniform(-0.08, 0.08) * t)

    middle = (big_w / 2, big_h / 2)
    views = []
    for (pan_x, pan_y), angle, scale in zip(pan, turn, zoom, strict=True):
        # turned and zoomed around the middle of the picture, which comes to the view's
        matrix: np.ndarray = cv2.getRotationMatrix2D(middle, np.degrees(angle), scale)
        shift_x = width / 2 - big_w / 2 + pan_x
        shift_y = height / 2 - big_h / 2 + pan_y
        matrix[:, 2] += (shift_x, shift_y)
        view = cv2.warpAffine(
            picture,
            matrix,
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT,
        )
        views.append(view)
    return views
