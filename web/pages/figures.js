// Numbers for people: a fixed count of decimals per unit, so that nothing jumps; W → kW → MW → GW by size.

const WATT = (unit) => [[unit, 1, 0], [`k${unit}`, 1e3, 2], [`M${unit}`, 1e6, 2], [`G${unit}`, 1e9, 2]];
const WATT_HOUR = (unit) => [[unit, 1, 0], [`k${unit}`, 1e3, 2], [`M${unit}`, 1e6, 3], [`G${unit}`, 1e9, 3]];

// stored unit → steps of [shown unit, factor, decimals]
const STEPS = {
  W: WATT("W"),
  VA: WATT("VA"),
  var: WATT("var"),
  Wh: WATT_HOUR("Wh"),
  varh: WATT_HOUR("varh"),
  V: [["V", 1, 1]],
  A: [["A", 1, 2]],
  Hz: [["Hz", 1, 2]],
  "%": [["%", 1, 0]],
  "°C": [["°C", 1, 1]],
  "W/m2": [["W/m²", 1, 0]],
  "g/kWh": [["g/kWh", 1, 0]],
  m3: [["m³", 1, 3]],
  s: [["s", 1, 0], ["min", 60, 0], ["h", 3600, 1]],
};
const NO_VALUE = { number: "–", unit: "" };
const formats = new Map();

function format(decimals) {
  if (!formats.has(decimals)) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    formats.set(decimals, new Intl.NumberFormat(undefined, digits));
  }
  return formats.get(decimals);
}

function rounded(value, factor, decimals) {
  const fine = 10 ** decimals;
  return Math.round((value / factor) * fine) / fine;
}

// A number and its unit as two texts; what is no number is a dash, and zero has no sign.
export function figure(value, unit) {
  if (typeof value !== "number" || !Number.isFinite(value)) return NO_VALUE;
  const steps = STEPS[unit] || [[unit, 1, 2]];
  let chosen = steps[0];
  for (const step of steps) {
    const size = rounded(Math.abs(value), chosen[1], chosen[2]) * chosen[1];
    if (size >= step[1]) chosen = step;
  }
  const [shown, factor, decimals] = chosen;
  const short = rounded(value, factor, decimals) || 0;
  return { number: format(decimals).format(short).replace("-", "−"), unit: shown };
}

// The same as one text.
export function figureText(value, unit) {
  const { number, unit: shown } = figure(value, unit);
  return shown ? `${number}\u00a0${shown}` : number;
}

// An age in whole steps that do not flicker: tens of seconds, minutes, hours, days.
export function spell(seconds) {
  if (!Number.isFinite(seconds)) return "unknown";
  if (seconds < 10) return "now";
  if (seconds < 60) return `${Math.floor(seconds / 10) * 10} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

// What the hub says in its short way, as a sentence.
export function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
