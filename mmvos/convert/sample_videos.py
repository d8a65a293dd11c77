"""A small video instance segmentation data set made of nothing but a seed, in the YouTube-VIS
layout.

Five classes (ball, crate, star, fish, ring), told apart by shape and texture and not by color, move
over textured backgrounds before a moving camera; they deform, turn, change size, hide each other,
leave and come back. A video depends only on the seed, its split and its number, so the files do not
depend on the processes.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmvos.convert.sample_motion import camera_views, draw_path, draw_plot, draw_poses
from mmvos.convert.sample_shapes import (
    CLASSES,
    Look,
    Pose,
    draw_look,
    hsv_color,
    render,
    value_noise,
)
from mmvos.datasets.youtube_vis_writer import VideoRecord, VideoWriter, keep_visible

SPLITS = ('train', 'valid')


@dataclass(frozen=True)
class VideoJob:
    """One video to make; `size` is (width, height) in pixels."""

    split: str
    seed: int
    index: int
    length: int
    size: tuple[int, int]


def draw_background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return a (height, width, 3) float32 picture 0..255: two muted colors mixed by noise, a faint
    pattern, some clutter."""
    # two muted tones, mixed by noise
    ground = value_noise(rng, height, width, (3, 7, 17, 40))[..., None]
    tones = []
    for _ in range(2):
        tone = hsv_color(
            rng.random(),
            saturation=rng.uniform(0.05, 0.4),
            value=rng.uniform(0.25, 0.85),
        )
        tones.append(tone)
    picture = ground * tones[0] + (1 - ground) * tones[1]

    # a faint pattern: stripes, a grid, or nothing
    picture += _pattern(rng, width, height)[..., None]

    # blurred rubble that belongs to no class
    for _ in range(rng.integers(3, 9)):
        layer = _rubble(rng, width, height)[..., None]
        color = hsv_color(
            rng.random(),
            saturation=rng.uniform(0.05, 0.45),
            value=rng.uniform(0.2, 0.9),
        )
        shaded = layer * color * (0.7 + 0.6 * ground)
        picture = picture * (1 - layer) + shaded
    return picture.astype(np.float32)


def _pattern(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Draw the brightness (height, width) that a faint pattern adds."""
    # coordinates along and across a random direction
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    angle = rng.uniform(0, np.pi)
    cos = np.cos(angle)
    sin = np.sin(angle)
    along = cos * x + sin * y
    across = cos * y - sin * x

    # stripes, a grid of them, or nothing
    rate = rng.uniform(20, 60)
    stripes = np.sin(rate * along)
    grid = stripes * np.sin(rate * across)
    nothing = np.zeros_like(along)
    strength = rng.uniform(6, 16)
    chosen = (stripes, grid, nothing)[rng.integers(3)]
    return strength * chosen


def _rubble(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Draw the opacity (height, width) of a blurred polygon."""
    center = rng.random(2) * (width, height)
    count = int(rng.integers(3, 7))
    spread = 0.1 * height
    corners = center + rng.normal(0, spread, (count, 2))
    layer: np.ndarray = np.zeros((height, width), np.float32)
    cv2.fillPoly(layer, [corners.astype(np.int32)], 1.0)
    blur = rng.uniform(0.6, 3)
    layer = cv2.GaussianBlur(layer, (0, 0), blur)
    opacity = rng.uniform(0.4, 0.9)
    return layer * opacity


def draw_cast(rng: np.random.Generator, job: VideoJob) -> list[tuple[Look, list[Pose]]]:
    """Return look and poses of every object, from the back to the front."""
    plot = draw_plot(rng, job.index)

    # radii, even in the logarithm
    _, height = job.size
    radii = []
    for _ in plot:
        logarithm = rng.uniform(np.log(0.12), np.log(0.24))
        radii.append(height * float(np.exp(logarithm)))

    # Paths: the crossed object comes before the one that crosses it.
    centers: dict[int, np.ndarray] = {}
    for i in sorted(range(len(plot)), key=lambda i: plot[i] == 'cross'):
        meet = None
        if plot[i] == 'cross':
            meet = centers[1][job.length // 2]
        centers[i] = draw_path(rng, plot[i], job.length, job.size, radii[i], meet)

    # Classes: each is in every fifth video at least, and two of a kind are hard to keep apart.
    kinds = rng.integers(len(CLASSES), size=len(plot))
    kinds[0] = (job.seed + job.index) % len(CLASSES)
    is_same = rng.random(len(plot) - 1) < 0.2
    kinds[1:][is_same] = kinds[0]

    cast = []
    for i in range(len(plot)):
        look = draw_look(rng, int(kinds[i]))
        poses = draw_poses(rng, centers[i], radii[i])
        cast.append((look, poses))

    # who is before whom
    return [cast[i] for i in rng.permutation(len(cast))]


def compose_frame(view: np.ndarray, cast: list[tuple[Look, Pose]]) -> tuple[np.ndarray, np.ndarray]:
    """Paint the objects, back to front, onto a view (H, W, 3) float32; return it and the label map
    (H, W) uint8."""
    height, width = view.shape[:2]
    image = view.copy()
    labels: np.ndarray = np.zeros((height, width), np.uint8)
    for number, (look, pose) in enumerate(cast, 1):
        drawn = render(look, pose, height, width)
        if drawn is None:
            continue
        window, color, alpha = drawn

        # over what is behind it
        difference = color - image[window]
        image[window] += alpha[..., None] * difference
        labels[window][alpha >= 0.5] = number
    return image, labels


def make_video(root: Path, job: VideoJob) -> VideoRecord:
    """Draw one video and write it under root/split.

    Args:
        root: of the data set.
        job: which video.

    Returns:
        What the annotation file says about it.
    """
    rng = np.random.default_rng([job.seed, SPLITS.index(job.split), job.index])
    width, height = job.size
    background = draw_background(rng, round(width * 1.5), round(height * 1.5))
    cast = draw_cast(rng, job)

    images = []
    label_maps = []
    views = camera_views(rng, background, job.length, job.size)
    for frame, view in enumerate(views):
        in_frame = [(look, poses[frame]) for look, poses in cast]
        image, labels = compose_frame(view, in_frame)
        # the light flickers, and the camera has noise
        image = image * rng.uniform(0.95, 1.05)
        image = image + rng.normal(0, 3.5, image.shape)
        rounded = np.clip(image + 0.5, 0, 255)
        images.append(rounded.astype(np.uint8))
        label_maps.append(labels)

    # Objects that are never seen are none.
    categories = {}
    for number, (look, _) in enumerate(cast, 1):
        categories[number] = look.kind + 1
    label_maps, categories = keep_visible(label_maps, categories)

    name = f'{job.split}_{job.index:04d}'
    writer = VideoWriter(root / job.split, name, categories)
    for image, labels in zip(images, label_maps, strict=True):
        writer.add(image, labels)
    return writer.finish()
