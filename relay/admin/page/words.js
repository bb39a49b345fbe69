// What is said of a stream, and how. Pure: no document, no clock of its own.

/** A duration in ms, as short as one says it: 8 s, 3 min 05 s, 2 h 07 min, 3 d 4 h. */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

/** A short time in ms: 80 ms, 1.4 s, 12 s. */
export function delay(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  return duration(ms);
}

/** A bit rate in kbit/s: 812 kbit/s, 4.01 Mbit/s. */
export function rate(kbps) {
  if (!(kbps > 0)) return '0 kbit/s';
  if (kbps < 1000) return `${Math.round(kbps)} kbit/s`;
  return `${(kbps / 1000).toFixed(kbps < 10000 ? 2 : 1)} Mbit/s`;
}

export function bytes(n) {
  if (n < 1e6) return `${Math.round(n / 1e3)} kB`;
  if (n < 1e9) return `${(n / 1e6).toFixed(1)} MB`;
  return `${(n / 1e9).toFixed(2)} GB`;
}

export function count(n) {
  return Math.round(n).toLocaleString('en-US');
}

/** A time of day, with the date if it isn't today's. */
export function clock(time, now = new Date()) {
  const day = time.toDateString() === now.toDateString() ? '' : `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} `;
  return `${day}${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function two(n) {
  return String(n).padStart(2, '0');
}

export const isPull = item => item.direction === 'pull';

/** What sets a stream apart from all others. */
export const keyOf = item => `${item.direction || 'push'} ${item.name}`;

const ranks = { down: 0, degraded: 1, ok: 2, idle: 3 };

/** Worst first, then by name. */
export function compare(a, b) {
  return (ranks[a.health] ?? 1) - (ranks[b.health] ?? 1) || collator.compare(a.name, b.name) || (keyOf(a) < keyOf(b) ? -1 : 1);
}

const collator = new Intl.Collator('en', { numeric: true });

/** The big word. */
export function stateWord(item) {
  if (item.ended) return 'ENDED';
  switch (item.health) {
    case 'ok': return 'LIVE';
    case 'degraded': return 'DEGRADED';
    case 'down': return isPull(item) ? 'NOTHING FROM ZEGO' : 'NOT REACHING ZEGO';
    case 'idle': return isPull(item) ? 'NO PLAYER' : 'NO CAMERA';
    default: return String(item.health || 'UNKNOWN').toUpperCase();
  }
}

/** One of ok, degraded, down and idle: a colour and an icon. */
export const tone = item => (item.ended ? 'idle' : item.health in ranks ? item.health : 'degraded');

const lagShown = 2000; // ms of delay that the lamp names

/** The lamp of what is on this side of the relay: the camera, or the players. */
export function nearLamp(item, now) {
  if (isPull(item)) {
    const n = item.players || 0;
    return n ? { label: 'Players', word: count(n), tone: 'ok' } : { label: 'Players', word: 'none', tone: 'idle' };
  }
  const label = 'Camera';
  if (item.ended || (!item.publisher && !item.awaySince && item.health === 'idle')) return { label, word: 'not there', tone: 'idle' };
  if (!item.publisher) return { label, word: item.awaySince ? `away ${duration(now - Date.parse(item.awaySince))}` : 'away', tone: 'degraded' };
  // A rate takes two looks, a second apart.
  const isNew = now - Date.parse(item.publisher.since) < 3000;
  if (!(item.rate?.inKbps > 0)) return isNew ? { label, word: 'connected', tone: 'ok' } : { label, word: 'silent', tone: 'degraded' };
  return { label, word: 'sending', tone: 'ok' };
}

/** The lamp of ZEGO's side. */
export function zegoLamp(item, now) {
  const label = 'ZEGO', up = item.upstream || {};
  const trouble = item.health === 'down' ? 'down' : 'degraded';
  if (item.ended) return { label, word: 'ended', tone: 'idle' };
  switch (up.state) {
    case 'publishing':
      if (item.health === 'down') return { label, word: 'not taking it', tone: 'down' };
      if (item.lagMs > lagShown) return { label, word: `${delay(item.lagMs)} behind`, tone: 'degraded' };
      return { label, word: 'receiving', tone: 'ok' };
    case 'playing':
      return item.health === 'down' ? { label, word: 'silent', tone: 'down' } : { label, word: 'sending', tone: 'ok' };
    case 'dispatching': return { label, word: 'asking for a node', tone: trouble };
    case 'connecting': return { label, word: 'connecting', tone: trouble };
    case 'waiting': return { label, word: retry(item, now) || 'waiting', tone: trouble };
    case 'draining': return { label, word: 'finishing', tone: 'idle' };
    default: return { label, word: 'not needed', tone: 'idle' };
  }
}

/** When the next node is asked for, if that is known; now is the daemon's time. */
export function retry(item, now) {
  const ms = item.upstream?.nextTryInMs;
  if (item.upstream?.state !== 'waiting' || ms == null) return '';
  const left = Math.ceil((item.received + ms - now) / 1000);
  return left > 0 ? `retry in ${left} s` : 'retrying now';
}

/** One line under the name: what is wrong, else what it is. */
export function summary(item) {
  if (item.ended) return 'The stream is over.';
  if (item.health !== 'ok' && item.reason) return item.reason;
  return [picture({ video: item.video && { ...item.video, profile: '' } }), frames(item), codec(item.audio?.codec)].filter(Boolean).join(' · ') || (isPull(item) ? 'played from ZEGO' : item.publisher ? 'waiting for pictures' : '');
}

export function picture(item) {
  const v = item.video;
  if (!v) return '';
  return [v.width ? `${v.width}×${v.height}` : '', codec(v.codec), v.profile].filter(Boolean).join(' ');
}

export function frames(item) {
  return item.video?.fps > 0 ? `${trim(item.video.fps.toFixed(2))} fps` : '';
}

export function keyframes(item) {
  const ms = item.video?.keyframeIntervalMs;
  return ms > 0 ? `every ${trim((ms / 1000).toFixed(1))} s` : '';
}

export function sound(item) {
  const a = item.audio;
  if (!a) return '';
  const channels = { 1: 'mono', 2: 'stereo' }[a.channels] || (a.channels ? `${a.channels} channels` : '');
  return [codec(a.codec), a.sampleRate ? `${trim((a.sampleRate / 1000).toFixed(1))} kHz` : '', channels].filter(Boolean).join(' ');
}

const codecs = { h264: 'H.264', hevc: 'HEVC', h265: 'HEVC', av1: 'AV1', vp9: 'VP9', vp8: 'VP8', aac: 'AAC', opus: 'Opus', mp3: 'MP3' };

const codec = name => codecs[name] || name || '';

const trim = number => number.replace(/\.?0+$/, '');

/** What was given up. */
export function drops(item) {
  const n = item.dropped?.messages || 0;
  if (!n) return 'none';
  const ms = item.dropped.ms > 0 ? `, ${delay(item.dropped.ms)}` : '';
  return `${count(n)} messages${ms}`;
}

/** The last error as one sentence; its advice apart. */
export function lastError(item) {
  const e = item.upstream?.lastError;
  if (!e) return null;
  if (typeof e === 'string') return { text: e, more: '' };
  const where = { dispatch: 'asking ZEGO for a node', dial: 'dialling the node', handshake: 'in the handshake', connect: 'at connect', publish: 'at publish', play: 'at play', io: 'while sending' }[e.stage] || e.stage || '';
  return {
    text: e.text || 'unknown',
    more: [where, e.code ? `code ${e.code}` : '', e.at ? clock(new Date(e.at)) : ''].filter(Boolean).join(' · '),
    fix: e.advice || '',
  };
}
