// One visit of the page: node page.mjs URL SCREENSHOTS WHAT [KEY or MOST_MS]
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.CLIENT_DIRECTORY}/package.json`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [url, shots, what, more] = process.argv.slice(2);

function check(condition, message) {
  if (!condition) throw new Error(message);
}

const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const complaints = [];

async function visit(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", ...options });
  const page = await context.newPage();
  page.on("console", (line) => { if (["error", "warning"].includes(line.type())) complaints.push(line.text()); });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => {
    const other = new URL(request.url());
    if (other.protocol !== "data:" && other.origin !== url) complaints.push(`asks ${other.origin}`);
  });
  await page.goto(url);
  return page;
}

const ready = (page) => page.waitForSelector("body[data-ready]", { timeout: 20000 });
const rows = (page) => page.locator("#turn-list details").count();

async function audit(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const said = violations.map((it) => `${it.id}: ${it.help} ${it.nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
  check(!said.length, `axe-core on ${name}:\n${said.join("\n")}`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check(wide <= 0, `${name} is ${wide} px too wide`);
  await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });
}

const visits = {
  async empty() {
    const page = await visit();
    await ready(page);
    check((await rows(page)) === 0, "there are turns");
    check((await page.textContent("#turn-list")).includes("No turn is recorded yet"), "it does not say that there is none");
    check((await page.textContent("#live")) === "live", "it is not live");
    check((await page.locator("#model-list tbody tr").count()) > 1, "no models");
    check((await page.textContent("#fence")).includes("edits"), "no fence");
    const recipe = page.locator("#recipes details", { hasText: "codex" }).first();
    await recipe.locator("summary").click();
    check((await recipe.textContent()).includes(url), "a recipe without the address");
    await recipe.getByRole("button").click();
    await audit(page, "empty");
  },
  async one() {
    const page = await visit();
    await ready(page);
    check((await rows(page)) === 1, `${await rows(page)} turns`);
    await page.keyboard.press("Tab");
    check((await page.evaluate(() => document.activeElement.className)) === "skip", "the first stop is not the skip link");
    const summary = page.locator("#turn-list summary").first();
    await summary.focus();
    await page.keyboard.press("Enter");
    await page.locator("#turn-list .fall").first().waitFor({ timeout: 5000 }).catch(() => check(false, "Enter does not open a turn"));
    check((await page.textContent("#turn-list")).includes("agent begins"), "no phases");
    check(!(await page.content()).includes("hello"), "the prompt is on the page");
    await audit(page, "one");
  },
  async live() {
    const page = await visit();
    await ready(page);
    const before = await rows(page);
    const stop = new AbortController();
    const body = JSON.stringify({ model: "replay-error-hang", stream: true, messages: [{ role: "user", content: "x" }] });
    const asked = fetch(`${url}/v1/chat/completions`, { method: "POST", body, signal: stop.signal, headers: { "content-type": "application/json" } }).catch(() => {});
    await page.waitForSelector("#now-turns td:has-text('the model works')", { timeout: 10000 });
    check((await page.textContent("#now-turns")).includes("replay-error-hang"), "another model");
    await audit(page, "running");
    stop.abort();
    await asked;
    await page.waitForFunction((count) => document.querySelectorAll("#turn-list details").length > count, before, { timeout: 10000 });
    await page.waitForSelector("#now-turns:has-text('Nothing runs')");
  },
  async many() {
    for (const [name, options] of [
      ["many-light", {}],
      ["many-dark", { colorScheme: "dark" }],
      ["small-light", { viewport: { width: 390, height: 800 } }],
      ["small-dark", { viewport: { width: 390, height: 800 }, colorScheme: "dark" }],
    ]) {
      const page = await visit(options);
      await ready(page);
      check((await rows(page)) === 50, `${await rows(page)} turns`);
      await page.getByRole("button", { name: "Show older turns" }).click();
      await page.waitForFunction(() => document.querySelectorAll("#turn-list details").length === 100);
      await page.getByRole("button", { name: "30 days" }).click();
      check((await page.locator("#by-model tbody tr").count()) >= 5, "not all models");
      await page.locator("#turn-list summary").nth(1).click();
      await page.locator("#turn-list .fall").first().waitFor({ timeout: 5000 });
      await audit(page, name);
      await page.context().close();
    }
  },
  async fast() {
    await (await visit()).context().close();
    const visits = [];
    for (let turn = 0; turn < 5; turn += 1) {
      const page = await visit();
      await ready(page);
      visits.push(await page.evaluate(() => ({
        ready: performance.getEntriesByName("ready")[0].startTime,
        script: performance.getEntriesByName(`${location.origin}/page/page.js`)[0].responseEnd,
        figures: performance.getEntriesByName(`${location.origin}/page/figures`)[0].duration,
      })));
      await page.context().close();
    }
    const best = visits.reduce((a, b) => (a.ready < b.ready ? a : b));
    const [all, script, figures] = [best.ready, best.script, best.figures].map(Math.round);
    console.log(`in ${all} ms, of which ${script} until its script runs and ${figures} for the figures`);
    check(!more || all < more, `the page takes ${all} ms`);
  },
  async key() {
    const page = await visit();
    await page.waitForSelector("#login:not([hidden])");
    check(await page.locator("#content").isHidden(), "something is shown without the key");
    await audit(page, "login");
    await page.fill("#key", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#key-problem:has-text('not the key')");
    await page.fill("#key", more);
    await page.keyboard.press("Enter");
    await ready(page);
    check((await page.textContent("#live")) === "live", "it is not live");
    check(!(await page.content()).includes(more), "the key is on the page");
    // A refusal is a line in the console, by the browser itself.
    for (let at = complaints.length - 1; at >= 0; at -= 1) {
      if (complaints[at].includes("401")) complaints.splice(at, 1);
    }
  },
};

try {
  await visits[what]();
  check(!complaints.length, `the browser complains: ${complaints.join("; ")}`);
} finally {
  await browser.close();
}
