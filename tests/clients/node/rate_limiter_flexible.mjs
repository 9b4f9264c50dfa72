// rate-limiter-flexible: fixed windows in Lua, blocking, bursts, rewards, with both client libraries.
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import { BurstyRateLimiter, RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";
import { port } from "./port.mjs";

const io = new Redis({ port });
const node = await createClient({ socket: { port, host: "127.0.0.1" } }).connect();
await io.flushall();

for (const [name, options] of [["io", { storeClient: io }], ["node", { storeClient: node, useRedisPackage: true }]]) {
  const limiter = new RateLimiterRedis({ ...options, keyPrefix: name, points: 5, duration: 100, blockDuration: 200 });
  const taken = await Promise.allSettled(Array.from({ length: 12 }, () => limiter.consume("alice")));
  assert.equal(taken.filter((t) => t.status === "fulfilled").length, 5);
  const refused = taken.find((t) => t.status === "rejected").reason;
  assert.equal(refused.remainingPoints, 0);
  assert.ok(refused.msBeforeNext > 100000, "blocked for longer than the window");
  assert.equal((await limiter.consume("bob", 2)).remainingPoints, 3);
  assert.equal((await limiter.penalty("bob", 1)).consumedPoints, 3);
  assert.equal((await limiter.reward("bob", 2)).consumedPoints, 1);
  assert.equal((await limiter.get("bob")).remainingPoints, 4);
  assert.equal(await limiter.delete("bob"), true);
  assert.equal(await limiter.get("bob"), null);
}

const bursty = new BurstyRateLimiter(
  new RateLimiterRedis({ storeClient: io, keyPrefix: "steady", points: 2, duration: 100 }),
  new RateLimiterRedis({ storeClient: io, keyPrefix: "burst", points: 3, duration: 100 }),
);
const taken = await Promise.allSettled(Array.from({ length: 8 }, () => bursty.consume("alice")));
assert.equal(taken.filter((t) => t.status === "fulfilled").length, 5);

// A window ends.
const brief = new RateLimiterRedis({ storeClient: io, keyPrefix: "brief", points: 1, duration: 1 });
await brief.consume("x");
const { msBeforeNext } = await brief.consume("x").catch((e) => e);
assert.ok(msBeforeNext > 0 && msBeforeNext <= 1000);
await new Promise((done) => setTimeout(done, msBeforeNext + 50));
await brief.consume("x");

await io.quit();
await node.close();
console.log("ok");
