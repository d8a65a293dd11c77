// What a pointer (mouse, pen, fingers) does on the picture: boxes, points, strokes, moving, zooming.

import { decode, encode, paint } from '/static/rle.js';

const CLICK_PIXELS = 4; // of the screen; a shorter drag is a click

export class Tools {
  constructor(viewer, store, actions) {
    this.viewer = viewer;
    this.store = store;
    this.actions = actions;
    this.pointers = new Map(); // those that are down, by id: their last place
    this.gesture = null;
    this.holdsSpace = false;
    this.hasPanned = false; // with the space bar held

    const canvas = viewer.canvas;
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.moved(event));
    canvas.addEventListener('pointerup', (event) => this.up(event));
    canvas.addEventListener('pointercancel', (event) => this.cancel(event));
    canvas.addEventListener('pointerleave', () => this.setCursor(null));
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    store.on(['tool'], () => canvas.classList.toggle('pan', store.tool === 'pan'));
  }

  down(event) {
    const canvas = this.viewer.canvas;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    // Two fingers move and zoom; what one of them had begun is dropped.
    if (this.pointers.size === 2) {
      this.begin({ kind: 'pinch' });
      return;
    }
    const isPan = event.button === 1 || this.holdsSpace || this.store.tool === 'pan';
    if (isPan) {
      this.begin({ kind: 'pan' });
      return;
    }
    if (!this.viewer.shown) {
      return;
    }
    const frame = this.viewer.shown.frame;
    const start = this.viewer.toImage(event);
    const isRight = event.button === 2 || event.altKey;
    if (isRight) {
      this.begin({ kind: 'point', isOn: false, frame, start });
    } else if (this.store.tool === 'add' || this.store.tool === 'remove') {
      this.begin({ kind: 'point', isOn: this.store.tool === 'add', frame, start });
    } else if (this.store.tool === 'box') {
      this.begin({ kind: 'box', frame, start, at: { x: event.clientX, y: event.clientY } });
    } else {
      this.beginStroke(frame, start);
    }
  }

  begin(gesture) {
    this.viewer.draft = null;
    this.gesture = gesture;
    this.viewer.draw();
  }

  moved(event) {
    const point = this.viewer.toImage(event);
    this.setCursor(point);
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.gesture) {
      return;
    }
    const now = { x: event.clientX, y: event.clientY };
    const kind = this.gesture.kind;
    if (kind === 'pan') {
      this.hasPanned = this.holdsSpace;
      this.viewer.move(now.x - before.x, now.y - before.y);
    } else if (kind === 'pinch') {
      this.pinch(event.pointerId, before, now);
    } else if (kind === 'box') {
      this.viewer.draft = { box: this.boxTo(point) };
      this.viewer.draw();
    } else if (kind === 'stroke') {
      this.strokeTo(point);
    }
    this.pointers.set(event.pointerId, now);
  }

  async up(event) {
    const gesture = this.gesture;
    this.pointers.delete(event.pointerId);
    if (!gesture || this.pointers.size > 0) {
      return;
    }
    this.gesture = null;
    const point = this.viewer.toImage(event);
    if (gesture.kind === 'point') {
      await this.point(gesture.frame, gesture.start, gesture.isOn);
    } else if (gesture.kind === 'box') {
      await this.endBox(gesture, point, event);
    } else if (gesture.kind === 'stroke') {
      await this.endStroke(gesture);
    }
    // A gesture that began meanwhile keeps its own draft.
    if (!this.gesture) {
      this.viewer.draft = null;
      this.viewer.draw();
    }
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.begin(null);
  }

  wheel(event) {
    event.preventDefault();
    this.viewer.zoom(Math.exp(-event.deltaY * 0.0015), event.clientX, event.clientY);
  }

  pinch(id, before, now) {
    const other = [...this.pointers].find(([key]) => key !== id)?.[1];
    if (!other) {
      return;
    }
    const distanceBefore = Math.hypot(before.x - other.x, before.y - other.y);
    const distance = Math.hypot(now.x - other.x, now.y - other.y);
    this.viewer.move((now.x - before.x) / 2, (now.y - before.y) / 2);
    if (distanceBefore > 0) {
      this.viewer.zoom(distance / distanceBefore, (now.x + other.x) / 2, (now.y + other.y) / 2);
    }
  }

  setCursor(point) {
    this.viewer.cursor = point;
    if (['brush', 'eraser'].includes(this.store.tool)) {
      this.viewer.draw();
    }
  }

  // ---- boxes and points

  isInside({ x, y }) {
    const { width, height } = this.store.project.video;
    return x >= 0 && y >= 0 && x <= width && y <= height;
  }

  async point(frame, { x, y }, isOn) {
    if (this.isInside({ x, y })) {
      await this.actions.addPoint(frame, round(x), round(y), isOn);
    }
  }

  boxTo(point) {
    const { width, height } = this.store.project.video;
    const { start } = this.gesture;
    const clip = (value, most) => round(Math.min(Math.max(value, 0), most));
    return [
      clip(Math.min(start.x, point.x), width),
      clip(Math.min(start.y, point.y), height),
      clip(Math.max(start.x, point.x), width),
      clip(Math.max(start.y, point.y), height),
    ];
  }

  async endBox(gesture, point, event) {
    const dragged = Math.hypot(event.clientX - gesture.at.x, event.clientY - gesture.at.y);
    if (dragged < CLICK_PIXELS) {
      await this.point(gesture.frame, gesture.start, true);
      return;
    }
    this.gesture = gesture;
    const box = this.boxTo(point);
    this.gesture = null;
    const hasArea = box[2] - box[0] >= 1 && box[3] - box[1] >= 1;
    if (hasArea) {
      await this.actions.drawBox(gesture.frame, box);
    }
  }

  // ---- strokes: on a copy of the object's mask of this frame

  async beginStroke(frame, start) {
    const isEraser = this.store.tool === 'eraser';
    const gesture = { kind: 'stroke', frame, isEraser, last: start, id: null, points: [start] };
    this.begin(gesture);
    const item = await this.actions.target();
    if (!item) {
      this.gesture = null;
      return;
    }
    const { width, height } = this.store.project.video;
    const entry = this.store.entries(frame)?.get(item.id);
    gesture.id = item.id;
    gesture.color = item.color;
    gesture.bitmap = entry ? decode(entry.mask) : new Uint8Array(width * height);
    // what was drawn while the object was made
    for (const point of gesture.points) {
      this.stamp(gesture, point);
    }
    this.showStroke(gesture);
  }

  strokeTo(point) {
    const gesture = this.gesture;
    gesture.points.push(point);
    if (gesture.bitmap) {
      this.stamp(gesture, point);
      this.showStroke(gesture);
    }
  }

  // Disks from the last point to this one, half a radius apart.
  stamp(gesture, point) {
    const { width, height } = this.store.project.video;
    const radius = this.store.brushSize / 2;
    const { last } = gesture;
    const distance = Math.hypot(point.x - last.x, point.y - last.y);
    const steps = Math.max(Math.ceil(distance / Math.max(radius / 2, 0.5)), 1);
    for (let step = 0; step <= steps; step += 1) {
      const x = last.x + ((point.x - last.x) * step) / steps;
      const y = last.y + ((point.y - last.y) * step) / steps;
      fillDisk(gesture.bitmap, width, height, x, y, radius, gesture.isEraser ? 0 : 1);
    }
    gesture.last = point;
  }

  showStroke(gesture) {
    if (gesture.isShown) {
      return;
    }
    // at most once a picture of the screen
    gesture.isShown = true;
    requestAnimationFrame(() => {
      gesture.isShown = false;
      if (this.gesture !== gesture) {
        return;
      }
      const { width, height } = this.store.project.video;
      const canvas = paint(gesture.bitmap, height, width, gesture.color, this.store.opacity);
      this.viewer.draft = { canvas, id: gesture.id };
      this.viewer.draw();
    });
  }

  async endStroke(gesture) {
    if (!gesture.bitmap) {
      return;
    }
    const { width, height } = this.store.project.video;
    const canvas = paint(gesture.bitmap, height, width, gesture.color, this.store.opacity);
    this.viewer.draft = { canvas, id: gesture.id };
    const mask = encode(gesture.bitmap, height, width);
    const label = gesture.isEraser ? 'eraser' : 'brush';
    await this.actions.paintMask(gesture.frame, gesture.id, mask, label);
  }
}

function fillDisk(bitmap, width, height, centerX, centerY, radius, value) {
  const top = Math.max(Math.floor(centerY - radius), 0);
  const bottom = Math.min(Math.ceil(centerY + radius), height - 1);
  const left = Math.max(Math.floor(centerX - radius), 0);
  const right = Math.min(Math.ceil(centerX + radius), width - 1);
  for (let y = top; y <= bottom; y += 1) {
    for (let x = left; x <= right; x += 1) {
      // the middle of a pixel is at .5
      const dx = x + 0.5 - centerX;
      const dy = y + 0.5 - centerY;
      if (dx * dx + dy * dy <= radius * radius) {
        bitmap[y * width + x] = value;
      }
    }
  }
}

function round(value) {
  return Math.round(value * 10) / 10;
}
