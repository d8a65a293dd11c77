// The dialogs: export, import, help.

import { api } from '/static/api.js';

const element = (id) => document.getElementById(id);

export class ExportDialog {
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    element('open-export').addEventListener('click', () => this.open());
    element('start-export').addEventListener('click', () => this.start());
    store.on(['exports'], () => this.render());
  }

  open() {
    if (!this.format) {
      this.makeChoices();
    }
    element('export-place').textContent = this.store.project.export_folder;
    this.render();
    element('export-dialog').showModal();
  }

  // A card for each format.
  makeChoices() {
    for (const format of this.store.project.export_formats) {
      const choice = document.createElement('input');
      choice.type = 'radio';
      choice.name = 'format';
      choice.value = format.name;
      choice.addEventListener('change', () => this.choose(format.name));
      const title = document.createElement('span');
      title.textContent = format.title;
      const note = document.createElement('small');
      note.textContent = format.note;
      const card = document.createElement('label');
      card.append(choice, title, note);
      element('export-formats').append(card);
      if (!this.format) {
        choice.checked = true;
        this.choose(format.name);
      }
    }
  }

  choose(name) {
    this.format = name;
    element('export-folder').placeholder = name;
  }

  start() {
    const folder = element('export-folder').value.trim() || null;
    const wanted = { format: this.format, folder, objects: null };
    return this.actions.attempt(() => api.startExport(wanted));
  }

  titleOf(name) {
    return this.store.project.export_formats.find((one) => one.name === name)?.title || name;
  }

  render() {
    const newestFirst = [...this.store.exports].sort((one, two) => two.id - one.id);
    element('exports').replaceChildren(...newestFirst.map((one) => this.row(one)));
  }

  row(one) {
    const row = document.createElement('li');
    row.dataset.state = one.state;
    const what = document.createElement('span');
    what.className = 'what';
    row.append(what);
    what.textContent = this.titleOf(one.format);
    const more = document.createElement('small');
    what.append(more);
    if (one.state === 'running') {
      more.textContent = `${one.done} of ${one.total} frames`;
      const progress = document.createElement('progress');
      progress.max = Math.max(one.total, 1);
      progress.value = one.done;
      row.append(progress);
      const stop = document.createElement('button');
      stop.type = 'button';
      stop.textContent = 'Stop';
      stop.addEventListener('click', () => this.actions.attempt(() => api.stopExport(one.id)));
      row.append(stop);
    } else if (one.state === 'finished') {
      const files = one.files === 1 ? '1 file' : `${one.files} files`;
      more.textContent = `${files} in ${one.folder}`;
      const link = document.createElement('a');
      link.href = `/api/exports/${one.id}/file`;
      link.textContent = 'Download';
      link.setAttribute('download', '');
      row.append(link);
    } else {
      more.textContent = [one.state, one.message].filter(Boolean).join(': ');
    }
    return row;
  }
}

export class ImportDialog {
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    element('open-import').addEventListener('click', () => this.open());
    element('start-import').addEventListener('click', () => this.start());
    this.dropped = []; // files
    // Files may be dropped anywhere; a browser would else leave the page and show them.
    const drop = element('drop');
    window.addEventListener('dragover', (event) => {
      event.preventDefault();
      drop.classList.add('is-over');
    });
    window.addEventListener('dragleave', () => drop.classList.remove('is-over'));
    window.addEventListener('drop', (event) => {
      event.preventDefault();
      drop.classList.remove('is-over');
      if (!event.dataTransfer.files.length || !this.store.project) {
        return;
      }
      if (!element('import-dialog').open) {
        this.open();
      }
      this.dropped.push(...event.dataTransfer.files);
      this.describe();
    });
    for (const name of ['import-files', 'import-folder']) {
      element(name).addEventListener('change', () => this.describe());
    }
  }

  files() {
    return [...this.dropped, ...element('import-files').files, ...element('import-folder').files];
  }

  describe() {
    const files = this.files();
    let text = 'Drop files here';
    if (files.length) {
      text = files.length === 1 ? files[0].name : `${files.length} files, ${files[0].name} first`;
    }
    element('drop-text').textContent = text;
    element('start-import').disabled = files.length === 0;
  }

  open() {
    const formats = this.store.project.import_formats;
    const found = { name: 'auto', title: 'Found out from the files' };
    fillSelect(element('import-format'), [found, ...formats]);
    element('import-notes').textContent = '';
    this.forget();
    element('import-dialog').showModal();
  }

  forget() {
    this.dropped = [];
    element('import-files').value = '';
    element('import-folder').value = '';
    this.describe();
  }

  async start() {
    const form = new FormData();
    form.append('format', element('import-format').value);
    for (const file of this.files()) {
      form.append('files', file, file.webkitRelativePath || file.name);
    }
    const button = element('start-import');
    button.disabled = true;
    const answer = await this.actions.attempt(() => api.importFiles(form));
    button.disabled = false;
    if (!answer) {
      return;
    }
    this.forget();
    const counts = `Imported: ${answer.objects.length} objects in ${answer.frames.length} frames.`;
    element('import-notes').textContent = [counts, ...answer.notes].join('\n');
    if (answer.frames.length) {
      this.store.goTo(answer.frames[0]);
    }
  }
}

// The sections of `makeKeys`.
export function fillHelp(sections) {
  for (const [title, lines] of sections) {
    const heading = document.createElement('h3');
    heading.textContent = title;
    const section = document.createElement('section');
    section.append(heading);
    for (const [shown, meaning] of lines) {
      const keys = document.createElement('span');
      for (const key of shown.split(' ')) {
        const isKey = !['…', 'drag'].includes(key);
        const cap = document.createElement(isKey ? 'kbd' : 'span');
        cap.textContent = key;
        keys.append(cap, ' ');
      }
      const line = document.createElement('div');
      line.append(keys, meaning);
      section.append(line);
    }
    element('keys').append(section);
  }
}

export function fillSelect(select, options) {
  const before = select.value;
  const made = options.map((option) => {
    const line = document.createElement('option');
    line.value = option.name;
    line.textContent = option.title;
    line.disabled = option.available === false;
    line.title = option.remedy || '';
    return line;
  });
  select.replaceChildren(...made);
  if (options.some((option) => option.name === before)) {
    select.value = before;
  }
}
