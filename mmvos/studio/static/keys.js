// The keyboard: what is done often has a key. The sections are also what the help shows.

export function makeKeys({ store, player, viewer, actions, tools, run, help }) {
  const corrected = () => [...store.prompts]
    .filter(([, prompts]) => prompts.size)
    .map(([frame]) => frame);
  const selectNumber = (number) => {
    const item = store.objects[number - 1];
    if (item) {
      store.select(item.id);
    }
  };
  const brush = (factor) => {
    store.brushSize = Math.min(Math.max(Math.round(store.brushSize * factor), 2), 120);
    store.tell('tool');
  };

  // [keys as shown, meaning, does it take this event?, action]
  const is = (...keys) => (event) => keys.includes(event.key) && !event.ctrlKey && !event.metaKey;
  const control = (key, shift) => (event) =>
    (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === key && event.shiftKey === shift;
  const sections = [
    ['Say what the object is', [
      ['B', 'box; a click is a point', is('b'), () => store.choose('box')],
      ['P', 'include: a point on the object', is('p'), () => store.choose('add')],
      ['N', 'exclude: a point not on it (also: right button, Alt + click)', is('n'), () =>
        store.choose('remove')],
      ['R', 'brush', is('r'), () => store.choose('brush')],
      ['E', 'eraser', is('e'), () => store.choose('eraser')],
      ['[ ]', 'smaller, larger brush', is('[', ']'), (event) =>
        brush(event.key === '[' ? 0.8 : 1.25)],
      ['Backspace', 'take back what was said about the object in this frame',
        is('Backspace', 'Delete'), () => actions.forgetPrompt()],
      ['Ctrl Z', 'undo', control('z', false), () => actions.undo()],
      ['Ctrl Shift Z', 'redo (also: Ctrl Y)', (event) =>
        control('z', true)(event) || control('y', false)(event), () => actions.redo()],
    ]],
    ['Objects', [
      ['O', 'new object', is('o'), () => actions.newObject()],
      ['1 … 9', 'choose an object', (event) => /^[1-9]$/.test(event.key), (event) =>
        selectNumber(Number(event.key))],
    ]],
    ['Track', [
      ['G', 'track from here on', is('g'), () => run('forward')],
      ['Shift G', 'track backwards from here', is('G'), () => run('backward')],
      ['Esc', 'stop tracking', is('Escape'), () =>
        store.isRunning && actions.controlRun('stop')],
    ]],
    ['Go through the video', [
      ['Space', 'play, pause', null, null],
      ['← →', 'one frame back, on; with Shift ten', (event) =>
        ['ArrowLeft', 'ArrowRight'].includes(event.key), (event) => {
        const sign = event.key === 'ArrowLeft' ? -1 : 1;
        player.step(sign * (event.shiftKey ? 10 : 1));
      }],
      ['Home End', 'first, last frame', is('Home', 'End'), (event) => {
        player.jump(event.key === 'Home' ? 0 : store.lastFrame);
      }],
      [', .', 'frame worth a look: the one before, the next', is(',', '.'), (event) => {
        player.toMark(event.key === ',' ? -1 : 1);
      }],
      ['< >', 'corrected frame: the one before, the next', is('<', '>'), (event) => {
        player.toNext(corrected(), event.key === '<' ? -1 : 1);
      }],
    ]],
    ['Look', [
      ['Wheel', 'zoom (also: two fingers)', null, null],
      ['Space drag', 'move the picture (also: middle button, two fingers)', null, null],
      ['H', 'move the picture with the pointer', is('h'), () => store.choose('pan')],
      ['F', 'show the whole picture', is('f'), () => viewer.fit()],
      ['M', 'hide or show the masks', is('m'), () => store.look({ showsMasks: !store.showsMasks })],
      ['?', 'this help', is('?'), () => help()],
    ]],
  ];
  const keys = sections.flatMap(([, lines]) => lines);

  window.addEventListener('keydown', (event) => {
    if (isTyping(event.target) || document.querySelector('dialog[open]')) {
      return;
    }
    if (event.key === ' ') {
      event.preventDefault();
      tools.holdsSpace = true;
      return;
    }
    const found = keys.find(([, , takes]) => takes && takes(event));
    if (found) {
      event.preventDefault();
      found[3](event);
    }
  });
  window.addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !tools.holdsSpace) {
      return;
    }
    tools.holdsSpace = false;
    // Space that moved the picture does not play.
    if (tools.hasPanned) {
      tools.hasPanned = false;
    } else {
      player.toggle();
    }
  });
  return sections;
}

function isTyping(target) {
  if (target instanceof HTMLInputElement) {
    return ['text', 'number', 'search'].includes(target.type);
  }
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
