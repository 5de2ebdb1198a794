// What each section shows.
import { bars, byId, clock, count, dollars, el, empty, facts, fill, millis, part, table, text, tile } from "/page/draw.js";

// The phases of a turn, each from the time before it to its own.
const PHASES = [
  ["queued", "queued", "waits for its turn"],
  ["slot", "slot", "directories"],
  ["spawn", "spawn", "starts the agent"],
  ["firstEvent", "agent", "agent begins"],
  ["firstDelta", "think", "until the first words"],
  ["tools", "tools", "until its calls"],
  ["total", "answer", "answers"],
];
const STEPS = {
  queued: "waits in the queue", preparing: "is prepared", starting: "the agent starts",
  thinking: "the model works", answering: "answers", calling: "calls tools", ending: "ends",
};

fill("legend", ...PHASES.map(([, color, words]) => el("li", el(`span.swatch.${color}`), words)));

// [color, words, from, took] of the phases that a turn reached.
function phases(times) {
  let before = 0;
  const reached = PHASES.filter(([name]) => times[name] !== null && times[name] !== undefined);
  return reached.map(([name, color, words]) => {
    const from = before;
    before = Math.max(before, times[name]);
    return [color, words, from, before - from];
  });
}

function strip(times) {
  const whole = Math.max(times.total, 1);
  const made = el("span.strip", ...phases(times).map(([color, , , took]) => part(`i.${color}`, (100 * took) / whole)));
  made.setAttribute("aria-hidden", "true");
  return made;
}

function waterfall(times) {
  const whole = Math.max(times.total, 1);
  const rows = phases(times).flatMap(([color, words, from, took]) => {
    const track = el("span.track", part(`i.${color}`, (100 * took) / whole, (100 * from) / whole));
    track.setAttribute("aria-hidden", "true");
    return [el("span", words), track, el("span.num", millis(took))];
  });
  return el("div.fall", ...rows);
}

function outcome(turn) {
  const words = turn.error ?? turn.outcome.replaceAll("_", " ");
  return el(turn.error ? "span.problem" : turn.outcome === "guard" ? "span.warn" : "span", words);
}

const estimate = (turn, value) => (value === null ? null : `${turn.estimated ? "~" : ""}${count(value)}`);

function turn(row) {
  const model = row.cursorModel ?? row.model;
  const summary = el("summary", clock(row.at), el("span", row.client), el("span.mono", model || "–"), outcome(row),
    strip(row.times), el("span.num", millis(row.times.total)));
  const made = el("details.row", summary);
  // Most are never opened.
  made.addEventListener("toggle", () => made.append(inside(row)), { once: true });
  return made;
}

function inside(row) {
  const tools = Object.entries(row.tools).map(([name, outcomes]) =>
    `${name}: ${Object.entries(outcomes).map(([how, times]) => `${times} ${how.replaceAll("_", " ")}`).join(", ")}`);
  return el("div.inside", waterfall(row.times), facts([
    ["id", el("span.mono", row.id)], ["asked for", row.model], ["dialect", row.dialect],
    ["run", row.times.parked === null ? row.run : `${row.run}, parked for ${millis(row.times.parked)} before`],
    ["status", row.status], ["directory", row.workspace], ["conversation", row.conversation],
    ["input", estimate(row, row.input)], ["cached", count(row.cacheRead)], ["output", estimate(row, row.output)],
    ["cost", dollars(row.cost)], ["pieces", row.deltas], ["tools", tools.join("; ")],
    ["size", `${count(row.bytesIn)} B in, ${count(row.bytesOut)} B out`],
  ]));
}

export function turns(rows, more) {
  const list = byId("turn-list");
  const made = rows.map(turn);
  if (more) list.append(...made);
  else list.replaceChildren(...(made.length ? made : [empty("No turn is recorded yet. Connect a client, and ask it something.")]));
}

export function now(state) {
  fill("now-tiles", tile("running", String(state.running)), tile("queued", String(state.queued)),
    tile("parked", String(state.parked), state.parked ? "wait for a client's tools" : ""));
  const rows = [
    ...state.turns.map((it) => [el("span.mono", it.model || "–"), it.client, STEPS[it.phase] ?? it.phase, clock(it.since)]),
    ...state.parkedRuns.map((it) => [el("span.mono", it.model), "", `parked: waits for ${it.calls} results`, clock(it.since)]),
  ];
  const shown = rows.length
    ? el("div.card", table(["model", "client", "phase", "since"], rows))
    : empty("Nothing runs at the moment.");
  fill("now-turns", state.history ? el("p.notice", `The history: ${state.history}`) : null, shown);
}

function sum(totals) {
  if (totals.unpriced && !totals.cost) return "–";
  return dollars(totals.cost) + (totals.unpriced ? "+" : "");
}

const about = (totals, value) => `${totals.estimated ? "~" : ""}${count(value)}`;

