// The timeline: a row for each object that shows where it is seen, uncertain, lost or corrected,
// marks above for frames that are worth a look, and the frame that is shown as a line.

const ROW = 14;
const MARKS = 16; // height of the row of marks
const MOST_ROWS = 8;
const LEFT = 4;
const MARK_PIXELS = 6; // a click this near to a mark goes to its frame

export class Timeline {
  constructor(canvas, store) {
    this.canvas = canvas;
    this.store = store;
    this.waiting = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    store.on(['timeline', 'objects', 'frame', 'video', 'selected', 'run', 'theme'], () => {
      this.draw();
    });
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.isDragged = true;
      this.goTo(event, true);
    });
    canvas.addEventListener('pointermove', (event) => this.isDragged && this.goTo(event, false));
    canvas.addEventListener('pointerup', () => { this.isDragged = false; });
    canvas.addEventListener('pointercancel', () => { this.isDragged = false; });
  }

  get count() {
    return this.store.lastFrame + 1;
  }

  toX(frame) {
    return LEFT + (frame * (this.canvas.clientWidth - 2 * LEFT)) / this.count;
  }

  goTo(event, snaps) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    const share = (x - LEFT) / (this.canvas.clientWidth - 2 * LEFT);
    let frame = Math.floor(share * this.count);
    const isOnMarks = event.clientY - bounds.top < MARKS;
    if (snaps && isOnMarks) {
      frame = this.nearestMark(x) ?? frame;
    }
    this.canvas.dispatchEvent(new CustomEvent('scrub'));
    this.store.goTo(frame);
  }

  nearestMark(x) {
    let nearest = null;
    let least = MARK_PIXELS;
    for (const mark of this.store.timeline.marks) {
      const distance = Math.abs(this.toX(mark.frame + 0.5) - x);
      if (distance < least) {
        least = distance;
        nearest = mark.frame;
      }
    }
    return nearest;
  }

  draw() {
    if (this.waiting || !this.store.project) {
      return;
    }
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.drawNow();
    });
  }

  drawNow() {
    const objects = this.store.objects;
    const rows = Math.min(Math.max(objects.length, 1), MOST_ROWS);
    const height = MARKS + rows * ROW + 4;
    this.canvas.style.height = `${height}px`;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(height * ratio);
    const context = this.canvas.getContext('2d');
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(`--${name}`).trim();

    // Where there are more objects than rows, the selected one is among those shown.
    const chosen = Math.max(objects.findIndex((item) => item.id === this.store.selected), 0);
    const first = Math.max(0, Math.min(chosen - MOST_ROWS + 1, objects.length - rows));
    for (let row = 0; row < rows; row += 1) {
      const top = MARKS + row * ROW;
      context.fillStyle = color('back');
      context.fillRect(LEFT, top + 1, this.canvas.clientWidth - 2 * LEFT, ROW - 3);
      const item = objects[first + row];
      if (item) {
        this.drawRow(context, item, top, color);
      }
    }
    this.drawMarks(context, color);

    // the frame that is shown, and the one that is computed
    if (this.store.isRunning) {
      this.drawLine(context, this.store.run.frame, color('accent'), 1, height);
    }
    this.drawLine(context, this.store.frame, color('text'), 2, height);
  }

  drawRow(context, item, top, color) {
    const isSelected = item.id === this.store.selected;
    const runs = this.store.timeline.objects[item.id]?.runs || [];
    for (const [state, start, stop] of runs) {
      const x = this.toX(start);
      const width = Math.max(this.toX(stop + 1) - x, 1);
      context.globalAlpha = isSelected ? 1 : 0.6;
      context.fillStyle = color(state === 'corrected' ? 'seen' : state);
      if (state === 'lost') {
        context.fillRect(x, top + ROW / 2 - 2, width, 3);
      } else {
        context.fillRect(x, top + 2, width, ROW - 5);
      }
    }
    // the object's own color below, and a diamond for each corrected frame
    context.fillStyle = item.color;
    context.fillRect(LEFT, top + ROW - 3, this.canvas.clientWidth - 2 * LEFT, isSelected ? 2 : 1);
    context.globalAlpha = 1;
    for (const [state, start, stop] of runs) {
      if (state !== 'corrected') {
        continue;
      }
      for (let frame = start; frame <= stop; frame += 1) {
        this.drawDiamond(context, this.toX(frame + 0.5), top + ROW / 2 - 1, color('text'));
      }
    }
  }

  drawDiamond(context, x, y, fill) {
    context.beginPath();
    context.moveTo(x, y - 5);
    context.lineTo(x + 4, y);
    context.lineTo(x, y + 5);
    context.lineTo(x - 4, y);
    context.closePath();
    context.fillStyle = fill;
    context.fill();
  }

  drawMarks(context, color) {
    for (const mark of this.store.timeline.marks) {
      context.beginPath();
      context.arc(this.toX(mark.frame + 0.5), MARKS / 2, 2 + 2.5 * mark.severity, 0, 2 * Math.PI);
      context.fillStyle = color('accent');
      context.fill();
    }
  }

  drawLine(context, frame, fill, width, height) {
    context.fillStyle = fill;
    context.fillRect(this.toX(frame + 0.5) - width / 2, 0, width, height);
  }
}
