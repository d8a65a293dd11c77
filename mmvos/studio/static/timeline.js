// The timeline: frame numbers and marks of frames that are worth a look above, then a row for each
// object with its name that shows where it is seen, uncertain, lost or corrected, and the frame
// that is shown as a line.

const RULER = 16; // height of the frame numbers
const MARKS = 14; // height of the row of marks
const ROW = 19;
const MOST_ROWS = 6;
const RIGHT = 8;
const MARK_PIXELS = 6; // a click this near to a mark goes to its frame
const NUMBER_PIXELS = 70; // at least between two frame numbers

export class Timeline {
  constructor(canvas, store) {
    this.canvas = canvas;
    this.store = store;
    this.waiting = false;
    this.rows = []; // objects that are shown, from top to bottom
    new ResizeObserver(() => this.draw()).observe(canvas);
    store.on(['timeline', 'objects', 'frame', 'video', 'selected', 'run', 'theme'], () => {
      this.draw();
    });
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.isDragged && this.goTo(event, false));
    canvas.addEventListener('pointerup', () => { this.isDragged = false; });
    canvas.addEventListener('pointercancel', () => { this.isDragged = false; });
  }

  get count() {
    return this.store.lastFrame + 1;
  }

  // Where the frames begin: names stand left of it.
  get left() {
    return this.canvas.clientWidth < 900 ? 84 : 128;
  }

  get width() {
    return Math.max(this.canvas.clientWidth - this.left - RIGHT, 1);
  }

  toX(frame) {
    return this.left + (frame * this.width) / this.count;
  }

  // ---- the pointer

  down(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const row = this.rows[Math.floor((event.clientY - bounds.top - RULER - MARKS) / ROW)];
    if (row) {
      this.store.select(row.id);
    }
    if (event.clientX - bounds.left < this.left - MARK_PIXELS) {
      return; // a name
    }
    this.canvas.setPointerCapture(event.pointerId);
    this.isDragged = true;
    this.goTo(event, true);
  }

  goTo(event, snaps) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    let frame = Math.floor(((x - this.left) / this.width) * this.count);
    const isOnMarks = event.clientY - bounds.top < RULER + MARKS;
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

  // ---- drawing

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
    const count = Math.min(Math.max(objects.length, 1), MOST_ROWS);
    const height = RULER + MARKS + count * ROW;
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
    const first = Math.max(0, Math.min(chosen - MOST_ROWS + 1, objects.length - count));
    this.rows = objects.slice(first, first + count);
    this.drawRuler(context, color);
    for (let row = 0; row < count; row += 1) {
      this.drawRow(context, this.rows[row], RULER + MARKS + row * ROW, color);
    }
    this.drawMarks(context, color);

    // the frame that is computed, and the one that is shown
    if (this.store.isRunning) {
      this.drawLine(context, this.store.run.frame, color('accent'), 1, height);
    }
    this.drawPlayhead(context, color, height);
  }

  drawRuler(context, color) {
    // Numbers at round steps, as many as there is room for.
    const least = (NUMBER_PIXELS * this.count) / this.width;
    const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least) || 1;
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'top';
    context.textAlign = 'center';
    context.fillStyle = color('quiet');
    for (let frame = 0; frame < this.count; frame += step) {
      context.fillText(String(frame), this.toX(frame + 0.5), 2);
    }
  }

  drawRow(context, item, top, color) {
    const isSelected = item?.id === this.store.selected;
    context.fillStyle = color('track');
    bar(context, this.left, top + 4, this.width, ROW - 8);
    if (!item) {
      return;
    }
    this.drawName(context, item, top, color, isSelected);
    const runs = this.store.timeline.objects[item.id]?.runs || [];
    context.globalAlpha = isSelected ? 1 : 0.65;
    for (const [state, start, stop] of runs) {
      const x = this.toX(start);
      const width = Math.max(this.toX(stop + 1) - x, 1);
      context.fillStyle = color(state === 'corrected' ? 'seen' : state);
      if (state === 'lost') {
        context.fillRect(x, top + ROW / 2 - 1.5, width, 3);
      } else {
        bar(context, x, top + 4, width, ROW - 8);
      }
    }
    context.globalAlpha = 1;
    // a diamond for each corrected frame
    for (const [state, start, stop] of runs) {
      if (state !== 'corrected') {
        continue;
      }
      for (let frame = start; frame <= stop; frame += 1) {
        this.drawDiamond(context, this.toX(frame + 0.5), top + ROW / 2, color);
      }
    }
  }

  drawName(context, item, top, color, isSelected) {
    context.fillStyle = item.color;
    bar(context, 1, top + 5, 9, ROW - 10);
    context.save();
    context.beginPath();
    context.rect(0, top, this.left - 10, ROW);
    context.clip();
    context.font = `${isSelected ? 600 : 400} 12px system-ui, sans-serif`;
    context.textBaseline = 'middle';
    context.textAlign = 'left';
    context.fillStyle = color(isSelected ? 'text' : 'quiet');
    context.fillText(item.name, 16, top + ROW / 2 + 0.5);
    context.restore();
  }

  drawDiamond(context, x, y, color) {
    context.beginPath();
    context.moveTo(x, y - 6);
    context.lineTo(x + 5, y);
    context.lineTo(x, y + 6);
    context.lineTo(x - 5, y);
    context.closePath();
    context.fillStyle = color('text');
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = color('panel');
    context.stroke();
  }

  drawMarks(context, color) {
    context.fillStyle = color('accent');
    for (const mark of this.store.timeline.marks) {
      const x = this.toX(mark.frame + 0.5);
      context.beginPath();
      context.arc(x, RULER + MARKS / 2, 2.5 + 2.5 * mark.severity, 0, 2 * Math.PI);
      context.fill();
    }
  }

  drawLine(context, frame, fill, width, height) {
    context.fillStyle = fill;
    context.fillRect(this.toX(frame + 0.5) - width / 2, RULER, width, height);
  }

  // The line of the shown frame, with its number on a plate.
  drawPlayhead(context, color, height) {
    const { frame } = this.store;
    this.drawLine(context, frame, color('text'), 2, height);
    context.font = '600 11px system-ui, sans-serif';
    const width = context.measureText(String(frame)).width + 10;
    const most = this.canvas.clientWidth - width;
    const left = Math.min(Math.max(this.toX(frame + 0.5) - width / 2, 0), most);
    context.fillStyle = color('text');
    bar(context, left, 0, width, RULER - 1);
    context.fillStyle = color('panel');
    context.textBaseline = 'top';
    context.textAlign = 'center';
    context.fillText(String(frame), left + width / 2, 2);
  }
}

// A bar with round ends.
function bar(context, x, y, width, height) {
  context.beginPath();
  context.roundRect(x, y, width, height, Math.min(3, width / 2));
  context.fill();
}
