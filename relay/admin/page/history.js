// Five minutes of bit rates of every stream, kept in this page only.

const SECONDS = 300;

/** A ring with a place for each second. */
class History {
  constructor() {
    this.in = new Float32Array(SECONDS).fill(NaN);
    this.out = new Float32Array(SECONDS).fill(NaN);
    this.at = 0; // the newest second
  }

  /** Seconds without a message stay empty, except a single one: messages drift. */
  add(second, inKbps, outKbps) {
    if (this.at === 0 || second - this.at > SECONDS) {
      this.in.fill(NaN);
      this.out.fill(NaN);
      this.at = second - 1;
    }
    const single = second - this.at === 2;
    while (this.at < second) {
      this.at++;
      const known = single || this.at === second;
      this.in[this.at % SECONDS] = known ? inKbps : NaN;
      this.out[this.at % SECONDS] = known ? outKbps : NaN;
    }
  }
}

const all = new Map();

/** Notes what a message told of all streams. */
export function note(items, now) {
  const second = Math.floor(now / 1000);
  for (const item of items) {
    let h = all.get(item.key);
    if (!h) all.set(item.key, (h = new History()));
    h.add(second, item.rate?.inKbps || 0, item.rate?.outKbps || 0);
  }
  for (const [key, h] of all) if (second - h.at > SECONDS) all.delete(key);
}

export const of = key => all.get(key);

export const seconds = SECONDS;
