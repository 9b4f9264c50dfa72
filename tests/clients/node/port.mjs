// The port of the server under test: the only argument of every job in this folder.
export const port = Number(process.argv[2]);
if (!Number.isInteger(port) || port <= 0) throw new Error("usage: node JOB.mjs PORT");
