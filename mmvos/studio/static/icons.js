// The icons of icons.svg as elements.

const SVG = 'http://www.w3.org/2000/svg';

export function icon(name) {
  const drawing = document.createElementNS(SVG, 'svg');
  drawing.setAttribute('class', 'icon');
  drawing.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `/static/icons.svg#${name}`);
  drawing.append(use);
  return drawing;
}

// Give a button that has an icon another one.
export function setIcon(button, name) {
  button.querySelector('use').setAttribute('href', `/static/icons.svg#${name}`);
}
