// Short messages above the picture; errors stay longer, a click sends one away. Text only, never
// HTML.

const MOST = 4;

export function toast(text, isError = false) {
  const box = document.getElementById('toasts');
  const line = document.createElement('p');
  // A sentence begins with a capital letter, a name or path stays as it is.
  const isSentence = /^[a-z]+[ ,:;]/.test(text);
  line.textContent = isSentence ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  // The same message again takes the place of the first.
  for (const shown of [...box.children]) {
    if (shown.textContent === line.textContent) {
      shown.remove();
    }
  }
  line.className = isError ? 'error' : '';
  line.addEventListener('click', () => line.remove());
  box.append(line);
  while (box.children.length > MOST) {
    box.firstChild.remove();
  }
  setTimeout(() => line.remove(), isError ? 9000 : 3000);
}
