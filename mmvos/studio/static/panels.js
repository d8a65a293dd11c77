// The lists at the side: objects, and frames that are worth a look. Names are text, never HTML.

const KINDS = {
  low_score: 'uncertain',
  area_change: 'changes suddenly',
  near_merge: 'touches another',
};
const MOST_MARKS = 30;

export class ObjectList {
  constructor(list, store, actions) {
    this.list = list;
    this.store = store;
    this.actions = actions;
    store.on(['objects'], () => this.render());
    // The rows stay: a press that chooses an object may be the press of a button in its row.
    store.on(['selected'], () => this.markSelected());
  }

  render() {
    const active = document.activeElement;
    if (active && this.list.contains(active) && active.type === 'text') {
      this.markSelected(); // a name is being written: leave it alone
      return;
    }
    this.list.replaceChildren(...this.store.objects.map((item) => this.row(item)));
    this.markSelected();
  }

  markSelected() {
    for (const row of this.list.children) {
      row.setAttribute('aria-current', String(Number(row.dataset.id) === this.store.selected));
    }
  }

  row(item) {
    const row = document.createElement('li');
    row.dataset.id = item.id;
    row.addEventListener('pointerdown', () => this.store.select(item.id));

    const color = document.createElement('input');
    color.type = 'color';
    color.value = item.color;
    color.setAttribute('aria-label', `Color of ${item.name}`);
    color.addEventListener('change', () => {
      this.actions.changeObject(item.id, { color: color.value });
    });

    const name = document.createElement('input');
    name.type = 'text';
    name.value = item.name;
    name.maxLength = 200;
    name.setAttribute('aria-label', 'Name');
    name.addEventListener('focus', () => this.store.select(item.id));
    name.addEventListener('change', () => {
      this.actions.changeObject(item.id, { name: name.value });
    });
    name.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === 'Escape') {
        name.blur();
      }
      event.stopPropagation();
    });
    name.addEventListener('blur', () => setTimeout(() => this.render()));

    const eye = this.button(item.visible ? '●' : '○', item.visible ? 'Hide' : 'Show', () => {
      this.actions.changeObject(item.id, { visible: !item.visible });
    });
    eye.className = 'eye';
    eye.setAttribute('aria-pressed', String(item.visible));
    const remove = this.button('✕', 'Remove (can be undone)', () => {
      this.actions.removeObject(item.id);
    });
    remove.className = 'remove';
    row.append(color, name, eye, remove);
    return row;
  }

  button(text, title, action) {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = text;
    button.title = title;
    button.addEventListener('click', action);
    return button;
  }
}

export class MarkList {
  constructor(list, store) {
    this.list = list;
    this.store = store;
    store.on(['timeline', 'objects'], () => this.render());
  }

  render() {
    const rows = [];
    for (const mark of this.store.timeline.marks.slice(0, MOST_MARKS)) {
      const item = this.store.object(mark.object);
      if (!item) {
        continue;
      }
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = `${mark.frame}: ${item.name} ${KINDS[mark.kind] || mark.kind}`;
      button.addEventListener('click', () => {
        this.store.select(mark.object);
        this.store.goTo(mark.frame);
      });
      const row = document.createElement('li');
      row.append(button);
      rows.push(row);
    }
    if (!rows.length) {
      const row = document.createElement('li');
      row.className = 'note';
      row.textContent = 'nothing so far';
      rows.push(row);
    }
    this.list.replaceChildren(...rows);
  }
}
