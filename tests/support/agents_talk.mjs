// Runs `agents_conversation.mjs` in Node and prints what happened as one JSON object. Arguments: the
// address, two files of PCM16 at 24 kHz (question, interruption), the directory whose node_modules has
// the SDK, and what asks for a story.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

import { converse } from "./agents_conversation.mjs";

const [url, question, interruption, home, story] = process.argv.slice(2);
const sdk = await import(pathToFileURL(createRequire(`${home}/package.json`).resolve("@openai/agents-realtime")));
const recordings = {
  question: new Uint8Array(await readFile(question)),
  interruption: new Uint8Array(await readFile(interruption)),
};
const told = JSON.stringify(await converse({ sdk, url, apiKey: "anything", recordings, story }));
process.stdout.write(told, () => process.exit(0));
