// The page in Chromium, fed by a mock: what a real daemon can't be made to say
// on the spot.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launch, open, outside, overflow, row, shot, until } from './browser.mjs';
import { Mock, absent, broken, limping, stream } from './mock.mjs';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

/** A page fed with items. */
async function fed(t, items, options) {
  const mock = await new Mock(items).start();
  const opened = await open(browser, mock.url, options);
  t.after(async () => {
    await opened.context.close();
    await mock.stop();
  });
  return { mock, ...opened };
}

const names = page => page.locator('.stream .name').allTextContents();

for (const size of ['narrow', 'wide']) {
  for (const scheme of ['light', 'dark']) {
    test(`all states, ${size}, ${scheme}`, async t => {
      const { mock, page, seen } = await fed(t, () => [stream('main'), broken('interview'), limping('cam2'), absent('backup')], { size, scheme });
      await page.waitForSelector('.stream');
      assert.deepEqual(await names(page), ['interview', 'cam2', 'main', 'backup']);
      assert.deepEqual(await page.locator('.state .word').allTextContents(), ['NOT REACHING ZEGO', 'DEGRADED', 'LIVE', 'NO CAMERA']);
      assert.match(await page.title(), /2 streams in trouble/);
      await shot(page, `mock-closed-${size}-${scheme}`, { fullPage: true });
      for (const name of ['interview', 'cam2', 'main', 'backup']) await row(page, name).locator('.head').click();
      assert.match(await row(page, 'interview').locator('.trouble').textContent(), /1002.*no push node/);
      assert.equal(await row(page, 'cam2').locator('.advice li').count(), 2);
      assert.equal(await overflow(page), 0);
      await shot(page, `mock-open-${size}-${scheme}`, { fullPage: true });
      assert.deepEqual(seen.errors, []);
      assert.deepEqual(outside(seen, mock.url), []);
      assert.ok(!seen.requests.some(r => r.includes('mpegts')), 'the player is loaded though nobody asked');
    });
  }
}

test('nothing that comes from outside is markup', async t => {
  const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  const item = broken(evil, { reason: evil, streamId: evil, advice: [{ kind: 'x', text: evil, fix: evil }], publisher: { remote: evil, client: evil } });
  item.upstream.lastError = { stage: evil, code: evil, text: evil, advice: evil };
  const { mock, page, seen } = await fed(t, [item]);
  mock.happen({ stream: evil, text: evil, advice: evil, level: 'warn" onclick="x' });
  await page.locator('.head').click();
  await page.waitForSelector('.events .event');
  assert.equal(await page.locator('.name').textContent(), evil);
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.deepEqual(seen.errors, []);
});

test('it works by the keyboard alone', async t => {
  const { mock, page } = await fed(t, () => [stream('a'), stream('b')]);
  await page.waitForSelector('.stream');
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent);
  await page.keyboard.press('Tab');
  assert.match(await focused(), /^a: LIVE\. Camera sending\. ZEGO receiving\.$/);
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('.head').first().getAttribute('aria-expanded'), 'true');
  const stops = [];
  for (let i = 0; i < 7; i++) {
    await page.keyboard.press('Tab');
    stops.push(await focused());
  }
  assert.deepEqual(stops.slice(0, 6), ['Show preview', 'Retry now', 'Kick encoder', 'Copy server', 'Show', 'Copy stream key']);
  assert.match(stops[6], /^b: LIVE/);

  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await page.locator('.key').textContent(), '••••••••');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('.key').textContent(), 'a');

  // Kick: asks first, then for the token, and Escape is no.
  await page.getByRole('button', { name: 'Kick encoder' }).first().focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  assert.equal(await focused(), 'Cancel');
  await page.keyboard.press('Escape');
  assert.equal(mock.posts.length, 0);
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#ask-input:focus');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await until('another question', async () => /not accepted/.test(await page.locator('#ask-text').textContent()));
  await page.waitForSelector('#ask-input:focus');
  await page.keyboard.type('secret');
  await page.keyboard.press('Enter');
  await until('the kick', () => mock.posts.length);
  assert.deepEqual(mock.posts, [{ path: '/api/v1/streams/a/kick', direction: 'push', type: 'application/json' }]);
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 1);
  // The token is known now: nothing is asked.
  await page.getByRole('button', { name: 'Retry now' }).first().click();
  await until('the redispatch', () => mock.posts.length === 2);
  assert.equal(mock.posts[1].path, '/api/v1/streams/a/redispatch');
});

