// What the page asks of the server, and the events that the server sends; see docs/studio.md.

export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const options = { method, headers: {} };
  if (body instanceof FormData) {
    options.body = body;
  } else if (body !== undefined) {
    options.headers['content-type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new ApiError(0, 'the server does not answer');
  }
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // a body that is no JSON has nothing to say
  }
  if (!response.ok) {
    throw new ApiError(response.status, answer.error || `the server answers ${response.status}`);
  }
  return answer;
}

const promptPath = (frame, id) => `/api/frames/${frame}/objects/${id}/prompt`;

export const api = {
  project: () => ask('GET', '/api/project'),
  masks: (start, stop) => ask('GET', `/api/masks?start=${start}&stop=${stop}`),
  timeline: () => ask('GET', '/api/timeline'),
  prompts: () => ask('GET', '/api/prompts'),
  addObject: (given = {}) => ask('POST', '/api/objects', given),
  changeObject: (id, given) => ask('PATCH', `/api/objects/${id}`, given),
  removeObject: (id) => ask('DELETE', `/api/objects/${id}`),
  putPrompt: (frame, id, prompt, label) =>
    ask('PUT', `${promptPath(frame, id)}?label=${encodeURIComponent(label)}`, prompt),
  removePrompt: (frame, id) => ask('DELETE', promptPath(frame, id)),
  undo: () => ask('POST', '/api/undo'),
  redo: () => ask('POST', '/api/redo'),
  run: (wanted) => ask('POST', '/api/run', wanted),
  find: (wanted) => ask('POST', '/api/find', wanted),
  controlRun: (word) => ask('POST', `/api/run/${word}`),
  system: (name) => ask('POST', '/api/system', { name }),
  exports: () => ask('GET', '/api/exports'),
  startExport: (wanted) => ask('POST', '/api/exports', wanted),
  stopExport: (id) => ask('POST', `/api/exports/${id}/stop`),
  importFiles: (form) => ask('POST', '/api/imports', form),
};

// Keeps a WebSocket open: `onEvent` gets each event, `onState` true and false with the connection.
export function listen(onEvent, onState) {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  let delay = 250;

  function connect() {
    const socket = new WebSocket(`${scheme}://${location.host}/api/events`);
    socket.onopen = () => {
      delay = 250;
      onState(true);
    };
    socket.onmessage = (message) => onEvent(JSON.parse(message.data));
    socket.onclose = () => {
      onState(false);
      // Ask again, at first soon, then every four seconds.
      setTimeout(connect, delay);
      delay = Math.min(delay * 2, 4000);
    };
  }

  connect();
}
