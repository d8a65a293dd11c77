// The page: makes its parts and wires buttons to actions. Each part is a module of its own.

import { Actions } from '/static/actions.js';
import { listen } from '/static/api.js';
import { ExportDialog, fillHelp, fillSelect, ImportDialog } from '/static/dialogs.js';
import { Frames } from '/static/frames.js';
import { setIcon } from '/static/icons.js';
import { makeKeys } from '/static/keys.js';
import { MarkList, ObjectList } from '/static/panels.js';
import { Player } from '/static/player.js';
import { Store } from '/static/store.js';
import { Timeline } from '/static/timeline.js';
import { toast } from '/static/toasts.js';
import { Tools } from '/static/tools.js';
import { Viewer } from '/static/viewer.js';

const element = (id) => document.getElementById(id);

// The cookie knows the token by now; the address need not.
history.replaceState(null, '', location.pathname);

const store = new Store();
const frames = new Frames(store);
const viewer = new Viewer(element('view'), store, frames);
const actions = new Actions(store, element('busy'));
const tools = new Tools(viewer, store, actions);
const player = new Player(store, frames, viewer);
const timeline = new Timeline(element('timeline'), store);
const objectList = new ObjectList(element('objects'), store, actions);
// A frame that is only passed while scrubbing needs no masks.
viewer.canvas.addEventListener('shown', () => objectList.describeFrame());
new MarkList(element('marks'), element('marks-count'), store);
new ExportDialog(store, actions);
new ImportDialog(store, actions);

// ---- light and dark

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('theme', theme);
  store.tell('theme');
}
const prefersDark = matchMedia('(prefers-color-scheme: dark)').matches;
setTheme(localStorage.getItem('theme') || (prefersDark ? 'dark' : 'light'));
element('theme').addEventListener('click', () => {
  setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
});

// ---- the head

store.on(['project', 'model'], () => {
  const { project } = store;
  element('video-name').textContent = project.video.name;
  element('video-name').title = project.video.name;
  document.title = `${project.video.name} – mmvos studio`;
  const prompted = project.systems.filter((one) => one.prompts.length);
  fillSelect(element('system'), prompted);
  element('system').value = project.model.name;
  const finder = findingSystem();
  element('find').hidden = !finder;
  const what = 'looks through the whole video for objects of its classes';
  element('find').title = `${finder?.title} ${what}`;
  const state = element('model-state');
  const shown = { loading: 'loading the model …', failed: 'no model', ready: '' };
  state.textContent = shown[project.model.state] ?? '';
  state.className = project.model.state;
  for (const [tool, kind] of [['box', 'box'], ['add', 'points'], ['remove', 'points']]) {
    const takes = project.model.prompts.includes(kind);
    document.querySelector(`[data-tool='${tool}']`).disabled = !takes;
  }
  showBanner();
});
element('system').addEventListener('change', (event) => actions.chooseSystem(event.target.value));
element('find').addEventListener('click', () => {
  actions.find(findingSystem().name);
});

// The system that finds objects by itself, if its weights are here.
function findingSystem() {
  return store.project.systems.find((one) => !one.prompts.length && one.available);
}

let isConnected = true;
function showBanner() {
  const banner = element('banner');
  const lost = 'The studio does not answer. Start it again with the same command; this page ' +
    'goes on by itself, and nothing that was saved is lost.';
  const model = store.project?.model;
  const fault = model?.state === 'failed' ? `The model cannot be used: ${model.message}` : '';
  const text = isConnected ? fault || store.project?.host_warning : lost;
  banner.textContent = text || '';
  banner.hidden = !text;
}

// ---- tools

