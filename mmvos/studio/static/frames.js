// The pictures of the video, by frame number; the ones looked at last are kept.

const MOST_BYTES = 160e6; // of decoded pictures
const MOST_PIXELS_WIDE = 1920;

export class Frames {
  constructor(store) {
    this.store = store;
    this.kept = new Map(); // frame -> image, or a promise of one
  }

  address(frame) {
    const video = this.store.project.video;
    const narrower = video.width > MOST_PIXELS_WIDE ? `&width=${MOST_PIXELS_WIDE}` : '';
    return `/api/frames/${frame}.jpg?v=${encodeURIComponent(video.key)}${narrower}`;
  }

  get most() {
    const video = this.store.project.video;
    return Math.min(Math.max(Math.floor(MOST_BYTES / (4 * video.width * video.height)), 8), 120);
  }

  // The picture if it is here already.
  peek(frame) {
    const known = this.kept.get(frame);
    return known instanceof HTMLImageElement ? known : null;
  }

  async load(frame) {
    const known = this.kept.get(frame);
    if (known) {
      this.kept.delete(frame);
      this.kept.set(frame, known);
      return known;
    }
    const waiting = this.read(frame);
    this.kept.set(frame, waiting);
    try {
      const image = await waiting;
      this.kept.set(frame, image);
      this.drop();
      return image;
    } catch (error) {
      this.kept.delete(frame);
      throw error;
    }
  }

  async read(frame) {
    const image = new Image();
    image.src = this.address(frame);
    await image.decode();
    return image;
  }

  ahead(frame, count) {
    for (let next = frame; next < frame + count && next <= this.store.lastFrame; next += 1) {
      this.load(next).catch(() => {});
    }
  }

  drop() {
    for (const frame of this.kept.keys()) {
      if (this.kept.size <= this.most) {
        return;
      }
      this.kept.delete(frame);
    }
  }
}
