// The official Anthropic Node SDK as a client of open-cursor. Arguments: server, workspace, tools.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.CLIENT_DIRECTORY, "package.json"));
const Anthropic = require("@anthropic-ai/sdk").default;

const [url, workspace, tools] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: "unused", maxRetries: 0, timeout: 20_000 });
const question = { role: "user", content: "say hello" };
const ask = { model: "auto", max_tokens: 1000, messages: [question] };

const said = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");
const whole = await client.messages.create(ask);
assert.equal(whole.stop_reason, "end_turn");
let heard = "";
const stream = client.messages.stream(ask).on("text", (text) => (heard += text));
const final = await stream.finalMessage();
assert.equal(said(final), said(whole));
assert.equal(heard, said(whole));
assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);

const file = path.join(workspace, "hello-open-cursor.txt");
fs.rmSync(file, { force: true });
const messages = [question];
const names = [];
let last;
for (let turn = 0; turn < 8; turn += 1) {
  const request = { ...ask, model: "replay-files", messages, tools: JSON.parse(tools) };
  last = await client.messages.stream(request).finalMessage();
  messages.push({ role: "assistant", content: last.content });
  const calls = last.content.filter((block) => block.type === "tool_use");
  if (calls.length === 0) break;
  assert.equal(last.stop_reason, "tool_use");
  const results = calls.map((call) => {
    names.push(call.name);
    if (call.name === "write") fs.writeFileSync(file, call.input.content);
    const content = call.name === "read" ? fs.readFileSync(file, "utf8") : "written";
    return { type: "tool_result", tool_use_id: call.id, content };
  });
  messages.push({ role: "user", content: results });
}
assert.deepEqual(names, ["write", "read"]);
assert.ok(said(last).includes(fs.readFileSync(file, "utf8").split("\n")[0]), said(last));

const count = await client.messages.countTokens({ model: "auto", messages: [question] });
assert.ok(count.input_tokens > 0);
const ids = [];
for await (const model of client.models.list()) ids.push(model.id);
assert.ok(ids.includes("auto"), ids.join());

const fails = (model, kind) => assert.rejects(client.messages.create({ ...ask, model }), kind);
await fails("replay-error-login", Anthropic.AuthenticationError);
await fails("replay-error-rate-limit", Anthropic.RateLimitError);
await fails("no-such-model", Anthropic.NotFoundError);
const broken = client.messages.stream({ ...ask, model: "replay-error-truncated" });
await assert.rejects(broken.finalMessage(), Anthropic.APIError);
