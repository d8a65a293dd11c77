// What the page knows of the project. Everything that changes is told by a `change` event whose
// detail names it: project, video, objects, prompts, masks, timeline, run, model, history, exports,
// frame, selected, tool, look (opacity of the masks, whether they are shown).

import { api } from '/static/api.js';

const CHUNK = 50; // frames whose masks are read at a time
const MOST_CHUNKS = 12; // kept; the ones used longest ago go first

export class Store extends EventTarget {
  constructor() {
    super();
    this.project = null;
    this.objects = [];
    this.prompts = new Map(); // frame -> Map(object id -> Prompt)
    this.timeline = { objects: {}, marks: [] };
    this.exports = [];
    this.run = null;
    this.frame = 0;
    this.selected = null;
    this.tool = 'box';
    this.brushSize = 24;
    this.opacity = 0.45; // with which masks are filled
    this.showsMasks = true;
    this.chunks = new Map(); // chunk number -> {frames, touched, ready}
  }

  tell(what, more = {}) {
    this.dispatchEvent(new CustomEvent('change', { detail: { what, ...more } }));
  }

  on(whats, listener) {
    this.addEventListener('change', (event) => {
      if (whats.includes(event.detail.what)) {
        listener(event.detail);
      }
    });
  }

  // ---- everything anew: at the start, and after a connection was lost

  async load() {
    const [project, prompts, timeline, exports] = await Promise.all([
      api.project(), api.prompts(), api.timeline(), api.exports(),
    ]);
    this.project = project;
    this.objects = project.objects;
    this.run = project.run;
    this.timeline = timeline;
    this.exports = exports.exports;
    this.readPrompts(prompts.prompts);
    this.chunks.clear();
    if (!this.object(this.selected)) {
      this.selected = this.objects.length ? this.objects[0].id : null;
    }
    this.frame = Math.min(this.frame, this.lastFrame);
    for (const what of ['project', 'video', 'objects', 'prompts', 'masks', 'timeline', 'run',
      'model', 'history', 'exports', 'selected', 'frame']) {
      this.tell(what);
    }
  }

  readPrompts(given) {
    this.prompts.clear();
    for (const [frame, byObject] of Object.entries(given)) {
      const prompts = new Map();
      for (const [id, prompt] of Object.entries(byObject)) {
        prompts.set(Number(id), prompt);
      }
      this.prompts.set(Number(frame), prompts);
    }
  }

  // ---- events of the server

  async apply(event) {
    switch (event.type) {
      case 'hello':
      case 'resync':
        await this.load();
        break;
      case 'video':
        this.project.video = event.video;
        this.tell('video');
        break;
      case 'objects':
        this.setObjects(event.objects);
        break;
      case 'frame':
        this.setEntries(event.frame, event.entries);
        break;
      case 'prompt':
        this.setPrompt(event.frame, event.object, event.prompt);
        break;
      case 'results':
        await this.forgetResults(event.start, event.stop);
        break;
      case 'timeline':
        await this.readTimeline();
        break;
      case 'history':
        this.project.history = { undo: event.undo, redo: event.redo };
        this.tell('history');
        break;
      case 'run':
        this.run = event.run;
        this.tell('run');
        this.readTimelineOfRun();
        break;
      case 'model':
        this.project.model = event.model;
        this.tell('model');
        break;
      case 'export':
        this.exports = [...this.exports.filter((one) => one.id !== event.export.id), event.export];
        this.tell('exports');
        break;
    }
  }

  setObjects(objects) {
    const before = new Set(this.objects.map((item) => item.id));
    const isNew = objects.find((item) => !before.has(item.id));
    this.objects = objects;
    if (!this.object(this.selected)) {
      const fallback = isNew || objects[0];
      this.select(fallback ? fallback.id : null);
    }
    this.tell('objects');
  }

