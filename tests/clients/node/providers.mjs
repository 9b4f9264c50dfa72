// openai over every row of the providers' table: chat, streams, tools, structured output, embeddings, rerank, speech and
// transcription, where the row says that its vendor has them. Given: Skald's port, its HTTP door's, the vendors' (tests/mock/
// vendors.py), and the table as JSON {row: {feature: cell}}.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import OpenAI, { toFile } from "openai";

const [port, doorPort, vendors] = process.argv.slice(2, 5).map(Number);
const table = JSON.parse(process.argv[5]);
const redis = new Redis({ port });
const client = new OpenAI({ baseURL: `http://127.0.0.1:${doorPort}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "hi" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];
const format = { type: "json_schema", json_schema: { name: "answer", schema } };

async function model(row, kind) {
  const name = `${row}-${kind}`;
  await redis.call("LLM.MODEL", "SET", name, "PROVIDER", row, "URL", `http://127.0.0.1:${vendors}/${row}`, "ID", "some-id", "KEY", `key-${row}`, "KIND", kind, "RETRIES", 0);
  return name;
}

async function chat(row) {
  const ask = { model: await model(row, "CHAT"), messages, max_tokens: 100 };
  const whole = await client.chat.completions.create(ask);
  assert.equal(whole.choices[0].message.content, "Hello you", row);
  assert.deepEqual([whole.usage.prompt_tokens, whole.usage.completion_tokens], [7, 3], row);
  assert.equal(await client.chat.completions.stream(ask).finalContent(), "Hello you", row);
  const called = await client.chat.completions.create({ ...ask, tools });
  const final = await client.chat.completions.stream({ ...ask, tools }).finalMessage();
  for (const call of [called.choices[0].message.tool_calls[0], final.tool_calls[0]]) {
    assert.equal(call.function.name, "get_weather", row);
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Köln" }, row);
  }
  const parsed = await client.chat.completions.parse({ ...ask, response_format: format });
  assert.deepEqual(JSON.parse(parsed.choices[0].message.content), { city: "Köln" }, row);
  const url = "data:image/png;base64,iVBORw0KGgo=";
  const seen = client.chat.completions.create({ ...ask, messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }] });
  if (table[row]["image data"] === "refused") await assert.rejects(seen, OpenAI.BadRequestError);
  else assert.equal((await seen).choices[0].message.content, "I see data:image/png;base64", row);
}

async function embeddings(row) {
  const ask = { model: await model(row, "EMBED"), input: ["a", "bcd"] }; // the SDK asks for base64 and unpacks it
  assert.deepEqual((await client.embeddings.create(ask)).data.map((d) => d.embedding), [[1, 0.5, 0.25], [3, 0.5, 0.25]], row);
}

async function rerank(row) {
  const body = { model: await model(row, "RERANK"), query: "q", documents: ["a", "b"], top_n: 1 };
  assert.deepEqual((await client.post("/rerank", { body })).results.map((x) => x.index), [1], row);
}

async function speech(row) {
  const said = await client.audio.speech.create({ model: await model(row, "SPEECH"), input: "hm", voice: "v" });
  assert.equal(await said.text(), "AUDIO hm", row);
}

async function transcription(row) {
  const file = await toFile(Buffer.from("RIFF1234"), "a.wav");
  assert.equal((await client.audio.transcriptions.create({ model: await model(row, "TRANSCRIBE"), file })).text, "8 bytes", row);
}

const jobs = { chat, embeddings, rerank, speech, transcription };
let done = 0;
for (const [row, cells] of Object.entries(table)) {
  if (row === "builtin") continue;
  for (const [feature, job] of Object.entries(jobs)) if (cells[feature] !== "-") done++, await job(row);
}
assert.ok(done > 30);
await redis.quit();
console.log("ok");
