// The last five minutes of a stream's bit rates: an area of what comes in, and
// a line of what goes out.
import { svg, setAttribute } from './dom.js';
import { of, seconds } from './history.js';
import { rate } from './words.js';

const HEIGHT = 48;

export class Sparkline {
  constructor() {
    this.area = svg('path.area');
    this.in = svg('path.in');
    this.out = svg('path.out');
    this.node = svg('svg.spark', {
      viewBox: `0 0 ${seconds - 1} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img',
    }, this.area, this.in, this.out);
    this.drawn = 0;
  }

  draw(key) {
    const h = of(key);
    if (!h || h.at === this.drawn) return;
    this.drawn = h.at;
    let most = 0;
    for (let i = 0; i < seconds; i++) most = Math.max(most, h.in[i] || 0, h.out[i] || 0);
    const top = scale(most);
    const lines = trace(h.in, h.at, top);
    this.in.setAttribute('d', lines.map(l => 'M' + l).join(''));
    this.area.setAttribute('d', lines.map(close).join(''));
    this.out.setAttribute('d', trace(h.out, h.at, top).map(l => 'M' + l).join(''));
    setAttribute(this.node, 'aria-label', `Bit rates of the last five minutes, at most ${rate(most)}`);
  }
}

/** The polylines of a ring: one for each part without a gap. */
function trace(ring, newest, top) {
  const lines = [];
  let points = [];
  for (let x = 0; x < seconds; x++) {
    const value = ring[(newest + 1 + x) % seconds];
    if (Number.isNaN(value)) {
      if (points.length) lines.push(points.join(' '));
      points = [];
    } else points.push(`${x},${(HEIGHT - 1.5 - (value / top) * (HEIGHT - 4)).toFixed(1)}`);
  }
  if (points.length) lines.push(points.join(' '));
  return lines;
}

function close(line) {
  const first = line.slice(0, line.indexOf(','));
  const last = line.slice(line.lastIndexOf(' ') + 1);
  return `M${first},${HEIGHT} ${line} ${last.slice(0, last.indexOf(','))},${HEIGHT}Z`;
}

/** The top of the picture: a little over the most, in steps, so that it rests. */
function scale(most) {
  if (most <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(most)) / 2;
  return Math.ceil((most * 1.1) / step) * step;
}
