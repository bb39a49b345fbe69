// The status page: takes what the feed tells, draws it with the next frame.
import { el, icon, setAttribute, setHidden, setText } from './dom.js';
import { askToken } from './dialog.js';
import { copy } from './copy.js';
import { EventList, take, takeFrom } from './happened.js';
import { learn } from './about.js';
import { listen } from './feed.js';
import { note } from './history.js';
import { Rows } from './rows.js';
import { setToken } from './token.js';
import * as words from './words.js';

const byId = id => document.getElementById(id);

const rows = new Rows(byId('streams'), byId('streams-title'));
const events = new EventList(byId('events'), byId('no-events'));
const turns = new Map(); // key → the health that was told last
let items = null; // null: nothing was told yet
let now = 0;
let drawing = false;
let welcomed = false;

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    if (items) {
      rows.update(items, now);
      setHidden(byId('empty'), rows.order.length > 0);
      tally();
      welcome(rows.order.length === 0);
    }
    events.draw();
  });
}

/** How to come here stands open while nobody is here. */
function welcome(isEmpty) {
  const howto = byId('howto');
  if (howto.classList.toggle('first', isEmpty) !== welcomed) howto.open = welcomed = isEmpty;
}

/** Fills in what the page itself knows of a stream. */
function complete(item) {
  item.key = words.keyOf(item);
  item.received = now;
  const before = turns.get(item.key);
  turns.set(item.key, item.health);
  item.turned = Date.parse(item.healthSince || '');
  if (before && before !== item.health) announce(item);
  takeFrom(item);
}

function announce(item) {
  setText(byId('announce'), `${item.name}: ${words.stateWord(item)}`);
}

// The words and numbers at the top, and the tab's title.
const tallies = ['down', 'degraded', 'ok', 'idle'].map(tone => {
  const number = el('b');
  const node = el('span.count', { 'data-tone': tone, hidden: true }, icon(tone), number, ' ', { down: 'not getting through', degraded: 'degraded', ok: 'live', idle: 'idle' }[tone]);
  byId('tally').append(node);
  return { tone, number, node };
});

function tally() {
  const counts = {};
  for (const item of items) counts[words.tone(item)] = (counts[words.tone(item)] || 0) + 1;
  for (const t of tallies) {
    setHidden(t.node, !counts[t.tone]);
    setText(t.number, String(counts[t.tone] || 0));
  }
  title();
}

let linkState = '';

function title() {
  let worst = '';
  if (linkState === 'lost') worst = 'connection lost';
  else if (items?.length) {
    const first = items.reduce((a, b) => (words.compare(a, b) <= 0 ? a : b));
    const bad = items.filter(i => i.health === 'down' || i.health === 'degraded').length;
    if (bad) worst = bad > 1 ? `${bad} streams in trouble` : `${words.stateWord(first)}: ${first.name}`;
  }
  const text = worst ? `${worst} – zegorelay` : 'zegorelay';
  if (document.title !== text) document.title = text;
}

const feed = listen({
  streams(told, at) {
    now = at;
    items = Array.isArray(told.items) ? told.items : [];
    for (const item of items) complete(item);
    if (turns.size > items.length) {
      const there = new Set(items.map(i => i.key));
      for (const key of turns.keys()) if (!there.has(key)) turns.delete(key);
    }
    note(items, now);
    draw();
  },
  event(event) {
    take(event);
    draw();
  },
  link(state, why, heard) {
    linkState = state;
    setAttribute(document.documentElement, 'data-link', state);
    setText(byId('link-word'), { open: 'up to date', lost: 'lost', denied: 'no access' }[state]);
    setHidden(byId('lost'), state === 'open');
    setHidden(byId('lost-token'), state !== 'denied');
    if (state === 'lost') {
      setText(byId('lost-word'), why ? `zegorelay tells nothing: ${why}.` : 'Connection to zegorelay lost.');
      setText(byId('lost-more'), items ? ` What you see is from ${words.clock(new Date(heard))}. Trying again …` : ' Trying again …');
    } else if (state === 'denied') {
      setText(byId('lost-word'), 'zegorelay wants a token before it tells anything.');
      setText(byId('lost-more'), ' It is ZEGORELAY_HTTP_TOKEN.');
    } else learn();
    title();
  },
});

byId('lost-token').addEventListener('click', async () => {
  const token = await askToken('It is ZEGORELAY_HTTP_TOKEN, and is kept in this tab only.');
  if (token) setToken(token);
  feed.again();
});

document.addEventListener('click', event => {
  const from = event.target.closest?.('button[data-copy]');
  if (from) copy(from, byId(from.dataset.copy).textContent);
});
