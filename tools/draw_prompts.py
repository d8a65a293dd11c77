"""Makes a page on which boxes are drawn around the objects to follow: python tools/draw_prompts.py
VIDEO [--out prompts.html]

The page holds the first frame, or those of --frames, and needs nothing else: no server, no network
and no display on the machine that makes it; copy it to any machine and open it in a browser. Drag a
box around each object. The page then shows the command that follows these objects, and saves
prompts.json. Frames are read as tools/segment_video.py reads them (phone videos upright), and boxes
are in pixels of the frame, however large the browser shows it.
"""

from __future__ import annotations

import argparse
import base64
import json
import shlex
import sys
from pathlib import Path

# a checkout works without being installed
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2

from mmvos.apis.sources import Picture, VideoSource, open_source
from mmvos.cli.guard import run_command
from mmvos.io.atomic import write_text
from mmvos.io.errors import DataError

# The page around its data. Nothing is filled into these texts: names of files stand in the data.
PAGE_BEFORE_DATA = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Objects to follow</title>
<style>
body { font: 16px sans-serif; margin: 1em; max-width: 1400px }
canvas { max-width: 100%; cursor: crosshair; display: block; touch-action: none }
pre { background: #eee; padding: 1em; white-space: pre-wrap; overflow-wrap: anywhere }
</style>
<h1 id="title"></h1>
<p>Drag a box around each object to follow; the first is object 1. In a later frame: an object that comes only then.</p>
<div id="frames"></div>
<p><button id="undo">Remove the last box</button> <button id="copy">Copy the command</button>
<button id="save">Save prompts.json</button></p>
<pre id="command"></pre>
<script type="application/json" id="data">"""
PAGE_AFTER_DATA = """</script>
<script>
const DATA = JSON.parse(document.getElementById('data').textContent);
const VIDEO = DATA.video;    // as in the command, quoted for a shell
const FRAMES = DATA.frames;  // [{index, width, height, jpeg}]: size in pixels of the video
document.title = document.getElementById('title').textContent = DATA.title;
const boxes = [];            // [{frame, box: [x1, y1, x2, y2]}]: pixels of the video, left, top, right, bottom

// --- coordinates
// A place in the browser's window -> pixels of the video: shown is where the frame is shown, {left, top, width, height}.
function videoPixel(x, y, shown, width, height) {
  return [(x - shown.left) / shown.width * width, (y - shown.top) / shown.height * height];
}
// Two corners, in any order, which may lie outside -> the box between them, cut at the frame's edges, to a tenth of a pixel.
function boxOf(a, b, width, height) {
  const cut = (value, most) => Math.round(Math.min(Math.max(value, 0), most) * 10) / 10;
  return [cut(Math.min(a[0], b[0]), width), cut(Math.min(a[1], b[1]), height),
          cut(Math.max(a[0], b[0]), width), cut(Math.max(a[1], b[1]), height)];
}
// The boxes as the entries of prompts.json: objects 1, 2, ... in the order in which they were drawn.
function promptsOf(boxes) { return boxes.map((item, i) => ({frame: item.frame, id: i + 1, box: item.box})); }
// The command that follows them: boxes of the first frame fit on the command line, others need the file.
function commandOf(video, boxes) {
  const start = `python tools/segment_video.py ${video}`;
  if (!boxes.length) return 'no box yet';
  if (boxes.some(item => item.frame)) return `${start} --prompts prompts.json --out DIR`;
  return `${start} ${boxes.map(item => '--box ' + item.box.join(',')).join(' ')} --out DIR`;
}
// --- end of coordinates

const COLORS = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#008080', '#9a6324', '#f032e6'];
const views = FRAMES.map(frame => {
  const caption = document.createElement('p'), canvas = document.createElement('canvas'), picture = new Image();
  caption.textContent = `frame ${frame.index}`;
  canvas.width = frame.width; canvas.height = frame.height;
  document.getElementById('frames').append(caption, canvas);
  const view = {frame, canvas, picture, start: null, now: null};
  const place = event => videoPixel(event.clientX, event.clientY, canvas.getBoundingClientRect(), frame.width, frame.height);
  canvas.onpointerdown = event => { canvas.setPointerCapture(event.pointerId); view.start = view.now = place(event); };
  canvas.onpointermove = event => { if (view.start) { view.now = place(event); draw(); } };
  canvas.onpointerup = event => {
    if (!view.start) return;
    const box = boxOf(view.start, place(event), frame.width, frame.height);
    if (box[2] - box[0] >= 2 && box[3] - box[1] >= 2) boxes.push({frame: frame.index, box});  // else a click
    view.start = null;
    draw();
  };
  canvas.onpointercancel = () => { view.start = null; draw(); };
  picture.onload = draw;
  picture.src = 'data:image/jpeg;base64,' + frame.jpeg;
  return view;
});

function draw() {
  for (const {frame, canvas, picture, start, now} of views) {
    const pen = canvas.getContext('2d'), unit = Math.max(frame.width, frame.height) / 400;
    pen.drawImage(picture, 0, 0, frame.width, frame.height);
    pen.lineWidth = unit; pen.font = `${8 * unit}px sans-serif`;
    const outline = (box, number) => {
      pen.strokeStyle = pen.fillStyle = COLORS[(number - 1) % COLORS.length];
      pen.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
      pen.fillText(number, box[0] + 2 * unit, box[1] + 9 * unit);
    };
    boxes.forEach((item, i) => { if (item.frame === frame.index) outline(item.box, i + 1); });
    if (start) outline(boxOf(start, now, frame.width, frame.height), boxes.length + 1);
  }
  document.getElementById('command').textContent = commandOf(VIDEO, boxes);
}

document.getElementById('undo').onclick = () => { boxes.pop(); draw(); };
document.getElementById('copy').onclick = () => {
  getSelection().selectAllChildren(document.getElementById('command'));
  document.execCommand('copy');  // navigator.clipboard is not there for a file
};
document.getElementById('save').onclick = () => {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(promptsOf(boxes), null, 1)], {type: 'application/json'}));
  link.download = 'prompts.json';
  link.click();
};
</script></html>
"""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description='Makes a page on which boxes are drawn around the objects to follow.'
    )
    parser.add_argument('video', help='video file, folder of frames, or glob in quotes')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('prompts.html'),
        help='page to write (default prompts.html)',
    )
    parser.add_argument(
        '--frames',
        type=int,
        nargs='+',
        default=[0],
        metavar='N',
        help='frames to draw on, counted from 0, for objects that come later too (default 0)',
    )
    arguments = parser.parse_args()
    if min(arguments.frames) < 0:
        parser.error(f'frames are counted from 0, got {min(arguments.frames)}')
    return arguments


def pick_frames(video: VideoSource, wanted: set[int]) -> dict[int, Picture]:
    """The pictures of the wanted frames by index; reading ends with the last of them.

    Raises:
        DataError: the video ends before.
    """
    if video.length is not None and max(wanted) >= video.length:
        raise DataError(_no_frame(video.length, max(wanted)))
    found: dict[int, Picture] = {}
    index = -1
    for index, (_, picture) in enumerate(video):
        if index in wanted:
            found[index] = picture
        if len(found) == len(wanted):
            return found
    raise DataError(_no_frame(index + 1, min(wanted - set(found))))


def _no_frame(length: int, frame: int) -> str:
    return f'the video has {length} frames, so there is no frame {frame}; frames count from 0'


def page(video: str, frames: dict[int, Picture]) -> str:
    """The page as HTML.

    Args:
        video: as it is named in the command.
        frames: index -> (H, W, 3) uint8 BGR.
    """
    entries = []
    for index, picture in sorted(frames.items()):
        jpeg = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        height, width = picture.shape[:2]
        entries.append(
            dict(index=index, width=width, height=height, jpeg=base64.b64encode(jpeg).decode())
        )
    data = dict(
        title=f'Objects to follow in {Path(video).name}', video=shlex.quote(video), frames=entries
    )
    # In ASCII and without '<' no name can end the element that the data stands in.
    return PAGE_BEFORE_DATA + json.dumps(data).replace('<', '\\u003c') + PAGE_AFTER_DATA


def main() -> None:
    """Reads the frames and writes the page."""
    arguments = parse_arguments()
    try:
        frames = pick_frames(open_source(arguments.video), set(arguments.frames))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'draw_prompts: {error}')
    write_text(arguments.out, page(arguments.video, frames))
    height, width = next(iter(frames.values())).shape[:2]
    print(
        f'{arguments.out}: {len(frames)} frame{"s" if len(frames) > 1 else ""} of '
        f'{width}x{height}; open it in a browser'
    )


if __name__ == '__main__':
    run_command('draw_prompts', main)
