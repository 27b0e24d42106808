// The balance of the house: where power comes from and where it goes, two bars of one length.

import { arrange, byId, element, setText } from "/assets/elements.js";
import { figure, figureText } from "/assets/figures.js";

const WORDS = {
  production: "solar",
  discharge: "from the battery",
  import: "from the grid",
  not_measured: "",
  consumption: "",
  charge: "into the battery",
  export: "to the grid",
};
const ORDER = Object.keys(WORDS);
const REST = { sources: "Source without a meter", uses: "Not measured" };
const REST_KEY = "not_measured ";
const SHADES = 5;
const IN_BALANCE = new Set(["grid", "solar", "battery", "load", "ev", "heat_pump"]);

export const hasRole = (device) => IN_BALANCE.has(device.role);

export class House {
  constructor() {
    this.sides = { sources: new Side("sources", "Comes from"), uses: new Side("uses", "Goes to") };
    byId("house-sides").append(this.sides.sources.root, this.sides.uses.root);
    this.devices = new Map();
    this.balance = null;
  }

  // The devices by id, in the order of the page.
  know(devices) {
    this.devices = devices;
    if (this.balance) this.show(this.balance);
  }

  show(balance) {
    this.balance = balance;
    setText(byId("house-say"), summary(balance.totals, balance.house_use));
    for (const [name, side] of Object.entries(this.sides)) side.show(balance[name], this.devices);
    const note = this.#note(balance);
    setText(byId("house-note"), note);
    byId("house-note").hidden = !note;
  }

  clear() {
    this.balance = null;
    for (const side of Object.values(this.sides)) side.clear();
  }

  #note(balance) {
    const named = (ids) => ids.map((id) => nameOf(id, this.devices)).join(", ");
    const parts = Object.entries(balance.soc).map(([id, percent]) => `${nameOf(id, this.devices)} is ${figureText(percent, "%")} full.`);
    if (balance.stale.length) parts.push(`Old values are counted of ${named(balance.stale)}.`);
    if (balance.unknown.length) parts.push(`Left out, for they have no value: ${named(balance.unknown)}.`);
    return parts.join(" ");
  }
}

class Side {
  constructor(name, title) {
    this.name = name;
    this.parts = new Map();
    this.total = element("span.number");
    // the list beside it says the same in words
    this.bar = element("div.stack");
    this.bar.setAttribute("aria-hidden", "true");
    this.list = element("ul.legend");
    const head = element("h3", title, " ", this.total);
    this.root = element("div.side", head, this.bar, this.list);
  }

  // What was seen once keeps its place with 0 W, so that nothing jumps when it comes and goes.
  show(shares, devices) {
    const seen = new Map(shares.map((share) => [`${share.flow} ${share.device}`, share]));
    for (const [key, share] of seen) if (!this.parts.has(key)) this.parts.set(key, new Part(share, this.name));
    // a source that nobody measures is a passing fault, mostly of two meters that report one after the other
    if (this.name === "sources" && !seen.has(REST_KEY)) this.parts.delete(REST_KEY);
    const sum = shares.reduce((total, share) => total + share.power, 0);
    const position = new Map([...devices.keys()].map((id, index) => [id, index]));
    const parts = [...this.parts.values()].sort((a, b) => a.compare(b, position));
    let shade = 0;
    for (const part of parts) {
      const share = seen.get(part.key);
      if (part.flow === "consumption") part.shade(shade++ % SHADES);
      part.show(share ? share.power : 0, sum, nameOf(part.device, devices));
    }
    setText(this.total, figureText(sum, "W"));
    arrange(this.bar, parts.map((part) => part.segment));
    arrange(this.list, parts.map((part) => part.item));
  }

  clear() {
    this.parts.clear();
    arrange(this.bar, []);
    arrange(this.list, []);
  }
}

class Part {
  constructor(share, side) {
    this.key = `${share.flow} ${share.device}`;
    this.flow = share.flow;
    this.device = share.device;
    this.side = side;
    this.segment = element(`span.flow.${share.flow}`);
    const swatch = element(`span.swatch.${share.flow}`);
    this.swatch = swatch;
    this.name = element("span.name");
    this.number = element("span.number");
    this.unit = element("span.unit");
    const words = WORDS[share.flow];
    const what = element("span.what", this.name, words && element("span.soft", ` ${words}`));
    this.item = element("li", swatch, what, this.number, this.unit);
  }

  compare(other, position) {
    const byFlow = this.#rank() - other.#rank();
    return byFlow || (position.get(this.device) ?? 1e6) - (position.get(other.device) ?? 1e6);
  }

  #rank() {
    return this.flow === "not_measured" ? 99 : ORDER.indexOf(this.flow);
  }

  shade(step) {
    for (const node of [this.segment, this.swatch]) node.dataset.shade = step;
  }

  show(power, sum, deviceName) {
    setText(this.name, this.flow === "not_measured" ? REST[this.side] : deviceName);
    const { number, unit } = figure(power, "W");
    setText(this.number, number);
    setText(this.unit, unit);
    this.item.classList.toggle("idle", !power);
    this.segment.hidden = !power;
    this.segment.style.flexGrow = sum ? power / sum : 0;
    this.segment.title = `${this.name.textContent} ${figureText(power, "W")}`;
  }
}

function nameOf(id, devices) {
  const device = devices.get(id);
  return (device && device.name) || id;
}

// "The house uses 1.24 kW. 400 W come from the sun and 840 W from the grid."
function summary(totals, houseUse) {
  const from = [["production", "from the sun"], ["discharge", "from the battery"], ["import", "from the grid"]];
  const to = [["export", "goes to the grid"], ["charge", "goes into the battery"]];
  const coming = from.filter(([flow]) => totals[flow] >= 0.5).map(([flow, words]) => `${figureText(totals[flow], "W")} ${words}`);
  const going = to.filter(([flow]) => totals[flow] >= 0.5).map(([flow, words]) => `${figureText(totals[flow], "W")} ${words}`);
  const use = `The house uses ${figureText(houseUse, "W")}`;
  if (coming.length === 1 && !going.length) return `${use}, all of it ${coming[0].replace(/^.* from/, "from")}.`;
  const text = [use];
  if (coming.length) text.push(both(coming).replace(" from", coming.length > 1 ? " come from" : " comes from"));
  if (going.length) text.push(both(going));
  return `${text.join(". ")}.`;
}

function both(parts) {
  return parts.length < 3 ? parts.join(" and ") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
