// The live page: which of its states is shown, and what feeds it.

import { Connection } from "/assets/connection.js";
import { Costs } from "/assets/costs.js";
import { Devices, inOrder } from "/assets/devices.js";
import { byId, element, setText } from "/assets/elements.js";
import { spell } from "/assets/figures.js";
import { hasRole, House } from "/assets/house.js";
import { Inbox } from "/assets/inbox.js";
import { accessToken, call, callAll, forget, renew, signIn, signOut } from "/assets/session.js";

const LOOK_AGAIN_MS = 60_000;
const AWAY_AGAIN_MS = 3_000;
const LOAD_AGAIN_MS = 5_000;
const UNKNOWN_AFTER_MS = 1_000;
const DIM_AFTER_S = 15;
const VIEWS = ["login", "setup", "away", "live"];

const devices = new Devices();
const house = new House();
const costs = new Costs();
const inbox = new Inbox(load);
const connection = new Connection({ open, series, removed: load, live, lost, ended });
let lostMs = 0;
let waiting = null;
let timer = 0;
let loadTimer = 0;

// --- states of the page

function view(name) {
  for (const one of VIEWS) byId(one).hidden = one !== name;
  byId("logout").hidden = byId("link").hidden = name !== "live";
  if (name !== "live") byId("lost").hidden = true;
}

function say(text) {
  setText(byId("said"), text);
}

async function begin() {
  clearTimeout(timer);
  try {
    await renew();
  } catch (problem) {
    await outside(problem);
    return;
  }
  await enter();
}

// Not signed in: set-up, sign-in, or a hub that is away.
async function outside(problem, why = "") {
  try {
    if (problem.status !== 401 && problem.status !== 403) throw problem;
    const { needed } = await call("/api/v1/auth/setup");
    if (needed) showSetup();
    else showSignIn(why);
  } catch {
    view("away");
    timer = setTimeout(begin, AWAY_AGAIN_MS);
  }
}

function showSetup() {
  setText(byId("setup-link"), `${location.origin}/setup#…`);
  view("setup");
}

function showSignIn(why) {
  setText(byId("why"), why);
  byId("why").hidden = !why;
  view("login");
  byId(byId("username").value ? "password" : "username").focus();
}

async function enter() {
  view("live");
  status("Connecting", "");
  const [site] = (await call("/api/v1/sites").catch(() => ({ items: [] }))).items;
  if (site && site.name) {
    setText(byId("site"), site.name);
    document.title = `${site.name} · Wattline`;
  }
  await load();
  connection.start();
}

function leave() {
  connection.stop();
  forget();
  devices.clear();
  house.clear();
  costs.clear();
  setText(byId("site"), "Wattline");
  document.title = "Wattline";
}

// --- what is known

async function load() {
  clearTimeout(loadTimer);
  try {
    const known = inOrder(await callAll("/api/v1/devices"));
    devices.know(known);
    house.know(new Map(known.map((device) => [device.id, device])));
    devices.latest((await call("/api/v1/latest")).items);
    showHouse(known);
    showEmpty();
    // a year may have to be walked first: nothing else waits for it, and the next turn asks again
    costs.load(known.some(hasRole)).catch(() => {});
    await inbox.load();
  } catch (problem) {
    if (problem.status === 401) ended();
    else if (!lostMs) loadAfter(LOAD_AGAIN_MS);
  }
}

function loadAfter(ms) {
  clearTimeout(loadTimer);
  loadTimer = setTimeout(() => accessToken() && load(), ms);
}

function showHouse(known) {
  const some = known.some(hasRole);
  byId("house").hidden = !some || !house.balance;
  byId("roles").hidden = some || !devices.hasValues;
  const first = known.find((device) => device.series.some((one) => one.quantity === "power")) || known[0];
  if (first) setText(byId("roles-example"), `devices:\n  - {id: ${first.id}, role: grid}`);
}

function showEmpty() {
  byId("empty").hidden = devices.hasValues;
  const steps = byId("empty-steps");
  if (devices.hasValues || steps.children.length) return;
  const commands = [
    ["Make a token; it is shown once.", "wattline token create --user NAME --name first --scope ingest"],
    ["Send JSON.", `curl -H 'Authorization: Bearer wl_…' -d '{"device":"main-meter","role":"grid","values":{"power":1234}}' ${location.origin}/api/v1/ingest`],
    ["Or what Telegraf and InfluxDB clients send.", `curl -H 'Authorization: Token wl_…' --data-binary 'home,room=kitchen power=312' '${location.origin}/write?db=home'`],
  ];
  for (const [text, command] of commands) {
    steps.append(element("li", text, element("pre", command)));
  }
}

// --- the connection

function open() {
  const again = lostMs > 0;
  lostMs = 0;
  devices.connected = true;
  byId("lost").hidden = true;
  document.body.classList.remove("dim");
  status("Live", "live");
  say(again ? "Connected again" : "Live");
  if (again) load();
}

function lost() {
  if (lostMs) return;
  lostMs = Date.now();
  devices.connected = false;
  status("Reconnecting", "away");
  say("Connection lost, trying again");
  age();
}

function ended() {
  leave();
  outside({ status: 401 }, "Your session has ended. Sign in again.");
}

const news = new Map();

// Values are drawn once a frame, however many arrive.
function series(values) {
  if (!news.size) requestAnimationFrame(draw);
  for (const [id, value] of Object.entries(values)) news.set(id, value);
}

function draw() {
  const values = Object.fromEntries(news);
  news.clear();
  if (!devices.news(values)) loadAfter(UNKNOWN_AFTER_MS);
}

function live(balance) {
  if (!waiting) requestAnimationFrame(drawHouse);
  waiting = balance;
}

function drawHouse() {
  const first = !house.balance;
  house.show(waiting);
  costs.live(waiting);
  waiting = null;
  if (first) showHouse([...house.devices.values()]);
}

function status(text, kind) {
  setText(byId("link"), text);
  byId("link").dataset.kind = kind;
}

function age() {
  devices.ages();
  if (!lostMs || byId("live").hidden) return;
  const seconds = (Date.now() - lostMs) / 1000;
  const since = seconds < 10 ? "" : ` The values below are from ${spell(seconds)} ago.`;
  setText(byId("lost-text"), `Connection lost, trying again.${since}`);
  byId("lost").hidden = seconds < 2;
  document.body.classList.toggle("dim", seconds > DIM_AFTER_S);
}

// --- people

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  setText(byId("problem"), "");
  try {
    await signIn(byId("username").value, byId("password").value);
    byId("password").value = "";
    await enter();
    byId("main").focus();
  } catch (problem) {
    setText(byId("problem"), problem.message);
  } finally {
    button.disabled = false;
  }
});

byId("logout").addEventListener("click", async () => {
  await signOut();
  leave();
  showSignIn("");
});

byId("retry").addEventListener("click", () => connection.retry());
byId("setup-again").addEventListener("click", begin);

byId("plain").hidden = window.isSecureContext;
setInterval(age, 1000);
setInterval(() => accessToken() && !lostMs && !document.hidden && load(), LOOK_AGAIN_MS);
begin();
