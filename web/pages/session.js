// Talking to the hub: who is signed in, and requests in their name. The access token lives in memory only; the
// session outlives a reload and a restart of the hub by its HttpOnly cookie.

import { sentence } from "/assets/figures.js";

const RENEW_EARLY_S = 60;
let token = null;
let renewTimer = 0;
let renewing = null;

export class Problem extends Error {
  // status 0: no answer at all
  constructor(status, text) {
    super(sentence(text));
    this.status = status;
  }
}

export const accessToken = () => token;

// A token that ran out while the machine slept is renewed once, then the request is made again.
export async function call(path, options = {}) {
  try {
    return await once(path, options);
  } catch (problem) {
    if (problem.status !== 401 || !token) throw problem;
  }
  await renew();
  return once(path, options);
}

async function once(path, { method = "GET", json } = {}) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? undefined : JSON.stringify(json);
  let response;
  let text;
  try {
    response = await fetch(path, { method, headers, body, credentials: "same-origin" });
    text = await response.text();
  } catch {
    throw new Problem(0, "The hub does not answer");
  }
  const content = read(text);
  if (!response.ok) throw new Problem(response.status, (content && content.detail) || `The hub answered ${response.status}`);
  return content;
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// All pages of a list.
export async function callAll(path) {
  const items = [];
  let cursor = "";
  do {
    const page = await call(`${path}?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    items.push(...page.items);
    cursor = page.next || "";
  } while (cursor);
  return items;
}

export async function signIn(username, password) {
  keep(await once("/api/v1/auth/login", { method: "POST", json: { username, password } }));
}

// A new access token by the cookie; who asks meanwhile waits for the same one.
export function renew() {
  renewing ||= once("/api/v1/auth/refresh", { method: "POST" })
    .then(keep)
    .finally(() => (renewing = null));
  return renewing;
}

export async function signOut() {
  await once("/api/v1/auth/logout", { method: "POST" }).catch(() => {});
  forget();
}

export function forget() {
  clearTimeout(renewTimer);
  token = null;
}

function keep(answer) {
  token = answer.access_token;
  clearTimeout(renewTimer);
  // a renewal that fails is tried again by the connection, which needs the token next
  renewTimer = setTimeout(() => renew().catch(() => {}), Math.max(30, answer.expires_in - RENEW_EARLY_S) * 1000);
}
