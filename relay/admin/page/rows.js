// The list of streams: which rows there are, and in which order.
import { arrange } from './dom.js';
import { Row } from './row.js';
import { compare } from './words.js';

const RESTS = 3000; // ms since the pointer last moved over the list: then rows may move
const MANY = 40; // rows from which on the browser leaves out those out of sight

export class Rows {
  constructor(list, fallback) {
    this.list = list;
    this.fallback = fallback; // gets the focus of a row that goes
    this.rows = new Map();
    this.order = [];
    this.pointed = -Infinity;
    this.seen = new IntersectionObserver(entries => {
      for (const entry of entries) {
        const row = this.byNode.get(entry.target);
        if (!row) continue;
        row.visible = entry.isIntersecting;
        if (row.visible) row.draw();
      }
    }, { rootMargin: '200px' });
    this.byNode = new WeakMap();
    for (const kind of ['pointermove', 'pointerdown']) {
      list.addEventListener(kind, event => { if (event.pointerType !== 'touch' || kind === 'pointerdown') this.pointed = performance.now(); }, { passive: true });
    }
  }

  /** Rows stay where they are while one is open, or focused, or pointed at. */
  get isHeld() {
    return performance.now() - this.pointed < RESTS || this.list.contains(document.activeElement)
      || this.order.some(row => row.isOpen);
  }

  update(items, now) {
    const there = new Set();
    for (const item of items) {
      there.add(item.key);
      let row = this.rows.get(item.key);
      if (!row) {
        row = new Row(item);
        this.rows.set(item.key, row);
        this.byNode.set(row.node, row);
        this.order.push(row);
        this.seen.observe(row.node);
      }
      row.update(item, now);
    }
    this.order = this.order.filter(row => there.has(row.item.key) || this.keep(row, now));
    if (!this.isHeld) this.order.sort((a, b) => compare(a.item, b.item));
    this.list.classList.toggle('many', this.order.length > MANY);
    const focused = this.list.contains(document.activeElement);
    arrange(this.list, this.order.map(row => row.node));
    if (focused && !this.list.contains(document.activeElement)) this.fallback.focus();
  }

  /** An open row stays after its stream's end, until it is closed. */
  keep(row, now) {
    if (row.isOpen) {
      if (!row.item.ended) row.update({ ...row.item, ended: true, health: 'idle', rate: null, turned: now }, now);
      else row.update(row.item, now);
      return true;
    }
    this.seen.unobserve(row.node);
    this.rows.delete(row.item.key);
    return false;
  }
}
