// Buttons that copy a text.
import { setText } from './dom.js';

const SAID = 1500; // ms for which a button says that it has

export async function copy(button, text) {
  const before = button.dataset.word || button.textContent;
  button.dataset.word = before;
  const done = await write(text);
  setText(button, done ? 'Copied' : 'Select it by hand');
  setTimeout(() => setText(button, before), SAID);
}

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* not allowed, or plain HTTP that isn't loopback: the old way */ }
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'unseen';
  document.body.append(field);
  const before = document.activeElement;
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  before?.focus?.({ preventScroll: true });
  return done;
}
