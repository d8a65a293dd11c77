// Playing and stepping. A frame is shown when its picture is here, so a slow machine plays slower
// and leaves no frame out of sight of its masks.

const AHEAD = 12; // frames that are read in advance

export class Player {
  constructor(store, frames, viewer) {
    this.store = store;
    this.frames = frames;
    this.isPlaying = false;
    this.since = 0; // when the frame that is shown came
    viewer.canvas.addEventListener('shown', () => { this.isWaiting = false; });
    store.on(['frame'], () => frames.ahead(store.frame + 1, this.isPlaying ? AHEAD : 2));
  }

  toggle() {
    if (this.isPlaying) {
      this.pause();
    } else {
      this.play();
    }
  }

  play() {
    if (this.store.frame >= this.store.lastFrame) {
      this.store.goTo(0);
    }
    this.isPlaying = true;
    this.isWaiting = false;
    this.since = performance.now();
    this.store.tell('playing');
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.isPlaying = false;
    this.store.tell('playing');
  }

  tick(now) {
    if (!this.isPlaying) {
      return;
    }
    const period = 1000 / (this.store.project.video.fps || 25);
    if (!this.isWaiting && now - this.since >= period - 2) {
      // Late ticks are made up for, but not whole pauses.
      this.since = Math.max(this.since + period, now - 3 * period);
      if (this.store.frame >= this.store.lastFrame) {
        this.pause();
        return;
      }
      this.isWaiting = true;
      this.store.goTo(this.store.frame + 1);
    }
    requestAnimationFrame((next) => this.tick(next));
  }

  step(frames) {
    this.pause();
    this.store.goTo(this.store.frame + frames);
  }

  jump(frame) {
    this.pause();
    this.store.goTo(frame);
  }

  // The next frame that is worth a look (direction 1) or the one before (-1).
  toMark(direction) {
    this.toNext(this.store.timeline.marks.map((mark) => mark.frame), direction);
  }

  // The next frame (direction 1) or the one before (-1) among given ones.
  toNext(candidates, direction) {
    const { frame } = this.store;
    const sorted = [...new Set(candidates)].sort((one, two) => direction * (one - two));
    const next = sorted.find((candidate) => direction * (candidate - frame) > 0);
    if (next !== undefined) {
      this.jump(next);
    }
  }
}
