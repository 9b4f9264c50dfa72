// @langchain/openai: invoke, stream, batch, tools, structured output, embeddings, errors, aborting; history by messages.
import assert from "node:assert/strict";
import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";
import { callsEnd, door, end, mocked, mockRequests, mockReset, real, vendor } from "./gateway.mjs";

const configuration = { baseURL: `${door}/v1` };
const chat = (model, more) => new ChatOpenAI({ model, apiKey: "none", maxRetries: 0, configuration, ...more });

// One answer, many side by side, a stream.
await mocked("four", "words=4");
const answer = await chat("four", { temperature: 0.3 }).invoke([new SystemMessage("be brief"), new HumanMessage("hi")]);
assert.equal(answer.content, "word0 word1 word2 word3");
assert.equal(answer.usage_metadata.output_tokens, 4);
await mocked("echo", "mock");
const many = await chat("echo").batch(Array.from({ length: 20 }, (_, i) => `question ${i}`), { maxConcurrency: 10 });
assert.deepEqual(many.map((m) => m.content), Array.from({ length: 20 }, (_, i) => `echo: question ${i}`));
let all;
for await (const piece of await chat("four").stream("hi")) all = all ? all.concat(piece) : piece;
assert.equal(all.content, "word0 word1 word2 word3");
assert.equal(all.usage_metadata.output_tokens, 4);

// History goes as it was said.
await mockReset();
await chat("echo").invoke([new HumanMessage("a"), new AIMessage("b"), new HumanMessage("c")]);
assert.deepEqual(JSON.parse((await mockRequests())[0].body).messages.map((m) => [m.role, m.content]), [["user", "a"], ["assistant", "b"], ["user", "c"]]);

// A round with a tool, by whole answers and by deltas.
await real("wise", "gpt-4o");
vendor.onToolResult("call_w3", { content: "It is 21 degrees in Bergen." });
vendor.onMessage("Bergen", { toolCalls: [{ id: "call_w3", name: "weather", arguments: '{"city":"Bergen"}' }] });
const weather = tool(async ({ city }) => `${city}: 21 degrees`, { name: "weather", description: "the weather", schema: z.object({ city: z.string() }) });
const bound = chat("wise").bindTools([weather]);
for (const streamed of [false, true]) {
  const talk = [new HumanMessage("Weather in Bergen?")];
  let asked;
  if (streamed) for await (const piece of await bound.stream(talk)) asked = asked ? asked.concat(piece) : piece;
  else asked = await bound.invoke(talk);
  assert.deepEqual(asked.tool_calls.map((c) => [c.id, c.name, c.args]), [["call_w3", "weather", { city: "Bergen" }]]);
  const result = await weather.invoke(asked.tool_calls[0]);
  assert.ok(result instanceof ToolMessage);
  assert.equal((await bound.invoke([...talk, asked, result])).content, "It is 21 degrees in Bergen.");
}

// Structured output.
vendor.on({ userMessage: "Ada", responseFormat: "json_schema" }, { content: JSON.stringify({ name: "Ada", born: 1815 }) });
const person = chat("wise").withStructuredOutput(z.object({ name: z.string(), born: z.number() }), { name: "person", method: "jsonSchema", strict: true });
assert.deepEqual(await person.invoke("Who was Ada?"), { name: "Ada", born: 1815 });

// Embeddings, in batches.
await mocked("vectors", "dims=4", "EMBED");
const embeddings = new OpenAIEmbeddings({ model: "vectors", apiKey: "none", maxRetries: 0, batchSize: 2, configuration });
assert.deepEqual(await embeddings.embedDocuments(["a", "bcd", "ef"]), [[0.5, 1, 0.25, 0.25], [1.5, 3, 0.25, 0.25], [0.5, 2, 0.25, 0.25]]);

// Errors keep their status; what passes is tried again.
const status = (code) => (e) => (assert.equal(e.status, code, String(e)), true);
const bad = (behaviour) => mocked("bad", behaviour, "CHAT", "RETRIES", "0");
await assert.rejects(chat(await bad("status=400")).invoke("hi"), status(400));
await assert.rejects(chat(await bad("status=429")).invoke("hi"), status(429));
await assert.rejects(chat(await bad("garbage")).invoke("hi"), status(502));
await assert.rejects(chat("nobody").invoke("hi"), status(404));
await mockReset();
assert.equal((await chat(await bad("words=1,failfirst=1"), { maxRetries: 2 }).invoke("hi")).content, "word0");

// A stream that is aborted ends at the vendor too.
await mocked("endless", "words=100000,drip=5");
const stop = new AbortController();
let pieces = 0;
await assert.rejects(async () => {
  for await (const piece of await chat("endless").stream("hi", { signal: stop.signal })) if (piece.content && ++pieces === 3) stop.abort();
});
await callsEnd();

await end();
