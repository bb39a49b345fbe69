// Chromium, and what every test wants to know of a page in it.
import { mkdir } from 'node:fs/promises';
import { chromium } from 'playwright-core';

export const sizes = { narrow: { width: 360, height: 780 }, wide: { width: 1280, height: 800 } };

export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
}

/** Opens url and notes what it asks for, and what it complains of. */
export async function open(browser, url, { size = 'wide', scheme = 'light', ...more } = {}) {
  const context = await browser.newContext({ viewport: sizes[size], colorScheme: scheme, ...more });
  const page = await context.newPage();
  const seen = { requests: [], errors: [] };
  page.on('request', r => seen.requests.push(r.url()));
  page.on('console', m => { if (m.type() === 'error' || m.type() === 'warning') seen.errors.push(`${m.text()} ${m.location().url}`); });
  page.on('pageerror', e => seen.errors.push(String(e)));
  await page.goto(url);
  return { context, page, seen };
}

/** All requests that went elsewhere than to url. */
export function outside(seen, url) {
  return seen.requests.filter(r => !r.startsWith(url) && !r.startsWith(`blob:${url}`));
}

/** By how many pixels the page is wider than the window. */
export const overflow = page => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Keeps a picture if PAGE_SHOTS names a folder. */
export async function shot(page, name, options = {}) {
  const folder = process.env.PAGE_SHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}/${name}.png`, animations: 'disabled', ...options });
}

/** A row of the page. */
export const row = (page, name) => page.locator('.stream').filter({ has: page.locator('.name', { hasText: new RegExp(`^${name}`) }) });

/** Waits until ok resolves to something true. */
export async function until(what, ok, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await ok();
    if (got) return got;
    if (Date.now() > end) throw new Error(`in vain waited for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}
