// Say a recording to an agent of @openai/agents, and write the answer to a file.
import { readFile, writeFile } from "node:fs/promises";
import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession } from "@openai/agents/realtime";

const RATE = 24_000; // samples a second of audio/pcm in the Realtime API
const [question, reply, url = "ws://localhost:8080/v1/realtime"] = process.argv.slice(2);

const wav = await readFile(question); // 16-bit, mono, 24 kHz
if (wav.readUInt32LE(24) !== RATE) throw new Error(`${question} is not a WAV file of 24 kHz`);
const silence = Buffer.alloc(2 * RATE * 3); // 3 s: the server hears that the turn is over
const pcm = Buffer.concat([wav.subarray(44), silence]);

const agent = new RealtimeAgent({ name: "Assistant", instructions: "Answer in one short sentence." });
const session = new RealtimeSession(agent, { transport: new OpenAIRealtimeWebSocket({ url }) });
let spoken = [];
const answered = new Promise((resolve, reject) => {
  session.on("audio", (event) => spoken.push(Buffer.from(event.data)));
  session.on("audio_interrupted", () => (spoken = []));
  session.on("audio_stopped", resolve);
  session.on("error", (event) => reject(event.error));
});

await session.connect({ apiKey: "any-key-will-do-on-localhost", url });
let start = 0;
const microphone = setInterval(() => {
  if (start >= pcm.length) return;
  const chunk = pcm.subarray(start, (start += RATE / 5)); // 100 ms
  session.sendAudio(chunk.buffer.slice(chunk.byteOffset, chunk.byteOffset + chunk.length));
}, 100);
await answered;
clearInterval(microphone);
session.close();

const audio = Buffer.concat(spoken);
console.log("reply:", Math.round(audio.length / 2 / (RATE / 1000)), "ms of audio");
const header = Buffer.from(wav.subarray(0, 44));
header.writeUInt32LE(36 + audio.length, 4);
header.writeUInt32LE(audio.length, 40);
await writeFile(reply, Buffer.concat([header, audio]));
