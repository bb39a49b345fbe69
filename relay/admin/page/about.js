// What doesn't change while the daemon runs: its version and its addresses.
import { getInfo } from './api.js';
import { setText } from './dom.js';

let info = {};

const byId = id => document.getElementById(id);

/** Where encoders publish to, as seen from where this page is looked at. */
export function serverURL(app = info.rtmp?.app || 'live') {
  const url = info.rtmp?.publishUrl || `rtmp://${location.hostname}:1935/live`;
  return url.replace(/\/[^/]*$/, `/${app}`);
}

/** Asks anew and shows it. */
export async function learn() {
  try {
    info = await getInfo();
  } catch {
    return; // the next connection asks again
  }
  setText(byId('server-url'), serverURL());
  setText(byId('ffmpeg-line'), `ffmpeg -re -i input.mp4 -c copy -f flv ${serverURL()}/KEY`);
  setText(byId('footer'), ['zegorelay', info.version].filter(Boolean).join(' '));
}
