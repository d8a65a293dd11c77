"""The pictures of the studio in the documents: a sample video, MaskTrack, and a browser that is used
as a person uses it.

    python -m tests.studio.screenshots docs/images

writes studio_mask.webp, studio_tracked.webp and studio_export.webp. It needs Playwright, a Chromium
and the weights that come with the project, and takes about a minute.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from mmvos.convert.sample_shapes import CLASSES
from mmvos.convert.sample_videos import VideoJob, make_video
from mmvos.io.label_png import read_label_png
from mmvos.structures import rle

from .browser import find_chromium, serve_studio
from .page import Page

_SEED, _NUMBER, _FRAMES = 7, 0, 24  # of the sample video: a crate and a star
_SIZE = (854, 480)
_QUALITY = 82  # of WebP
_RUN_SECONDS = 300  # that tracking may take


def save(page: Any, path: Path) -> None:
    """Save what a page shows."""
    with Image.open(io.BytesIO(page.screenshot())) as shown:
        shown.convert('RGB').save(path, quality=_QUALITY, method=6)


def draw_object(page: Page, number: int, name: str, box: Sequence[float]) -> None:
    """Draw a box around an object that is new, and name it."""
    if number > 1:
        page.press('o')
        page.wait(f'studio.store.selected === {number}')
    x1, y1, x2, y2 = box
    page.drag((x1 - 2, y1 - 2), (x2 + 2, y2 + 2))
    page.wait_for_mask(0, number)
    page.page.fill(f'#objects li[data-id="{number}"] .name', name)
    page.press('Enter')
    page.wait(f'studio.store.object({number}).name === "{name}"')


def take_pictures(page: Page, boxes: dict[str, Sequence[float]], out: Path) -> None:
    """Mark, track and export, with a picture of each.

    Args:
        page: of a studio that is new.
        boxes: of the objects by name, in frame 0.
        out: folder.
    """
    for number, (name, box) in enumerate(boxes.items(), 1):
        draw_object(page, number, name, box)
        if number == 1:
            save(page.page, out / 'studio_mask.webp')

    page.press('g')
    page.wait('studio.store.run?.state === "finished"', _RUN_SECONDS)
    page.wait('studio.store.timeline.objects[1].runs.length > 1')
    page.press('Home')
    page.press('.')  # a frame that is worth a look
    page.page.click('#theme')
    page.wait('document.getElementById("toasts").children.length === 0')
    save(page.page, out / 'studio_tracked.webp')

    page.page.click('#theme')
    page.page.click('#open-export')
    page.page.locator('#export-formats input[value=coco]').check()
    page.page.click('#start-export')
    page.page.locator('#exports li[data-state=finished]').wait_for()
    save(page.page, out / 'studio_export.webp')


def main(argv: Sequence[str] | None = None) -> None:
    """Make the video, serve it, and take the pictures."""
    parser = argparse.ArgumentParser(description='Pictures of the studio for the documents.')
    parser.add_argument('out', type=Path, help='folder')
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        record = make_video(folder, VideoJob('valid', _SEED, _NUMBER, _FRAMES, _SIZE))
        labels = read_label_png(folder / f'valid/Annotations/{record.name}/00000.png')
        boxes: dict[str, Sequence[float]] = {}
        for item in record.objects:
            mask = labels == item.number
            if mask.any():
                boxes[CLASSES[item.category_id - 1].name] = rle.bounding_box(rle.encode(mask))
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=['--no-sandbox'])
        clip = folder / f'valid/JPEGImages/{record.name}'
        with serve_studio(clip, folder / 'sample.mmvos') as studio:
            page = Page(browser, studio.address, color_scheme='light')
            take_pictures(page, boxes, out)
            assert page.errors == []
        browser.close()


if __name__ == '__main__':
    main()
