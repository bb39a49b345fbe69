// A stand-in for the daemon's HTTP side, with streams of the test's making.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const page = fileURLToPath(new URL('../../relay/admin/page/', import.meta.url));
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const policy = "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class Mock {
  constructor(items = []) {
    this.items = items; // an array, or a function that makes one
    this.events = [];
    this.clients = new Set();
    this.posts = [];
    this.token = 'secret';
    this.server = createServer((request, response) => this.answer(request, response).catch(() => response.destroy()));
  }

  async start(port = 0) {
    await new Promise(resolve => this.server.listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}/`;
    this.beat = setInterval(() => { if (!this.silent) this.send(); }, 1000);
    return this;
  }

  async stop() {
    clearInterval(this.beat);
    const closed = new Promise(resolve => this.server.close(resolve));
    this.server.closeAllConnections(); // after that: a page comes again at once
    await closed;
  }

  streams() {
    const items = typeof this.items === 'function' ? this.items() : this.items;
    return { at: new Date().toISOString(), itemCount: items.length, items };
  }

  send() {
    const message = `event: streams\ndata: ${JSON.stringify(this.streams())}\n\n`;
    for (const c of this.clients) c.write(message);
  }

  /** Tells of an event. */
  happen(event) {
    this.events.push({ id: this.events.length + 1, at: new Date().toISOString(), level: 'info', direction: 'push', ...event });
    const message = `id: ${this.events.length}\nevent: event\ndata: ${JSON.stringify(this.events.at(-1))}\n\n`;
    for (const c of this.clients) c.write(message);
  }

  async answer(request, response) {
    const url = new URL(request.url, this.url);
    const headers = { 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' };
    const json = (status, value) => response.writeHead(status, { ...headers, 'Content-Type': 'application/json' }).end(JSON.stringify(value));
    if (url.pathname === '/api/v1/info') return json(200, this.info ?? { version: 'v0.0.0-mock', rtmp: { publishUrl: 'rtmp://relay.example:1935/live', app: 'live', pullApp: 'pull' }, token: { isSet: true, forRead: false } });
    if (url.pathname === '/api/v1/streams') return json(200, this.streams());
    if (url.pathname === '/api/v1/events') {
      response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream' });
      this.clients.add(response);
      response.on('close', () => this.clients.delete(response));
      for (const e of this.events) response.write(`id: ${e.id}\nevent: event\ndata: ${JSON.stringify(e)}\n\n`);
      if (!this.silent) response.write(`event: streams\ndata: ${JSON.stringify(this.streams())}\n\n`);
      return undefined;
    }
    if (request.method === 'POST') {
      if (request.headers.authorization !== `Bearer ${this.token}`) {
        response.setHeader('WWW-Authenticate', 'Basic realm="zegorelay"');
        return json(401, { error: { code: 'unauthorized', message: 'wrong token' } });
      }
      this.posts.push({ path: url.pathname, direction: url.searchParams.get('direction'), type: request.headers['content-type'] });
      return json(200, {});
    }
    if (url.pathname.startsWith('/preview/')) return preview(response, headers);
    const name = url.pathname === '/' ? 'index.html' : url.pathname.match(/^\/assets\/([\w.-]+)$/)?.[1];
    try {
      const body = await readFile(page + name);
      return response.writeHead(200, { ...headers, 'Content-Type': types[extname(name)] || 'text/plain' }).end(body);
    } catch {
      return json(404, { error: { code: 'not_found', message: 'nothing is served here' } });
    }
  }
}

/** A test picture with a tone, as FLV, until nobody reads it. */
function preview(response, headers) {
  const ffmpeg = spawn('ffmpeg', ['-v', 'error', '-nostdin', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25',
    '-re', '-f', 'lavfi', '-i', 'sine', '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-g', '25',
    '-c:a', 'aac', '-f', 'flv', 'pipe:1'], { stdio: ['ignore', 'pipe', 'ignore'] });
  response.writeHead(200, { ...headers, 'Content-Type': 'video/x-flv' });
  ffmpeg.stdout.pipe(response);
  response.on('close', () => ffmpeg.kill());
}

const ago = s => new Date(Date.now() - s * 1000).toISOString();

/** A stream that is well; change says what is other. */
export function stream(name, change = {}) {
  const wave = 1 + 0.04 * Math.sin(Date.now() / 7000 + name.length) + 0.02 * Math.random();
  return {
    name, app: 'live', streamId: name, direction: 'push', health: 'ok', reason: '', since: ago(4000), healthSince: ago(3900),
    publisher: { id: 7, remote: '10.0.0.5:51312', since: ago(4000), client: 'FMLE/3.0 (compatible; FMSc/1.0)', secure: false },
    upstream: { state: 'publishing', node: '81.69.49.115:1935', since: ago(3900), attempt: 0, nextTryInMs: null, lastError: null },
    video: { codec: 'h264', profile: 'High', width: 1920, height: 1080, fps: 29.97, keyframeIntervalMs: 2000 },
    audio: { codec: 'aac', sampleRate: 48000, channels: 2 },
    rate: { inKbps: 6000 * wave, outKbps: 6000 * wave }, bytes: { in: 1e9, out: 1e9 },
    dropped: { messages: 0, ms: 0 }, drops: [], queueMs: 1900, lagMs: 84, rttMs: 31, replayed: 0,
    reconnects: { publisher: 0, upstream: 0 }, outageMs: 0, players: 0, advice: [], events: [],
    ...change,
  };
}

/** A stream that doesn't reach ZEGO. */
export const broken = (name, change = {}) => stream(name, {
  health: 'down', healthSince: ago(47), reason: 'ZEGO names no node for it: 推流节点为空 (no push node)',
  rate: { inKbps: 4012, outKbps: 0 }, lagMs: 47000, outageMs: 47000, dropped: { messages: 1210, ms: 37000 },
  upstream: {
    state: 'waiting', node: '', since: ago(1), attempt: 6, nextTryInMs: 4200,
    lastError: { at: ago(2), stage: 'dispatch', code: '1002', text: 'ZEGO answers 1002, 推流节点为空 (no push node)', advice: 'ZEGO has no node free. It is asked again by itself; if it lasts, write to ZEGO’s support with the RequestId of the log.' },
  },
  ...change,
});

/** One that gets there, but not as it should. */
export const limping = (name, change = {}) => stream(name, {
  health: 'degraded', healthSince: ago(200), reason: 'keyframes come every 8.3 s: players need long to begin',
  lagMs: 310, reconnects: { publisher: 1, upstream: 3 }, replayed: 412, outageMs: 1800,
  video: { codec: 'h264', profile: 'Main', width: 1280, height: 720, fps: 25, keyframeIntervalMs: 8333 },
  rate: { inKbps: 2480 + 60 * Math.random(), outKbps: 2450 + 60 * Math.random() },
  advice: [
    { kind: 'gop_long', since: ago(200), text: 'Keyframes come only every 8.3 s.', fix: 'OBS: Settings → Output → Keyframe Interval 2 s.' },
    { kind: 'b_frames', since: ago(190), text: 'The picture has B-frames, on which ZEGO’s players stutter.', fix: 'OBS: Output → Advanced, set bframes (x264) or Max B-frames (NVENC) to 0.' },
  ],
  ...change,
});

export const absent = (name, change = {}) => stream(name, {
  health: 'idle', healthSince: ago(7300), reason: '', publisher: null, video: null, audio: null,
  upstream: { state: 'idle', node: '', since: ago(7300), attempt: 0, nextTryInMs: null, lastError: null },
  rate: { inKbps: 0, outKbps: 0 }, lagMs: 0, queueMs: 0, ...change,
});
