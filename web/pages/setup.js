// The page of the one-time setup link. The token stands behind the # so that it reaches no log and no Referer.

import { byId, setText } from "/assets/elements.js";
import { call } from "/assets/session.js";

const parts = new URLSearchParams(location.hash.slice(1));
const token = parts.get("token") || new URLSearchParams(location.search).get("token") || location.hash.slice(1);

function done(title, text, { signIn = false, command = false } = {}) {
  byId("setup").hidden = true;
  setText(byId("done-title"), title);
  setText(byId("done-text"), text);
  byId("done-link").hidden = !signIn;
  byId("done-command").hidden = !command;
  byId("done").hidden = false;
  byId("done-title").focus();
}

byId("setup").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = byId("problem");
  setText(problem, "");
  if (byId("password").value !== byId("again").value) {
    setText(problem, "The two passwords differ.");
    byId("again").focus();
    return;
  }
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    const json = { token, username: byId("username").value, password: byId("password").value };
    await call("/api/v1/auth/setup", { method: "POST", json });
    history.replaceState(null, "", "/setup");
    done("The owner is created", "You can sign in now.", { signIn: true });
  } catch (error) {
    setText(problem, error.message);
  } finally {
    button.disabled = false;
  }
});

byId("plain").hidden = window.isSecureContext;
try {
  const { needed } = await call("/api/v1/auth/setup");
  if (!needed) {
    done("Set-up is done", "This hub has an owner already.", { signIn: true });
  } else if (!token) {
    done(
      "The link is not complete",
      "The whole link ends with # and a long text; the hub printed it when it started. Start the hub again for a new one, or make the owner on its own machine:",
      { command: true },
    );
  } else {
    byId("setup").hidden = false;
    byId("username").focus();
  }
} catch (error) {
  done("The hub does not answer", "It may be starting. Load this page again in a moment.");
}
