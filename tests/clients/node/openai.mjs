// openai: chat, streams, tools, structured output, embeddings, models, errors by class, retries, an aborted stream.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { callsEnd, door, end, mocked, mockRequests, mockReset, mockStats, real, redis, vendor } from "./gateway.mjs";

const client = new OpenAI({ baseURL: `${door}/v1`, apiKey: "none", maxRetries: 0 });
const say = (text) => [{ role: "user", content: text }];

// A whole answer, and what the head of it tells.
await mocked("four", "words=4", "CHAT", "PRICE", "1", "2");
const { data: whole, response, request_id } = await client.chat.completions.create({ model: "four", messages: say("hi") }).withResponse();
assert.equal(whole.choices[0].message.content, "word0 word1 word2 word3");
assert.deepEqual([whole.choices[0].finish_reason, whole.model, whole.usage.completion_tokens], ["stop", "four", 4]);
assert.equal(request_id, response.headers.get("x-skald-call-id"));
assert.equal(response.headers.get("x-skald-model"), "four");

// A stream, by hand and by the SDK's own collector, with usage and without.
let text = "", usage;
for await (const chunk of await client.chat.completions.create({ model: "four", messages: say("hi"), stream: true, stream_options: { include_usage: true } })) {
  text += chunk.choices[0]?.delta.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, "word0 word1 word2 word3");
assert.equal(usage.completion_tokens, 4);
await mocked("priced", "words=4", "CHAT", "PRICE", "1", "1");
for await (const chunk of await client.chat.completions.create({ model: "priced", messages: say("hi"), stream: true, stream_options: { include_usage: true } })) usage = chunk.usage ?? usage;
assert.equal(usage.cost, usage.total_tokens / 1e6);
const collected = client.chat.completions.stream({ model: "four", messages: say("hi") });
assert.equal(await collected.finalContent(), "word0 word1 word2 word3");

// Tool calls: complete, as deltas, and a whole round in which the SDK runs the tool.
const tools = [{ type: "function", function: { name: "get_weather", description: "the weather", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } }];
await mocked("tooling", "tool");
const asked = await client.chat.completions.create({ model: "tooling", messages: say("weather?"), tools, tool_choice: "auto" });
assert.equal(asked.choices[0].finish_reason, "tool_calls");
assert.deepEqual(JSON.parse(asked.choices[0].message.tool_calls[0].function.arguments), { city: "Köln" });
const message = await client.chat.completions.stream({ model: "tooling", messages: say("weather?"), tools }).finalMessage();
assert.deepEqual([message.tool_calls[0].id, message.tool_calls[0].function.name], [asked.choices[0].message.tool_calls[0].id, "get_weather"]);
assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Köln" });

await real("wise", "gpt-4o");
vendor.onToolResult("call_w1", { content: "It is 21 degrees in Bergen." });
vendor.onMessage("Bergen", { toolCalls: [{ id: "call_w1", name: "get_weather", arguments: '{"city":"Bergen"}' }] });
for (const stream of [false, true]) {
  const cities = [];
  const runner = client.chat.completions.runTools({
    model: "wise", stream, messages: say("What is the weather in Bergen?"),
    tools: [{ type: "function", function: { ...tools[0].function, parse: JSON.parse, function: ({ city }) => (cities.push(city), "21 degrees") } }],
  });
  assert.equal(await runner.finalContent(), "It is 21 degrees in Bergen.");
  assert.deepEqual(cities, ["Bergen"]);
}
const sent = vendor.getLastRequest().body.messages;
assert.deepEqual(sent.map((m) => m.role), ["user", "assistant", "tool"]);
assert.deepEqual([sent[1].tool_calls[0].id, sent[2].tool_call_id], ["call_w1", "call_w1"]);

// Structured output: the schema reaches the vendor as it was written, the answer is parsed.
vendor.on({ userMessage: "Ada", responseFormat: "json_schema" }, { content: JSON.stringify({ name: "Ada", born: 1815 }) });
const Person = z.object({ name: z.string(), born: z.number() });
const parsed = await client.chat.completions.parse({ model: "wise", messages: say("Who was Ada?"), response_format: zodResponseFormat(Person, "person") });
assert.deepEqual(parsed.choices[0].message.parsed, { name: "Ada", born: 1815 });
const format = vendor.getLastRequest().body.response_format;
assert.deepEqual([format.type, format.json_schema.name, format.json_schema.strict], ["json_schema", "person", true]);
assert.deepEqual(Object.keys(format.json_schema.schema.properties), ["name", "born"]);

// An image goes on as it came, and so do the usual parameters.
await mockReset();
const parts = [{ type: "text", text: "what is it?" }, { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }];
await client.chat.completions.create({ model: "four", messages: [{ role: "user", content: parts }], temperature: 0.5, top_p: 0.9, seed: 7, stop: ["x"] });
const body = JSON.parse((await mockRequests())[0].body);
assert.deepEqual(body.messages[0].content, parts);
assert.deepEqual([body.temperature, body.top_p, body.seed, body.model], [0.5, 0.9, 7, "words=4"]);

// Embeddings: the SDK asks for base64 when nothing is said, and decodes it.
await mocked("vectors", "dims=6", "EMBED");
const input = ["a", "bcd"];
const packed = await client.embeddings.create({ model: "vectors", input });
const plain = await client.embeddings.create({ model: "vectors", input, encoding_format: "float" });
assert.deepEqual(packed.data.map((d) => Array.from(d.embedding)), [[0.5, 1, 0.25, 0.25, 0.25, 0.25], [1.5, 3, 0.25, 0.25, 0.25, 0.25]]);
assert.deepEqual(plain.data.map((d) => d.embedding), packed.data.map((d) => Array.from(d.embedding)));
assert.equal(typeof (await client.embeddings.create({ model: "vectors", input, encoding_format: "base64" })).data[0].embedding, "string");
assert.ok(plain.usage.total_tokens > 0);

