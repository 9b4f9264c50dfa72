// @anthropic-ai/sdk on POST /v1/messages, with a vendor behind it that speaks OpenAI's API: messages, streams, tools, errors.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { callsEnd, door, end, mocked, mockRequests, mockReset, real, vendor } from "./gateway.mjs";

const client = new Anthropic({ baseURL: door, apiKey: "none", maxRetries: 0 });
const say = (content) => ({ max_tokens: 100, messages: [{ role: "user", content }] });

// A whole message.
await mocked("four", "words=4");
const whole = await client.messages.create({ model: "four", system: "be brief", ...say("hi") });
assert.deepEqual([whole.type, whole.role, whole.stop_reason, whole.usage.output_tokens], ["message", "assistant", "end_turn", 4]);
assert.deepEqual(whole.content.map((b) => [b.type, b.text]), [["text", "word0 word1 word2 word3"]]);

// How much would be sent, without sending it.
const counted = await client.messages.countTokens({ model: "four", system: "be brief", messages: say("hi").messages });
assert.ok(counted.input_tokens > 0 && counted.estimated);

// System, turns and blocks reach the vendor in its own form.
await mockReset();
await client.messages.create({ model: "four", max_tokens: 100, system: [{ type: "text", text: "be kind" }], stop_sequences: ["x"], temperature: 0.5,
  messages: [{ role: "user", content: "a" }, { role: "assistant", content: "b" }, { role: "user", content: [{ type: "text", text: "c" }, { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } }] }] });
const body = JSON.parse((await mockRequests())[0].body);
assert.deepEqual(body.messages.map((m) => m.role), ["system", "user", "assistant", "user"]);
assert.equal(body.messages[3].content.find((p) => p.type === "image_url").image_url.url, "data:image/png;base64,iVBORw0KGgo=");
assert.equal(body.temperature, 0.5);

// A stream: the SDK's collector insists on the order of events.
const stream = client.messages.stream({ model: "four", ...say("hi") });
let text = "";
stream.on("text", (piece) => (text += piece));
const final = await stream.finalMessage();
assert.equal(text, "word0 word1 word2 word3");
assert.deepEqual([final.content[0].text, final.stop_reason, final.usage.output_tokens], [text, "end_turn", 4]);

// A round with a tool: whole and by deltas.
await real("wise", "gpt-4o");
vendor.onToolResult("call_w4", { content: "It is 21 degrees in Bergen." });
vendor.onMessage("Bergen", { toolCalls: [{ id: "call_w4", name: "weather", arguments: '{"city":"Bergen"}' }] });
const tools = [{ name: "weather", description: "the weather", input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } }];
for (const streamed of [false, true]) {
  const q = { model: "wise", tools, tool_choice: { type: "auto" }, ...say("Weather in Bergen?") };
  const asked = streamed ? await client.messages.stream(q).finalMessage() : await client.messages.create(q);
  assert.equal(asked.stop_reason, "tool_use");
  const use = asked.content.find((b) => b.type === "tool_use");
  assert.deepEqual([use.id, use.name, use.input], ["call_w4", "weather", { city: "Bergen" }]);
  const told = await client.messages.create({ ...q, messages: [...q.messages, { role: "assistant", content: asked.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "21 degrees" }] }] });
  assert.equal(told.content[0].text, "It is 21 degrees in Bergen.");
}

// Errors are the SDK's own classes.
const fails = async (model, kind) => assert.rejects(client.messages.create({ model, ...say("hi") }), (e) => (assert.ok(e instanceof kind, String(e)), assert.equal(e.error.type, "error"), true));
const bad = (behaviour) => mocked("bad", behaviour, "CHAT", "RETRIES", "0");
await fails(await bad("status=400"), Anthropic.BadRequestError);
await fails(await bad("status=429"), Anthropic.RateLimitError);
await fails(await bad("status=500"), Anthropic.InternalServerError);
await fails("nobody", Anthropic.NotFoundError);
await mockReset();
assert.equal((await client.withOptions({ maxRetries: 2 }).messages.create({ model: await bad("words=1,failfirst=1"), ...say("hi") })).content[0].text, "word0");

// A stream that is aborted ends at the vendor too.
await mocked("endless", "words=100000,drip=5");
const endless = await client.messages.create({ model: "endless", stream: true, ...say("hi") });
let pieces = 0;
for await (const event of endless) if (event.type === "content_block_delta" && ++pieces === 3) endless.controller.abort();
assert.equal(pieces, 3);
await callsEnd();

await end();
