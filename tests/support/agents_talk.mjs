// A conversation of the stock `@openai/agents` SDK over WebSocket: a tool call, its result spoken,
// an interruption. Prints one JSON object. Arguments: the address, a file of PCM16 at 24 kHz, and the
// directory whose node_modules has the SDK.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [url, recording, home] = process.argv.slice(2);
const sdk = createRequire(`${home}/package.json`).resolve("@openai/agents-realtime");
const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } = await import(pathToFileURL(sdk));
const CHUNK_BYTES = 4_800;
const asked = [];
const errors = [];

const getTime = tool({
  name: "get_time",
  description: "Tell the time in a city",
  strict: false,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: true },
  execute: async (input) => {
    asked.push(input.city);
    return "10:00";
  },
});
const agent = new RealtimeAgent({ name: "Assistant", instructions: "Be brief.", tools: [getTime] });
const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ url }), model: "gpt-realtime" });
session.on("error", (error) => errors.push(JSON.stringify(error)));

const next = (emitter, name) => new Promise((resolve) => emitter.once(name, resolve));

await session.connect({ apiKey: "anything" });
const audio = next(session, "audio");
session.sendMessage("What time is it in Oslo?");
await audio;
const interrupted = next(session, "audio_interrupted");
const settled = new Promise((resolve) => {
  session.transport.on("*", (event) => {
    if (event.type === "conversation.item.retrieved" && event.item.role === "assistant") resolve(event.item);
  });
});
const pcm = await readFile(recording);
for (let start = 0; start < pcm.length; start += CHUNK_BYTES) {
  session.sendAudio(Uint8Array.from(pcm.subarray(start, start + CHUNK_BYTES)).buffer);
  await new Promise((resolve) => setTimeout(resolve, 100));
}
await interrupted;
const heard = await settled;
await new Promise((resolve) => setTimeout(resolve, 200));
const history = session.history.filter((item) => item.type === "message" && item.role === "assistant");
console.log(JSON.stringify({ asked, errors, heard, history: history.map((item) => [item.itemId, item.content]) }));
session.close();
process.exit(0);