// One key, one call: also of a form, for which the SDK draws a new boundary each time.
await mocked("ear", "mock", "TRANSCRIBE");
const same = { headers: { "Idempotency-Key": "same" } };
const hear = async () => client.audio.transcriptions.create({ model: "ear", file: await OpenAI.toFile(Buffer.from("RIFF"), "a.wav") }, same).withResponse();
const heard = [await hear(), await hear()];
assert.deepEqual(heard.map((x) => x.response.headers.get("x-skald-replayed")), [null, "true"]);
assert.equal(heard[0].data.text, heard[1].data.text);
await assert.rejects(client.audio.transcriptions.create({ model: "ear", file: await OpenAI.toFile(Buffer.from("other"), "a.wav") }, same), OpenAI.ConflictError);

// Models.
const names = [];
for await (const m of client.models.list()) names.push(m.id);
for (const n of ["four", "tooling", "vectors", "wise"]) assert.ok(names.includes(n), n);
assert.equal((await client.models.retrieve("four")).id, "four");
await assert.rejects(client.models.retrieve("nobody"), OpenAI.NotFoundError);

// A session named in the metadata: the history is Skald's.
await mocked("echo", "mock");
const turn = (content) => client.chat.completions.create({ model: "echo", messages: say(content), metadata: { session: "talk" } });
await turn("first");
await mockReset();
assert.equal((await turn("second")).choices[0].message.content, "echo: second");
assert.deepEqual(JSON.parse((await mockRequests())[0].body).messages.map((m) => m.content), ["first", "echo: first", "second"]);

// Errors are the SDK's own classes, by status.
const fails = async (what, behaviour, kind, status) => {
  const create = client.chat.completions.create({ model: await mocked("bad", behaviour, "CHAT", "RETRIES", "0"), messages: say("hi"), ...what });
  await assert.rejects(create, (e) => (assert.ok(e instanceof kind, `${behaviour}: ${e}`), assert.equal(e.status, status), assert.ok(e.message), assert.ok(e.requestID), true));
};
for (const what of [{}, { stream: true }]) {
  await fails(what, "status=400", OpenAI.BadRequestError, 400);
  await fails(what, "status=429", OpenAI.RateLimitError, 429);
  await fails(what, "status=500", OpenAI.InternalServerError, 502);
  await fails(what, "status=401", OpenAI.InternalServerError, 502); // our key at the vendor, not the client's with us
  await fails(what, "garbage", OpenAI.InternalServerError, 502);
  await fails(what, "error200", OpenAI.InternalServerError, 502);
}
await assert.rejects(client.chat.completions.create({ model: "nobody", messages: say("hi") }), OpenAI.NotFoundError);
for (const stream of [false, true]) {
  const late = client.chat.completions.create({ model: await mocked("late", "never"), messages: say("hi"), stream }, { headers: { "x-skald-timeout-ms": "50" } });
  await assert.rejects(late, (e) => (assert.ok(e instanceof OpenAI.InternalServerError, String(e)), assert.deepEqual([e.status, e.code], [504, "timeout"]), true));
}
await assert.rejects(client.chat.completions.create({ model: "four", messages: [{ role: "clown", content: "x" }] }), OpenAI.BadRequestError);
await redis.call("ACL", "SETUSER", "bob", "on", ">builder", "+llm.ask", "~*");
await redis.call("CONFIG", "SET", "requirepass", "sesame");
await assert.rejects(client.chat.completions.create({ model: "four", messages: say("hi") }), OpenAI.AuthenticationError);
const bob = client.withOptions({ apiKey: "bob:builder" });
assert.equal((await bob.chat.completions.create({ model: "four", messages: say("hi") })).usage.completion_tokens, 4);
await assert.rejects(bob.embeddings.create({ model: "vectors", input: "x" }), OpenAI.PermissionDeniedError);
await redis.call("CONFIG", "SET", "requirepass", "");

// An error after the first piece is thrown from the loop, and what had come is not taken back.
await mocked("breaks", "words=9,streamerror=4", "CHAT", "RETRIES", "0");
const got = [];
await assert.rejects(async () => {
  for await (const c of await client.chat.completions.create({ model: "breaks", messages: say("hi"), stream: true })) got.push(c.choices[0]?.delta.content ?? "");
}, OpenAI.APIError);
assert.equal(got.join(""), "word0 word1 word2 ");

// Retries: the SDK asks again when it is told to, and not when it would be of no use.
const again = client.withOptions({ maxRetries: 2 });
const requests = async (behaviour) => {
  await mockReset();
  const model = await mocked("again", behaviour, "CHAT", "RETRIES", "0");
  const answer = await again.chat.completions.create({ model, messages: say("hi") }).catch((e) => e.status);
  return [typeof answer === "number" ? answer : answer.choices[0].message.content, (await mockStats()).total];
};
let before = (await mockStats()).total;
assert.deepEqual((await requests("words=1,failfirst=1")).map((x, i) => (i ? x - before : x)), ["word0", 2]);
before = (await mockStats()).total;
assert.deepEqual((await requests("status=400")).map((x, i) => (i ? x - before : x)), [400, 1]);

// A stream that is aborted ends at the vendor too.
await mocked("endless", "words=100000,drip=5");
const endless = await client.chat.completions.create({ model: "endless", messages: say("hi"), stream: true });
let pieces = 0;
for await (const chunk of endless) if (chunk.choices[0]?.delta.content && ++pieces === 3) endless.controller.abort();
assert.equal(pieces, 3);
await callsEnd();

await end();
