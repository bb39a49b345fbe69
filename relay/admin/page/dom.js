// Building and changing the document. Everything that comes from outside goes
// through text nodes and attributes, never through markup.

const SVG = 'http://www.w3.org/2000/svg';

/** el('button.main', {type: 'button', onclick}, ...children) */
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split('.');
  return dress(document.createElement(tag), classes, attributes, children);
}

/** The same for SVG. */
export function svg(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split('.');
  return dress(document.createElementNS(SVG, tag), classes, attributes, children);
}

function dress(node, classes, attributes, children) {
  if (classes.length) node.classList.add(...classes);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') node.toggleAttribute(name, value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** An icon of the sprite in index.html. */
export function icon(name) {
  return svg('svg.icon', { 'aria-hidden': 'true' }, svg('use', { href: '#i-' + name }));
}

/** Changes the text only if it is another. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Changes the attribute only if it is another; null takes it away. */
export function setAttribute(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

/** Puts nodes into parent in this order and moves no more of them than it must. */
export function arrange(parent, nodes) {
  let at = parent.firstChild;
  for (const node of nodes) {
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}
