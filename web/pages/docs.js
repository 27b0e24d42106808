// Shows the OpenAPI document for reading; no request leaves the hub.
"use strict";

function element(tag, text, ...children) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  made.append(...children);
  return made;
}

function row(method, path, operation) {
  const params = (operation.parameters || []).map((one) => `${one.name}${one.required ? "" : "?"}: ${one.description}`);
  const body = operation.requestBody && operation.requestBody.content["application/json"];
  const fields = body ? Object.entries(body.schema.properties || {}).map(([name, one]) => `${name}: ${one.description}`) : [];
  const takes = element("td");
  for (const line of [...params, ...fields]) takes.append(element("div", line));
  const answers = element("td");
  for (const [status, answer] of Object.entries(operation.responses)) answers.append(element("div", `${status} ${answer.description}`));
  const title = element("td", "", element("code", `${method.toUpperCase()} ${path}`), element("div", operation.summary));
  if (operation.description) title.append(element("div", operation.description));
  return element("tr", "", title, takes, answers);
}

fetch("/api/openapi.json")
  .then((response) => response.json())
  .then((document_) => {
    document.getElementById("version").textContent = document_.info.version;
    const groups = new Map();
    for (const [path, operations] of Object.entries(document_.paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const tag = operation.tags[0];
        if (!groups.has(tag)) groups.set(tag, []);
        groups.get(tag).push(row(method, path, operation));
      }
    }
    for (const [tag, rows] of groups) {
      const head = element("tr", "", element("th", "Route"), element("th", "Takes"), element("th", "Answers"));
      for (const cell of head.children) cell.scope = "col";
      const table = element("table", "", element("thead", "", head), element("tbody", "", ...rows));
      document.getElementById("groups").append(element("section", "", element("h2", tag), table));
    }
  });
