// Makes page.png, the picture of the page in the README: node picture.mjs. What
// is on it comes from the mock.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launch, open, row, until } from './browser.mjs';
import { Mock, absent, broken, limping, stream } from './mock.mjs';

const minutes = n => new Date(Date.now() - n * 60e3).toISOString();
const error = { at: minutes(0.02), stage: 'dispatch', code: '1002', text: 'ZEGO answers 1002, there is no push node', advice: 'ZEGO is asked again by itself.' };
const mock = await new Mock(() => [
  broken('interview', { reason: 'ZEGO answers 1002, there is no push node', upstream: { ...broken('').upstream, lastError: error } }),
  limping('stage-left'), stream('main-stage', { players: 1 }), absent('backup'),
]).start();
mock.silent = true;
mock.happen({ at: minutes(64), kind: 'upstream_restored', stream: 'main-stage', text: 'The node 81.69.49.115:1935 took the stream.' });
mock.happen({ at: minutes(3.3), kind: 'advice', level: 'warn', stream: 'stage-left', text: 'Keyframes come only every 8.3 s.', advice: 'OBS: Settings → Output → Keyframe Interval 2 s.' });
mock.happen({ at: minutes(0.8), kind: 'upstream_lost', level: 'error', stream: 'interview', text: 'The node 81.69.49.117:1935 closed the connection.' });

const browser = await launch();
const { page } = await open(browser, mock.url);
await page.evaluate(async () => {
  const history = await import('/assets/history.js');
  const now = Date.now();
  for (let age = 299; age > 0; age--) {
    const t = 300 - age, w = 1 + 0.04 * Math.sin(t / 9) + 0.03 * Math.random();
    history.note([
      { key: 'push interview', rate: { inKbps: 4000 * w, outKbps: age < 48 ? 0 : 4000 * w } },
      { key: 'push stage-left', rate: { inKbps: 2480 * w, outKbps: t % 110 < 4 ? 0 : t % 110 < 8 ? 4600 : 2480 * w } },
      { key: 'push main-stage', rate: { inKbps: 6000 * w, outKbps: 6000 * w } },
      { key: 'push backup', rate: {} },
    ], now - age * 1000);
  }
});
mock.silent = false;
await row(page, 'main-stage').locator('.head').click();
await row(page, 'main-stage').getByRole('button', { name: 'Show preview' }).click();
await until('the picture', () => page.locator('video').evaluate(v => v.currentTime > 2));
await page.mouse.move(0, 0);
await page.evaluate(() => document.activeElement.blur());
const raw = fileURLToPath(new URL('raw.png', import.meta.url)), out = fileURLToPath(new URL('page.png', import.meta.url));
await page.screenshot({ path: raw, clip: { x: 0, y: 0, width: 1280, height: 995 }, fullPage: true, animations: 'disabled' });
// 256 colours are enough, and half the size.
execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', raw, '-vf', 'split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse=dither=none', out]);
rmSync(raw);
await browser.close();
await mock.stop();
