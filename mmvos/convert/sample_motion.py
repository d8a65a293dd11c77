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
    count = max(int(rng.choice([1, 2, 3, 4], p=[0.15, 0.35, 0.3, 0.2])), len(plot))
    others = rng.choice(['wander', 'enter', 'return'], size=count - len(plot), p=[0.6, 0.25, 0.15])
    return plot + [str(motion) for motion in others]


def _smooth_step(t: Array, start: float, length: float) -> Array:
    x = np.clip((t - start) / length, 0, 1)
    return x * x * (3 - 2 * x)


def _wander(rng: np.random.Generator, t: Array, size: Array, radius: float) -> Array:
    margin = 0.7 * radius
    start, end = (rng.uniform(margin, size - margin) for _ in range(2))
    turns = rng.uniform(0.5, 1.5) * t[:, None] + rng.random(2)
    sway = rng.uniform(0, 0.08, 2) * size * np.sin(2 * np.pi * turns)
    return start + (end - start) * 0.6 * t[:, None] + sway


def _outside(rng: np.random.Generator, point: Array, size: Array, radius: float) -> Array:
    """Return a place beyond the nearest side of the frame, far enough that nothing of the object
    shows.
    """
    gaps = np.concatenate([point, size - point])  # left, top, right, bottom
    side = int(np.argmin(gaps))
    place = point.copy()
    place[side % 2] = -1.9 * radius - 4 if side < 2 else size[side % 2] + 1.9 * radius + 4
    place[1 - side % 2] += rng.uniform(-0.15, 0.15) * size[1 - side % 2]
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
        way = rng.choice([-1, 1], 2) * rng.uniform([0.5, 0.1], [0.9, 0.5]) * box
        return meet + (t[:, None] - rng.uniform(0.42, 0.58)) * way
    inside = _wander(rng, t, box, radius)
    if motion == 'wander':
        return inside
    outside = _outside(rng, inside[length // 2], box, radius)
    if motion == 'return':
        start = rng.uniform(0.15, 0.3)
        away = _smooth_step(t, start, 0.2) - _smooth_step(t, start + rng.uniform(0.35, 0.45), 0.2)
    else:
        away = 1 - _smooth_step(t, rng.uniform(0.1, 0.3), 0.3)
    return inside + (outside - inside) * away[:, None]


def draw_poses(rng: np.random.Generator, centers: Array, radius: float) -> list[Pose]:
    """Add turning, growing, stretching and bending to a path; one pose per frame."""
    t = np.linspace(0, 1, len(centers))
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-1.2, 1.2) * np.pi * t
    pulse = 0.08 * np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t)
    growth = np.exp(rng.uniform(-0.35, 0.35) * (t - 0.5) + pulse)
    stretch = np.exp(0.14 * np.sin(2 * np.pi * (rng.uniform(0.5, 1.5) * t + rng.random())))
    phase = 2 * np.pi * (rng.uniform(1, 2.5) * t + rng.random())
    return [
        Pose((float(x), float(y)), float(radius * g), float(a), float(s), float(p))
        for (x, y), g, a, s, p in zip(centers, growth, angle, stretch, phase, strict=True)
    ]


def camera_views(
    rng: np.random.Generator, picture: Array, length: int, size: tuple[int, int]
) -> list[Array]:
    """Cut the views (H, W, 3) of a camera that pans, turns and zooms over a larger picture."""
    width, height = size
    big_h, big_w = picture.shape[:2]
    slack = np.array([big_w - width, big_h - height]) / 2
    t = np.linspace(-1, 1, length)
    pan = rng.uniform(-0.7, 0.7, 2) * slack * t[:, None] + rng.normal(0, 0.8, (length, 2))
    turn, zoom = rng.uniform(-0.06, 0.06) * t, np.exp(rng.uniform(-0.08, 0.08) * t)
    views = []
    for (px, py), angle, scale in zip(pan, turn, zoom, strict=True):
        matrix: np.ndarray = cv2.getRotationMatrix2D(
            (big_w / 2, big_h / 2), np.degrees(angle), scale
        )
        matrix[:, 2] += (width / 2 - big_w / 2 + px, height / 2 - big_h / 2 + py)
        views.append(
            cv2.warpAffine(
                picture,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REFLECT,
            )
        )
    return views
