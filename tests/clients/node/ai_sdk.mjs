// ai with @ai-sdk/openai-compatible: text, streams, tools with several steps, objects by a schema, embeddings, errors, aborting.
import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateObject, generateText, RetryError, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { callsEnd, door, end, mocked, mockReset, mockStats, real, vendor } from "./gateway.mjs";

const skald = createOpenAICompatible({ name: "skald", baseURL: `${door}/v1`, includeUsage: true, supportsStructuredOutputs: true });
const ask = (model, prompt, more) => ({ model: skald(model), prompt, maxRetries: 0, ...more });

// Text, whole and streamed, with usage.
await mocked("four", "words=4");
const whole = await generateText(ask("four", "hi", { system: "be brief", temperature: 0.1 }));
assert.deepEqual([whole.text, whole.finishReason, whole.usage.outputTokens], ["word0 word1 word2 word3", "stop", 4]);
const stream = streamText(ask("four", "hi"));
let text = "";
for await (const piece of stream.textStream) text += piece;
assert.equal(text, "word0 word1 word2 word3");
assert.equal((await stream.usage).outputTokens, 4);
assert.equal(await stream.finishReason, "stop");

// A tool in two steps, whole and streamed: the SDK runs it and sends its result back.
await real("wise", "gpt-4o");
vendor.onToolResult("call_w2", { content: "It is 21 degrees in Bergen." });
vendor.onMessage("Bergen", { toolCalls: [{ id: "call_w2", name: "weather", arguments: '{"city":"Bergen"}' }] });
const cities = [];
const tools = { weather: tool({ description: "the weather", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => (cities.push(city), { degrees: 21 }) }) };
const steps = await generateText(ask("wise", "Weather in Bergen?", { tools, stopWhen: stepCountIs(3) }));
assert.deepEqual([steps.text, steps.steps.length], ["It is 21 degrees in Bergen.", 2]);
const streamed = streamText(ask("wise", "Weather in Bergen?", { tools, stopWhen: stepCountIs(3) }));
assert.equal(await streamed.text, "It is 21 degrees in Bergen.");
assert.deepEqual(cities, ["Bergen", "Bergen"]);

// An object by a schema.
vendor.on({ userMessage: "Ada", responseFormat: "json_schema" }, { content: JSON.stringify({ name: "Ada", born: 1815 }) });
const { object } = await generateObject(ask("wise", "Who was Ada?", { schema: z.object({ name: z.string(), born: z.number() }) }));
assert.deepEqual(object, { name: "Ada", born: 1815 });
assert.equal(vendor.getLastRequest().body.response_format.type, "json_schema");

// Embeddings.
await mocked("vectors", "dims=4", "EMBED");
const { embeddings } = await embedMany({ model: skald.textEmbeddingModel("vectors"), values: ["a", "bcd"], maxRetries: 0 });
assert.deepEqual(embeddings, [[0.5, 1, 0.25, 0.25], [1.5, 3, 0.25, 0.25]]);

// Errors: what may be tried again says so, and is.
const failing = async (behaviour, status, retryable) => {
  await assert.rejects(generateText(ask(await mocked("bad", behaviour, "CHAT", "RETRIES", "0"), "hi")), (e) => {
    assert.ok(APICallError.isInstance(e), String(e));
    assert.deepEqual([e.statusCode, e.isRetryable], [status, retryable], behaviour);
    return true;
  });
};
await failing("status=400", 400, false);
await failing("status=429", 429, true);
await failing("status=500", 502, true);
await failing("garbage", 502, true);
await assert.rejects(generateText(ask("nobody", "hi")), (e) => e.statusCode === 404);
await mockReset();
const before = (await mockStats()).total;
const again = await generateText({ ...ask(await mocked("again", "words=1,failfirst=1", "CHAT", "RETRIES", "0"), "hi"), maxRetries: 2 });
assert.deepEqual([again.text, (await mockStats()).total - before], ["word0", 2]);
await assert.rejects(generateText({ ...ask(await mocked("bad", "status=500", "CHAT", "RETRIES", "0"), "hi"), maxRetries: 1 }), (e) => RetryError.isInstance(e));

// A stream that breaks in the middle shows an error part; one that is aborted ends at the vendor.
const parts = [];
await mocked("breaks", "words=9,streamerror=4", "CHAT", "RETRIES", "0");
for await (const part of streamText({ ...ask("breaks", "hi"), onError() {} }).fullStream) parts.push(part);
assert.ok(parts.some((p) => p.type === "error"));
assert.equal(parts.filter((p) => p.type === "text-delta").map((p) => p.text).join(""), "word0 word1 word2 ");
await mocked("endless", "words=100000,drip=5");
const stop = new AbortController();
let pieces = 0;
for await (const part of streamText(ask("endless", "hi", { abortSignal: stop.signal })).fullStream) if (part.type === "text-delta" && ++pieces === 3) stop.abort();
assert.ok(pieces >= 3);
await callsEnd();

await end();
