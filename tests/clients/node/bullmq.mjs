// BullMQ: every kind of job, all of it Lua scripts that touch keys they did not declare.
import assert from "node:assert/strict";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";
import { Redis } from "ioredis";
import { port } from "./port.mjs";

const connection = { port, host: "127.0.0.1", maxRetriesPerRequest: null };
const r = new Redis(connection);
await r.flushall();

const queue = new Queue("mail", { connection });
const events = new QueueEvents("mail", { connection });
await events.waitUntilReady();
const done = new Map();
const worker = new Worker("mail", async (job) => {
  done.set(job.id, (done.get(job.id) ?? 0) + 1);
  await job.updateProgress(50);
  if (job.name === "flaky" && job.attemptsMade < 2) throw new Error("not yet");
  if (job.name === "hopeless") throw new Error("never");
  return job.data.n * 2;
}, { connection, concurrency: 8 });

// Many jobs, each done once, results stored.
const jobs = await queue.addBulk(Array.from({ length: 200 }, (_, n) => ({ name: "plain", data: { n } })));
const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 60000)));
assert.deepEqual(results, jobs.map((_, n) => n * 2));
assert.ok([...done.values()].every((times) => times === 1));

// Retries with back-off, a job that fails for good, a delayed one, priorities, a job id that deduplicates.
const flaky = await queue.add("flaky", { n: 1 }, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
assert.equal(await flaky.waitUntilFinished(events, 60000), 2);
assert.equal(done.get(flaky.id), 3);
const hopeless = await queue.add("hopeless", { n: 1 });
await assert.rejects(hopeless.waitUntilFinished(events, 60000), /never/);
assert.deepEqual((await queue.getFailed()).map((job) => job.failedReason), ["never"]);
const delayed = await queue.add("delayed", { n: 21 }, { delay: 150 });
assert.equal(await delayed.getState(), "delayed");
assert.equal(await delayed.waitUntilFinished(events, 60000), 42);
const twins = await Promise.all([1, 2].map((n) => queue.add("once", { n }, { jobId: "only-one" })));
assert.equal(twins[0].id, twins[1].id);

await worker.pause();
const order = [];
const slow = new Queue("ranked", { connection });
for (const priority of [5, 1, 3]) await slow.add("p", { priority }, { priority });
assert.equal((await slow.getJobCounts("prioritized")).prioritized, 3);
await new Promise((finished) => {
  const ranked = new Worker("ranked", async (job) => {
    order.push(job.data.priority);
    if (order.length === 3) setTimeout(() => ranked.close().then(finished), 0);
  }, { connection, concurrency: 1 });
});
assert.deepEqual(order, [1, 3, 5]);
worker.resume();

// A flow: the parent runs when its children have.
const tree = await new FlowProducer({ connection }).add({
  name: "parent", queueName: "mail", data: { n: 100 },
  children: [1, 2, 3].map((n) => ({ name: "plain", queueName: "mail", data: { n } })),
});
assert.equal(await tree.job.waitUntilFinished(events, 60000), 200);
assert.deepEqual(Object.values(await tree.job.getChildrenValues()).sort(), [2, 4, 6]);

// A scheduler repeats; a rate limit holds; an emptied queue is empty.
await queue.upsertJobScheduler("tick", { every: 50 }, { name: "plain", data: { n: 1 } });
await new Promise((ticked) => {
  let n = 0;
  events.on("completed", ({ jobId }) => jobId.startsWith("repeat:tick") && ++n === 3 && ticked());
});
assert.equal(await queue.removeJobScheduler("tick"), true);
await worker.close();
await queue.addBulk(Array.from({ length: 50 }, (_, n) => ({ name: "plain", data: { n } })));
await queue.drain();
assert.equal(await queue.getWaitingCount(), 0);
await queue.obliterate({ force: true });
assert.deepEqual(await r.keys("bull:mail:*").then((keys) => keys.filter((k) => !k.endsWith(":events"))), []);

for (const one of [queue, slow, events]) await one.close();
await r.quit();
console.log("ok");
process.exit(0); // the flow producer keeps its connection
