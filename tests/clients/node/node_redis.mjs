// redis (node-redis) over RESP3: client-side caching, pools, transactions, scans, functions, pub/sub of all three kinds.
import assert from "node:assert/strict";
import { BasicClientSideCache, createClient, createClientPool, defineScript } from "redis";
import { port } from "./port.mjs";

const socket = { port, host: "127.0.0.1" };
const addOnce = defineScript({
  NUMBER_OF_KEYS: 1,
  SCRIPT: "return redis.call('SADD', KEYS[1], ARGV[1]) == 1",
  parseCommand(parser, key, member) {
    parser.pushKey(key);
    parser.push(member);
  },
  transformReply: (n) => n === 1,
});
const c = await createClient({ socket, RESP: 3, name: "node", scripts: { addOnce } }).connect();
await c.flushAll();
assert.match(await c.clientInfo().then((i) => i.name), /^node$/);

await c.set("k", "v", { expiration: { type: "PX", value: 100000 }, condition: "NX" });
assert.ok((await c.pTTL("k")) > 90000);
assert.equal(await c.get("k"), "v");
await c.hSet("h", { one: "1", two: "2" });
assert.deepEqual({ ...(await c.hGetAll("h")) }, { one: "1", two: "2" });
await c.zAdd("z", [{ score: 2.5, value: "b" }, { score: -Infinity, value: "a" }]);
assert.deepEqual(await c.zRangeWithScores("z", 0, -1), [{ value: "a", score: -Infinity }, { value: "b", score: 2.5 }]);
await c.sAdd("s", ["x", "y"]);
assert.deepEqual(new Set(await c.sMembers("s")), new Set(["x", "y"]));
assert.equal(await c.addOnce("s", "z"), true);
assert.equal(await c.addOnce("s", "z"), false);

// Hash fields with a time to live of their own.
assert.deepEqual(await c.hExpire("h", ["one", "absent"], 100), [1, -2]);
assert.ok((await c.hTTL("h", "one"))[0] > 90);
assert.deepEqual(await c.hPersist("h", "one"), [1]);

// Optimistic locking through the pool, where every connection is someone else's.
const pool = await createClientPool({ socket, RESP: 3 }, { minimum: 2, maximum: 8 }).connect();
await Promise.all(Array.from({ length: 20 }, () => pool.execute(async (one) => {
  for (;;) {
    await one.watch("n");
    const n = Number((await one.get("n")) ?? 0);
    try {
      return await one.multi().set("n", n + 1).exec();
    } catch (e) {
      if (e.constructor.name !== "WatchError") throw e;
    }
  }
})));
assert.equal(await c.get("n"), "20");

// Client-side caching: the second read is local, a write by somebody else takes it away.
const cache = new BasicClientSideCache({ maxEntries: 100 });
const near = await createClient({ socket, RESP: 3, clientSideCache: cache }).connect();
assert.equal(await near.get("k"), "v");
assert.equal(await near.get("k"), "v");
assert.deepEqual([cache.stats().missCount, cache.stats().hitCount], [1, 1]);
await c.set("k", "w");
for (let i = 0; i < 6000 && cache.size() > 0; i++) await new Promise((done) => setTimeout(done, 10));
assert.equal(cache.size(), 0);
assert.equal(await near.get("k"), "w");

// Functions.
await c.functionLoad(`#!lua name=lib
redis.register_function{function_name='first', callback=function(keys, args) return redis.call('HGET', keys[1], args[1]) end, flags={'no-writes'}}`,
  { REPLACE: true });
assert.equal(await c.fCallRo("first", { keys: ["h"], arguments: ["two"] }), "2");
assert.equal((await c.functionList())[0].library_name, "lib");

// Channels, patterns, shard channels.
const sub = await c.duplicate().connect();
const heard = [];
const all = new Promise((done) => {
  const take = (message, channel) => {
    heard.push(`${channel}=${message}`);
    if (heard.length === 3) done();
  };
  Promise.all([sub.subscribe("plain", take), sub.pSubscribe("pat*", take), sub.sSubscribe("shard", take)]).then(async () => {
    await c.publish("plain", "1");
    await c.publish("pattern", "2");
    await c.sPublish("shard", "3");
  });
});
await all;
assert.deepEqual(heard.sort(), ["pattern=2", "plain=1", "shard=3"]);

// Streams: read as they come, blocking.
const reader = await c.duplicate().connect();
const waiting = reader.xRead({ key: "events", id: "$" }, { BLOCK: 10000 });
let added = 0;
const tick = setInterval(() => c.xAdd("events", "*", { n: String(added++) }), 20);
const [{ messages }] = await waiting;
clearInterval(tick);
assert.equal(typeof messages[0].message.n, "string");

// scanIterator, and large values both ways.
await c.mSet(Array.from({ length: 500 }, (_, i) => [`scan:${i}`, "x"]));
let n = 0;
for await (const keys of c.scanIterator({ MATCH: "scan:*" })) n += keys.length;
assert.ok(n >= 500);
const large = "ä".repeat(2_000_000);
await c.set("large", large);
assert.equal(await c.get("large"), large);

await assert.rejects(c.sendCommand(["NOSUCH", "a"]), /ERR unknown command 'NOSUCH'/);
await pool.close();
for (const one of [c, near, sub, reader]) await one.close();
console.log("ok");
