"""The page on which boxes are drawn: it holds the frames, and its boxes are pixels of the video, as
mmvos segment reads them.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmvos.apis.prompt_files import box_prompts, read_prompts
from mmvos.cli.main import main
from mmvos.cli.prompts import page as page_of

HEIGHT, WIDTH = 60, 80


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Calls the tool in a folder with a video of three frames; gives the page, or the sentence of
    an error.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "it's").mkdir()
    for index in range(3):
        image = np.full((HEIGHT, WIDTH, 3), 60 * index, np.uint8)
        image[20:40, 10:50] = (40, 200, 220)
        cv2.imwrite(f"it's/{index}.png", image)

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, 'argv', ['mmvos'])
        try:
            main(['prompts', *arguments])
        except SystemExit as error:
            return str(error)
        return Path('prompts.html').read_text(encoding='utf-8')

    return call


class Scripts(HTMLParser):
    """The texts of the scripts of a page by their type, as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag == 'script':
            self.found.append((dict(attributes).get('type', ''), ''))

    def handle_data(self, data):
        if self.cdata_elem == 'script':
            kind, text = self.found[-1]
            self.found[-1] = kind, text + data


def data_of(page: str):
    ((kind, data),) = [item for item in Scripts(page).found if item[0]]
    assert kind == 'application/json'
    return json.loads(data)


def test_the_page_holds_the_frames_and_needs_nothing_else(run):
    page = run("it's", '--frames', '2', '0')
    frames = data_of(page)['frames']
    assert [(item['index'], item['width'], item['height']) for item in frames] == [
        (0, WIDTH, HEIGHT),
        (2, WIDTH, HEIGHT),
    ]
    for item in frames:
        picture = cv2.imdecode(
            np.frombuffer(base64.b64decode(item['jpeg']), np.uint8), cv2.IMREAD_COLOR
        )
        assert np.abs(picture[5, 5].astype(int) - 60 * item['index']).max() < 6
        assert np.abs(picture[30, 30].astype(int) - (40, 200, 220)).max() < 12
    assert data_of(page)['video'] == "'it'\"'\"'s'"
    assert data_of(page)['title'] == "Objects to follow in it's"
    assert not re.search(r'(src|href)="|https?:|fetch\(|import ', page)


@pytest.mark.parametrize(
    'name',
    [
        'x__FRAMES__;X();const z=[//.mp4',
        '__VIDEO__ __TITLE__',
        '</script><script>X()</script>',
        '<!--<script>',
        '"};X();//',
        "');X();//",
        '${X()}`',
        'a\u2028b\nc',
        'Jürgen \udcff.mp4',
    ],
)
def test_no_name_of_a_file_becomes_code(name):
    frames = {0: np.zeros((HEIGHT, WIDTH, 3), np.uint8)}
    page = page_of(name, frames)
    assert Scripts(page).found[1] == Scripts(page_of('clip.mp4', frames)).found[1]
    data = data_of(page)
    assert data['video'] == shlex.quote(name)
    assert data['title'] == f'Objects to follow in {Path(name).name}'
    assert len(data['frames']) == 1


def test_mistakes_are_one_sentence(run):
    assert (
        run('none.mp4')
        == 'mmvos prompts: none.mp4 does not exist; give a video file, a folder of images or a glob'
    )
    assert (
        run("it's", '--frames', '3')
        == 'mmvos prompts: the video has 3 frames, so there is no frame 3; frames count from 0'
    )
    assert run("it's", '--frames', '-1') == '2'


@pytest.mark.skipif(shutil.which('node') is None, reason="no node to run the page's arithmetic")
def test_boxes_are_pixels_of_the_video_however_it_is_shown(run, tmp_path):
    """A frame of 80x60 shown at half its size, 100 pixels from the left and 7 from the top."""
    page = run("it's")
    functions = page.split('// --- coordinates\n')[1].split('// --- end of coordinates')[0]
    script = (
        functions
        + """
        const shown = {left: 100, top: 7, width: 40, height: 30};
        const at = (x, y) => videoPixel(x, y, shown, 80, 60);
        const drawn = [boxOf(at(105, 17), at(125, 27), 80, 60),  // dragged to the lower right
                       boxOf(at(200, 27), at(105, 0), 80, 60)];  // to the upper left, and out of the frame
        const first = drawn.map(box => ({frame: 0, box})), late = [{frame: 2, box: drawn[0]}];
        console.log(JSON.stringify({drawn, prompts: promptsOf(first.concat(late)), commands: [
            commandOf('clip.mp4', first), commandOf('clip.mp4', first.concat(late)), commandOf('clip.mp4', [])]}));"""
    )
    done = subprocess.run(['node', '-e', script], capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer['drawn'] == [[10, 20, 50, 40], [10, 0, 80, 40]]
    assert answer['commands'] == [
        'mmvos segment clip.mp4 --box 10,20,50,40 --box 10,0,80,40 --out DIR',
        'mmvos segment clip.mp4 --prompts prompts.json --out DIR',
        'no box yet',
    ]
    # The command and the file are what mmvos segment takes.
    assert box_prompts(['10,20,50,40']).boxes == ((10, 20, 50, 40),)
    (tmp_path / 'prompts.json').write_text(json.dumps(answer['prompts']))
    told = read_prompts(tmp_path / 'prompts.json')
    assert [(frame, said.ids) for frame, said in told.items()] == [(0, (1, 2)), (2, (3,))]
