// Energy and money in four tiles: now, today, this month, and the running quarter of an hour.

import { byId, element, setText } from "/assets/elements.js";
import { figureText } from "/assets/figures.js";
import { call } from "/assets/session.js";

const QUARTER_MS = 900_000;
const SOME = 0.05;
const MISSING_TARIFF = 404;
const formats = new Map();

// An amount or a price in the way of the reader's country: "€1.27", "€0.1847"; a dash where it is not known.
export function moneyText(value, currency, decimals) {
  const amount = value === null || value === undefined ? NaN : Number(value);
  if (!Number.isFinite(amount)) return "–";
  const key = `${currency} ${decimals}`;
  if (!formats.has(key)) {
    const digits = decimals === undefined ? {} : { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(key, new Intl.NumberFormat(undefined, { style: "currency", currency, ...digits }));
  }
  const fine = 10 ** formats.get(key).resolvedOptions().maximumFractionDigits;
  return formats.get(key).format(Math.round(amount * fine) / fine || 0).replace("-", "−");
}

export class Costs {
  constructor() {
    this.tiles = {
      now: new Tile("Cost now"),
      today: new Tile("Today"),
      month: new Tile("This month"),
      peak: new Tile("Grid peak"),
    };
    this.bar = element("div.filled");
    const track = element("div.track", this.bar);
    track.setAttribute("aria-hidden", "true");
    this.tiles.peak.root.append(track);
    byId("costs-tiles").append(...Object.values(this.tiles).map((tile) => tile.root));
    this.#forget();
  }

  clear() {
    this.#forget();
    byId("costs").hidden = true;
    for (const tile of Object.values(this.tiles)) tile.show("–", []);
  }

  #forget() {
    this.balance = this.day = this.month = this.bill = null;
    this.priced = true;
    this.turn = {};
  }

  // Today and this month, asked for each minute. Until both are there, and where no meter counts, nothing shows.
  async load(shown) {
    if (!shown) {
      byId("costs").hidden = true;
      return;
    }
    const turn = (this.turn = {});
    const [day, month] = await Promise.all(["day", "month"].map((period) => call(`/api/v1/energy/summary?period=${period}`)));
    const bill = await this.#billSoFar(month);
    if (turn !== this.turn) return;
    Object.assign(this, { day, month, bill });
    this.#showDay();
    this.#showMonth();
    byId("costs").hidden = day.figures.use.energy === null && month.figures.use.energy === null;
  }

  // null where no tariff names the grid connection, or there is no quarter of an hour to bill yet.
  async #billSoFar(month) {
    const start = Date.parse(month.start);
    const end = Math.floor(Date.now() / QUARTER_MS) * QUARTER_MS;
    if (end <= start) return null;
    try {
      const bill = await call(`/api/v1/bills?start=${start}&end=${end}`);
      this.priced = true;
      return bill;
    } catch (problem) {
      if (problem.status !== MISSING_TARIFF) throw problem;
      this.priced = false;
      return null;
    }
  }

  // The live balance carries the price of this moment and where the running quarter is heading.
  live(balance) {
    this.balance = balance;
    this.#showNow(balance);
    this.#showPeak(balance.peak);
    byId("costs-none").hidden = Boolean(balance.price) || this.priced;
  }

  #showNow({ price, totals }) {
    this.tiles.now.root.hidden = !price;
    if (!price) return;
    const { import: buys, export: brings, currency } = price;
    if (buys === null) {
      this.tiles.now.show("–", ["The price of this hour is not known yet."]);
      return;
    }
    const each = (value) => `${moneyText(value, currency, 4)}/kWh`;
    const earned = totals.export >= 0.5 && brings !== null ? (totals.export / 1000) * Number(brings) : 0;
    const rate = (totals.import / 1000) * Number(buys) - earned;
    const lines = [`Price ${each(buys)}`];
    if (brings !== null && Number(brings) !== 0) lines.push(`Feed-in ${each(brings)}`);
    this.tiles.now.show(moneyText(Math.abs(rate), currency), lines, rate < -0.005 ? "per hour earned" : "per hour");
  }

  #showDay() {
    const { figures, cost, unit } = this.day;
    const lines = [];
    if (cost && cost.import !== null && this.priced) lines.push(`${moneyText(cost.net, unit.money)} for the energy`);
    this.tiles.today.show(used(figures), [...lines, ...sources(this.day), ...doubts(this.day)], "used");
  }

  #showMonth() {
    const { figures } = this.month;
    const rest = [...sources(this.month), ...doubts(this.month)];
    if (this.bill) {
      this.tiles.month.show(moneyText(this.bill.total, this.bill.currency), [`${used(figures)} used`, ...rest], "bill so far");
    } else {
      this.tiles.month.show(used(figures), rest, "used");
    }
  }

  #showPeak(peak) {
    this.tiles.peak.root.hidden = !peak;
    if (!peak) return;
    const length = peak.elapsed_s + peak.remaining_s > 1000 ? "hour" : "quarter hour";
    const limit = figureText(peak.billed_peak, "W");
    const costs = peak.at_stake !== null && Number(peak.at_stake) >= 0.005;
    const lines = [];
    if (costs) lines.push(`Above ${limit}: ${moneyText(peak.at_stake, peak.currency)} more, before taxes`);
    else if (peak.new_peak) lines.push(`Above ${limit}, the highest of this month`);
    else lines.push(`${figureText(peak.billed_peak - peak.projected, "W")} below ${limit}, the highest ${peak.tariff ? "billed" : "of this month"}`);
    this.tiles.peak.show(figureText(peak.projected, "W"), lines, `this ${length}`);
    this.tiles.peak.root.classList.toggle("over", costs);
    this.bar.style.inlineSize = `${peak.billed_peak > 0 ? Math.min(100, (100 * peak.projected) / peak.billed_peak) : 0}%`;
  }
}

class Tile {
  constructor(title) {
    this.number = element("span.number", "–");
    this.after = element("span.unit");
    this.list = element("ul");
    this.root = element("div.tile", element("h3", title), element("p.big", this.number, " ", this.after), this.list);
  }

  show(number, lines, after = "") {
    setText(this.number, number);
    setText(this.after, after);
    while (this.list.children.length > lines.length) this.list.lastElementChild.remove();
    while (this.list.children.length < lines.length) this.list.append(element("li"));
    lines.forEach((line, index) => setText(this.list.children[index], line));
  }
}

const used = (figures) => figureText(figures.use.energy, "Wh");

// "46 % self-sufficient", where the house has any.
function sources({ figures, self_sufficiency: share }) {
  const own = figures.production.energy > 0 || figures.discharge.energy > 0;
  return own && share !== null ? [`${figureText(share * 100, "%")} self-sufficient`] : [];
}

// What a figure leaves out is said beside it.
function doubts({ figures, cost }) {
  const { missing = 0, estimated = 0 } = figures.use.quality;
  const said = [];
  if (missing > SOME) said.push(`${figureText(Math.floor(missing * 100), "%")} of the time is missing`);
  if (estimated > SOME) said.push(`${figureText(Math.floor(estimated * 100), "%")} of the time is estimated`);
  if (cost && Number(cost.pending_kwh) > 0 && cost.import !== null) said.push(`${figureText(Number(cost.pending_kwh) * 1000, "Wh")} wait for a price`);
  return said;
}
