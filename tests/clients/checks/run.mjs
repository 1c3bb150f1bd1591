// Runs files of checks: `node run.mjs PACKAGE FILE ...`, in a folder where npm has installed the package.

import { readFileSync } from "node:fs";

import { run } from "./checking.mjs";

const [name, ...files] = process.argv.slice(2);
for (const file of files) await import(`./${file}`);
const about = new URL(`../node_modules/${name}/package.json`, import.meta.url);
await run(name, JSON.parse(readFileSync(about)).version);