for (const button of document.querySelectorAll('[data-tool]')) {
  button.addEventListener('click', () => store.choose(button.dataset.tool));
}
store.on(['tool'], () => {
  for (const button of document.querySelectorAll('[data-tool]')) {
    button.setAttribute('aria-pressed', String(button.dataset.tool === store.tool));
  }
  element('brush-size').value = store.brushSize;
  element('brush-pixels').textContent = store.brushSize;
  element('brush-size-label').hidden = !['brush', 'eraser'].includes(store.tool);
});
element('brush-size').addEventListener('input', (event) => {
  store.brushSize = Number(event.target.value);
  element('brush-pixels').textContent = store.brushSize;
});

// ---- how the picture looks

element('toggle-masks').addEventListener('click', () => {
  store.look({ showsMasks: !store.showsMasks });
});
element('opacity').addEventListener('input', (event) => {
  store.look({ opacity: Number(event.target.value) / 100, showsMasks: true });
});
store.on(['look'], () => {
  const button = element('toggle-masks');
  setIcon(button, store.showsMasks ? 'eye' : 'eye-off');
  button.setAttribute('aria-pressed', String(store.showsMasks));
  button.title = `${store.showsMasks ? 'Hide' : 'Show'} the masks (M)`;
  element('opacity').value = Math.round(100 * store.opacity);
});
viewer.canvas.addEventListener('zoomed', ({ detail }) => {
  element('zoom').textContent = `${Math.round(100 * detail)} %`;
});

// ---- prompts and history

element('undo').addEventListener('click', () => actions.undo());
element('redo').addEventListener('click', () => actions.redo());
element('forget').addEventListener('click', () => actions.forgetPrompt());
element('fit').addEventListener('click', () => viewer.fit());
element('new-object').addEventListener('click', () => actions.newObject());
store.on(['history'], () => {
  const { undo, redo } = store.project.history;
  element('undo').disabled = !undo;
  element('redo').disabled = !redo;
  element('undo').title = undo ? `Undo: ${undo} (Ctrl+Z)` : 'Nothing to undo';
  element('redo').title = redo ? `Redo: ${redo} (Ctrl+Shift+Z)` : 'Nothing to redo';
});
store.on(['prompts', 'frame', 'selected'], () => {
  element('forget').disabled = !store.prompt(store.frame, store.selected);
});

// The next step, as long as it is the first time.
function nextStep() {
  const isNew = [...store.prompts.values()].every((prompts) => !prompts.size);
  if (isNew) {
    return 'Draw a box around an object, or click on it';
  }
  const chosen = store.object(store.selected);
  const isGiven = [...store.prompts.values()].some((prompts) => prompts.has(store.selected));
  const isKnown = store.timeline.objects[store.selected]?.runs.length;
  if (chosen && !isGiven && !isKnown) {
    return `Draw a box around ${chosen.name}, or click on it`;
  }
  const hasRun = Object.values(store.timeline.objects).some(({ runs }) =>
    runs.some(([state]) => state !== 'corrected'));
  if (hasRun || store.isRunning || store.run) {
    return '';
  }
  return 'Is the mask right? Press Track. Else click on what is missing, or use Exclude on what is ' +
    'too much';
}
store.on(['project', 'prompts', 'timeline', 'run', 'objects', 'selected'], () => {
  element('hint').textContent = nextStep();
});

// ---- player and timeline

element('play').addEventListener('click', () => player.toggle());
element('first').addEventListener('click', () => player.jump(0));
element('last').addEventListener('click', () => player.jump(store.lastFrame));
element('back').addEventListener('click', () => player.step(-1));
element('next').addEventListener('click', () => player.step(1));
element('frame-number').addEventListener('change', (event) => {
  player.jump(Number(event.target.value));
  element('frame-number').value = store.frame;
});
store.on(['playing'], () => setIcon(element('play'), player.isPlaying ? 'pause' : 'play'));
element('mark-back').addEventListener('click', () => player.toMark(-1));
element('mark-next').addEventListener('click', () => player.toMark(1));
store.on(['timeline'], () => {
  for (const name of ['mark-back', 'mark-next']) {
    element(name).disabled = !store.timeline.marks.length;
  }
});
store.on(['frame', 'video'], () => {
  const { video } = store.project;
  if (document.activeElement !== element('frame-number')) {
    element('frame-number').value = store.frame;
  }
  element('frame-number').max = store.lastFrame;
  element('frame-count').textContent = `${store.lastFrame}${video.frames_known ? '' : ' ?'}`;
  element('frame-time').textContent = video.fps ? clock(store.frame / video.fps) : '';
});
timeline.canvas.addEventListener('scrub', () => {
  player.pause();
  element('follow').checked = false;
});

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  const rest = (seconds % 60).toFixed(2).padStart(5, '0');
  return `${minutes}:${rest}`;
}

