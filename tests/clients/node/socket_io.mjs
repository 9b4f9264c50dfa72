// @socket.io/redis-adapter: two Socket.IO servers that know of each other through the server only, over plain and sharded
// pub/sub, with either client library.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";
import { port } from "./port.mjs";

const ends = [];
async function viaNodeRedis(make) {
  const pub = await createClient({ socket: { port, host: "127.0.0.1" } }).connect();
  const sub = await pub.duplicate().connect();
  ends.push(() => Promise.all([pub.close(), sub.close()]));
  return make(pub, sub);
}
async function viaIoredis(make) {
  const pub = new Redis({ port });
  const sub = pub.duplicate();
  ends.push(() => Promise.all([pub.quit(), sub.quit()]));
  return make(pub, sub);
}
async function server(adapter) {
  const io = new Server({ adapter });
  io.on("connection", (socket) => {
    socket.on("join", (room, done) => { socket.join(room); done(); });
    socket.on("question", (n, answer) => answer(n + 1));
  });
  io.listen(0);
  await once(io.httpServer, "listening");
  return io;
}
async function client(io) {
  const c = connect(`http://127.0.0.1:${io.httpServer.address().port}`, { transports: ["websocket"] });
  await once(c, "connect");
  return c;
}

for (const [via, make] of [[viaNodeRedis, createAdapter], [viaIoredis, createAdapter], [viaNodeRedis, createShardedAdapter],
  [viaIoredis, createShardedAdapter]]) {
  const servers = [await server(await via(make)), await server(await via(make))];
  const [one, two] = [await client(servers[0]), await client(servers[1])];
  for (let i = 0; (await servers[0].fetchSockets()).length < 2; i++) assert.ok(i < 100, "the servers did not find each other");

  const both = [once(one, "all"), once(two, "all")];
  servers[0].emit("all", "hello");
  assert.deepEqual(await Promise.all(both), [["hello"], ["hello"]]);

  await two.emitWithAck("join", "room");
  const roomed = once(two, "to-room");
  one.once("to-room", () => assert.fail("not in the room"));
  for (let i = 0; (await servers[0].in("room").fetchSockets()).length < 1; i++) assert.ok(i < 100);
  servers[0].to("room").emit("to-room", { n: 1 });
  assert.deepEqual(await roomed, [{ n: 1 }]);

  // An answer from every client of every server; servers that talk to each other.
  for (const c of [one, two]) c.on("poll", (n, answer) => answer(n * 2));
  assert.deepEqual(await servers[0].timeout(60000).emitWithAck("poll", 4), [8, 8]);
  servers[1].on("among-us", (x, answer) => answer(x + " back"));
  assert.deepEqual(await servers[0].serverSideEmitWithAck("among-us", "there"), ["there back"]);

  const gone = once(two, "disconnect");
  servers[0].in("room").disconnectSockets(true);
  await gone;
  one.close();
  for (const io of servers) await io.close();
}
for (const end of ends) await end();
console.log("ok");
process.exit(0); // the time limits of calls that were answered are still ticking
