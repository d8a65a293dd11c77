// The dialogs: export, import, help.

import { api } from '/static/api.js';
import { toast } from '/static/toasts.js';

const element = (id) => document.getElementById(id);

export class ExportDialog {
  constructor(store, actions) {
    this.store = store;
    this.actions = actions;
    element('open-export').addEventListener('click', () => this.open());
    element('start-export').addEventListener('click', () => this.start());
    element('export-format').addEventListener('change', () => this.describe());
    store.on(['exports'], () => this.render());
  }

  open() {
    const formats = this.store.project.export_formats;
    fillSelect(element('export-format'), formats);
    element('export-place').textContent = this.store.project.export_folder;
    this.describe();
    this.render();
    element('export-dialog').showModal();
  }

  describe() {
    const name = element('export-format').value;
    const format = this.store.project.export_formats.find((one) => one.name === name);
    element('export-note').textContent = format?.note || '';
  }

  start() {
    const folder = element('export-folder').value.trim() || null;
    const wanted = { format: element('export-format').value, folder, objects: null };
    return this.actions.attempt(() => api.startExport(wanted));
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
    if (one.state === 'running') {
      what.textContent = `${one.format}: ${one.done} of ${one.total} frames`;
      const stop = document.createElement('button');
      stop.type = 'button';
      stop.textContent = 'Stop';
      stop.addEventListener('click', () => this.actions.attempt(() => api.stopExport(one.id)));
      row.append(stop);
    } else if (one.state === 'finished') {
      what.textContent = `${one.format}: ${one.files} files in ${one.folder}`;
      const link = document.createElement('a');
      link.href = `/api/exports/${one.id}/file`;
      link.textContent = 'Download';
      link.setAttribute('download', '');
      row.append(link);
    } else {
      what.textContent = `${one.format}: ${one.state}. ${one.message}`;
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
  }

  open() {
    const formats = this.store.project.import_formats;
    fillSelect(element('import-format'), [{ name: 'auto', title: 'Find out' }, ...formats]);
    element('import-notes').textContent = '';
    element('import-dialog').showModal();
  }

  async start() {
    const files = [...element('import-files').files, ...element('import-folder').files];
    if (!files.length) {
      toast('choose files or a folder first', true);
      return;
    }
    const form = new FormData();
    form.append('format', element('import-format').value);
    for (const file of files) {
      form.append('files', file, file.webkitRelativePath || file.name);
    }
    const button = element('start-import');
    button.disabled = true;
    const answer = await this.actions.attempt(() => api.importFiles(form));
    button.disabled = false;
    if (!answer) {
      return;
    }
    const counts = `${answer.objects.length} objects in ${answer.frames.length} frames`;
    element('import-notes').textContent = [counts, ...answer.notes].join('\n');
    if (answer.frames.length) {
      this.store.goTo(answer.frames[0]);
    }
  }
}

export function fillHelp(keys) {
  const rows = keys.map(([shown, meaning]) => {
    const row = document.createElement('tr');
    for (const text of [shown, meaning]) {
      const cell = document.createElement('td');
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  });
  element('keys').replaceChildren(...rows);
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
