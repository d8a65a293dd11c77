// The lists at the side: objects, and frames that are worth a look. Names are text, never HTML.

import { icon } from '/static/icons.js';

const STATES = {
  seen: 'seen',
  uncertain: 'uncertain',
  lost: 'not seen here',
  corrected: 'corrected',
};
const KINDS = {
  lost: 'is lost',
  returns: 'comes back',
  area_change: 'changes its size',
  low_score: 'has a low score',
  least_sure: 'is least certain',
};
const MOST_MARKS = 50;

export class ObjectList {
  constructor(list, store, actions) {
    this.list = list;
    this.store = store;
    this.actions = actions;
    store.on(['objects'], () => this.render());
    // The rows stay: a press that chooses an object may be the press of a button in its row.
    store.on(['selected'], () => this.markSelected());
    store.on(['masks'], () => this.describeFrame());
  }

  render() {
    const active = document.activeElement;
    if (active && this.list.contains(active) && active.type === 'text') {
      this.markSelected(); // a name is being written: leave it alone
      return;
    }
    const rows = this.store.objects.map((item) => this.row(item));
    if (!rows.length) {
      rows.push(emptyRow('None yet. Draw a box around something in the picture.'));
    }
    this.list.replaceChildren(...rows);
    this.markSelected();
    this.describeFrame();
  }

  markSelected() {
    for (const row of this.list.children) {
      row.setAttribute('aria-current', String(Number(row.dataset.id) === this.store.selected));
    }
  }

  // How each object is in the frame that is shown; to be called when another one is shown.
  describeFrame() {
    const entries = this.store.entries(this.store.frame);
    for (const row of this.list.querySelectorAll('li[data-id]')) {
      const entry = entries?.get(Number(row.dataset.id));
      const state = row.querySelector('.state');
      let text = entry ? STATES[entry.state] : 'not tracked here yet';
      if (entry && ['seen', 'uncertain'].includes(entry.state)) {
        text += ` · score ${entry.score.toFixed(2)}`;
      }
      state.textContent = text;
      state.className = `state ${entry ? entry.state : ''}`;
    }
  }

  row(item) {
    const row = document.createElement('li');
    row.dataset.id = item.id;
    row.classList.toggle('is-hidden', !item.visible);
    row.addEventListener('pointerdown', () => this.store.select(item.id));

    const color = document.createElement('input');
    color.type = 'color';
    color.value = item.color;
    color.title = 'Color';
    color.setAttribute('aria-label', `Color of ${item.name}`);
    color.addEventListener('change', () => {
      this.actions.changeObject(item.id, { color: color.value });
    });

    const name = this.text(item, 'name', 'Name');
    const state = document.createElement('span');
    state.className = 'state';
    const category = this.text(item, 'category', 'Class');
    category.title = 'Class: what it is, for exports';
    // The line is there in all rows: one that came with the choice would move what is pressed.
    const more = document.createElement('div');
    more.className = 'more';
    more.append(state, category);

    const drawing = item.visible ? 'eye' : 'eye-off';
    const eye = this.button(drawing, item.visible ? 'Hide' : 'Show', () => {
      this.actions.changeObject(item.id, { visible: !item.visible });
    });
    eye.classList.add('eye');
    eye.setAttribute('aria-pressed', String(item.visible));
    const remove = this.button('trash', 'Remove (can be undone)', () => {
      this.actions.removeObject(item.id);
    });
    remove.classList.add('remove');
    row.append(color, name, eye, remove, more);
    return row;
  }

  // A field for the name or the category.
  text(item, member, label) {
    const field = document.createElement('input');
    field.type = 'text';
    field.className = member;
    field.value = item[member];
    field.maxLength = 200;
    field.setAttribute('aria-label', label);
    field.addEventListener('focus', () => this.store.select(item.id));
    field.addEventListener('change', () => {
      this.actions.changeObject(item.id, { [member]: field.value });
    });
    field.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === 'Escape') {
        field.blur();
      }
      event.stopPropagation();
    });
    field.addEventListener('blur', () => setTimeout(() => this.render()));
    return field;
  }

  button(drawing, title, action) {
    const button = document.createElement('button');
    button.type = 'button';
    button.className = 'quiet';
    button.append(icon(drawing));
    button.title = title;
    button.setAttribute('aria-label', title);
    button.addEventListener('click', action);
    return button;
  }
}

export class MarkList {
  constructor(list, count, store) {
    this.list = list;
    this.count = count;
    this.store = store;
    store.on(['timeline', 'objects'], () => this.render());
    store.on(['frame'], () => this.markShown());
  }

  render() {
    const { marks } = this.store.timeline;
    const rows = [];
    for (const mark of marks.slice(0, MOST_MARKS)) {
      const item = this.store.object(mark.object);
      if (item) {
        rows.push(this.row(mark, item));
      }
    }
    this.count.textContent = rows.length ? String(marks.length) : '';
    if (!rows.length) {
      const hasRun = Object.values(this.store.timeline.objects).some(({ runs }) =>
        runs.some(([state]) => state !== 'corrected'));
      rows.push(emptyRow(hasRun
        ? 'Nothing stands out. Play the video to be sure.'
        : 'After tracking, doubtful frames are listed here, the worst first.'));
    }
    this.list.replaceChildren(...rows);
    this.markShown();
  }

  row(mark, item) {
    const dot = document.createElement('span');
    dot.className = 'dot';
    dot.style.background = item.color;
    const frame = document.createElement('span');
    frame.className = 'frame';
    frame.textContent = mark.frame;
    const what = document.createElement('span');
    what.textContent = `${item.name} ${this.describe(mark)}`;
    const button = document.createElement('button');
    button.type = 'button';
    button.append(dot, frame, what);
    button.addEventListener('click', () => {
      this.store.select(mark.object);
      this.store.goTo(mark.frame);
    });
    const row = document.createElement('li');
    row.dataset.frame = mark.frame;
    row.append(button);
    return row;
  }

  describe(mark) {
    if (mark.kind === 'near_merge') {
      return `touches ${this.store.object(mark.other)?.name || 'another'}`;
    }
    return KINDS[mark.kind] || mark.kind;
  }

  markShown() {
    for (const row of this.list.children) {
      const isShown = row.dataset.frame === String(this.store.frame);
      row.firstElementChild?.setAttribute('aria-current', String(isShown));
    }
  }
}

function emptyRow(text) {
  const row = document.createElement('li');
  row.className = 'empty';
  row.textContent = text;
  return row;
}
