// The live page: sign in, load devices and newest values, then follow the websocket.
// The access token lives in memory only; names from devices go into the page as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const OLD_AFTER_S = 900;
const state = { token: null, renewTimer: 0, socket: null, tries: 0, commandId: 0, rows: new Map(), devices: new Map() };

async function call(path, options = {}) {
  const headers = { ...(options.headers || {}) };
  if (state.token) headers.Authorization = `Bearer ${state.token}`;
  if (options.json !== undefined) headers["Content-Type"] = "application/json";
  const body = options.json === undefined ? undefined : JSON.stringify(options.json);
  const response = await fetch(path, { method: options.method || "GET", headers, body, credentials: "same-origin" });
  const text = await response.text();
  const content = text ? JSON.parse(text) : null;
  if (!response.ok) throw Object.assign(new Error((content && content.detail) || response.statusText), { status: response.status });
  return content;
}

async function renew() {
  const answer = await call("/api/v1/auth/refresh", { method: "POST" });
  keepToken(answer);
}

function keepToken(answer) {
  state.token = answer.access_token;
  clearTimeout(state.renewTimer);
  state.renewTimer = setTimeout(() => renew().catch(leave), Math.max(30, answer.expires_in - 60) * 1000);
}

function leave() {
  clearTimeout(state.renewTimer);
  state.token = null;
  if (state.socket) state.socket.close();
  state.socket = null;
  state.rows.clear();
  byId("cards").replaceChildren();
  byId("values").hidden = true;
  byId("logout").hidden = true;
  byId("login").hidden = false;
  byId("link").textContent = "";
  byId("username").focus();
}

async function enter() {
  byId("login").hidden = true;
  byId("values").hidden = false;
  byId("logout").hidden = false;
  await load();
  connect();
}

async function load() {
  const known = new Map();
  let cursor = null;
  do {
    const page = await call("/api/v1/devices?limit=1000" + (cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""));
    for (const device of page.items) known.set(device.id, device);
    cursor = page.next;
  } while (cursor);
  state.devices = known;
  const latest = await call("/api/v1/latest");
  for (const row of latest.items) show(row.series, row.value, row.unit, row.ts);
  byId("empty").hidden = state.rows.size > 0;
}

function card(deviceId) {
  const id = `device-${deviceId}`;
  const known = byId(id);
  if (known) return known;
  const device = state.devices.get(deviceId);
  const item = document.createElement("li");
  item.className = "card";
  item.id = id;
  const title = document.createElement("h3");
  title.textContent = (device && device.name) || deviceId;
  const list = document.createElement("dl");
  const age = document.createElement("p");
  age.className = "age";
  item.append(title, list, age);
  const cards = byId("cards");
  const after = [...cards.children].find((other) => other.id > id);
  cards.insertBefore(item, after || null);
  return item;
}

function show(seriesId, value, unit, ts) {
  const dot = seriesId.indexOf(".");
  let row = state.rows.get(seriesId);
  if (!row) {
    const item = card(seriesId.slice(0, dot));
    const name = document.createElement("dt");
    const number = document.createElement("dd");
    name.textContent = seriesId.slice(dot + 1).replaceAll("_", " ");
    item.querySelector("dl").append(name, number);
    row = { number, item, unit, ts: 0 };
    state.rows.set(seriesId, row);
    byId("empty").hidden = true;
  }
  row.ts = ts;
  row.number.textContent = figure(value, row.unit);
}

function figure(value, unit) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  if ((unit === "W" || unit === "Wh") && Math.abs(value) >= 1000) return `${number(value / 1000)} k${unit}`;
  return unit ? `${number(value)} ${unit}` : number(value);
}

function number(value) {
  return value.toLocaleString(undefined, { maximumSignificantDigits: 6, maximumFractionDigits: 2 });
}

function ages() {
  const newest = new Map();
  for (const row of state.rows.values()) newest.set(row.item, Math.max(newest.get(row.item) || 0, row.ts));
  for (const [item, ts] of newest) {
    const age = Math.max(0, Math.round((Date.now() - ts) / 1000));
    item.classList.toggle("old", age > OLD_AFTER_S);
    item.querySelector(".age").textContent = age < 2 ? "now" : `${spell(age)} ago`;
  }
}

function spell(seconds) {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

function connect() {
  if (!state.token) return;
  const url = new URL("/api/websocket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = (state.socket = new WebSocket(url));
  socket.onmessage = (event) => {
    const messages = JSON.parse(event.data);
    for (const message of Array.isArray(messages) ? messages : [messages]) hear(socket, message);
  };
  socket.onclose = () => {
    if (state.socket !== socket || !state.token) return;
    byId("link").textContent = "Connection lost, trying again";
    state.tries += 1;
    setTimeout(() => load().catch(() => {}).then(connect), Math.min(30, 2 ** state.tries) * 1000);
  };
}

function hear(socket, message) {
  if (message.type === "auth_required") socket.send(JSON.stringify({ type: "auth", access_token: state.token }));
  if (message.type === "auth_invalid") renew().catch(leave);
  if (message.type === "auth_ok") {
    state.tries = 0;
    byId("link").textContent = "Live";
    state.commandId += 1;
    socket.send(JSON.stringify({ id: state.commandId, type: "subscribe_entities" }));
  }
  if (message.type === "event") follow(message.event);
}

function follow(event) {
  const names = new Map([...state.rows.keys()].map((id) => [entityOf(id), id]));
  for (const [entity, change] of [...Object.entries(event.a || {}), ...Object.entries(event.c || {})]) {
    const now = change["+"] || change;
    const id = names.get(entity);
    if (id === undefined) {
      if (event.a) scheduleLoad();
    } else if (now.s !== undefined || now.lu !== undefined || now.lc !== undefined) {
      const row = state.rows.get(id);
      const ts = Math.round((now.lu || now.lc || Date.now() / 1000) * 1000);
      if (now.s !== undefined) row.number.textContent = figure(Number(now.s), row.unit);
      row.ts = Math.max(row.ts, ts);
    }
  }
  ages();
}

let loadTimer = 0;
function scheduleLoad() {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(() => load().catch(() => {}), 1000);
}

function entityOf(seriesId) {
  return "sensor." + seriesId.replace(".", "_").replaceAll("-", "_");
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  byId("problem").textContent = "";
  try {
    keepToken(await call("/api/v1/auth/login", { method: "POST", json: { username: byId("username").value, password: byId("password").value } }));
    byId("password").value = "";
    await enter();
  } catch (error) {
    byId("problem").textContent = error.message;
  } finally {
    button.disabled = false;
  }
});

byId("logout").addEventListener("click", async () => {
  await call("/api/v1/auth/logout", { method: "POST" }).catch(() => {});
  leave();
});

const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
byId("plain").hidden = location.protocol === "https:" || local;
setInterval(ages, 1000);
renew().then(enter).catch(leave);
