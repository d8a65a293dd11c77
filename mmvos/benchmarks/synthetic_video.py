"""A video of eight objects that are known: textured ovals that move over a textured background.

Letters: H, W height and width of the video.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmvos.structures import Prompts

HEIGHT, WIDTH = 480, 854
PICTURES = 24
OBJECTS = 8


@dataclass(frozen=True)
class SyntheticVideo:
    """Pictures on disk, and the label map (H, W) of the first one."""

    pictures: tuple[Path, ...]
    labels: NDArray[np.uint8]

    def prompts(self, objects: int) -> dict[int, Prompts]:
        """Return the masks of the first objects in frame 0."""
        ids = tuple(range(1, objects + 1))
        return {0: Prompts(ids, tuple(self.labels == i for i in ids), (None,) * objects)}


def make_video(folder: Path) -> SyntheticVideo:
    """Draw eight ovals of about 110 x 150 pixels, each with its own texture, that move by about
    two pixels a frame.

    Args:
        folder: of the pictures.
    """
    rng = np.random.default_rng(0)
    background, *textures = (_texture(rng) for _ in range(1 + OBJECTS))
    pictures = []
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for index in range(PICTURES):
        image = background.copy()
        for k, texture in enumerate(textures):
            # Neighbors move in opposite directions.
            direction = 1 if k % 2 else -1
            x = 110 + 205 * (k % 4) + 3 * index * direction // 2
            y = 130 + 220 * (k // 4) + index
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            cv2.ellipse(mask, (x, y), (55, 75), 10 * k, 0, 360, 1, -1)
            image[mask > 0] = texture[mask > 0]
            if index == 0:
                labels[mask > 0] = k + 1
        pictures.append(folder / f'{index:05d}.jpg')
        cv2.imwrite(str(pictures[-1]), image)
    return SyntheticVideo(tuple(pictures), labels)


def _texture(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make a picture (H, W, 3) of one color with smooth noise."""
    noise = rng.normal(0, 45, (HEIGHT // 12, WIDTH // 12, 1)) + rng.integers(40, 216, 3)
    small = np.clip(noise, 0, 255).astype(np.uint8)
    texture = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.asarray(texture, np.uint8)
