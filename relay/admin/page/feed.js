// What the daemon tells once a second (GET /api/v1/events), and whether it still
// does. Read with fetch and not EventSource: that one can't show a token, gives
// up on the first bad status, and never notices a daemon that hangs.
import { base, reason } from './api.js';
import { authorization } from './token.js';

const SILENT = 3000; // ms without a message: the daemon is lost
const HUNG = 6000; // … and the connection is given up
const PAUSE = 1000; // before the next try

/** Calls on.streams(data, now), on.event(data), and on.link(state) with open, lost
    or denied. Times are the daemon's. */
export function listen(on) {
  let why = ''; // the daemon gave no answer that could be read
  let skew = 0; // of the daemon's clock against ours
  let heard = Date.now(); // when the last message came
  let state = '';
  let connection = null;
  let begun = 0; // when the connection was begun

  const enter = (next, why) => {
    if (next === state) return;
    state = next;
    on.link(state, why, heard);
  };

  async function connect() {
    connection = new AbortController();
    begun = Date.now();
    const answer = await fetch(base + 'events', {
      headers: { Accept: 'text/event-stream', ...authorization() },
      cache: 'no-store', signal: connection.signal,
    });
    if (answer.status === 401 || answer.status === 403) {
      enter('denied');
      return;
    }
    if (!answer.ok) throw new Error(await reason(answer));
    why = '';
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) take(block);
    }
  }

  function take(block) {
    let kind = 'message';
    const data = [];
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      const name = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (name === 'event') kind = value;
      else if (name === 'data') data.push(value);
    }
    if (!data.length) return;
    const told = JSON.parse(data.join('\n'));
    if (kind === 'streams') {
      heard = Date.now();
      if (told.at) skew = Date.parse(told.at) - heard;
      on.streams(told, heard + skew);
      enter('open');
    } else if (kind === 'event') on.event(told);
  }

  async function keepOn() {
    for (;;) {
      try {
        await connect();
      } catch (error) {
        why = error instanceof TypeError || error.name === 'AbortError' ? '' : error.message; // no more than that it failed
      }
      await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
  }

  setInterval(() => {
    const silent = Date.now() - heard;
    if (silent > SILENT && state !== 'denied') enter('lost', why);
    if (Date.now() - Math.max(heard, begun) > HUNG) connection?.abort();
  }, 500);
  keepOn();

  return { again: () => connection?.abort(), now: () => Date.now() + skew };
}
