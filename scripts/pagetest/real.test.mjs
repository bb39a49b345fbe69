// The page of a real daemon, with real encoders and a stand-in for ZEGO. It is
// run by cmd/zegorelay/page_e2e_test.go, which PAGE_CONTROL asks to do things.
// The tests go on from one another: one encoder's evening.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, outside, overflow, row, shot, until } from './browser.mjs';

const { PAGE_URL: url, PAGE_CONTROL: control, PAGE_TOKEN: token } = process.env;
const skip = url ? false : 'PAGE_URL names no daemon';

let browser, context, page, seen;

before(async () => {
  if (skip) return;
  browser = await launch();
  ({ context, page, seen } = await open(browser, url));
});
after(() => browser?.close());

async function ask(what) {
  const answer = await fetch(control + what, { method: 'POST' });
  assert.ok(answer.ok, `${what}: ${await answer.text()}`);
}

/** What the API says of the stream. */
async function status(name = 'cam1') {
  const { items } = await (await fetch(url + 'api/v1/streams')).json();
  return items.find(i => i.name === name);
}

const cam = () => row(page, 'cam1');
const word = () => cam().locator('.state .word').textContent();
const lamps = () => cam().locator('.lamp').evaluateAll(all => all.map(l => l.dataset.tone));
const live = () => until('LIVE', async () => (await word()) === 'LIVE', 40000);
const frames = () => page.locator('video').evaluate(v => ({ time: v.currentTime, decoded: v.getVideoPlaybackQuality().totalVideoFrames, muted: v.muted }));

test('an empty page tells how to come here', { skip }, async () => {
  await page.waitForSelector('#empty:not([hidden])');
  await until('the server’s URL', async () => /^rtmp:\/\/.+:\d+\/live$/.test(await page.locator('#server-url').textContent()));
  await shot(page, 'real-empty-wide');
});

test('the row appears within 2 s of the encoder’s start', { skip }, async t => {
  const begun = Date.now();
  await ask('/encoder/start?key=cam1');
  await cam().waitFor({ timeout: 10000 });
  const took = Date.now() - begun;
  t.diagnostic(`after ${took} ms`);
  assert.ok(took < 2000, `it took ${took} ms`);
  await live();
  assert.deepEqual(await lamps(), ['ok', 'ok']);
});

test('what is measured is shown', { skip }, async () => {
  await cam().locator('.head').click();
  const figure = name => cam().locator('.tile').filter({ has: page.locator('dt').getByText(name, { exact: true }) }).locator('dd').textContent();
  await until('the picture', async () => /^640×360 H\.264/.test(await figure('Picture')));
  await until('the frame rate', async () => /^(29|30|31)(\.\d+)? fps$/.test(await figure('Frame rate')));
  await until('the keyframe interval', async () => (await figure('Keyframe')) === 'every 2 s');
  assert.match(await figure('Sound'), /^AAC 48 kHz/);
  assert.match(await figure('In'), /bit\/s$/);
  assert.equal(await figure('Dropped'), 'none');
  assert.ok(await cam().locator('.events .event').count() > 0);
});

test('the preview moves', { skip }, async () => {
  assert.ok(!seen.requests.some(r => r.includes('mpegts')), 'the player is loaded though nobody asked');
  await cam().getByRole('button', { name: 'Show preview' }).click();
  await until('the first picture', async () => (await frames()).time > 0, 15000);
  const before = await frames();
  await new Promise(resolve => setTimeout(resolve, 2000));
  const later = await frames();
  assert.ok(later.time - before.time > 1, JSON.stringify([before, later]));
  assert.ok(later.decoded - before.decoded > 30, JSON.stringify([before, later]));
  assert.equal(later.muted, true);
  await shot(page, 'real-preview-wide', { fullPage: true });
});

test('dead nodes turn ZEGO’s lamp, and not the camera’s', { skip }, async () => {
  await ask('/nodes/down');
  await until('the word', async () => (await word()) === 'NOT REACHING ZEGO', 15000);
  const [near, zego] = await lamps();
  assert.equal(near, 'ok');
  assert.notEqual(zego, 'ok');
  assert.ok((await cam().locator('.trouble').textContent()).length > 20);
  await shot(page, 'real-down-wide', { fullPage: true });
  // The preview doesn't care: it is of what comes in.
  const before = await frames();
  await until('the preview to go on', async () => (await frames()).time > before.time + 1);
  await ask('/nodes/up');
  await cam().getByRole('button', { name: 'Close preview' }).click();
  await live();
  assert.equal((await status()).reconnects.publisher, 0);
});

test('retry now gets another node', { skip }, async () => {
  const before = (await status()).reconnects.upstream;
  await cam().getByRole('button', { name: 'Retry now' }).click();
  await page.waitForSelector('#ask-input:focus');
  await page.keyboard.type(token);
  await page.keyboard.press('Enter');
  await until('another node', async () => (await status()).reconnects.upstream > before);
  await live();
  assert.equal((await status()).reconnects.publisher, 0);
});

for (const size of ['narrow', 'wide']) {
  for (const scheme of ['light', 'dark']) {
    test(`it fits, ${size}, ${scheme}`, { skip }, async () => {
      const other = await open(browser, url, { size, scheme });
      await row(other.page, 'cam1').locator('.head').click();
      await new Promise(resolve => setTimeout(resolve, 2500));
      assert.equal(await overflow(other.page), 0);
      await shot(other.page, `real-open-${size}-${scheme}`, { fullPage: true });
      assert.deepEqual(other.seen.errors, []);
      assert.deepEqual(outside(other.seen, url), []);
      await other.context.close();
    });
  }
}

test('nothing was asked of anybody else, and nothing went wrong', { skip }, () => {
  assert.deepEqual(outside(seen, url), []);
  const refused = /status of 401/; // before the token was asked for
  assert.deepEqual(seen.errors.filter(e => !refused.test(e)), []);
});

test('kick ends the encoder’s connection', { skip }, async () => {
  await cam().getByRole('button', { name: 'Kick encoder' }).click();
  await page.locator('#ask-yes').click();
  await until('the encoder to be gone', async () => !(await status())?.publisher);
  await until('the word', async () => ['NO CAMERA', 'ENDED', 'DEGRADED'].includes(await word()), 15000);
  await ask('/encoder/stop?key=cam1');
});

test('a daemon that hangs is noticed, and one that is back, too', { skip }, async () => {
  const lost = shown => page.waitForSelector(shown ? '#lost:not([hidden])' : '#lost[hidden]', { state: 'attached', timeout: 10000 });
  await lost(false);
  await ask('/daemon/pause');
  await lost(true);
  await shot(page, 'real-lost-wide');
  await ask('/daemon/resume');
  await lost(false);
  const restarting = ask('/daemon/restart');
  await restarting;
  await until('the page to be up to date', async () => (await page.locator('#link-word').textContent()) === 'up to date', 15000);
  await ask('/encoder/start?key=cam2');
  await row(page, 'cam2').waitFor({ timeout: 10000 });
  await ask('/encoder/stop?key=cam2');
  await context.close();
});
