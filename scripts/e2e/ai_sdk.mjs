// Vercel's AI SDK as a client of open-cursor. Arguments: server, workspace, what to try.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.env.CLIENT_DIRECTORY, "package.json"));
const { generateText, isStepCount, streamText, tool } = require("ai");
const { createOpenAI } = require("@ai-sdk/openai");
const { z } = require("zod");

const [url, workspace, wanted] = process.argv.slice(2);
let bodies = [];
const openai = createOpenAI({
    baseURL: `${url}/v1`,
    apiKey: "unused",
    fetch: (address, options) => {
        bodies.push(JSON.parse(options.body));
        return fetch(address, options);
    },
});
const sent = () => bodies.flatMap((body) => body.input);
const references = () => sent().filter((item) => item.type === "item_reference");

const file = path.join(workspace, "hello-open-cursor.txt");
const names = [];
const tools = {
    write: tool({
        description: "Writes a file.",
        inputSchema: z.object({ filePath: z.string(), content: z.string() }),
        execute: async ({ filePath, content }) => {
            names.push("write");
            fs.writeFileSync(path.resolve(workspace, filePath), content);
            return "written";
        },
    }),
    read: tool({
        description: "Reads a file.",
        inputSchema: z.object({ filePath: z.string() }),
        execute: async ({ filePath }) => {
            names.push("read");
            return fs.readFileSync(path.resolve(workspace, filePath), "utf8");
        },
    }),
};

async function loop(stream, providerOptions) {
    fs.rmSync(file, { force: true });
    names.length = 0;
    bodies = [];
    const request = {
        model: openai("replay-files"),
        prompt: "write a file and read it",
        stopWhen: isStepCount(6),
        maxRetries: 0,
        tools,
        providerOptions,
    };
    let text;
    if (stream) {
        const result = streamText({ ...request, onError: ({ error }) => { throw error; } });
        text = await result.text;
    } else {
        text = (await generateText(request)).text;
    }
    assert.deepEqual(names, ["write", "read"]);
    const [line] = fs.readFileSync(file, "utf8").split("\n");
    assert.ok(text.includes(line), `the answer does not quote ${line}: ${text}`);
}

const steps = {
    async loop() {
        for (const stream of [false, true]) {
            await loop(stream);
            assert.ok(references().length > 0, "the SDK sends no references any more");
        }
    },
    async unstored() {
        for (const stream of [false, true]) {
            await loop(stream, { openai: { store: false } });
            assert.deepEqual(references(), []);
        }
    },
    async reasoning() {
        const openaiOptions = { reasoningSummary: "auto", forceReasoning: true };
        const ask = (messages) =>
            generateText({
                model: openai("replay-thinking"),
                messages,
                maxRetries: 0,
                providerOptions: { openai: openaiOptions },
            });
        const messages = [{ role: "user", content: "think" }];
        const first = await ask(messages);
        assert.ok(first.reasoningText?.length > 0, "no reasoning");
        messages.push(...first.response.messages, { role: "user", content: "once more" });
        assert.ok((await ask(messages)).text.length > 0);
        const kinds = references().map((item) => item.id.split("_")[0]);
        assert.ok(kinds.includes("rs") && kinds.includes("msg"), `references to ${kinds}`);
    },
    async lost() {
        const text = { type: "text", text: "hi", providerOptions: { openai: { itemId: "msg_lost" } } };
        const messages = [
            { role: "user", content: "hi" },
            { role: "assistant", content: [text] },
            { role: "user", content: "on" },
        ];
        const asked = generateText({ model: openai("auto"), messages, maxRetries: 2 });
        await assert.rejects(asked, (error) => {
            assert.equal(error.statusCode, 400);
            assert.match(error.message, /msg_lost.*store: false/);
            return true;
        });
        assert.equal(bodies.length, 1, "it was tried again");
    },
};
await steps[wanted]();
