// The official OpenAI Node SDK as a client of open-cursor. Arguments: server, workspace.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.CLIENT_DIRECTORY, "package.json"));
const OpenAI = require("openai").default;

const [url, workspace] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 20_000 });
const messages = [{ role: "user", content: "say hello" }];

const chat = await client.chat.completions.create({ model: "auto", messages });
const answer = chat.choices[0].message.content;
const final = await client.chat.completions.stream({ model: "auto", messages }).finalContent();
assert.equal(final, answer);

const response = await client.responses.create({ model: "auto", input: "say hello" });
assert.equal(response.status, "completed");
assert.equal(response.output_text, answer);
let heard = "";
const stream = client.responses.stream({ model: "auto", input: "say hello" });
stream.on("response.output_text.delta", (event) => (heard += event.delta));
assert.equal((await stream.finalResponse()).output_text, answer);
assert.equal(heard, answer);

const parameters = (required) => ({
  type: "object",
  properties: Object.fromEntries(required.map((name) => [name, { type: "string" }])),
  required,
});
const execute = {
  write: ({ filePath, content }) => (fs.writeFileSync(filePath, content), "written"),
  read: ({ filePath }) => fs.readFileSync(filePath, "utf8"),
};
const schemas = { write: parameters(["filePath", "content"]), read: parameters(["filePath"]) };
const file = path.join(workspace, "hello-open-cursor.txt");
const line = () => fs.readFileSync(file, "utf8").split("\n")[0];

// Responses, by hand.
fs.rmSync(file, { force: true });
const names = [];
const input = [{ role: "user", content: "write a file and read it" }];
const tools = Object.entries(schemas).map(([name, schema]) => ({
  type: "function", name, parameters: schema, strict: false,
}));
let last;
for (let turn = 0; turn < 8; turn += 1) {
  last = await client.responses.stream({ model: "replay-files", input, tools }).finalResponse();
  input.push(...last.output);
  const calls = last.output.filter((item) => item.type === "function_call");
  if (calls.length === 0) break;
  for (const call of calls) {
    names.push(call.name);
    const output = execute[call.name](JSON.parse(call.arguments));
    input.push({ type: "function_call_output", call_id: call.call_id, output });
  }
}
assert.deepEqual(names, ["write", "read"]);
assert.ok(last.output_text.includes(line()), last.output_text);

// Chat, by the SDK's own loop.
fs.rmSync(file, { force: true });
const runner = client.chat.completions.runTools({
  model: "replay-files",
  messages,
  stream: true,
  tools: Object.entries(schemas).map(([name, schema]) => ({
    type: "function",
    function: { name, parameters: schema, parse: JSON.parse, function: execute[name] },
  })),
});
assert.ok((await runner.finalContent()).includes(line()));

const fails = async (model, kind) => {
  await assert.rejects(client.responses.create({ model, input: "hi" }), kind);
  await assert.rejects(client.chat.completions.create({ model, messages }), kind);
};
await fails("replay-error-login", OpenAI.AuthenticationError);
await fails("replay-error-rate-limit", OpenAI.RateLimitError);
await fails("no-such-model", OpenAI.NotFoundError);
