// Requests to the daemon's API.
import { authorization, setToken, token } from './token.js';
import { askToken } from './dialog.js';

export const base = 'api/v1/';

export async function getInfo() {
  const answer = await fetch(base + 'info', { headers: authorization(), cache: 'no-store' });
  if (!answer.ok) throw new Error(await reason(answer));
  return answer.json();
}

// A refused write must not have the browser ask for a password by itself: the page
// asks. Elsewhere than on loopback it has asked already, for the page.
const isLoopback = /^(localhost|127\.[\d.]+|\[::1\])$/.test(location.hostname);

/** Has the daemon do something with a stream: kick or redispatch. Resolves to
    what to tell the operator. */
export async function command(item, verb) {
  const url = `${base}streams/${encodeURIComponent(item.name)}/${verb}?direction=${encodeURIComponent(item.direction || 'push')}`;
  const post = () => fetch(url, {
    method: 'POST', body: '{}', credentials: isLoopback || token() ? 'omit' : 'same-origin', headers: { 'Content-Type': 'application/json', ...authorization() },
  });
  let answer = await post();
  for (let tries = 0; answer.status === 401 && tries < 3; tries++) {
    const why = token() ? 'That token was not accepted.' : 'Changing something needs the daemon’s token, ZEGORELAY_HTTP_TOKEN. It is kept in this tab only.';
    const given = await askToken(why);
    if (!given) return { ok: false, text: '' };
    setToken(given);
    answer = await post();
  }
  if (answer.status === 401) setToken('');
  if (answer.ok) return { ok: true, text: '' };
  return { ok: false, text: await reason(answer) };
}

/** The sentence of an error's answer. */
export async function reason(answer) {
  try {
    const said = await answer.json();
    if (said.error?.message) return said.error.message;
  } catch { /* not JSON */ }
  return `zegorelay answers ${answer.status}`;
}
