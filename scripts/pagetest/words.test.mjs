// What the page says of a stream. No browser is needed for that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as words from '../../relay/admin/page/words.js';
import { absent, broken, limping, stream } from './mock.mjs';

test('durations, delays and rates are short', () => {
  assert.deepEqual([0, 59999, 185000, 7620000, 273600000].map(words.duration), ['0 s', '59 s', '3 min 05 s', '2 h 07 min', '3 d 4 h']);
  assert.deepEqual([84, 1400, 12000].map(words.delay), ['84 ms', '1.4 s', '12 s']);
  assert.deepEqual([undefined, 0, 812.4, 4012, 25000].map(words.rate), ['0 kbit/s', '0 kbit/s', '812 kbit/s', '4.01 Mbit/s', '25.0 Mbit/s']);
  assert.equal(words.frames({ video: { fps: 30 } }), '30 fps');
  assert.equal(words.keyframes({ video: { keyframeIntervalMs: 10000 } }), 'every 10 s');
});

test('the worst stream comes first, then the name counts', () => {
  const all = [stream('cam10'), absent('a'), stream('cam2'), broken('z'), limping('m')];
  assert.deepEqual(all.sort(words.compare).map(i => i.name), ['z', 'm', 'cam2', 'cam10', 'a']);
});

test('a lost node is not the camera’s fault, and an absent camera not ZEGO’s', () => {
  const now = 1e12;
  const down = { ...broken('a'), received: now - 1000 };
  assert.equal(words.stateWord(down), 'NOT REACHING ZEGO');
  assert.deepEqual(words.nearLamp(down, now), { label: 'Camera', word: 'sending', tone: 'ok' });
  assert.deepEqual(words.zegoLamp(down, now), { label: 'ZEGO', word: 'retry in 4 s', tone: 'down' });
  const away = stream('a', { health: 'degraded', publisher: null, awaySince: new Date(now - 8000).toISOString() });
  assert.deepEqual(words.nearLamp(away, now), { label: 'Camera', word: 'away 8 s', tone: 'degraded' });
  assert.equal(words.zegoLamp(away, now).tone, 'ok');
  assert.equal(words.stateWord(absent('a')), 'NO CAMERA');
  const quiet = since => ({ ...stream('a', { rate: { inKbps: 0 } }), publisher: { since: new Date(since).toISOString() } });
  assert.equal(words.nearLamp(quiet(now - 60_000), now).word, 'silent');
  assert.deepEqual(words.nearLamp(quiet(now - 1000), now), { label: 'Camera', word: 'connected', tone: 'ok' });
});

test('what is not known is left out, and nothing throws', () => {
  const bare = { name: 'x', direction: 'push', health: 'ok', upstream: {} };
  for (const say of [words.summary, words.picture, words.frames, words.keyframes, words.sound]) assert.equal(typeof say(bare), 'string');
  assert.equal(words.drops(bare), 'none');
  assert.equal(words.lastError(bare), null);
  assert.equal(words.tone({ ...bare, health: 'new' }), 'degraded');
});
