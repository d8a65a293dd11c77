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
    lean = 0.15 * np.sin(phase)
    u = u + lean * v

    # signed distances from the sides of the inner box
    beside = np.abs(u) - 0.72
    above = np.abs(v) - 0.6

    # distance to the box from without, and from within to its nearest side
    outside = np.hypot(np.maximum(beside, 0), np.maximum(above, 0))
    inside = np.minimum(np.maximum(beside, above), 0)
    return 0.14 - outside - inside


def _star(u: Array, v: Array, phase: float) -> Array:
    """Five arms that breathe with the phase."""
    # 0 in the notch between two arms, 1 on the arm
    turns = np.arctan2(v, u) * 5 / (2 * np.pi)
    arm = np.abs(turns % 1 - 0.5) * 2

    # how far the star reaches in this direction
    notch = 0.42 + 0.06 * np.sin(phase)
    reach = notch + (1 - notch) * arm**1.3
    return 0.7 * (reach - np.hypot(u, v))


def _fish(u: Array, v: Array, phase: float) -> Array:
    """An elliptic body with a tail that wags with the phase."""
    # The further behind, the more it wags.
    behind = np.minimum(u - 0.1, 0)
    wag = 0.3 * np.sin(phase)
    v = v + wag * behind**2

    body = 0.5 * (1 - np.hypot((u - 0.25) / 0.75, v / 0.5))

    # a triangle between two ends, wider to the back
    between_ends = np.minimum(u + 1, -0.25 - u)
    half_width = 0.9 * (-0.22 - u)
    tail = np.minimum(between_ends, half_width - np.abs(v))
    return np.maximum(body, tail)


def _ring(u: Array, v: Array, phase: float) -> Array:
    """A ring that is squeezed with the phase."""
    squeeze = 1 + 0.08 * np.sin(phase)
    radius = np.hypot(u, v * squeeze)
    return 0.27 - np.abs(radius - 0.72)


def _soften(field: Array) -> Array:
    """Turn a field into a weight from 0 to 1, .5 where the field is 0."""
    return np.clip(field + 0.5, 0, 1)


def _dots(u: Array, v: Array, rate: float) -> Array:
    """A dot in the middle of each cell of a grid."""
    # from the middle of the cell
    du = (u * rate * 0.5) % 1 - 0.5
    dv = (v * rate * 0.5) % 1 - 0.5
    depth = 0.3 - np.hypot(du, dv)
    return _soften(depth * 8)


def _checks(u: Array, v: Array, rate: float) -> Array:
    """The fields of a chessboard."""
    # one wave along either axis
    angle_u = np.pi * u * rate * 0.55
    angle_v = np.pi * v * rate * 0.55
    across = np.sin(angle_u)
    down = np.sin(angle_v)
    return _soften(4 * across * down)


def _bands(u: Array, v: Array, rate: float) -> Array:
    """Bands around the center, as on a target."""
    radius = np.hypot(u, v)
    angle = np.pi * radius * rate * 0.8
    wave = np.cos(angle)
    return _soften(3 * wave)


def _stripes(u: Array, v: Array, rate: float) -> Array:
    """Stripes that are a little oblique."""
    angle = np.pi * u * rate * 0.8 + 0.5 * v
    wave = np.sin(angle)
    return _soften(3 * wave)


def _sectors(u: Array, v: Array, rate: float) -> Array:
    """Sectors of a whole number."""
    count = np.round(rate + 1)
    direction = np.arctan2(v, u)
    wave = np.sin(direction * count)
    return _soften(3 * wave)


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
    """How one object looks in all frames.

    Attributes:
        kind: class index.
        colors: two BGR colors (3,) from 0 to 255.
        rate: of the texture.
        grain: (64, 64), a tile of noise.
    """

    kind: int
    colors: tuple[Array, Array]
    rate: float
    grain: Array


@dataclass(frozen=True)
class Pose:
    """Where one object is in one frame.

    Attributes:
        center: (x, y) in pixels.
        radius: in pixels.
        angle: in radians.
        stretch: of u over v.
        phase: of its deformation.
    """

    center: tuple[float, float]
    radius: float
    angle: float
    stretch: float
    phase: float


