// ioredis: pipelines, transactions, Lua commands, pub/sub, streams with groups, scans, blocking reads, reconnection, RESP3.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Redis } from "ioredis";
import { port } from "./port.mjs";

const r = new Redis({ port, enableAutoPipelining: true });
await r.flushall();

// Pipelines: one error does not disturb its neighbours; automatic ones keep their order.
const piped = await r.pipeline().set("k", "v").incr("k").get("k").exec();
assert.equal(piped[0][1], "OK");
assert.match(piped[1][0].message, /^ERR value is not an integer or out of range/);
assert.equal(piped[2][1], "v");
const counts = await Promise.all(Array.from({ length: 500 }, () => r.incr("n")));
assert.deepEqual(counts, Array.from({ length: 500 }, (_, i) => i + 1));

// MULTI, and WATCH against another connection.
assert.deepEqual(await r.multi().hset("h", { a: "1", b: "2" }).hgetall("h").exec(), [[null, 2], [null, { a: "1", b: "2" }]]);
const other = r.duplicate({ enableAutoPipelining: false });
await other.watch("n");
await r.set("n", "0");
assert.equal(await other.multi().incr("n").exec(), null);

// A command in Lua goes out as EVALSHA and falls back to EVAL once.
r.defineCommand("takeUpTo", {
  numberOfKeys: 1,
  lua: `local n = math.min(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1]))
        redis.call('DECRBY', KEYS[1], n)
        return {n, redis.call('GET', KEYS[1])}`,
});
await r.set("stock", 5);
assert.deepEqual(await r.takeUpTo("stock", 3), [3, "2"]);
assert.deepEqual(await r.takeUpTo("stock", 3), [2, "0"]);
await r.script("FLUSH");
assert.deepEqual(await r.takeUpTo("stock", 3), [0, "0"]);
await assert.rejects(r.evalsha("f".repeat(40), 0), /NOSCRIPT/);

// Pub/sub with channels and patterns, in buffers too.
const sub = r.duplicate({ enableAutoPipelining: false });
await sub.subscribe("news");
await sub.psubscribe("user:*");
const message = once(sub, "message");
const pmessage = once(sub, "pmessageBuffer");
assert.equal(await r.publish("news", "hello"), 1);
assert.equal(await r.publish("user:7", Buffer.from([0, 255])), 1);
assert.deepEqual(await message, ["news", "hello"]);
assert.deepEqual((await pmessage)[2], Buffer.from([0, 255]));
await sub.unsubscribe("news");
await sub.punsubscribe("user:*");
assert.equal(await sub.ping(), "PONG");

// A stream that two consumers of a group share; what one leaves, the other claims.
await r.xgroup("CREATE", "jobs", "workers", "$", "MKSTREAM");
for (let i = 0; i < 10; i++) await r.xadd("jobs", "*", "n", i);
const [[, first]] = await other.xreadgroup("GROUP", "workers", "a", "COUNT", 6, "STREAMS", "jobs", ">");
const [[, second]] = await other.xreadgroup("GROUP", "workers", "b", "COUNT", 6, "STREAMS", "jobs", ">");
assert.deepEqual([first.length, second.length], [6, 4]);
assert.equal(await r.xack("jobs", "workers", ...second.map(([id]) => id)), 4);
assert.equal((await r.xpending("jobs", "workers"))[0], 6);
const claimed = await r.xautoclaim("jobs", "workers", "b", 0, "0");
assert.deepEqual(claimed[1].map(([, f]) => f[1]), ["0", "1", "2", "3", "4", "5"]);

// Blocking read, woken by another connection.
const popped = other.blpop("queue", 10);
await r.rpush("queue", "x");
assert.deepEqual(await popped, ["queue", "x"]);

// scanStream sees every key once and more.
await r.mset(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`scan:${i}`, "x"])));
const seen = new Set();
for await (const keys of r.scanStream({ match: "scan:*", count: 100 })) keys.forEach((k) => seen.add(k));
assert.equal(seen.size, 1000);

// A connection that the server cuts comes back by itself and repeats what was not answered.
const id = await other.client("ID");
const again = once(other, "ready");
await r.client("KILL", "ID", id);
await again;
assert.equal(await other.get("k"), "v");

// RESP3.
const three = new Redis({ port, protocol: 3 });
assert.equal(Number(await three.zscore("absent", "m")), 0);
await three.zadd("z", 1.5, "m");
assert.equal(Number(await three.zscore("z", "m")), 1.5);
assert.equal((await three.hgetall("h")).b, "2");

for (const c of [r, other, sub, three]) await c.quit();
console.log("ok");
