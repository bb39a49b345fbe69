// What an open row shows: preview, figures, advice, what can be done, where the
// encoder goes.
import { el, setAttribute, setHidden, setText } from './dom.js';
import { confirm } from './dialog.js';
import { command } from './api.js';
import { copy } from './copy.js';
import { EventList } from './happened.js';
import { Preview } from './preview.js';
import { serverURL } from './about.js';
import * as words from './words.js';

const figures = [
  ['In', i => words.rate(i.rate?.inKbps)],
  ['Out', i => words.rate(i.rate?.outKbps)],
  ['Delay to ZEGO', i => (i.lagMs == null || words.isPull(i) ? '' : words.delay(i.lagMs))],
  ['Round trip', i => (i.rttMs > 0 ? words.delay(i.rttMs) : '')],
  ['Picture', i => words.picture(i) || 'none'],
  ['Frame rate', i => words.frames(i)],
  ['Keyframe', i => words.keyframes(i)],
  ['Sound', i => words.sound(i) || 'none'],
  ['Dropped', i => words.drops(i), i => i.dropped?.messages > 0],
  ['Re-dispatches', i => words.count(i.reconnects?.upstream || 0)],
  ['Encoder reconnects', i => (words.isPull(i) ? '' : words.count(i.reconnects?.publisher || 0))],
  ['Outage in all', i => (i.outageMs > 0 ? words.delay(i.outageMs) : 'none')],
  ['Sent again', i => (i.replayed > 0 ? `${words.count(i.replayed)} messages` : '')],
  ['Waiting here', i => (i.queueMs > 0 ? words.delay(i.queueMs) : '')],
  ['Players', i => (i.players > 0 ? words.count(i.players) : '')],
  ['Node', i => i.upstream?.node || ''],
  ['Encoder', i => [i.publisher?.remote, i.publisher?.client, i.publisher?.secure ? 'encrypted' : ''].filter(Boolean).join(' · ')],
  ['StreamId', i => (i.streamId !== i.name ? i.streamId : '')],
];

export class Details {
  constructor(item, now) {
    this.item = item;
    this.preview = new Preview();
    this.tiles = figures.map(([label, tell, isBad]) => {
      const value = el('dd');
      return { tell, isBad, value, node: el(label === 'Encoder' ? 'div.tile.long' : 'div.tile', {}, el('dt', {}, label), value) };
    });
    this.trouble = el('div.trouble', { hidden: true });
    this.advice = el('ul.advice', { hidden: true });
    this.said = '';
    this.advised = '';
    this.retry = el('button', { type: 'button', onclick: () => this.redispatch() }, 'Retry now');
    this.kick = el('button.danger', { type: 'button', onclick: () => this.throwOut() }, 'Kick encoder');
    this.answer = el('p.answer', { role: 'status' });
    this.events = el('ol.events');
    const none = el('p.none', {}, 'Nothing yet.');
    this.list = new EventList(this.events, none, item.key);
    this.node = el('div.details', {},
      el('div.side', {}, this.preview.node,
        el('div.actions', {}, this.retry, this.kick), this.answer, this.address(item)),
      el('div.facts', {}, this.trouble, this.advice,
        el('dl.tiles', {}, ...this.tiles.map(t => t.node)),
        el('h4', {}, 'Events of this stream'), this.events, none));
    this.update(item, now);
  }

  /** Server and key for this stream's encoder; the key is hidden until asked for. */
  address(item) {
    if (words.isPull(item)) return '';
    const isListed = item.name !== item.streamId; // its key is a secret of the streams file
    const server = el('code', {}, serverURL(item.app));
    const key = el('code.key', {}, '••••••••');
    let shown = false;
    const show = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
      shown = !shown;
      key.textContent = shown ? item.name : '••••••••';
      show.setAttribute('aria-pressed', String(shown));
      show.textContent = shown ? 'Hide' : 'Show';
    } }, 'Show');
    const copies = (what, text) => el('button.copy', { type: 'button', 'aria-label': `Copy ${what}`, onclick: event => copy(event.currentTarget, text()) }, 'Copy');
    return el('dl.address', {},
      el('div', {}, el('dt', {}, 'OBS server'), el('dd', {}, server, copies('server', () => server.textContent))),
      el('div', {}, el('dt', {}, 'Stream key'), isListed ? el('dd', {}, 'as the streams file has it') : el('dd', {}, key, show, copies('stream key', () => item.name))));
  }

  update(item, now) {
    this.item = item;
    for (const t of this.tiles) {
      const text = t.tell(item);
      setText(t.value, text);
      setHidden(t.node, !text);
      if (t.isBad) t.value.classList.toggle('bad', Boolean(t.isBad(item)));
    }
    this.tell(item, now);
    this.advise(item, now);
    const here = Boolean(item.publisher) && !item.ended;
    setHidden(this.kick, words.isPull(item));
    this.kick.disabled = !here;
    this.retry.disabled = Boolean(item.ended) || item.health === 'idle';
    this.preview.update(item);
    this.list.draw();
  }

  /** The last error, with what to do and when the next try is. */
  tell(item, now) {
    const error = item.ended ? null : words.lastError(item);
    setHidden(this.trouble, !error);
    if (!error) {
      this.said = '';
      return;
    }
    const said = JSON.stringify(error);
    if (said !== this.said) {
      this.said = said;
      this.countdown = el('span.countdown');
      this.trouble.replaceChildren(
        el('strong', {}, 'Last error: ' + error.text),
        error.fix ? el('p', {}, error.fix) : '',
        el('p.more', {}, error.more, this.countdown));
    }
    const next = words.retry(item, now);
    setText(this.countdown, next ? (error.more ? ' · ' : '') + next : '');
  }

  advise(item, now) {
    const advice = item.ended ? [] : item.advice || [];
    const advised = JSON.stringify(advice);
    setHidden(this.advice, !advice.length);
    if (advised !== this.advised) {
      this.advised = advised;
      this.since = advice.map(a => ({ at: Date.parse(a.since), node: el('span.since') }));
      this.advice.replaceChildren(...advice.map((a, i) => el('li', {},
        el('strong', {}, a.text || a.kind || ''), this.since[i].node, a.fix ? el('p', {}, a.fix) : '')));
    }
    for (const s of this.since || []) if (s.at) setText(s.node, `for ${words.duration(now - s.at)}`);
  }

  async redispatch() {
    await this.act(this.retry, 'redispatch', 'A new node is being asked for.');
  }

  async throwOut() {
    const who = this.item.publisher?.remote;
    const sure = await confirm(`Kick the encoder of ${this.item.name}?`,
      `${who ? `The connection from ${who}` : 'Its connection'} is closed. Most encoders, OBS among them, come back by themselves.`, 'Kick encoder');
    if (sure) await this.act(this.kick, 'kick', 'The encoder was disconnected.');
  }

  async act(button, verb, done) {
    setAttribute(button, 'aria-busy', 'true');
    setText(this.answer, '');
    try {
      const { ok, text } = await command(this.item, verb);
      setText(this.answer, ok ? done : text);
      this.answer.classList.toggle('bad', !ok);
    } catch {
      setText(this.answer, 'zegorelay did not answer.');
      this.answer.classList.add('bad');
    }
    setAttribute(button, 'aria-busy', null);
  }

  close() {
    this.preview.stop();
  }
}
