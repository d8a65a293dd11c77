// Short messages in the corner; errors stay longer. Text only, never HTML.

const MOST = 4;

export function toast(text, isError = false) {
  const box = document.getElementById('toasts');
  const line = document.createElement('p');
  line.textContent = text;
  line.className = isError ? 'error' : '';
  box.append(line);
  while (box.children.length > MOST) {
    box.firstChild.remove();
  }
  setTimeout(() => line.remove(), isError ? 9000 : 3500);
}
