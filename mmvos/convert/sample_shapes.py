"""Shapes, textures and noise of the sample videos.

Every class is a silhouette and a texture, both functions of local coordinates (u, v) in units of
the object's radius, with the object inside the square [-1, 1]^2. A silhouette is a field: positive
inside, about the distance to the edge. A texture is a weight in [0, 1] that mixes the object's two
colors. Colors carry no class information.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

Array = np.ndarray


def _ball(u: Array, v: Array, phase: float) -> Array:
    return 1 - np.hypot(u, v)


def _crate(u: Array, v: Array, phase: float) -> Array:
    """A box with rounded corners that leans with the phase."""
    u = u + 0.15 * np.sin(phase) * v
    du, dv = np.abs(u) - 0.72, np.abs(v) - 0.6
    outside = np.hypot(np.maximum(du, 0), np.maximum(dv, 0))
    return 0.14 - outside - np.minimum(np.maximum(du, dv), 0)


def _star(u: Array, v: Array, phase: float) -> Array:
    """Five arms that breathe with the phase."""
    arm = np.abs((np.arctan2(v, u) * 5 / (2 * np.pi)) % 1 - 0.5) * 2  # 0 in the notch, 1 on the arm
    notch = 0.42 + 0.06 * np.sin(phase)
    return 0.7 * (notch + (1 - notch) * arm**1.3 - np.hypot(u, v))


def _fish(u: Array, v: Array, phase: float) -> Array:
    """An elliptic body with a tail that wags with the phase."""
    v = v + 0.3 * np.sin(phase) * np.minimum(u - 0.1, 0) ** 2
    body = 0.5 * (1 - np.hypot((u - 0.25) / 0.75, v / 0.5))
    tail = np.minimum(np.minimum(u + 1, -0.25 - u), 0.9 * (-0.22 - u) - np.abs(v))
    return np.maximum(body, tail)


def _ring(u: Array, v: Array, phase: float) -> Array:
    return 0.27 - np.abs(np.hypot(u, v * (1 + 0.08 * np.sin(phase))) - 0.72)


def _dots(u: Array, v: Array, rate: float) -> Array:
    du, dv = (u * rate * 0.5) % 1 - 0.5, (v * rate * 0.5) % 1 - 0.5
    return np.clip((0.3 - np.hypot(du, dv)) * 8 + 0.5, 0, 1)


def _checks(u: Array, v: Array, rate: float) -> Array:
    return np.clip(
        4 * np.sin(np.pi * u * rate * 0.55) * np.sin(np.pi * v * rate * 0.55) + 0.5, 0, 1
    )


def _bands(u: Array, v: Array, rate: float) -> Array:
    """Bands around the center, as on a target."""
    return np.clip(3 * np.cos(np.pi * np.hypot(u, v) * rate * 0.8) + 0.5, 0, 1)


def _stripes(u: Array, v: Array, rate: float) -> Array:
    return np.clip(3 * np.sin(np.pi * u * rate * 0.8 + 0.5 * v) + 0.5, 0, 1)


def _sectors(u: Array, v: Array, rate: float) -> Array:
    return np.clip(3 * np.sin(np.arctan2(v, u) * np.round(rate + 1)) + 0.5, 0, 1)


@dataclass(frozen=True)
class ShapeClass:
    """One class of objects: silhouette(u, v, phase) and texture(u, v, rate)."""

    name: str
    silhouette: Callable[[Array, Array, float], Array]
    texture: Callable[[Array, Array, float], Array]


CLASSES = (
    ShapeClass('ball', _ball, _dots),
    ShapeClass('crate', _crate, _checks),
    ShapeClass('star', _star, _bands),
    ShapeClass('fish', _fish, _stripes),
    ShapeClass('ring', _ring, _sectors),
)


@dataclass(frozen=True)
class Look:
    """How one object looks in all frames: class index, two BGR colors (3,) 0..255, texture rate,
    noise tile (64, 64)."""

    kind: int
    colors: tuple[Array, Array]
    rate: float
    grain: Array


@dataclass(frozen=True)
class Pose:
    """Where one object is in one frame: center (x, y) and radius in pixels, angle in radians,
    stretch of u over v."""

    center: tuple[float, float]
    radius: float
    angle: float
    stretch: float
    phase: float


def value_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, ...]) -> Array:
    """Return (height, width) float32 noise in [0, 1]: random grids of the given cells per height,
    finer ones weaker."""
    noise = np.zeros((height, width), np.float32)
    for octave, count in enumerate(cells):
        grid = rng.random((count + 3, max(1, round(count * width / height)) + 3), np.float32)
        noise += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    low, high = noise.min(), noise.max()
    return (noise - low) / max(high - low, 1e-6)


def hsv_color(hue: float, saturation: float, value: float) -> Array:
    """Return a (3,) float32 BGR color 0..255; hue is a fraction of the circle."""
    pixel = np.array([[[int(hue % 1 * 180), saturation * 255, value * 255]]]).astype(np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def draw_look(rng: np.random.Generator, kind: int) -> Look:
    """Draw colors and texture of an object of the class with this index."""
    hue = rng.random()
    bright = hsv_color(hue, rng.uniform(0.55, 1), rng.uniform(0.8, 1))
    dark = hsv_color(hue + rng.uniform(-0.2, 0.2), rng.uniform(0.5, 1), rng.uniform(0.2, 0.45))
    return Look(kind, (bright, dark), rng.uniform(3.5, 5.5), value_noise(rng, 64, 64, (6, 13, 30)))


def render(
    look: Look, pose: Pose, height: int, width: int
) -> tuple[tuple[slice, slice], Array, Array] | None:
    """Draw one object.

    Returns:
        The window (rows, columns) it covers, its colors (h, w, 3) float32 0..255 and its opacity
        (h, w) float32 0..1; None where it lies outside the picture.
    """
    reach = pose.radius * max(pose.stretch, 1 / pose.stretch) * 1.42 + 2
    x0, x1 = max(int(pose.center[0] - reach), 0), min(int(pose.center[0] + reach) + 1, width)
    y0, y1 = max(int(pose.center[1] - reach), 0), min(int(pose.center[1] + reach) + 1, height)
    if x0 >= x1 or y0 >= y1:
        return None
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    dx, dy = (x - pose.center[0]) / pose.radius, (y - pose.center[1]) / pose.radius
    cos, sin = np.cos(pose.angle), np.sin(pose.angle)
    u, v = (cos * dx + sin * dy) / pose.stretch, (cos * dy - sin * dx) * pose.stretch
    bend = 0.07 * np.sin(pose.phase * 1.3)
    u, v = u + bend * np.sin(2.5 * v + pose.phase), v + bend * np.sin(2.5 * u)
    shape = CLASSES[look.kind]
    alpha = np.clip(0.5 + shape.silhouette(u, v, pose.phase) * pose.radius, 0, 1).astype(np.float32)
    weight = shape.texture(u, v, look.rate)[..., None].astype(np.float32)
    color = weight * look.colors[0] + (1 - weight) * look.colors[1]
    grain = cv2.remap(
        look.grain,
        ((u + 1) * 31.5).astype(np.float32),
        ((v + 1) * 31.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    # does not turn with the object
    light = 1.05 - 0.3 * (dx * 0.6 + dy * 0.8) - 0.25 * (u * u + v * v)
    color = color * np.clip(light, 0.35, 1.3)[..., None] * (0.75 + 0.5 * grain[..., None])
    return (slice(y0, y1), slice(x0, x1)), color.astype(np.float32), alpha
