"""A page of the studio that is used as a person uses it, with the mouse and the keyboard."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

_PATIENCE = 30_000  # milliseconds that the page may take for a step on a busy machine


class Page:
    """See the module.

    Args:
        browser: of Playwright.
        address: as the studio prints it.
        options: of the page, e.g. ``color_scheme='dark'``.

    Attributes:
        page: Playwright's.
        errors: of the page's scripts.
    """

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.page = browser.new_page(viewport={'width': 1280, 'height': 720}, **options)
        self.page.set_default_timeout(_PATIENCE)
        self.errors: list[str] = []
        self.page.on('pageerror', lambda error: self.errors.append(str(error)))
        self.page.goto(address)
        self.wait('studio.viewer.shown !== null && studio.store.project.model.state === "ready"')

    def wait(self, condition: str, seconds: float = _PATIENCE / 1000) -> None:
        """Wait until an expression is true in the page.

        It is asked again and again from here: the page's own policy lets no text become code.
        """
        deadline = time.monotonic() + seconds
        while not self.value(f'Boolean(window.studio && ({condition}))'):
            assert time.monotonic() < deadline, (
                f'this does not become true: {condition}; the page says '
                f'{self.page.locator("#toasts").text_content()!r}; {self.value("JSON.stringify(studio.store.run)")}'
            )
            time.sleep(0.03)

    def value(self, expression: str) -> Any:
        """Ask the page."""
        return self.page.evaluate(expression)

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the video is on the screen."""
        place = self.value(
            '() => { const view = studio.viewer.view;'
            ' const bounds = studio.viewer.canvas.getBoundingClientRect();'
            ' return [bounds.left + view.x, bounds.top + view.y, view.scale]; }'
        )
        left, top, scale = place
        return left + scale * x, top + scale * y

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move and release between two points of the video."""
        self.page.mouse.move(*self.screen(*start))
        self.page.mouse.down()
        self.page.mouse.move(*self.screen(*end), steps=4)
        self.page.mouse.up()

    def click(self, x: float, y: float, **options: Any) -> None:
        """Click on a point of the video."""
        self.page.mouse.click(*self.screen(x, y), **options)

    def press(self, key: str) -> None:
        """Press a key."""
        self.page.keyboard.press(key)

    def color(self, x: float, y: float) -> list[int]:
        """Red, green and blue at a point of the video, as it is shown."""
        left, top = self.screen(x, y)
        shown = self.value(
            f"""() => {{
                const canvas = studio.viewer.canvas;
                const bounds = canvas.getBoundingClientRect();
                const ratio = canvas.width / bounds.width;
                const x = Math.round(({left} - bounds.left) * ratio);
                const y = Math.round(({top} - bounds.top) * ratio);
                return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data];
            }}"""
        )
        return list(shown[:3])

    def wait_for_color(self, x: float, y: float, wanted: list[float]) -> None:
        """Wait until a point of the video has a color, but for what JPEG changes."""
        deadline = time.monotonic() + _PATIENCE / 1000
        while np.abs(np.array(self.color(x, y)) - wanted).max() > 40:
            assert time.monotonic() < deadline, (self.color(x, y), wanted)
            time.sleep(0.03)

    def mask(self, frame: int, object_id: int) -> np.ndarray | None:
        """(H, W) bool as the page knows it, None where it knows none."""
        found = self.value(
            f"""async () => {{
                const {{ decode }} = await import('/static/rle.js');
                const entry = studio.store.entries({frame})?.get({object_id});
                return entry ? [entry.mask.size, [...decode(entry.mask)]] : null;
            }}"""
        )
        if found is None:
            return None
        size, bitmap = found
        return np.array(bitmap, bool).reshape(size)

    def wait_for_mask(self, frame: int, object_id: int) -> None:
        """Wait until there is a mask."""
        self.wait(f'studio.store.entries({frame})?.has({object_id})')
