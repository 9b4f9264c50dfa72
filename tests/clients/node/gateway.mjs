// What the jobs that talk to models share. They are given three ports: Skald's, its HTTP door's, and that of our own mock
// vendor (tests/mock/provider.py), which does what the model's id says. `vendor` is another mock, an independent one.
import { Redis } from "ioredis";
import { LLMock } from "@copilotkit/aimock";

export const [port, doorPort, mockPort] = process.argv.slice(2, 5).map(Number);
if (!mockPort) throw new Error("usage: node JOB.mjs PORT HTTP_PORT MOCK_PORT");
export const door = `http://127.0.0.1:${doorPort}`;
export const redis = new Redis({ port });

export const vendor = new LLMock({ port: 0 });
await vendor.start();

async function model(name, url, id, kind, more) {
  await redis.call("LLM.MODEL", "SET", name, "PROVIDER", "openai", "URL", url, "ID", id, "KIND", kind, ...more);
  return name;
}
// A model that behaves as `behaviour` says, and one that asks the independent vendor.
export const mocked = (name, behaviour, kind = "CHAT", ...more) => model(name, `http://127.0.0.1:${mockPort}/v1`, behaviour, kind, more);
export const real = (name, id, kind = "CHAT", ...more) => model(name, `${vendor.url}/v1`, id, kind, more);

const control = async (what, body) => (await fetch(`http://127.0.0.1:${mockPort}/control/${what}`, { method: body === undefined ? "GET" : "POST", body })).json();
export const mockStats = () => control("stats");
export const mockRequests = () => control("requests");
export const mockReset = () => control("reset", "");

// Until no call is under way: what was given up is also given up at the vendor.
export async function callsEnd() {
  while ((await redis.call("LLM.CALLS")).length) await new Promise((next) => setTimeout(next, 5));
}

export async function end() {
  await vendor.stop();
  await redis.quit();
  console.log("ok");
}
