// Found devices that wait for a person: add or ignore.

import { arrange, byId, element } from "/assets/elements.js";
import { call, callAll } from "/assets/session.js";

const MOST_SHOWN = 12;

export class Inbox {
  // onAdded: a device was added, its series come next
  constructor(onAdded) {
    this.onAdded = onAdded;
    this.shown = "";
  }

  async load() {
    const waiting = (await callAll("/api/v1/devices/inbox")).filter((item) => item.state === "waiting");
    byId("found").hidden = waiting.length === 0;
    const ids = waiting.map((item) => item.id).join(" ");
    if (ids === this.shown) return;
    this.shown = ids;
    const more = waiting.length - MOST_SHOWN;
    const lines = waiting.slice(0, MOST_SHOWN).map((item) => this.#line(item));
    if (more > 0) lines.push(element("li.soft", `and ${more} more`));
    arrange(byId("found-list"), lines);
  }

  #line(item) {
    const name = item.device.name || item.id;
    const about = [item.device.maker, item.device.model].filter(Boolean).join(" ");
    const button = (text, action, style) => {
      const made = element(style, text, element("span.unseen", ` ${name}`));
      made.type = "button";
      made.addEventListener("click", () => this.#act(made, item.id, action));
      return made;
    };
    const what = element("span.what", element("span.name", name), about && element("span.soft", ` ${about}`));
    return element("li", what, button("Add", "add", "button"), button("Ignore", "ignore", "button.quiet"));
  }

  async #act(button, id, action) {
    const problem = byId("found-problem");
    problem.textContent = "";
    button.disabled = true;
    try {
      await call(`/api/v1/devices/inbox/${encodeURIComponent(id)}/${action}`, { method: "POST" });
      await this.load();
      if (action === "add") this.onAdded();
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  }
}
