// The page of the one-time setup link. The token stands behind the # so that it reaches no log and no Referer.
"use strict";

const byId = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token") || new URLSearchParams(location.search).get("token") || location.hash.slice(1);

function say(text, href, label) {
  byId("setup").hidden = true;
  const done = byId("done");
  done.textContent = text + " ";
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = label;
    done.append(link);
  }
  done.hidden = false;
}

byId("setup").addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = byId("problem");
  problem.textContent = "";
  if (byId("password").value !== byId("again").value) {
    problem.textContent = "The two passwords differ";
    return;
  }
  const button = event.target.querySelector("button");
  button.disabled = true;
  const body = JSON.stringify({ token, username: byId("username").value, password: byId("password").value });
  try {
    const response = await fetch("/api/v1/auth/setup", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (response.ok) {
      history.replaceState(null, "", "/setup");
      say("The owner was created.", "/", "Sign in");
    } else {
      problem.textContent = (await response.json()).detail;
    }
  } catch {
    problem.textContent = "The hub does not answer";
  } finally {
    button.disabled = false;
  }
});

fetch("/api/v1/auth/setup")
  .then((response) => response.json())
  .then((state) => {
    if (!state.needed) say("This hub has an owner already.", "/", "Sign in");
    else if (!token) say("The setup link is incomplete. It is printed where the hub was started.");
    else {
      byId("setup").hidden = false;
      byId("username").focus();
    }
  })
  .catch(() => say("The hub does not answer."));
