// A stream's picture, muted, over HTTP-FLV. The player is loaded when the first
// one is asked for.
import { el, setHidden, setText } from './dom.js';
import { authorization } from './token.js';

// What each codec is called when one asks the browser for it.
const types = {
  h264: 'video/mp4; codecs="avc1.640028"',
  hevc: 'video/mp4; codecs="hvc1.1.6.L120.B0"',
  av1: 'video/mp4; codecs="av01.0.08M.08"',
  vp9: 'video/mp4; codecs="vp09.00.40.08"',
};
const carried = new Set(['h264', 'hevc', 'av1']); // by the player
const CANNOT = 'Preview not possible in this browser';

const MOST = 3; // at a time: a browser has six connections for us, and the page needs some

const playing = new Set(); // oldest first

let loading = null;

function load() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(el('script', {
      src: 'assets/mpegts.js', onload: () => resolve(window.mpegts),
      onerror: () => { loading = null; reject(new Error('the player did not load')); },
    }));
  });
  return loading;
}

/** Why a stream's picture can't be shown, or nothing. */
function obstacle(item) {
  const codec = item.video?.codec;
  const source = window.MediaSource || window.ManagedMediaSource;
  if (!source) return `${CANNOT}.`;
  if (codec && (!carried.has(codec) || !source.isTypeSupported(types[codec]))) return `${CANNOT}: it does not play ${codec.toUpperCase()}.`;
  return '';
}

export class Preview {
  constructor() {
    this.player = null;
    this.wanted = 0; // rises with every opening and closing
    this.item = null;
    this.open = el('button.play', { type: 'button', onclick: () => this.start() }, 'Show preview');
    this.words = el('p.note', { hidden: true, role: 'status' });
    this.video = el('video', { muted: true, playsinline: true, hidden: true, 'aria-label': 'Preview' });
    this.video.muted = true;
    this.shut = el('button', { type: 'button', onclick: () => { this.stop(); this.open.focus(); } }, 'Close preview');
    this.sound = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => this.toggleSound() }, 'Sound');
    this.bar = el('div.bar', { hidden: true }, this.shut, this.sound);
    this.node = el('div.preview', {}, el('div.screen', {}, this.video, this.open, this.words), this.bar);
  }

  update(item) {
    this.item = item;
    if (item.ended && this.player) this.stop('The stream is over.');
    if (!this.player) this.open.disabled = Boolean(item.ended) || item.health === 'idle';
  }

  async start() {
    const item = this.item;
    const why = obstacle(item);
    if (why) {
      this.say(why);
      return;
    }
    if (playing.size >= MOST) playing.values().next().value.stop(`Closed: ${MOST} previews at a time.`);
    playing.add(this);
    const wanted = ++this.wanted;
    setHidden(this.open, true);
    setHidden(this.bar, false);
    this.say('Waiting for the next keyframe …');
    this.shut.focus();
    let mpegts;
    try {
      mpegts = await load();
    } catch (error) {
      if (wanted === this.wanted) this.stop(`No preview: ${error.message}.`);
      return;
    }
    if (wanted !== this.wanted) return;
    if (!mpegts.isSupported()) {
      this.stop(`${CANNOT}.`);
      return;
    }
    this.play(mpegts, item);
  }

  play(mpegts, item) {
    mpegts.LoggingControl.enableAll = false;
    const url = new URL(`preview/${encodeURIComponent(item.name)}.flv?direction=${encodeURIComponent(item.direction || 'push')}`, document.baseURI);
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url: url.href, hasAudio: item.audio ? undefined : false }, {
      headers: authorization(), enableStashBuffer: false, liveBufferLatencyChasing: true,
      liveBufferLatencyMaxLatency: 3, liveBufferLatencyMinRemain: 0.5,
      autoCleanupSourceBuffer: true, lazyLoad: false,
    });
    this.player = player;
    const over = text => { if (this.player === player) this.stop(text); };
    player.on(mpegts.Events.ERROR, (type, detail, info) => over(this.trouble(mpegts, type, detail, info)));
    player.on(mpegts.Events.LOADING_COMPLETE, () => over('The preview has ended.'));
    this.video.addEventListener('playing', () => { if (this.player === player) this.say(''); }, { once: true });
    setHidden(this.video, false);
    player.attachMediaElement(this.video);
    player.load();
    Promise.resolve(player.play()).catch(() => { /* ended before it began */ });
  }

  trouble(mpegts, type, detail, info) {
    if (type === mpegts.ErrorTypes.MEDIA_ERROR) return `${CANNOT}.`;
    if (detail === mpegts.ErrorDetails.NETWORK_STATUS_CODE_INVALID) {
      return info?.code === 404 ? 'The stream is not there now.' : `No preview: zegorelay answers ${info?.code}.`;
    }
    return 'The preview was interrupted.';
  }

  stop(text = '') {
    this.wanted++;
    playing.delete(this);
    const player = this.player;
    this.player = null;
    if (player) player.destroy();
    this.video.removeAttribute('src');
    this.video.muted = true;
    this.sound.setAttribute('aria-pressed', 'false');
    const hadFocus = this.bar.contains(document.activeElement);
    setHidden(this.video, true);
    setHidden(this.bar, true);
    setHidden(this.open, false);
    if (hadFocus) this.open.focus();
    this.say(text);
  }

  toggleSound() {
    this.video.muted = !this.video.muted;
    this.sound.setAttribute('aria-pressed', String(!this.video.muted));
  }

  say(text) {
    setText(this.words, text);
    setHidden(this.words, !text);
  }
}
