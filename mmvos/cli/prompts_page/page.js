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
  const start = `mmvos segment ${video}`;
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
