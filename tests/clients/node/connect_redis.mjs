// connect-redis: the sessions of an Express application.
import assert from "node:assert/strict";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";
import { port } from "./port.mjs";

const client = await createClient({ socket: { port, host: "127.0.0.1" } }).connect();
await client.flushAll();
const store = new RedisStore({ client, prefix: "app:", ttl: 300 });

const app = express();
app.use(session({ store, secret: "s", resave: false, saveUninitialized: false }));
app.get("/visit", (req, res) => {
  req.session.visits = (req.session.visits ?? 0) + 1;
  res.json({ visits: req.session.visits });
});
app.get("/look", (req, res) => res.json({ visits: req.session.visits ?? 0 }));
app.get("/leave", (req, res) => req.session.destroy(() => res.json({ left: true })));
const http = await new Promise((ready) => {
  const s = app.listen(0, "127.0.0.1", () => ready(s));
});
const base = `http://127.0.0.1:${http.address().port}`;
async function browse(path, cookie) {
  const reply = await fetch(base + path, { headers: cookie ? { cookie } : {} });
  return [await reply.json(), reply.headers.get("set-cookie")?.split(";")[0] ?? cookie];
}

const [first, alice] = await browse("/visit");
assert.equal(first.visits, 1);
for (let i = 2; i <= 5; i++) assert.equal((await browse("/visit", alice))[0].visits, i);
const [, bob] = await browse("/visit");
assert.equal((await browse("/look", bob))[0].visits, 1);
assert.equal(await store.length(), 2);
const [key] = await client.keys("app:*");
const ttl = await client.ttl(key);
assert.ok(ttl > 250 && ttl <= 300);
await client.expire(key, 100);
const [id] = (await store.ids()).filter((one) => `app:${one}` === key);
await store.touch(id, await store.get(id));
assert.ok((await client.ttl(key)) > 250);
await browse("/leave", alice);
assert.equal((await browse("/look", alice))[0].visits, 0);
assert.equal(await store.length(), 1);
assert.deepEqual((await store.all()).map((s) => s.visits), [1]);
await store.clear();
assert.equal(await store.length(), 0);

http.close();
http.closeAllConnections();
await client.close();
console.log("ok");
