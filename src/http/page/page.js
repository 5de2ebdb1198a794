// The page's own state: the key, the stream of what happens now, and when to ask for the rest.
import { byId, show, text } from "/page/draw.js";
import * as views from "/page/views.js";

const KEY = "open-cursor-key";
let span = "today";
let figures = null;
let oldest = null;
let ended = null;
let refresh = 0;
// The history is written in batches, and a long one takes a while to add up: pages are no load.
let pause = 500;

class NoKey extends Error {}

async function get(path) {
  const key = sessionStorage.getItem(KEY);
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const answer = await fetch(path, { headers });
  if (answer.status === 401) throw new NoKey();
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    throw new Error(body?.error?.message ?? `the server answered ${answer.status}`);
  }
  return answer;
}

const json = async (path) => (await get(path)).json();

function askForKey(tried) {
  show("content", false);
  show("login", true);
  live("off", "needs the key");
  text("key-problem", tried ? "This is not the key of this server." : "");
  byId("key").focus();
}

function live(kind, words) {
  const pill = byId("live");
  pill.className = `pill ${kind}`;
  if (pill.textContent !== words) pill.textContent = words;
}

function problem(error) {
  show("problem", Boolean(error));
  text("problem", error ? `Some of this page is missing: ${error.message}` : "");
}

async function loadTurns() {
  const { turns } = await json("/page/turns");
  views.turns(turns, false);
  oldest = turns.at(-1)?.seq ?? null;
  show("older", turns.length >= 50);
}

async function loadOlder() {
  const { turns } = await json(`/page/turns?before=${oldest}`);
  views.turns(turns, true);
  oldest = turns.at(-1)?.seq ?? oldest;
  show("older", turns.length >= 50);
}

async function loadFigures() {
  figures = await json("/page/figures");
  views.usage(figures, span);
}

// What changes with each turn. Opened turns and older ones on show stay as they are.
async function update() {
  const reading = document.querySelector("#turn-list details[open]") ||
    document.querySelectorAll("#turn-list details").length > 50;
  const begun = performance.now();
  await Promise.all([loadFigures(), reading ? null : loadTurns()]);
  pause = Math.max(500, 10 * (performance.now() - begun));
}

function happened(now) {
  views.now(now);
  live(now.status === "ok" ? "on" : "off", now.status === "ok" ? "live" : now.status);
  const first = ended === null;
  if (!first && now.ended !== ended && !refresh) {
    refresh = setTimeout(() => {
      refresh = 0;
      update().then(() => problem(null), failed);
    }, pause);
  }
  ended = now.ended;
}

async function watch() {
  const answer = await get("/page/now");
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    for (let at; (at = held.indexOf("\n\n")) >= 0; held = held.slice(at + 2)) {
      const line = held.slice(0, at);
      if (line.startsWith("data: ")) happened(JSON.parse(line.slice(6)));
    }
  }
}

async function keepWatching() {
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15000)) {
    const begun = Date.now();
    try {
      await watch();
    } catch (error) {
      if (error instanceof NoKey) return askForKey(true);
    }
    if (Date.now() - begun > 5000) wait = 1000;
    live("off", "not connected");
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

function failed(error) {
  if (error instanceof NoKey) askForKey(true);
  else problem(error);
}

async function open(tried) {
  // All at once: most of the time they take is the way.
  const parts = [loadTurns(), loadFigures(), json("/page/models").then(views.models)];
  const loaded = Promise.allSettled(parts);
  try {
    views.setup(await json("/page/setup"), location.origin, Boolean(sessionStorage.getItem(KEY)));
  } catch (error) {
    if (error instanceof NoKey) return askForKey(tried);
    live("off", "not connected");
    show("content", true);
    return problem(error);
  }
  show("login", false);
  show("content", true);
  keepWatching();
  const results = await loaded;
  const broken = results.find((result) => result.status === "rejected");
  if (broken) failed(broken.reason);
  document.body.dataset.ready = "yes";
  performance.mark("ready");
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, byId("key").value.trim());
  byId("key").value = "";
  open(true);
});
byId("older").addEventListener("click", () => loadOlder().catch(failed));
for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    span = button.dataset.span;
    for (const other of document.querySelectorAll("[data-span]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    if (figures) views.usage(figures, span);
  });
}
open(false);
