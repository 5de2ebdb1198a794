// Cursor's own bridge with a scripted model: its server, its streams, its calls of tools, its errors,
// but agents that need no account. Usage: node bridge_scripted.mjs PACKAGE [the bridge's arguments]
// PACKAGE is cursor_sdk/_vendor/bridge of an installed cursor-sdk. What happens is written to
// $HOME/journal.
import { appendFileSync } from "node:fs";
import { randomUUID } from "node:crypto";

const [node, , home, ...args] = process.argv;
const url = (path) => new URL(path, `file://${home}/`).href;
const { Agent, Cursor } = await import(url("node_modules/@cursor/sdk/dist/esm/index.js"));
const note = (event) => appendFileSync(`${process.env.HOME}/journal`, `${JSON.stringify(event)}\n`);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

class Run {
    id = `run-${randomUUID()}`;
    status = "running";
    createdAt = Date.now();
    #messages = [];
    #wake = () => {};
    #cancelled;

    constructor(agent, message, onDelta) {
        this.agentId = agent.agentId;
        const cancelled = new Promise((done) => (this.#cancelled = done));
        this.#finished = Promise.race([
            script(this, agent.options, message, onDelta).then(
                (text) => this.#end("finished", { result: text }),
                (error) => this.#end("error", { error: { code: error.code, message: error.message } }),
            ),
            cancelled.then(() => this.#end("cancelled", {})),
        ]);
    }

    #finished;

    emit(message) {
        this.#messages.push({ agent_id: this.agentId, run_id: this.id, ...message });
        this.#wake();
    }

    #end(status, rest) {
        this.status = status;
        this.#wake();
        const usage = { inputTokens: 120, outputTokens: 12, cacheReadTokens: 80, cacheWriteTokens: 10, totalTokens: 132 };
        return { id: this.id, status, durationMs: 5, usage, ...rest };
    }

    async *stream() {
        for (let at = 0; ; ) {
            if (at < this.#messages.length) yield this.#messages[at++];
            else if (this.status !== "running") return;
            else await new Promise((done) => (this.#wake = done));
        }
    }

    wait() {
        return this.#finished;
    }

    async cancel() {
        note({ event: "cancel", run: this.id });
        this.#cancelled();
    }
}

// `CALL name {json}` lines are calls, all at once; `WAIT ms`, `FAIL code message` and `IMAGES` are what they say.
async function script(run, options, message, onDelta) {
    const say = (text) => {
        onDelta?.({ update: { type: "text-delta", text } });
        run.emit({ type: "assistant", message: { role: "assistant", content: [{ type: "text", text }] } });
    };
    run.emit({ type: "status", status: "RUNNING" });
    onDelta?.({ update: { type: "thinking-delta", text: "Hm." } });
    // The prompt holds the whole conversation; the script is in its last lines.
    const lines = message.text.split("\n").map((line) => line.trim());
    const last = (word) => lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
    const fail = last("FAIL")[0]?.match(/^(\S+) (.*)$/);
    if (fail) throw Object.assign(new Error(fail[2]), { code: fail[1] });
    for (const ms of last("WAIT")) await sleep(Number(ms));
    const calls = last("CALL").map((line) => line.match(/^(\S+) (.*)$/));
    const results = await Promise.all(
        calls.map(async ([, name, args], at) => {
            const callId = `${run.id}-${at}`;
            const toolCall = { type: "mcp", args: { providerIdentifier: "custom-user-tools", toolName: name, args: JSON.parse(args) } };
            onDelta?.({ update: { type: "tool-call-started", callId, toolCall, modelCallId: "step" } });
            const begun = Date.now();
            const result = await options.local.customTools[name].execute(JSON.parse(args), { toolCallId: callId });
            note({ event: "called", name, seconds: (Date.now() - begun) / 1000, result });
            return result.content.map((part) => part.text ?? part.type).join("");
        }),
    );
    const images = message.images?.length ? ` images: ${message.images.map((image) => image.mimeType)}` : "";
    const text = calls.length ? `Results: ${results.join(" | ")}.` : `Hello from ${options.model.id}.${images}`;
    for (const piece of text.match(/.{1,7}/gs)) say(piece);
    return text;
}

Agent.create = async (options) => {
    const { apiKey, agentId, model, tools, disallowedTools, local } = options;
    if (apiKey === "key_bad") throw Object.assign(new Error("Invalid User API Key"), { name: "AuthenticationError", code: "unauthenticated" });
    note({ event: "create", agentId, model, tools, disallowedTools, cwd: local.cwd, customTools: Object.keys(local.customTools ?? {}) });
    const agent = {
        agentId,
        model,
        options,
        send: async (message, { onDelta } = {}) => new Run(agent, message, onDelta),
        [Symbol.asyncDispose]: async () => note({ event: "dispose", agentId }),
    };
    return agent;
};
Agent.delete = async (agentId) => note({ event: "delete", agentId });
Cursor.models.list = async ({ apiKey }) => {
    note({ event: "models", hasKey: Boolean(apiKey) });
    const reasoning = (value) => [{ id: "reasoning", value }];
    return [
        { id: "auto", displayName: "Auto" },
        {
            id: "gpt-9",
            displayName: "GPT 9",
            parameters: [{ id: "reasoning", values: [{ value: "low" }, { value: "high" }] }],
            variants: [
                { params: reasoning("low"), displayName: "GPT 9", isDefault: true },
                { params: reasoning("high"), displayName: "GPT 9 High" },
            ],
        },
    ];
};

process.argv = [node, "cursor-sdk-bridge", ...args];
await import(url("dist/bin/cursor-sdk-bridge.js"));
