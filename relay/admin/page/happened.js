// The list of events, newest first.
import { el, setHidden } from './dom.js';
import { clock, keyOf } from './words.js';

const KEPT = 500;
const SHOWN = 100;

const all = []; // oldest first
const known = new Set();
let changes = 0;

/** Takes an event; one that came before is left. */
export function take(event) {
  const id = `${event.id ?? event.text} ${event.at}`; // ids begin anew with the daemon
  if (known.has(id)) return;
  known.add(id);
  all.push({ ...event, time: Date.parse(event.at) || 0, known: id });
  if (all.length > 1 && all.at(-2).time > all.at(-1).time) all.sort((a, b) => a.time - b.time);
  if (all.length > KEPT) known.delete(all.shift().known);
  changes++;
}

/** The events that came with a stream's status, from before the page was opened. */
export function takeFrom(item) {
  for (const event of item.events || []) take({ stream: item.name, direction: item.direction, ...event });
}

/** A list in the document of all events, or of one stream's. */
export class EventList {
  constructor(node, none, key = '') {
    Object.assign(this, { node, none, key, drawn: -1, lines: new Map() });
  }

  draw() {
    if (this.drawn === changes) return;
    this.drawn = changes;
    const wanted = [];
    for (let i = all.length - 1; i >= 0 && wanted.length < SHOWN; i--) {
      if (!this.key || keyOf({ name: all[i].stream, direction: all[i].direction }) === this.key) wanted.push(all[i]);
    }
    const lines = new Map();
    for (const event of wanted) lines.set(event.known, this.lines.get(event.known) || this.line(event));
    for (const [id, line] of this.lines) if (!lines.has(id)) line.remove();
    let at = this.node.firstChild;
    for (const line of lines.values()) {
      if (line === at) at = at.nextSibling;
      else this.node.insertBefore(line, at);
    }
    this.lines = lines;
    setHidden(this.none, lines.size > 0);
  }

  line(event) {
    const level = ['info', 'warn', 'error'].includes(event.level) ? event.level : 'info';
    const word = { info: '', warn: 'warning', error: 'error' }[level];
    return el('li.event', { 'data-level': level },
      el('time', { datetime: event.at || '' }, event.time ? clock(new Date(event.time)) : ''),
      el('span.level', {}, word),
      this.key ? '' : el('span.of', {}, event.stream || ''),
      el('span.text', {}, event.text || '', event.advice ? el('span.fix', {}, ' ' + event.advice) : ''));
  }
}