// ---- runs

function run(direction) {
  element('follow').checked = true;
  return actions.run(direction, element('until-corrected').checked && direction !== 'both');
}
for (const direction of ['forward', 'backward', 'both']) {
  element(`run-${direction}`).addEventListener('click', () => run(direction));
}
element('run-pause').addEventListener('click', () => {
  actions.controlRun(store.run.state === 'paused' ? 'resume' : 'pause');
});
element('run-stop').addEventListener('click', () => actions.controlRun('stop'));

let toldRun = ''; // the end of a run is told once, one that is over when the page opens never
store.on(['project'], () => { toldRun = endingOf(store.run); });
store.on(['run', 'prompts', 'project'], () => {
  const { run: current, isRunning } = store;
  const hasPrompts = [...store.prompts.values()].some((prompts) => prompts.size);
  for (const direction of ['forward', 'backward', 'both']) {
    element(`run-${direction}`).disabled = isRunning || !hasPrompts;
  }
  element('find').disabled = isRunning;
  element('run-row').hidden = !isRunning;
  element('legend').hidden = isRunning;
  if (!current) {
    return;
  }
  element('run-progress').value = current.total ? current.done / current.total : 0;
  element('run-text').textContent = describeRun(current);
  element('run-pause').textContent = current.state === 'paused' ? 'Go on' : 'Pause';
  if (!isRunning && toldRun !== endingOf(current)) {
    toast(current.message || describeEnd(current), current.state === 'failed');
  }
  toldRun = endingOf(current);
});

function describeEnd(current) {
  const frames = current.done === 1 ? '1 frame' : `${current.done} frames`;
  const what = current.kind === 'find' ? 'looked for objects in' : 'tracked';
  return current.state === 'finished' ? `${what} ${frames}` : `stopped after ${frames}`;
}

function endingOf(current) {
  return current ? `${current.id} ${current.state}` : '';
}

function describeRun(current) {
  const parts = [`${current.done} of ${current.total} frames`];
  if (current.rate) {
    parts.push(`${current.rate.toFixed(1)} frames/s`);
  }
  if (current.seconds_left !== null) {
    parts.push(`${clock(current.seconds_left).split('.')[0]} left`);
  }
  if (current.state === 'paused') {
    parts.push('paused');
  }
  return parts.join(' · ');
}

// ---- events

// Events are applied one after the other, as they came.
let queue = Promise.resolve();
function onEvent(event) {
  queue = queue.then(async () => {
    try {
      await store.apply(event);
    } catch (error) {
      toast(error.message, true);
      return;
    }
    const isOfRun = event.type === 'frame' && store.run?.state === 'running';
    if (isOfRun && element('follow').checked && !player.isPlaying) {
      store.goTo(event.frame);
    }
  });
}
listen(onEvent, (state) => {
  isConnected = state;
  showBanner();
});

const keyHelp = makeKeys({
  store, player, viewer, actions, tools, run, help: () => element('help-dialog').showModal(),
});
fillHelp(keyHelp);
element('open-help').addEventListener('click', () => element('help-dialog').showModal());
store.choose('box');

// For tests: what the page knows.
window.studio = { store, viewer, player };
