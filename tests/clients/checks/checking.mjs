// What checking.py is, for Node: registers checks, and tells each outcome in a line of standard output.

import assert from "node:assert/strict";

export const URL = process.env.XYLEM_URL;
export const KEY = process.env.XYLEM_API_KEY || "";
export const MODEL = process.env.XYLEM_MODEL || "demonstration";
export const ANY_KEY = KEY || "none";

const SOON_MS = 5000;
const checks = [];

export const check = (name, run) => checks.push({ name, run, needsKey: false });
export const checkWithKey = (name, run) => checks.push({ name, run, needsKey: true });
export const equal = assert.deepEqual;
export const holds = assert.ok;

/** The error, which is of this class. */
export async function rejects(kind, run) {
  let found;
  try {
    found = await run();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  throw new Error(`no ${kind.name}, but ${JSON.stringify(found)}`);
}

/** Asks again and again; what is asked is a request, and takes its time. */
export async function soon(condition) {
  const end = Date.now() + SOON_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${SOON_MS} ms`);
  }
}

const tell = (fields) => console.log("CHECK " + JSON.stringify(fields));

/** Runs all that was registered. */
export async function run(client, version) {
  tell({ client, version });
  for (const { name, run, needsKey } of checks) {
    if (needsKey && !KEY) {
      tell({ check: name, outcome: "skipped", reason: "the server asks for no key" });
      continue;
    }
    const began = performance.now();
    let [reason, where] = ["", ""];
    try {
      await run();
    } catch (error) {
      reason = `${error.name}: ${error.message}`;
      where = /openai_node\.mjs:\d+/.exec(error.stack || "")?.[0] || "";
    }
    const took = `${((performance.now() - began) / 1000).toFixed(2)} s`;
    tell({ check: name, outcome: reason ? "failed" : "passed", reason, where, took });
  }
}