test('rows rest while one is focused or open', async t => {
  let bad = false;
  const { page } = await fed(t, () => [stream('a'), bad ? broken('b') : stream('b')]);
  await page.waitForSelector('.stream');
  await page.locator('.head').first().focus();
  bad = true;
  await until('the bad news', () => row(page, 'b').getAttribute('data-tone').then(tone => tone === 'down'));
  assert.deepEqual(await names(page), ['a', 'b']);
  await page.keyboard.press('Enter');
  await page.evaluate(() => document.activeElement.blur());
  await new Promise(resolve => setTimeout(resolve, 1500));
  assert.deepEqual(await names(page), ['a', 'b']);
  await page.locator('.head').first().focus();
  await page.keyboard.press('Enter');
  await page.evaluate(() => document.activeElement.blur());
  await until('the worst row first', async () => (await names(page))[0] === 'b');
});

test('an open row stays after its stream’s end, and says so', async t => {
  let items = [stream('a')];
  const { page } = await fed(t, () => items);
  await page.locator('.head').click();
  items = [];
  await until('the end', async () => (await page.locator('.state .word').textContent()) === 'ENDED');
  assert.ok(await page.getByRole('button', { name: 'Kick encoder' }).isDisabled());
  await page.locator('.head').click();
  await page.waitForSelector('#empty:not([hidden])');
});

for (const size of ['narrow', 'wide']) {
  test(`an empty page tells how to come here, ${size}`, async t => {
    const { page } = await fed(t, [], { size });
    await page.waitForSelector('#empty:not([hidden])');
    assert.equal(await page.locator('#server-url').textContent(), 'rtmp://relay.example:1935/live');
    assert.ok(await page.locator('#server-url').isVisible());
    assert.equal(await overflow(page), 0);
    await shot(page, `mock-empty-${size}`, { fullPage: true });
  });
}

test('the server URL is copied', async t => {
  const { mock, page, context } = await fed(t, [stream('a')]);
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: mock.url.slice(0, -1) });
  await page.locator('.head').click();
  await page.getByRole('button', { name: 'Copy server' }).click();
  await page.getByText('Copied').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'rtmp://relay.example:1935/live');
});

test('the preview plays muted, and closes again', async t => {
  const { mock, page, seen } = await fed(t, () => [stream('a b/c')]);
  let closed = false;
  mock.server.on('request', (request, response) => {
    if (request.url === '/preview/a%20b%2Fc.flv?direction=push') response.on('close', () => { closed = true; });
  });
  await page.locator('.head').click();
  await page.getByRole('button', { name: 'Show preview' }).click();
  const video = () => page.locator('video').evaluate(v => [v.currentTime, v.getVideoPlaybackQuality().totalVideoFrames, v.muted]);
  await until('the first picture', async () => (await video())[0] > 0);
  const before = await video();
  await new Promise(resolve => setTimeout(resolve, 2000));
  const later = await video();
  assert.ok(later[0] > before[0] + 1 && later[1] > before[1] + 25, JSON.stringify([before, later]));
  assert.equal(later[2], true);
  await shot(page, 'mock-preview-wide', { fullPage: true });
  await page.getByRole('button', { name: 'Close preview' }).click();
  await until('the end of the request', () => closed);
  assert.ok(await page.getByRole('button', { name: 'Show preview' }).isVisible());
  assert.ok(await page.locator('video').isHidden());

  // Closing the row closes the preview, too.
  closed = false;
  await page.getByRole('button', { name: 'Show preview' }).click();
  await until('the first picture', async () => (await video())[0] > 0);
  await page.locator('.head').click();
  await until('the end of the request', () => closed);
  assert.deepEqual(seen.errors, []);
  assert.deepEqual(outside(seen, mock.url), []);
});

