// The official TypeScript SDK's client against the MCP endpoint, run by itself with calls held for one
// second. Arguments: the endpoint's program, and the program of the Rust SDK's client.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import path from "node:path";
import readline from "node:readline";
import { promisify } from "node:util";

const sdk = path.join(process.env.CLIENT_DIRECTORY, "node_modules/@modelcontextprotocol/sdk/dist/esm");
const { Client } = await import(path.join(sdk, "client/index.js"));
const { StreamableHTTPClientTransport } = await import(path.join(sdk, "client/streamableHttp.js"));
const [program, rust] = process.argv.slice(2);

const server = spawn(program, ["1000"], { stdio: ["pipe", "pipe", "inherit"] });
const deadline = setTimeout(() => {
  server.kill();
  console.error("not done within 120 s");
  process.exit(1);
}, 120_000);
const lines = readline.createInterface({ input: server.stdout })[Symbol.asyncIterator]();
const line = async () => JSON.parse((await lines.next()).value);
const { config, names } = await line();
const { url, headers } = config.mcpServers.oc;

const step = async (title, body) => {
  const began = Date.now();
  await body();
  console.log(`   ${title} ... ok (${Date.now() - began} ms)`);
};
const transport = (extra) =>
  new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { ...headers, ...extra } } });
const client = new Client({ name: "e2e", version: "1" });
const failed = [];
client.onerror = (error) => failed.push(error);
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
const seen = Object.fromEntries(names);

try {
  await step("connect, ping", async () => {
    await client.connect(transport());
    assert.equal(client.getServerVersion().name, "open-cursor");
    assert.deepEqual(client.getServerCapabilities(), { tools: {} });
    await client.ping();
  });
  await step("list the tools, odd schemas and names included", async () => {
    const { tools, nextCursor } = await client.listTools();
    assert.equal(nextCursor, undefined);
    assert.deepEqual(tools.map((tool) => tool.name), [...Object.values(seen), "await_result"]);
    for (const tool of tools) assert.match(tool.name, /^[A-Za-z0-9_-]{1,50}$/);
    assert.deepEqual(await line(), { event: "listed" });
  });
  await step("call a tool under each name", async () => {
    for (const [name, alias] of names) {
      const result = await call(alias, { text: `for ${name}` });
      assert.equal(result.content[0].text, `for ${name}`);
      assert.equal(result.isError, name === "fail");
      assert.equal((await line()).name, name);
    }
  });
  await step("an image", async () => {
    const { content } = await call("image", {});
    assert.deepEqual(content[1], { type: "image", data: "iVBORw==", mimeType: "image/png" });
    await line();
  });
  await step("an unknown tool is an error that names the tools", async () => {
    const result = await call("no_such_tool", {});
    assert.ok(result.isError && result.content[0].text.includes("echo, slow"));
  });
  await step("progress while a call is held", async () => {
    const progress = [];
    const onprogress = (event) => progress.push(event.progress);
    assert.equal((await call("slow", { ms: 800 }, { onprogress })).content[0].text, "slow");
    assert.ok(progress.length >= 1 && progress[0] === 1, `${progress}`);
    await line();
  });
  await step("calls beside each other", async () => {
    const results = await Promise.all([3, 2, 1].map((n) => call("slow", { ms: n * 100, text: `${n}` })));
    assert.deepEqual(results.map((result) => result.content[0].text), ["3", "2", "1"]);
    for (let n = 0; n < 3; n += 1) await line();
  });
  await step("a tool that takes longer than a call may: await_result", async () => {
    let result = await call("slow", { ms: 3500 });
    const { id } = JSON.parse(result.content[0].text);
    let waits = 0;
    while (result.content[0].text.includes("still running")) {
      waits += 1;
      result = await call("await_result", { id });
    }
    assert.equal(result.content[0].text, "slow");
    assert.ok(waits >= 2, `${waits} waits`);
    await line();
  });
  await step("a call that times out or is cancelled is reported", async () => {
    await assert.rejects(call("slow", { ms: 60_000 }, { timeout: 300 }), /-32001/);
    const stop = new AbortController();
    const { key } = await line();
    assert.deepEqual(await line(), { event: "cancelled", key });
    const stopped = call("slow", { ms: 60_000 }, { signal: stop.signal });
    const other = (await line()).key;
    stop.abort("enough");
    await assert.rejects(stopped);
    assert.deepEqual(await line(), { event: "cancelled", key: other });
  });
  await step("close; a wrong bearer gets in nowhere", async () => {
    await client.close();
    assert.deepEqual(failed.map(String), []);
    const stranger = new Client({ name: "stranger", version: "1" });
    await assert.rejects(stranger.connect(transport({ Authorization: "Bearer wrong" })), /404|not found/);
  });
  await step("the Rust SDK's client", async () => {
    const { stdout } = await promisify(execFile)(rust, [JSON.stringify(config)], { timeout: 60_000 });
    process.stdout.write(stdout.replaceAll(/^/gm, "      ").trimEnd() + "\n");
  });
  await step("the endpoint ends with its input", async () => {
    const ended = new Promise((resolve) => server.on("exit", resolve));
    server.stdin.end();
    assert.equal(await ended, 0);
  });
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  clearTimeout(deadline);
  server.kill();
}
