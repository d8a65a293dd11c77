"""A video of objects that are known: textured ovals that move over a textured background.

Letters: H, W height and width of the video.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.structures import Prompts

HEIGHT = 480
WIDTH = 854
PICTURES = 24
OBJECTS = 8
MOST_OBJECTS = 16
NOISE = 2  # gray levels: standard deviation of a camera's noise


@dataclass(frozen=True)
class SyntheticVideo:
    """Pictures on disk, and the label map (H, W) of the first one."""

    pictures: tuple[Path, ...]
    labels: NDArray[np.uint8]

    def prompts(self, objects: int) -> dict[int, Prompts]:
        """Return the masks of the first objects in frame 0."""
        ids = tuple(range(1, objects + 1))
        masks = tuple(self.labels == i for i in ids)
        boxes = (None,) * objects
        return {0: Prompts(ids, masks, boxes)}


def make_video(
    folder: Path, pace: int = 1, still: int = 0, objects: int = OBJECTS
) -> SyntheticVideo:
    """Draw ovals of about 110 x 150 pixels, each with its own texture, that move by about two
    pixels a frame.

    Args:
        folder: of the pictures.
        pace: how many times as fast they move. They turn back after what they go in the video at
            pace 1.
        still: how many of them, the first ones, stand still; the pictures then have a camera's
            noise.
        objects: number of ovals; of more than eight each is half as high.

    Returns:
        The video; the ids of its ovals count from 1.
    """
    # what it shows
    rng = np.random.default_rng(0)
    background = _texture(rng)
    textures = [_texture(rng) for _ in range(objects)]
    pictures = []
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for index in range(PICTURES):
        # the ovals, each over those before it
        image = background.copy()
        for k, texture in enumerate(textures):
            way = 0
            if k >= still:
                way = _way(index * pace)
            is_oval = _draw_oval(k, way, objects)
            image[is_oval] = texture[is_oval]
            if index == 0:
                labels[is_oval] = k + 1
        # the camera
        if still:
            noisy = image + rng.normal(0, NOISE, image.shape)
            image = np.clip(noisy, 0, 255).astype(np.uint8)
        path = folder / f'{index:05d}.jpg'
        cv2.imwrite(str(path), image)
        pictures.append(path)
    return SyntheticVideo(tuple(pictures), labels)


def _way(steps: int) -> int:
    """Return how many steps from its first place an oval is: it goes forth and back."""
    steps %= 2 * PICTURES
    return min(steps, 2 * PICTURES - steps)


def _draw_oval(k: int, way: int, objects: int) -> NDArray[np.bool_]:
    """Return the mask (H, W) of oval ``k`` so many steps from its first place.

    The ovals stand in two rows of four, or in four rows, and go down; neighbors move sideways in
    opposite directions.
    """
    row, column = divmod(k, 4)
    direction = -1
    if k % 2:
        direction = 1
    x = 110 + 205 * column + 3 * way * direction // 2
    y = 130 + 220 * row + way
    half_axes = (55, 75)
    if objects > OBJECTS:
        y = 60 + 110 * row + way
        half_axes = (55, 36)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (x, y), half_axes, 10 * k, 0, 360, 1, -1)
    return mask > 0


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make a picture (H, W, 3) of one color with smooth noise."""
    small_size = (HEIGHT // 12, WIDTH // 12, 1)
    noise = rng.normal(0, 45, small_size)
    color = rng.integers(40, 216, 3)
    small = np.clip(noise + color, 0, 255)
    texture = cv2.resize(
        small.astype(np.uint8),
        (WIDTH, HEIGHT),
        interpolation=cv2.INTER_CUBIC,
    )
    return np.asarray(texture, np.uint8)
