// The token that writing needs. It is kept for this tab only.

const NAME = 'zegorelay-token';

export const token = () => sessionStorage.getItem(NAME) || '';

export function setToken(value) {
  if (value) sessionStorage.setItem(NAME, value);
  else sessionStorage.removeItem(NAME);
}

/** Headers that show the token, if there is one. */
export const authorization = () => (token() ? { Authorization: `Bearer ${token()}` } : {});
