// The picture with its masks and prompts, zoomed and moved. Points of the video are "image"
// coordinates: pixels of the upright frame, x to the right, y down.

import { decode, paint } from '/static/rle.js';

const MOST_PAINTED = 40; // masks kept as pictures
const ZOOM_BOUNDS = [0.05, 40];

export class Viewer {
  constructor(canvas, store, frames) {
    this.canvas = canvas;
    this.store = store;
    this.frames = frames;
    this.view = { scale: 1, x: 0, y: 0 };
    this.isFitted = true;
    this.shown = null; // {frame, image}, what is drawn
    this.painted = new Map(); // entry -> {color, opacity, canvas}
    this.draft = null; // what a tool is drawing: {box} or {canvas, id}
    this.cursor = null; // image point of the brush
    this.waiting = false;

    new ResizeObserver(() => this.resize()).observe(canvas);
    store.on(['masks', 'prompts', 'objects', 'selected', 'tool', 'look'], () => this.draw());
    store.on(['frame', 'video'], () => this.show());
  }

  // ---- the picture of the frame; the one before stays until it is here

  async show() {
    const frame = this.store.frame;
    let image = this.frames.peek(frame);
    if (!image) {
      try {
        image = await this.frames.load(frame);
      } catch {
        return;
      }
      if (frame !== this.store.frame) {
        return; // the user is elsewhere by now
      }
    }
    this.shown = { frame, image };
    if (this.isFitted) {
      this.fit();
    }
    this.draw();
    this.canvas.dispatchEvent(new CustomEvent('shown', { detail: frame }));
  }

  // ---- zoom and place

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    if (this.isFitted) {
      this.fit();
    }
    this.draw();
  }

  fit() {
    const video = this.store.project?.video;
    if (!video || !this.canvas.clientWidth) {
      return;
    }
    const { clientWidth, clientHeight } = this.canvas;
    const scale = 0.97 * Math.min(clientWidth / video.width, clientHeight / video.height);
    this.view = {
      scale,
      x: (clientWidth - scale * video.width) / 2,
      y: (clientHeight - scale * video.height) / 2,
    };
    this.isFitted = true;
    this.draw();
  }

  zoom(factor, clientX, clientY) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = clientX - bounds.left;
    const y = clientY - bounds.top;
    const [least, most] = ZOOM_BOUNDS;
    const scale = Math.min(Math.max(this.view.scale * factor, least), most);
    const real = scale / this.view.scale;
    // What is under the pointer stays there.
    this.view = { scale, x: x - real * (x - this.view.x), y: y - real * (y - this.view.y) };
    this.isFitted = false;
    this.draw();
  }

  move(dx, dy) {
    this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
    this.isFitted = false;
    this.draw();
  }

  toImage(event) {
    const bounds = this.canvas.getBoundingClientRect();
    return {
      x: (event.clientX - bounds.left - this.view.x) / this.view.scale,
      y: (event.clientY - bounds.top - this.view.y) / this.view.scale,
    };
  }

  // ---- drawing

  draw() {
    if (this.waiting) {
      return;
    }
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const context = this.canvas.getContext('2d');
    const ratio = window.devicePixelRatio || 1;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.shown) {
      return;
    }
    const { scale, x, y } = this.view;
    this.canvas.dispatchEvent(new CustomEvent('zoomed', { detail: scale }));
    context.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * x, ratio * y);
    context.imageSmoothingEnabled = scale < 4;
    const video = this.store.project.video;
    context.drawImage(this.shown.image, 0, 0, video.width, video.height);
    this.drawMasks(context);
    this.drawPrompts(context);
    this.drawDraft(context);
  }

  drawMasks(context) {
    const entries = this.store.entries(this.shown.frame);
    if (!entries || !this.store.showsMasks) {
      return;
    }
    for (const item of this.store.objects) {
      const entry = entries.get(item.id);
      const isDrawn = this.draft?.canvas && this.draft.id === item.id;
      if (entry && item.visible && !isDrawn) {
        context.drawImage(this.picture(entry, item.color), 0, 0);
      }
    }
  }

  // A mask as a picture, painted once.
  picture(entry, color) {
    let known = this.painted.get(entry);
    const { opacity } = this.store;
    if (!known || known.color !== color || known.opacity !== opacity) {
      const [height, width] = entry.mask.size;
      const canvas = paint(decode(entry.mask), height, width, color, opacity);
      known = { color, opacity, canvas };
    }
    this.painted.delete(entry);
    this.painted.set(entry, known);
    for (const old of this.painted.keys()) {
      if (this.painted.size <= MOST_PAINTED) {
        break;
      }
      this.painted.delete(old);
    }
    return known.canvas;
  }

  drawPrompts(context) {
    const prompts = this.store.prompts.get(this.shown.frame);
    if (!prompts) {
      return;
    }
    const pixel = 1 / this.view.scale;
    for (const [id, prompt] of prompts) {
      const item = this.store.object(id);
      if (!item || !item.visible) {
        continue;
      }
      const isSelected = id === this.store.selected;
      context.globalAlpha = isSelected ? 1 : 0.5;
      if (prompt.box) {
        drawBox(context, prompt.box, item.color, pixel);
      }
      for (const [x, y, isOn] of prompt.points || []) {
        drawPoint(context, x, y, isOn, item.color, pixel);
      }
      context.globalAlpha = 1;
    }
  }

  drawDraft(context) {
    const pixel = 1 / this.view.scale;
    const color = this.store.object(this.store.selected)?.color || '#ffffff';
    if (this.draft?.box) {
      drawBox(context, this.draft.box, color, pixel);
    }
    if (this.draft?.canvas) {
      context.drawImage(this.draft.canvas, 0, 0);
    }
    // the brush around the pointer
    if (this.cursor && ['brush', 'eraser'].includes(this.store.tool)) {
      context.beginPath();
      context.arc(this.cursor.x, this.cursor.y, this.store.brushSize / 2, 0, 2 * Math.PI);
      context.lineWidth = 1.5 * pixel;
      context.strokeStyle = '#ffffff';
      context.stroke();
    }
  }
}

function drawBox(context, [x1, y1, x2, y2], color, pixel) {
  context.lineWidth = 3.5 * pixel;
  context.strokeStyle = 'rgb(0 0 0 / 60%)';
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
  context.lineWidth = 1.8 * pixel;
  context.strokeStyle = color;
  context.strokeRect(x1, y1, x2 - x1, y2 - y1);
}

function drawPoint(context, x, y, isOn, color, pixel) {
  const radius = 7 * pixel;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = isOn ? color : '#101318';
  context.fill();
  context.lineWidth = 2 * pixel;
  context.strokeStyle = '#ffffff';
  context.stroke();
  // a plus or a minus
  context.beginPath();
  context.moveTo(x - radius / 2, y);
  context.lineTo(x + radius / 2, y);
  if (isOn) {
    context.moveTo(x, y - radius / 2);
    context.lineTo(x, y + radius / 2);
  }
  context.stroke();
}
