"""The page of the studio in a real browser: draw, run, scrub, correct, undo, reload, export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

pytest.importorskip('playwright', reason='Playwright is not installed (pip install playwright)')
pytest.importorskip('starlette', reason='mmvos[studio] is not installed')

from playwright import sync_api
from robustness.studio_kills import Server

from mmvos.io.label_png import read_label_png, write_label_png

from . import screenshots
from .browser import ServedStudio, find_chromium, free_port, serve_studio
from .page import Page
from .stand_ins import (
    FRAMES,
    HEIGHT,
    WIDTH,
    box_of,
    follow_colors,
    object_mask,
    picture,
    point_of,
    write_frames,
)

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason='no Chromium on this machine')


@pytest.fixture(scope='module')
def browser() -> Iterator[Any]:
    """A browser for all tests of this file."""
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield started
        started.close()


def draw_box(page: Page, frame: int, number: int) -> None:
    """Draw a box around an object of the small video."""
    x1, y1, x2, y2 = box_of(frame, number)
    page.drag((x1 + 0.2, y1 + 0.2), (x2 - 0.2, y2 - 0.2))


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedStudio]:
    """A studio on ten frames of two colored objects."""
    follow_colors(monkeypatch)
    with serve_studio(write_frames(tmp_path / 'clip'), tmp_path / 'project') as studio:
        yield studio


@pytest.fixture
def page(browser: Any, served: ServedStudio) -> Iterator[Page]:
    """A page on it; whatever a test does, no script of the page may fail."""
    opened = Page(browser, served.address)
    yield opened
    opened.page.close()
    assert opened.errors == []


def test_a_box_is_drawn_and_its_mask_is_seen(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    np.testing.assert_array_equal(page.mask(0, 1), object_mask(0, 1))


def test_a_run_shows_its_masks_on_all_frames(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.press('g')
    page.wait('studio.store.run?.state === "finished"')
    page.wait_for_mask(FRAMES - 1, 1)
    last = page.mask(FRAMES - 1, 1)
    np.testing.assert_array_equal(last, object_mask(FRAMES - 1, 1))


def test_a_run_backwards_goes_to_the_first_frame(page: Page) -> None:
    page.press('End')
    page.wait(f'studio.viewer.shown.frame === {FRAMES - 1}')
    draw_box(page, FRAMES - 1, 2)
    page.wait_for_mask(FRAMES - 1, 1)
    page.press('Shift+G')
    page.wait('studio.store.run?.state === "finished"')
    page.wait_for_mask(0, 1)
    np.testing.assert_array_equal(page.mask(0, 1), object_mask(0, 2))


def test_the_timeline_is_scrubbed(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.press('g')
    page.wait('studio.store.timeline.objects[1]?.runs.some(([state]) => state === "seen")')
    bounds = page.page.locator('#timeline').bounding_box()
    page.page.mouse.click(bounds['x'] + bounds['width'] * 0.55, bounds['y'] + bounds['height'] - 8)
    page.wait('studio.viewer.shown.frame === 5')
    assert page.page.locator('#frame-number').input_value() == '5'


def test_clicks_correct_a_mask_and_are_undone(page: Page) -> None:
    # A click is the first object; one on the other object's color adds that to the mask.
    page.click(*point_of(0, 1))
    page.wait_for_mask(0, 1)
    before = page.mask(0, 1)
    page.click(*point_of(0, 2))
    both = object_mask(0, 1) | object_mask(0, 2)
    page.wait(f'studio.store.entries(0).get(1).area === {int(both.sum())}')
    np.testing.assert_array_equal(page.mask(0, 1), both)

    # The right button says: not this.
    page.click(*point_of(0, 2), button='right')
    page.wait(f'studio.store.entries(0).get(1).area === {int(before.sum())}')
    page.wait('studio.store.prompt(0, 1).points.map(([x, y, on]) => on).join() === "1,1,0"')

    page.press('Control+z')
    page.wait(f'studio.store.entries(0).get(1).area === {int(both.sum())}')
    page.press('Control+Shift+Z')
    page.wait(f'studio.store.entries(0).get(1).area === {int(before.sum())}')


def test_a_corrected_frame_is_not_overwritten_by_the_next_run(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.press('g')
    page.wait('studio.store.run?.state === "finished"')
    page.press('Home')
    for _ in range(4):
        page.press('ArrowRight')
    page.wait('studio.viewer.shown.frame === 4')
    # Erase in the middle of the mask of frame 4.
    page.press('e')
    page.value('() => { studio.store.brushSize = 6; }')
    page.click(*point_of(4, 1))
    page.wait('studio.store.entries(4).get(1).source === "corrected"')
    erased = page.mask(4, 1)
    assert 0 < erased.sum() < object_mask(4, 1).sum()
    assert not (erased & ~object_mask(4, 1)).any()

    page.press('Home')
    page.wait('studio.viewer.shown.frame === 0')
    page.press('g')
    page.wait('studio.store.run.id === 2 && studio.store.run.state === "finished"')
    np.testing.assert_array_equal(page.mask(4, 1), erased)
    # > goes to the corrected frame
    page.press('Home')
    page.press('>')
    page.wait('studio.store.frame === 4')


def test_the_brush_paints_a_new_object(page: Page) -> None:
    page.press('r')
    page.value('() => { studio.store.brushSize = 8; }')
    page.drag((20, 40), (40, 40))
    page.wait_for_mask(0, 1)
    painted = page.mask(0, 1)
    rows, columns = np.nonzero(painted)
    # A stroke of 8 pixels around row 40, from x = 16 to 44.
    assert (rows.min(), rows.max()) == (36, 43)
    assert (columns.min(), columns.max()) == (16, 43)


def test_a_reloaded_page_and_a_second_tab_show_the_same(
    browser: Any, served: ServedStudio, page: Page
) -> None:
    second = Page(browser, served.address)
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    second.wait_for_mask(0, 1)
    second.page.fill('#objects input.name', '<b>car</b> & "x"')
    second.press('Enter')
    page.wait('studio.store.objects[0].name.startsWith("<b>car")')
    assert page.page.locator('#objects input.name').input_value() == '<b>car</b> & "x"'
    assert page.page.locator('#objects b').count() == 0

    page.page.reload()
    page.wait('studio.viewer.shown !== null')
    page.wait_for_mask(0, 1)
    np.testing.assert_array_equal(page.mask(0, 1), object_mask(0, 1))
    second.page.close()
    assert second.errors == []


def test_objects_are_added_hidden_and_removed(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.press('o')
    page.wait('studio.store.objects.length === 2 && studio.store.selected === 2')
    draw_box(page, 0, 2)
    page.wait_for_mask(0, 2)
    np.testing.assert_array_equal(page.mask(0, 2), object_mask(0, 2))

    page.page.locator('#objects li[data-id="1"] .eye').click()
    page.wait('!studio.store.object(1).visible')
    page.page.locator('#objects li[data-id="2"] .remove').click()
    page.wait('studio.store.objects.length === 1')
    page.press('Control+z')
    page.wait('studio.store.objects.length === 2 && studio.store.entries(0)?.has(2)')


def test_masks_are_hidden_and_made_weaker(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.wait('studio.viewer.painted.size > 0')
    x, y = point_of(0, 1)
    page.value('() => studio.store.look({ opacity: 1 })')
    page.wait_for_color(x, y, [0xE6, 0x19, 0x4B])  # the color of the first object
    page.press('m')
    page.wait_for_color(x, y, [0, 255, 40])
    page.press('m')
    page.value('() => studio.store.look({ opacity: 0.5 })')
    page.wait_for_color(x, y, [0xE6 / 2, (0x19 + 255) / 2, (0x4B + 40) / 2])


def test_a_class_is_given_and_exported(page: Page, served: ServedStudio) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.page.fill('#objects .category', 'zebra')
    page.press('Enter')
    page.wait('studio.store.objects[0].category === "zebra"')
    assert served.session.project.objects()[0].category == 'zebra'


def test_files_of_another_tool_are_imported(page: Page, tmp_path: Path) -> None:
    labels = np.where(object_mask(3, 2), 1, 0).astype(np.uint8)
    write_label_png(tmp_path / '00003.png', labels)
    page.page.click('#open-import')
    assert page.page.locator('#start-import').is_disabled()
    page.page.set_input_files('#import-files', tmp_path / '00003.png')
    assert page.page.locator('#drop-text').text_content() == '00003.png'
    page.page.click('#start-import')
    page.wait('studio.store.frame === 3')
    page.wait_for_mask(3, 1)
    np.testing.assert_array_equal(page.mask(3, 1), object_mask(3, 2))


def test_the_result_is_exported_and_downloaded(page: Page) -> None:
    draw_box(page, 0, 1)
    page.wait_for_mask(0, 1)
    page.page.click('#open-export')
    page.page.click('#start-export')
    page.page.locator('#exports li[data-state=finished]').wait_for()
    with page.page.expect_download() as download:
        page.page.click('#exports a')
    assert Path(download.value.path()).stat().st_size > 100


def test_the_page_waits_for_a_server_that_comes_back(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_colors(monkeypatch)
    clip = write_frames(tmp_path / 'clip')
    with serve_studio(clip, tmp_path / 'project') as first:
        page = Page(browser, first.address)
        draw_box(page, 0, 1)
        page.wait_for_mask(0, 1)
    page.page.locator('#banner').wait_for()
    assert 'does not answer' in page.page.locator('#banner').text_content()
    with serve_studio(None, tmp_path / 'project', port=first.port):
        page.page.locator('#banner').wait_for(state='hidden')
        page.wait_for_mask(0, 1)
        draw_box(page, 0, 2)
        page.wait(f'studio.store.entries(0).get(1).box[1] === {box_of(0, 2)[1]}')
        page.page.close()


def test_a_killed_server_loses_no_stroke_that_was_answered(browser: Any, tmp_path: Path) -> None:
    clip, project, port = write_frames(tmp_path / 'clip'), tmp_path / 'project', free_port()
    # Strokes need no model, and this server has none.
    server = Server(clip, project, port)
    try:
        page = Page(browser, server.address)
        page.press('r')
        page.value('() => { studio.store.brushSize = 8; }')
        page.drag((20, 20), (40, 20))
        page.wait('studio.store.entries(0)?.get(1)?.source === "corrected"')
        painted = page.mask(0, 1)

        # The server dies while the second stroke is drawn.
        page.page.mouse.move(*page.screen(20, 40))
        page.page.mouse.down()
        page.page.mouse.move(*page.screen(40, 40), steps=4)
        server.close()
        page.page.mouse.up()
        page.page.locator('#toasts .error').wait_for()  # one, however many strokes fail
        page.page.locator('#banner').wait_for()

        # The page that was left open goes on by itself, and so does a new one.
        server = Server(clip, project, port)
        page.page.locator('#banner').wait_for(state='hidden')
        page.wait(f'studio.store.entries(0)?.get(1)?.area === {int(painted.sum())}')
        fresh = Page(browser, server.address)
        fresh.wait_for_mask(0, 1)
        for opened in (page, fresh):
            np.testing.assert_array_equal(opened.mask(0, 1), painted)
        fresh.press('r')
        fresh.drag((20, 40), (40, 40))
        fresh.wait(f'studio.store.entries(0).get(1).area > {int(painted.sum())}')
        fresh.press('Control+z')
        page.wait(f'studio.store.entries(0)?.get(1)?.area === {int(painted.sum())}')
        for opened in (page, fresh):
            opened.page.close()
            assert opened.errors == []
    finally:
        server.close()


def write_turned(path: Path) -> Path:
    """A video without losses whose pictures lie on their side and are turned when shown."""
    with av.open(str(path), 'w') as container:
        stream: Any = container.add_stream('png', rate=25)
        stream.width, stream.height, stream.pix_fmt = HEIGHT, WIDTH, 'rgb24'
        stream.set_display_rotation(90)
        for index in range(3):
            lying = np.ascontiguousarray(np.rot90(picture(index), -1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(lying, format='bgr24')))
        container.mux(stream.encode(None))
    return path


def test_a_turned_video_is_shown_marked_and_exported_upright(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_colors(monkeypatch)
    clip = write_turned(tmp_path / 'turned.mov')
    with serve_studio(clip, tmp_path / 'project') as studio:
        page = Page(browser, studio.address)
        image = 'studio.viewer.shown.image'
        assert page.value(f'[{image}.naturalWidth, {image}.naturalHeight]') == [WIDTH, HEIGHT]
        # What is seen in the middle of object 1 is its color (0, 255, 40), not the gray around it.
        seen = page.color(*point_of(0, 1))
        assert np.abs(np.array(seen) - [0, 255, 40]).max() < 40

        draw_box(page, 0, 1)
        page.wait_for_mask(0, 1)
        np.testing.assert_array_equal(page.mask(0, 1), object_mask(0, 1))
        page.press('g')
        page.wait('studio.store.run?.state === "finished"')
        page.page.click('#open-export')
        page.page.click('#start-export')
        page.page.locator('#exports li[data-state=finished]').wait_for()
        (folder,) = (tmp_path / 'project').glob('exports/*')
        for frame, path in enumerate(sorted(folder.glob('Annotations/480p/turned/*.png'))):
            np.testing.assert_array_equal(read_label_png(path) == 1, object_mask(frame, 1))
        assert frame == 2
        page.page.close()
        assert page.errors == []


def test_the_pictures_of_the_documents_are_taken(page: Page, tmp_path: Path) -> None:
    boxes = {'fish': box_of(0, 1), 'star': box_of(0, 2)}
    screenshots.take_pictures(page, boxes, tmp_path)
    names = [path.name for path in sorted(tmp_path.glob('*.webp'))]
    assert names == ['studio_export.webp', 'studio_mask.webp', 'studio_tracked.webp']
    assert page.value('studio.store.objects.map((item) => item.name)') == ['fish', 'star']
    np.testing.assert_array_equal(page.mask(FRAMES - 1, 2), object_mask(FRAMES - 1, 2))


def test_every_key_of_the_help_is_listed(page: Page) -> None:
    page.press('?')
    text = page.page.locator('#keys').text_content()
    for word in ('undo', 'redo', 'brush', 'eraser', 'box', 'track from here', 'new object'):
        assert word in text
    page.press('Escape')
    assert not page.value('document.getElementById("help-dialog").open')


def test_nothing_is_asked_of_other_machines(browser: Any, served: ServedStudio) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on('request', lambda request: asked.append(request.url))
    page.goto(served.address)
    page.locator('#objects').wait_for(state='attached')
    page.wait_for_timeout(500)
    page.close()
    own = f'http://127.0.0.1:{served.port}/'
    assert asked and all(address.startswith((own, 'blob:', 'data:')) for address in asked)


def test_a_video_of_three_frames_plays_to_its_end(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_colors(monkeypatch)
    with serve_studio(write_frames(tmp_path / 'clip', frames=3), tmp_path / 'project') as studio:
        page = Page(browser, studio.address)
        page.press(' ')
        page.wait('studio.store.frame === 2 && !studio.player.isPlaying')
        page.page.close()
        assert page.errors == []


@pytest.mark.slow
def test_a_long_video_is_scrubbed_and_forgets_what_is_far_away(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_colors(monkeypatch)
    with serve_studio(write_frames(tmp_path / 'clip', 2000), tmp_path / 'project') as studio:
        page = Page(browser, studio.address)
        for share in range(1, 20):
            page.value(f'studio.store.goTo({100 * share})')
            page.wait(f'studio.viewer.shown.frame === {100 * share}')
        assert page.value('studio.store.chunks.size') <= 12
        assert page.value('studio.viewer.frames.kept.size') <= 120
        page.page.close()
        assert page.errors == []
