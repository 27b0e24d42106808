// The websocket: signs in, subscribes, and comes back by itself after the hub or the network was away.

import { accessToken, renew } from "/assets/session.js";

const PING_EVERY_MS = 20_000;
const SILENT_AFTER_MS = 45_000;
const LONGEST_WAIT_S = 15;
const SESSION_ENDED = 4001;

export class Connection {
  // on: { open, series, removed, live, lost, ended }
  constructor(on) {
    this.on = on;
    this.socket = null;
    this.wanted = false;
    this.tries = 0;
    this.timer = 0;
    this.heardMs = 0;
    this.lastId = 0;
    setInterval(() => this.#ping(), PING_EVERY_MS);
    window.addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.hidden || this.retry());
  }

  start() {
    this.wanted = true;
    this.tries = 0;
    this.#dial();
  }

  stop() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.#drop();
  }

  // Try now instead of after the wait.
  retry() {
    if (!this.wanted || this.socket) return;
    clearTimeout(this.timer);
    this.#dial();
  }

  #dial() {
    this.#drop();
    const url = new URL("/api/websocket", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.socket = new WebSocket(url));
    this.heardMs = Date.now();
    this.lastId = 0;
    socket.onmessage = (event) => socket === this.socket && this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => socket === this.socket && this.#closed(event.code);
  }

  #drop() {
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  #closed(code) {
    this.socket = null;
    this.on.lost();
    const waitS = Math.min(LONGEST_WAIT_S, 2 ** this.tries) * (0.75 + Math.random() / 2);
    this.tries += 1;
    this.timer = setTimeout(() => (code === SESSION_ENDED ? this.#signInAgain() : this.#dial()), waitS * 1000);
  }

  // The token may be out of date, or the hub was restarted: the cookie tells whether the session still lives.
  async #signInAgain() {
    try {
      await renew();
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) this.on.ended();
      else if (this.wanted) this.#closed(SESSION_ENDED);
      return;
    }
    if (this.wanted) this.#dial();
  }

  #hear(message) {
    this.heardMs = Date.now();
    if (message.type === "auth_required") this.#send({ type: "auth", access_token: accessToken() });
    if (message.type === "auth_invalid") {
      this.#drop();
      this.#closed(SESSION_ENDED);
    }
    if (message.type === "auth_ok") {
      this.tries = 0;
      this.seriesId = this.#ask("wattline/subscribe_series");
      this.liveId = this.#ask("wattline/live");
      this.on.open();
    }
    if (message.type === "event" && message.id === this.seriesId) {
      this.on.series(message.event.series || {});
      if (message.event.removed) this.on.removed(message.event.removed);
    }
    if (message.type === "event" && message.id === this.liveId) this.on.live(message.event);
  }

  #ask(type) {
    this.lastId += 1;
    this.#send({ id: this.lastId, type });
    return this.lastId;
  }

  #send(message) {
    if (this.socket && this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  // A laptop that slept has a socket that looks open and hears nothing.
  #ping() {
    if (!this.socket) return;
    if (Date.now() - this.heardMs > SILENT_AFTER_MS) {
      this.#drop();
      this.#closed(0);
    } else if (this.lastId) {
      this.#ask("ping");
    }
  }
}
