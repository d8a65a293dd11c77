// What the user does to the project. Each action tells the server and shows its error, if any.

import { api } from '/static/api.js';
import { toast } from '/static/toasts.js';

export class Actions {
  constructor(store, busy) {
    this.store = store;
    this.busy = busy;
    this.open = 0; // prompts without an answer
    store.on(['model'], () => this.setOpen(0));
  }

  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      toast(error.message, true);
      return null;
    }
  }

  // ---- objects

  async newObject() {
    const item = await this.attempt(() => api.addObject());
    if (item) {
      if (!this.store.object(item.id)) {
        this.store.setObjects([...this.store.objects, item]);
      }
      this.store.select(item.id);
    }
    return item;
  }

  changeObject(id, given) {
    return this.attempt(() => api.changeObject(id, given));
  }

  removeObject(id) {
    return this.attempt(() => api.removeObject(id));
  }

  // The object that a prompt is for: the selected one, or a new one where there is none.
  async target() {
    const selected = this.store.object(this.store.selected);
    return selected || (await this.newObject());
  }

  // ---- prompts

  async drawBox(frame, box) {
    const item = await this.target();
    if (item) {
      await this.prompt(frame, item.id, { box, points: [], mask: null }, 'draw a box');
    }
  }

  async addPoint(frame, x, y, isOn) {
    const item = await this.target();
    if (!item) {
      return;
    }
    const known = this.store.prompt(frame, item.id) || { box: null, points: [], mask: null };
    const points = [...(known.points || []), [x, y, isOn ? 1 : 0]];
    const label = isOn ? 'add a point' : 'add a point not on the object';
    await this.prompt(frame, item.id, { box: known.box, mask: known.mask, points }, label);
  }

  paintMask(frame, id, mask, label) {
    return this.prompt(frame, id, { box: null, points: [], mask }, label);
  }

  async prompt(frame, id, prompt, label) {
    const before = this.store.prompt(frame, id);
    // Shown at once, so that the next point joins it; taken back where the server refuses it.
    this.store.setPrompt(frame, id, prompt);
    this.setOpen(1);
    const answer = await this.attempt(() => api.putPrompt(frame, id, prompt, label));
    this.setOpen(-1);
    if (!answer) {
      this.store.setPrompt(frame, id, before);
    } else if (!answer.superseded) {
      this.store.setEntries(frame, { [id]: answer.entry });
    }
  }

  setOpen(change) {
    this.open += change;
    this.busy.hidden = this.open === 0;
    const isLoading = this.store.project.model.state === 'loading';
    this.busy.textContent = isLoading ? 'waiting for the model …' : 'finding the mask …';
  }

  forgetPrompt() {
    const { frame, selected } = this.store;
    if (selected !== null && this.store.prompt(frame, selected)) {
      return this.attempt(() => api.removePrompt(frame, selected));
    }
    return null;
  }

  async undo() {
    const answer = await this.attempt(() => api.undo());
    if (answer) {
      toast(`undone: ${answer.label}`);
    }
  }

  async redo() {
    const answer = await this.attempt(() => api.redo());
    if (answer) {
      toast(`done again: ${answer.label}`);
    }
  }

  // ---- runs

  run(direction, untilCorrected) {
    const start = this.store.frame;
    const wanted = { direction, start, stop: null, until_corrected: untilCorrected, objects: null };
    return this.attempt(() => api.run(wanted));
  }

  find(system) {
    return this.attempt(() => api.find({ system, start: 0, stop: null, min_score: 0.4 }));
  }

  controlRun(word) {
    return this.attempt(() => api.controlRun(word));
  }

  chooseSystem(name) {
    return this.attempt(() => api.system(name));
  }
}
