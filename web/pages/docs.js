// Shows the OpenAPI document for reading; no request leaves the hub.

import { byId, element, setText } from "/assets/elements.js";
import { call } from "/assets/session.js";

const TITLES = {
  auth: "Signing in",
  history: "History",
  ingest: "Sending readings",
  me: "Yourself",
  outside: "Probes and metrics",
  readings: "Readings",
  storage: "Store and backups",
  system: "The hub",
  things: "Devices and series",
  users: "Users and rights",
};
const ORDER = ["ingest", "readings", "history", "things", "auth", "me", "users", "system", "storage", "outside"];

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.join(" · ");
  if (schema.type === "array") return `list of ${typeOf(schema.items) || "anything"}`;
  return schema.type || "";
}

function line(name, schema, meaning, required) {
  const type = typeOf(schema);
  const about = [type, required && "required"].filter(Boolean).join(", ");
  return element("li", element("code", name), about && element("span.soft", ` ${about}`), meaning && element("div", prose(meaning)));
}

function takes(operations) {
  const lines = new Map();
  for (const operation of operations) {
    for (const one of operation.parameters || []) lines.set(one.name, line(one.name, one.schema, one.description, one.required));
    const content = (operation.requestBody || {}).content || {};
    const schema = (content["application/json"] || {}).schema;
    const required = new Set((schema && schema.required) || []);
    for (const [name, one] of Object.entries((schema && schema.properties) || {})) lines.set(name, line(name, one, one.description, required.has(name)));
    if (content["*/*"]) lines.set("*", element("li", "A body in the format’s own form"));
  }
  const none = element("li.none", "Nothing");
  return element("div", element("h4", "Takes"), element("ul", ...(lines.size ? lines.values() : [none])));
}

// What a route says of its own stands open; errors that most routes of its area have too are folded.
function answers(operation, common) {
  const open = [];
  const folded = [];
  for (const [status, answer] of Object.entries(operation.responses)) {
    const shape = Object.values(answer.content || {})[0];
    const type = status < 400 && shape ? typeOf(shape.schema) : "";
    const text = element("li", element("span.status", status), " ", prose(answer.description), type && element("span.soft", ` ${type}`));
    const list = common.has(`${status} ${answer.description}`) ? folded : open;
    list.push([status, text]);
  }
  const texts = (list) => element("ul", ...list.map(([, text]) => text));
  const codes = folded.map(([status]) => status).join(" ");
  const rest = folded.length && element("details", element("summary", `Common errors ${codes}`), texts(folded));
  return element("div", element("h4", "Answers"), texts(open), rest || null);
}

// Errors that half of the operations or more have in the same words.
function commonErrors(operations) {
  const counts = new Map();
  for (const { operation } of operations) {
    for (const [status, answer] of Object.entries(operation.responses)) {
      const key = `${status} ${answer.description}`;
      if (status >= 400) counts.set(key, (counts.get(key) || 0) + 1);
    }
  }
  const bare = [...counts.keys()].filter((key) => BARE.has(key));
  return new Set([...bare, ...[...counts].filter(([, count]) => count > 1 && count >= operations.length / 2).map(([key]) => key)]);
}

// the names of statuses, as the document gives them where a route has nothing to add
const BARE = new Set([
  "400 Bad Request",
  "401 Unauthorized",
  "403 Forbidden",
  "404 Not Found",
  "413 Request Entity Too Large",
  "413 Content Too Large",
  "415 Unsupported Media Type",
  "422 Unprocessable Entity",
  "422 Unprocessable Content",
  "503 Service Unavailable",
]);

// Text with `code` in it.
function prose(text) {
  const made = document.createDocumentFragment();
  text.split("`").forEach((part, index) => made.append(index % 2 ? element("code", part) : part));
  return made;
}

// One block: an operation, or several that say the same of themselves under other methods and paths.
function route(same, common) {
  const [{ operation }] = same;
  const head = element("div", ...same.map(title), element("p", prose(operation.summary)));
  if (operation.description) head.append(element("p.needs.soft", prose(operation.description)));
  const made = element("article.route", head, takes(same.map((one) => one.operation)), answers(operation, common));
  made.id = operation.operationId;
  made.dataset.count = same.length;
  made.dataset.words = same.map((one) => `${one.method} ${one.path} ${operation.summary}`).join(" ").toLowerCase();
  return made;
}

function title({ method, path }) {
  const badge = element("span.method", method.toUpperCase());
  badge.dataset.method = method.toUpperCase();
  return element("h3", badge, element("code", breakable(path)));
}

function alike(operations) {
  const found = new Map();
  for (const one of operations) {
    const { summary, description, responses } = one.operation;
    const key = JSON.stringify(one.operation.tags[0] === "ingest" ? [summary, description, responses] : [one.path, one.method]);
    found.set(key, [...(found.get(key) || []), one]);
  }
  return [...found.values()];
}

// Long paths may break after a slash.
function breakable(path) {
  const made = document.createDocumentFragment();
  for (const part of path.split(/(?<=\/)/)) made.append(part, document.createElement("wbr"));
  return made;
}

function show(openapi) {
  setText(byId("version"), openapi.info.version);
  const groups = new Map(ORDER.map((tag) => [tag, []]));
  for (const [path, operations] of Object.entries(openapi.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push({ method, path, operation });
    }
  }
  for (const [tag, operations] of groups) if (operations.length) group(tag, operations);
}

function group(tag, operations) {
  const name = TITLES[tag] || tag;
  const common = commonErrors(operations);
  // our own routes come before those that others’ clients bring
  operations.sort((a, b) => b.path.startsWith("/api/v1/") - a.path.startsWith("/api/v1/"));
  const section = element("section", element("h2", name), ...alike(operations).map((same) => route(same, common)));
  section.id = `area-${tag}`;
  byId("groups").append(section);
  const link = element("a", name, element("span.soft", String(operations.length)));
  link.href = `#${section.id}`;
  byId("areas").append(element("li", link));
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of byId("groups").children) {
    let some = false;
    for (const one of section.querySelectorAll(".route")) {
      one.hidden = !words.every((word) => one.dataset.words.includes(word));
      if (!one.hidden) count += Number(one.dataset.count);
      some ||= !one.hidden;
    }
    section.hidden = !some;
  }
  setText(byId("matches"), words.length ? `${count} ${count === 1 ? "route" : "routes"}` : "");
}

byId("filter").addEventListener("input", filter);
try {
  show(await call("/api/openapi.json"));
  // the browser looked for the place before there was one
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
} catch (problem) {
  setText(byId("problem"), problem.message);
}
