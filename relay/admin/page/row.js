// One stream.
import { el, icon, setAttribute, setText } from './dom.js';
import { Details } from './details.js';
import { Sparkline } from './sparkline.js';
import * as words from './words.js';

let count = 0;

class Lamp {
  constructor() {
    this.label = el('span.label');
    this.word = el('span.word');
    this.node = el('span.lamp', {}, el('span.bulb'), this.label, this.word);
  }

  show(lamp) {
    setText(this.label, lamp.label);
    setText(this.word, lamp.word);
    setAttribute(this.node, 'data-tone', lamp.tone);
  }
}

export class Row {
  constructor(item) {
    this.item = item;
    this.visible = true; // until it is known not to be
    this.details = null;
    const id = `stream-${++count}`;
    this.icon = icon('idle');
    this.use = this.icon.firstChild;
    this.word = el('span.word');
    this.for = el('span.for');
    this.name = el('span.name', {}, item.name);
    this.line = el('span.line');
    this.near = new Lamp();
    this.zego = new Lamp();
    this.spark = new Sparkline();
    this.in = el('span.number');
    this.out = el('span.number');
    this.head = el('button.head', { type: 'button', 'aria-expanded': 'false', 'aria-controls': id, onclick: () => this.toggle() },
      el('span.state', {}, this.icon, el('span', {}, this.word, this.for)),
      el('span.who', {}, this.name, this.line),
      el('span.lamps', {}, this.near.node, this.zego.node),
      el('span.rate', {}, this.spark.node,
        el('span.rates', {}, el('span.in', {}, el('span.label', {}, 'in'), this.in), el('span.out', {}, el('span.label', {}, 'out'), this.out))),
      icon('chevron'));
    this.body = el('div.body', { id, hidden: true });
    this.node = el('li.stream', {}, this.head, this.body);
    if (words.isPull(item)) this.name.append(el('span.tag', {}, 'from ZEGO'));
  }

  get isOpen() {
    return this.details !== null;
  }

  toggle() {
    if (this.isOpen) {
      this.details.close();
      this.details = null;
      this.body.replaceChildren();
    } else {
      this.details = new Details(this.item, this.now);
      this.body.replaceChildren(this.details.node);
    }
    this.body.hidden = !this.isOpen;
    this.head.setAttribute('aria-expanded', String(this.isOpen));
    this.node.classList.toggle('open', this.isOpen);
    this.onToggle?.();
  }

  /** Takes what is new; draws it if it can be seen, or if it is bad news. */
  update(item, now) {
    const turned = item.health !== this.item.health || item.ended !== this.item.ended;
    this.item = item;
    this.now = now;
    this.stale = true;
    if (this.visible || turned) this.draw();
  }

  draw() {
    if (!this.stale) return;
    this.stale = false;
    const { item, now } = this;
    const tone = words.tone(item), word = words.stateWord(item);
    const near = words.nearLamp(item, now), zego = words.zegoLamp(item, now);
    setAttribute(this.node, 'data-tone', tone);
    setAttribute(this.use, 'href', '#i-' + tone);
    setText(this.word, word);
    setText(this.for, item.turned ? `for ${words.duration(now - item.turned)}` : '');
    setText(this.line, words.summary(item));
    this.near.show(near);
    this.zego.show(zego);
    setText(this.in, words.rate(item.rate?.inKbps));
    setText(this.out, words.rate(item.rate?.outKbps));
    setAttribute(this.head, 'aria-label', `${item.name}: ${word}. ${near.label} ${near.word.replace(/^away .*/, 'away')}. ${zego.label} ${zego.word.replace(/ in \d+ s$/, '')}.`);
    this.spark.draw(item.key);
    this.details?.update(item, now);
  }
}