  setEntries(frame, entries) {
    const chunk = this.chunks.get(Math.floor(frame / CHUNK));
    if (chunk) {
      // An answer that is still on its way is older than this.
      chunk.touched.add(frame);
      const known = new Map(chunk.frames.get(frame));
      for (const [id, entry] of Object.entries(entries)) {
        if (entry === null) {
          known.delete(Number(id));
        } else {
          known.set(Number(id), entry);
        }
      }
      chunk.frames.set(frame, known);
    }
    this.tell('masks', { frame });
  }

  setPrompt(frame, id, prompt) {
    const prompts = new Map(this.prompts.get(frame));
    if (prompt === null) {
      prompts.delete(id);
    } else {
      prompts.set(id, prompt);
    }
    this.prompts.set(frame, prompts);
    this.tell('prompts');
  }

  async forgetResults(start, stop) {
    for (const number of [...this.chunks.keys()]) {
      const isBefore = (number + 1) * CHUNK <= start;
      const isAfter = number * CHUNK > stop;
      if (!isBefore && !isAfter) {
        this.chunks.delete(number);
      }
    }
    const [prompts] = await Promise.all([api.prompts(), this.readTimeline()]);
    this.readPrompts(prompts.prompts);
    this.tell('prompts');
    this.tell('masks');
  }

  // The timeline grows while a run goes on.
  readTimelineOfRun() {
    const now = performance.now();
    if (this.isRunning && now - (this.timelineRead || 0) > 2000) {
      this.timelineRead = now;
      this.readTimeline().catch(() => {});
    }
  }

  async readTimeline() {
    // Several events in a row are answered by one question.
    if (this.timelineWaits) {
      return;
    }
    this.timelineWaits = true;
    await new Promise((resolve) => setTimeout(resolve, 150));
    this.timelineWaits = false;
    this.timeline = await api.timeline();
    this.tell('timeline');
  }

  // ---- masks

  // The entries of a frame by object id, or null while they are read.
  entries(frame) {
    const number = Math.floor(frame / CHUNK);
    let chunk = this.chunks.get(number);
    if (chunk) {
      // the one used last stands last
      this.chunks.delete(number);
      this.chunks.set(number, chunk);
    } else {
      chunk = { frames: new Map(), touched: new Set(), ready: false };
      this.chunks.set(number, chunk);
      this.readChunk(number, chunk);
      this.dropChunks();
    }
    if (!chunk.ready && !chunk.touched.has(frame)) {
      return null;
    }
    return chunk.frames.get(frame) || new Map();
  }

  async readChunk(number, chunk) {
    let answer;
    try {
      answer = await api.masks(number * CHUNK, (number + 1) * CHUNK);
    } catch {
      this.chunks.delete(number); // asked again when it is needed
      return;
    }
    for (const [frame, byObject] of Object.entries(answer.frames)) {
      if (chunk.touched.has(Number(frame))) {
        continue;
      }
      const entries = new Map();
      for (const [id, entry] of Object.entries(byObject)) {
        entries.set(Number(id), entry);
      }
      chunk.frames.set(Number(frame), entries);
    }
    chunk.ready = true;
    this.tell('masks');
  }

  dropChunks() {
    for (const number of this.chunks.keys()) {
      if (this.chunks.size <= MOST_CHUNKS) {
        return;
      }
      this.chunks.delete(number);
    }
  }

  // ---- what is looked at

  get lastFrame() {
    return Math.max((this.project?.video.frames || 1) - 1, 0);
  }

  get isRunning() {
    return this.run !== null && ['running', 'paused'].includes(this.run.state);
  }

  object(id) {
    return this.objects.find((item) => item.id === id);
  }

  prompt(frame, id) {
    return this.prompts.get(frame)?.get(id) || null;
  }

  goTo(frame) {
    const bounded = Math.round(Math.min(Math.max(frame, 0), this.lastFrame));
    if (Number.isFinite(bounded) && bounded !== this.frame) {
      this.frame = bounded;
      this.tell('frame');
    }
  }

  select(id) {
    this.selected = id;
    this.tell('selected');
  }

  look(change) {
    Object.assign(this, change);
    this.tell('look');
  }

  choose(tool) {
    this.tool = tool;
    this.tell('tool');
  }
}