export function usage(figures, span) {
  const { all, latency, saved, errors, models } = figures[span];
  const cached = all.input + all.cacheRead;
  fill("usage-tiles",
    tile("turns", count(all.turns), all.errors ? `${count(all.errors)} failed` : ""),
    tile("cost", sum(all)),
    tile("input tokens", about(all, all.input)), tile("output tokens", about(all, all.output)),
    tile("from the cache", cached ? `${Math.round((100 * all.cacheRead) / cached)}%` : "–",
      saved.cacheDollars ? `saved ${dollars(saved.cacheDollars)}` : ""),
    tile("starts saved by parking", count(saved.resumed),
      saved.resumed && saved.meanStartMs ? `about ${millis(saved.resumed * saved.meanStartMs)}` : ""));
  const most = Math.max(...models.map((it) => it.input + it.output), 1);
  fill("by-model", models.length
    ? table(["model", "#turns", "#in", "#out", "#cost", "share"], models.map((it) => [el("span.mono", it.name), count(it.turns),
      about(it, it.input), about(it, it.output), sum(it), part("div.meter", (100 * (it.input + it.output)) / most)]))
    : empty("No turns."));
  const line = (name, it) => [name, ...(it ? [it.p50, it.p90, it.p99].map(millis) : ["–", "–", "–"])];
  fill("latency", table(["to", "#p50", "#p90", "#p99"], [
    line("the agent's first event", latency.firstEvent), line("the first words", latency.firstDelta), line("the end", latency.total)]));
  fill("errors", errors.length ? table(["class", "#turns"], errors.map(([name, times]) => [name, count(times)])) : el("p.faint", "None."));
  days(figures.days, figures.month.all);
}

function days(list, all) {
  const known = new Map(list.map((day) => [day.name, day]));
  const last = Date.now();
  const items = Array.from({ length: 30 }, (_, at) => {
    const name = new Date(last - (29 - at) * 86400000).toISOString().slice(0, 10);
    const day = known.get(name);
    return [name, day?.cost ?? 0, day ? `${sum(day)}, ${count(day.turns)} turns` : "no turns"];
  });
  const picture = bars(items, `Cost of each of the last 30 days, ${sum(all)} together`);
  const numbers = table(["day", "#turns", "#in", "#out", "#cost"], list.toReversed().map((day) =>
    [day.name, count(day.turns), about(day, day.input), about(day, day.output), sum(day)]));
  const ends = el("p.faint", `${items[0][0]} to ${items.at(-1)[0]}`);
  fill("days", picture, ends, list.length ? el("details", el("summary", "As a table"), numbers) : null);
}

export function models({ models: list, problem }) {
  const rows = list.map((it) => [el("span.mono", it.id), it.name, count(it.context ?? null), count(it.output ?? null),
    it.price ? dollars(it.price.input) : "–", it.price ? dollars(it.price.output) : "–"]);
  fill("model-list", problem ? el("p.notice", `This list may be out of date: ${problem}`) : null,
    el("div.card", table(["id", "name", "#context", "#most output", "#$ per M in", "#$ per M out"], rows)));
}

const LAYERS = [["view", "edits"], ["writes", "writes"], ["processes", "processes"], ["sockets", "sockets"], ["denyRules", "deny rules"]];
const STATES = { enforced: "span.good", partial: "span.warn", unavailable: "span.problem", off: "span.warn" };

const CARRIERS = {
  bridge: "served to the agent; runs wait for their results",
  mcp: "served to the agent; runs wait for their results",
  view: "asked for in text, with a new run for each round; changes of files go out together",
  none: "asked for in text, with a new run for each round",
};

export function setup(state, address, hasKey) {
  text("version", state.version);
  const fence = state.fence;
  const rows = LAYERS.map(([key, words]) => [words, fence[key] ?? fence.deny_rules]).map(([words, layer]) =>
    [words, el(STATES[layer.state] ?? "span", layer.state), layer.sentence]);
  fill("fence", el("div.card", table(["the agent's", "state", "what that means"], rows)), el("div.card", facts([
    ["agent", `${state.agent} (${state.agentKind})`],
    ["directory", state.workspace ?? "the one that each request names"],
    ["fence", fence.mode],
    ["client's tools", `${CARRIERS[state.carrier]}${state.carrierProblem ? ` (${state.carrierProblem})` : ""}`],
    ["history", state.historyFile ?? "off (--history false)"],
  ])));
  fill("recipes", ...state.recipes.map((it) => recipe(it, address, hasKey)));
}

function recipe({ client, install, text: lines }, address, hasKey) {
  const words = lines.replaceAll("{address}", address).replaceAll("{key}", hasKey ? "YOUR_KEY" : "any-key");
  const copy = el("button.quiet", "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(words);
      said.textContent = " Copied.";
    } catch {
      said.textContent = " Not allowed here; select it by hand.";
    }
    setTimeout(() => { said.textContent = ""; }, 3000);
  });
  const said = el("span.faint");
  said.setAttribute("role", "status");
  const made = el("details.recipe.card", el("summary", client), el("pre", words), copy, said, install ? el("p.faint", `Install: ${install}`) : null);
  made.open = client === "generic";
  return made;
}
