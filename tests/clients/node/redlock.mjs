// redlock: at most one holder at a time, on scripts.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import Redlock from "redlock";
import { port } from "./port.mjs";

const clients = [new Redis({ port }), new Redis({ port })];
await clients[0].flushall();
const locks = clients.map((c) => new Redlock([c], { retryCount: 400, retryDelay: 5, retryJitter: 5 }));
const impatient = new Redlock([clients[1]], { retryCount: 0 });

const lock = await locks[0].lock("res", 60000);
await assert.rejects(impatient.lock("res", 1000), { name: "LockError" });
const longer = await lock.extend(120000);
assert.ok((await clients[0].pttl("res")) > 60000);
await longer.unlock();
assert.equal(await clients[0].exists("res"), 0);
await assert.rejects(longer.unlock(), { name: "LockError" });

// Two processes' worth of workers around one counter that is read and written apart.
await clients[0].set("counter", 0);
let inside = 0;
await Promise.all(Array.from({ length: 40 }, async (_, i) => {
  const held = await locks[i % 2].lock("res", 60000);
  assert.equal(++inside, 1);
  const n = Number(await clients[i % 2].get("counter"));
  await clients[i % 2].set("counter", n + 1);
  inside--;
  await held.unlock();
}));
assert.equal(await clients[0].get("counter"), "40");

// A lock ends by itself.
await locks[0].lock("short", 50);
const after = await locks[1].lock("short", 1000);
await after.unlock();
for (const c of clients) await c.quit();
console.log("ok");