def value_noise(rng: np.random.Generator, height: int, width: int, cells: tuple[int, ...]) -> Array:
    """Return (height, width) float32 noise in [0, 1]: random grids of the given cells per height,
    finer ones weaker."""
    noise = np.zeros((height, width), np.float32)
    for octave, rows in enumerate(cells):
        # a random value for each cell, interpolated
        columns = max(1, round(rows * width / height))
        grid = rng.random((rows + 3, columns + 3), np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        noise += layer * 0.6**octave

    # from 0 to 1
    low = noise.min()
    span = noise.max() - low
    return (noise - low) / max(span, 1e-6)


def hsv_color(hue: float, saturation: float, value: float) -> Array:
    """Return a (3,) float32 BGR color 0..255; hue is a fraction of the circle."""
    # OpenCV's hue of 8 bits goes from 0 to 179
    hue_value = int(hue % 1 * 180)
    color = [hue_value, saturation * 255, value * 255]
    pixel = np.array([[color]]).astype(np.uint8)
    converted = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)
    return converted[0, 0].astype(np.float32)


def draw_look(rng: np.random.Generator, kind: int) -> Look:
    """Draw colors and texture of an object of the class with this index."""
    # a bright and a dark color of about the same hue
    hue = rng.random()
    bright = hsv_color(
        hue,
        saturation=rng.uniform(0.55, 1),
        value=rng.uniform(0.8, 1),
    )
    dark = hsv_color(
        hue + rng.uniform(-0.2, 0.2),
        saturation=rng.uniform(0.5, 1),
        value=rng.uniform(0.2, 0.45),
    )

    # the texture in these colors, and the grain of the surface
    rate = rng.uniform(3.5, 5.5)
    grain = value_noise(rng, 64, 64, (6, 13, 30))
    return Look(kind, (bright, dark), rate, grain)


def render(
    look: Look, pose: Pose, height: int, width: int
) -> tuple[tuple[slice, slice], Array, Array] | None:
    """Draw one object.

    Args:
        look: its kind, colors and surface.
        pose: where and how it is.
        height, width: of the picture.

    Returns:
        The window (rows, columns) it covers, its colors (h, w, 3) float32 0..255 and its opacity
        (h, w) float32 0..1; None where it lies outside the picture.
    """
    # the window of the frame that it can reach
    center_x, center_y = pose.center
    reach = pose.radius * max(pose.stretch, 1 / pose.stretch) * 1.42 + 2
    x0 = max(int(center_x - reach), 0)
    x1 = min(int(center_x + reach) + 1, width)
    y0 = max(int(center_y - reach), 0)
    y1 = min(int(center_y + reach) + 1, height)
    if x0 >= x1 or y0 >= y1:
        return None

    # (h, w): local coordinates, as the object is turned, stretched and bent
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    dx = (x - center_x) / pose.radius
    dy = (y - center_y) / pose.radius
    cos = np.cos(pose.angle)
    sin = np.sin(pose.angle)
    straight_u = (cos * dx + sin * dy) / pose.stretch
    straight_v = (cos * dy - sin * dx) * pose.stretch
    bend = 0.07 * np.sin(pose.phase * 1.3)
    u = straight_u + bend * np.sin(2.5 * straight_v + pose.phase)
    v = straight_v + bend * np.sin(2.5 * straight_u)

    # (h, w): the edge is as soft as one pixel
    shape = CLASSES[look.kind]
    field = shape.silhouette(u, v, pose.phase)
    alpha = np.clip(0.5 + field * pose.radius, 0, 1).astype(np.float32)

    # (h, w, 3): two colors mixed by the texture
    weight = shape.texture(u, v, look.rate)
    weight = weight[..., None].astype(np.float32)
    first, second = look.colors
    color = weight * first + (1 - weight) * second

    # the grain of the surface
    grain = cv2.remap(
        look.grain,
        ((u + 1) * 31.5).astype(np.float32),
        ((v + 1) * 31.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )

    # light from the upper left, which does not turn with the object
    towards = dx * 0.6 + dy * 0.8
    light = 1.05 - 0.3 * towards - 0.25 * (u * u + v * v)
    light = np.clip(light, 0.35, 1.3)
    color = color * light[..., None]
    color = color * (0.75 + 0.5 * grain[..., None])
    window = (slice(y0, y1), slice(x0, x1))
    return window, color.astype(np.float32), alpha