test('the fourth preview closes the first', async t => {
  const { mock, page } = await fed(t, () => ['a', 'b', 'c', 'd'].map(name => stream(name)));
  let open = 0;
  mock.server.on('request', (request, response) => {
    if (!request.url.startsWith('/preview/')) return;
    open++;
    response.on('close', () => { open--; });
  });
  await page.waitForSelector('.stream');
  for (const name of ['a', 'b', 'c', 'd']) {
    await row(page, name).locator('.head').click();
    await row(page, name).getByRole('button', { name: 'Show preview' }).click();
  }
  await row(page, 'a').getByText('Closed: 3 previews at a time.').waitFor();
  await until('three previews', () => open === 3);
  // There is still room for a command.
  await page.evaluate(() => sessionStorage.setItem('zegorelay-token', 'secret'));
  await row(page, 'a').getByRole('button', { name: 'Retry now' }).click();
  await until('the command', () => mock.posts.length === 1);
});

test('codecs that can’t be played are named', async t => {
  const { page, seen } = await fed(t, [stream('a', { video: { codec: 'hevc', width: 1920, height: 1080 } })]);
  await page.locator('.head').click();
  await page.getByRole('button', { name: 'Show preview' }).click();
  await page.getByText('Preview not possible in this browser: it does not play HEVC.').waitFor();
  assert.ok(!seen.requests.some(r => r.includes('mpegts')));
});

test('a daemon that hangs is noticed, and one that is back, too', async t => {
  const { mock, page } = await fed(t, () => [stream('a')]);
  await page.waitForSelector('.stream');
  mock.silent = true;
  const begun = Date.now();
  await page.waitForSelector('#lost:not([hidden])');
  assert.ok(Date.now() - begun < 5000);
  assert.match(await page.locator('#lost').textContent(), /Connection to zegorelay lost.*What you see is from \d\d:\d\d:\d\d/);
  assert.match(await page.title(), /connection lost/);
  await shot(page, 'mock-lost-wide');
  mock.silent = false;
  await page.waitForSelector('#lost[hidden]', { state: 'attached', timeout: 5000 });

  // Gone for good, and another one in its place.
  const port = mock.port;
  await mock.stop();
  await page.waitForSelector('#lost:not([hidden])', { timeout: 6000 });
  const next = await new Mock(() => [stream('a'), stream('b')]).start(port);
  t.after(() => next.stop());
  await page.waitForSelector('#lost[hidden]', { state: 'attached', timeout: 5000 });
  assert.deepEqual(await names(page), ['a', 'b']);
});

test('200 streams are smooth', async t => {
  const items = () => Array.from({ length: 200 }, (_, i) => (i % 40 === 7 ? broken : i % 25 === 3 ? limping : stream)(`cam${i}`));
  const { page, seen } = await fed(t, items);
  await until('all rows', async () => (await page.locator('.stream').count()) === 200);
  await new Promise(resolve => setTimeout(resolve, 1500)); // the first painting is not what is measured
  const measured = await page.evaluate(async () => {
    const tasks = [];
    new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration))).observe({ type: 'longtask' });
    let changed = 0;
    new MutationObserver(list => { changed += list.length; }).observe(document.getElementById('streams'), { subtree: true, childList: true, characterData: true, attributes: true });
    const frames = [];
    let before = performance.now();
    const end = before + 6000;
    await new Promise(resolve => {
      const step = now => {
        frames.push(now - before);
        before = now;
        scrollBy(0, 8);
        if (now < end) requestAnimationFrame(step);
        else resolve();
      };
      requestAnimationFrame(step);
    });
    return { tasks, changed, longest: Math.max(...frames), frames: frames.length };
  });
  t.diagnostic(JSON.stringify(measured));
  const blocked = measured.tasks.reduce((sum, ms) => sum + Math.max(0, ms - 50), 0);
  assert.ok(blocked < 300, `blocked for ${blocked} ms in 6 s`);
  assert.ok(measured.changed < 6 * 400, `${measured.changed} changes of the document in 6 s`);
  assert.deepEqual(seen.errors, []);
  await shot(page, 'mock-200-wide');
});

test('nothing moves for who wants it so', async t => {
  const { page } = await fed(t, [stream('a')], { reducedMotion: 'reduce' });
  await page.waitForSelector('.stream');
  const durations = await page.evaluate(() => [...document.querySelectorAll('*')].map(e => getComputedStyle(e).transitionDuration).filter(d => d !== '0s'));
  assert.deepEqual(durations, []);
});
