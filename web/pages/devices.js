// One card a device, one row a series: the value, its unit, and how old it is.

import { arrange, byId, element, setText } from "/assets/elements.js";
import { figure, spell } from "/assets/figures.js";

const ROLES = { grid: "Grid", solar: "Solar", battery: "Battery", ev: "Car", heat_pump: "Heat pump", load: "Load", heat: "Heat", gas: "Gas", water: "Water" };
const ROLE_ORDER = Object.keys(ROLES);
const QUANTITIES = ["power", "state_of_charge", "energy", "heat", "gas", "water", "voltage", "current"];
const AWAY = { offline: "Offline", silent: "Silent" };
const NAMES = { soc: "State of charge", rssi: "Signal" };
// which way a signed power goes: below and above zero
const WAYS = { grid: ["export", "import"], battery: ["charging", "discharging"] };
const OLD_AFTER_S = 900;

export class Devices {
  constructor() {
    this.cards = new Map();
    this.rows = new Map();
    this.skewMs = 0;
    this.connected = false;
  }

  get hasValues() {
    return [...this.rows.values()].some((row) => row.known);
  }

  clear() {
    this.cards.clear();
    this.rows.clear();
    arrange(byId("cards"), []);
  }

  // Devices as the hub has them now; cards that exist stay where they are.
  know(devices) {
    const shown = devices.filter((device) => device.series.length);
    const ids = new Set(shown.map((device) => device.id));
    for (const id of [...this.cards.keys()]) if (!ids.has(id)) this.cards.delete(id);
    const cards = shown.map((device) => {
      if (!this.cards.has(device.id)) this.cards.set(device.id, new Card());
      return this.cards.get(device.id);
    });
    this.rows.clear();
    shown.forEach((device, index) => cards[index].know(device, this.rows));
    arrange(byId("cards"), cards.map((card) => card.root));
  }

  // Rows of /latest: values with the hub's own word on how good they are.
  latest(items) {
    const dated = items.find((item) => Number.isFinite(item.ts) && Number.isFinite(item.age_s));
    if (dated) this.skewMs = dated.ts + dated.age_s * 1000 - Date.now();
    for (const item of items) {
      const row = this.rows.get(item.series);
      if (row) row.show(item.value, item.ts, item.quality === "stale");
    }
    this.ages();
  }

  // News of the websocket; false if a series is not known yet.
  news(series) {
    const nowMs = Date.now() + this.skewMs;
    let known = true;
    for (const [id, [ts, value]] of Object.entries(series)) {
      const row = this.rows.get(id);
      known &&= row !== undefined;
      // a value that the page has already keeps what the hub said of its quality
      if (!row || (ts !== null && ts === row.ts)) continue;
      row.show(value, ts, ts === null || nowMs - ts > OLD_AFTER_S * 1000);
      row.age(nowMs, this.connected);
    }
    return known;
  }

  ages() {
    const nowMs = Date.now() + this.skewMs;
    for (const row of this.rows.values()) row.age(nowMs, this.connected);
  }
}

// Sources first, then by name.
export function inOrder(devices) {
  const rank = (device) => (ROLE_ORDER.indexOf(device.role) + ROLE_ORDER.length + 1) % (ROLE_ORDER.length + 1);
  const name = (device) => device.name || device.id;
  return [...devices].sort((a, b) => rank(a) - rank(b) || name(a).localeCompare(name(b), undefined, { numeric: true }));
}

class Card {
  constructor() {
    this.name = element("h3");
    this.role = element("span.soft");
    this.state = element("span.mark");
    this.list = element("dl");
    this.rows = new Map();
    this.root = element("li.card", element("div.head", this.name, this.role, this.state), this.list);
  }

  know(device, all) {
    setText(this.name, device.name || device.id);
    const role = ROLES[device.role] || "";
    setText(this.role, role === device.name ? "" : role);
    setText(this.state, AWAY[device.availability] || "");
    this.root.classList.toggle("offline", Boolean(AWAY[device.availability]));
    const series = [...device.series].sort((a, b) => rankOf(a) - rankOf(b));
    const rows = series.map((one) => {
      if (!this.rows.has(one.id)) this.rows.set(one.id, new Row(one));
      all.set(one.id, this.rows.get(one.id));
      this.rows.get(one.id).goes(one.key === "power" ? WAYS[device.role] : undefined);
      return this.rows.get(one.id);
    });
    arrange(this.list, rows.map((row) => row.root));
  }
}

function rankOf(series) {
  const index = QUANTITIES.indexOf(series.quantity);
  return index < 0 ? QUANTITIES.length : index;
}

class Row {
  constructor(series) {
    this.kept = series.unit;
    this.ts = null;
    this.known = false;
    this.stale = false;
    this.number = element("span.number", "–");
    this.unit = element("span.unit");
    this.old = element("span.unseen");
    this.when = element("span");
    this.way = element("span.way");
    const name = element("dt", series.name || plainName(series.key), " ", this.way);
    this.root = element("div.row", name, element("dd.value", this.number, this.unit), element("dd.age", this.old, this.when));
  }

  goes(ways) {
    this.ways = ways;
    this.#say();
  }

  #say() {
    const way = !this.ways || !this.shows ? "" : this.ways[this.shows < 0 ? 0 : 1];
    setText(this.way, way && `· ${way}`);
  }

  show(value, ts, stale) {
    // an answer that was under way must not undo what the websocket has told since
    if (this.ts !== null && ts !== null && ts < this.ts) return;
    const { number, unit } = figure(value, this.kept);
    setText(this.number, number);
    setText(this.unit, unit);
    this.shows = Math.round(value);
    this.#say();
    this.ts = ts;
    this.known = true;
    this.stale = stale;
  }

  age(nowMs, connected) {
    if (!this.known) return;
    const seconds = this.ts === null ? NaN : Math.max(0, (nowMs - this.ts) / 1000);
    const old = this.stale || (!connected && seconds > OLD_AFTER_S);
    setText(this.when, spell(seconds));
    setText(this.old, old ? "old value, " : "");
    this.root.classList.toggle("old", old);
  }
}

function plainName(key) {
  if (NAMES[key]) return NAMES[key];
  const words = key.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
