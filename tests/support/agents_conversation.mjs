// A spoken conversation through the stock `@openai/agents` SDK, in Node and in a page: a question whose
// answer needs a function, then an answer that is spoken over. Returns what happened.

const RATE_HZ = 24_000;
const CHUNK_BYTES = RATE_HZ / 5; // 100 ms
const HEARD_BEFORE_MS = 1_500;
/** So long an answer may still be played, and spoken over, when all of it was sent. */
const PLAYED_WITHIN_MS = 8_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * `sdk`: the package's module. `recordings`: PCM16 at 24 kHz with silence behind it, as Uint8Array:
 * `question` is said first, `interruption` over the second answer, which `story` asks for.
 */
export async function converse({ sdk, url, apiKey, recordings, story }) {
  const { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } = sdk;
  const told = { transcripts: [], called: [], errors: [], said: {}, truncated: null, kept: null };
  const audio = {};
  let audioBegan;

  const getTime = tool({
    name: "get_time",
    description: "Tell the time in a city",
    strict: false,
    parameters: {
      type: "object",
      properties: { city: { type: "string", enum: ["Oslo", "Rome"] } },
      required: ["city"],
      additionalProperties: true,
    },
    execute: async (input) => {
      told.called.push(input);
      // Else the answer to the output would have to be a call again.
      session.transport.updateSessionConfig({ toolChoice: "none" });
      return "It is ten o'clock in the morning.";
    },
  });
  const agent = new RealtimeAgent({ name: "Assistant", instructions: "Answer briefly.", tools: [getTime] });
  const transport = new OpenAIRealtimeWebSocket({ url });
  const session = new RealtimeSession(agent, { transport, config: { toolChoice: "required" } });
  session.on("error", (event) => told.errors.push(String(event.error?.error?.message ?? JSON.stringify(event))));

  const waiters = [];
  const event = (type, fits = () => true) =>
    new Promise((resolve) => waiters.push({ type, fits, resolve }));
  transport.on("*", (message) => {
    if (message.type === "conversation.item.input_audio_transcription.completed") told.transcripts.push(message.transcript);
    if (message.type === "response.output_audio_transcript.delta") {
      told.said[message.item_id] = (told.said[message.item_id] ?? "") + message.delta;
    }
    if (message.type === "response.output_audio.delta") {
      audio[message.item_id] = (audio[message.item_id] ?? "") + atob(message.delta);
      audioBegan ??= message.item_id;
    }
    for (const waiter of waiters.filter((one) => one.type === message.type && one.fits(message))) {
      waiters.splice(waiters.indexOf(waiter), 1);
      waiter.resolve(message);
    }
  });

  let speech = new Uint8Array();
  const microphone = setInterval(() => {
    const chunk = new Uint8Array(CHUNK_BYTES);
    chunk.set(speech.subarray(0, CHUNK_BYTES));
    speech = speech.subarray(CHUNK_BYTES);
    session.sendAudio(chunk.buffer);
  }, 100);

  try {
    await session.connect({ apiKey, url });
    const spoken = (message) => message.response.output.some((item) => item.type === "message");
    const answered = event("response.done", spoken);
    speech = recordings.question;
    told.answer = (await answered).response;

    audioBegan = undefined;
    const interrupted = new Promise((resolve) => session.once("audio_interrupted", resolve));
    const truncated = event("conversation.item.truncated");
    const retrieved = event("conversation.item.retrieved", (message) => message.item.role === "assistant");
    const heardToo = event("conversation.item.input_audio_transcription.completed");
    session.sendMessage(story);
    while (audioBegan === undefined) await sleep(20);
    await sleep(HEARD_BEFORE_MS);
    const heardOut = event("response.done", (message) => message.response.status === "completed").then(async () => {
      await sleep(PLAYED_WITHIN_MS);
      throw new Error(`the story ended before it was spoken over: ${told.said[audioBegan]}`);
    });
    heardOut.catch(() => {}); // it may come after the conversation
    speech = recordings.interruption;
    await Promise.race([interrupted, heardOut]);
    told.truncated = await truncated;
    told.kept = (await retrieved).item;
    told.audio = btoa(audio[told.truncated.item_id] ?? "");
    await heardToo;
    await sleep(100);
    told.history = session.history
      .filter((item) => item.type === "message")
      .map((item) => ({ id: item.itemId, role: item.role, text: item.content.map((part) => part.transcript ?? part.text ?? "").join("") }));
  } finally {
    clearInterval(microphone);
    session.close();
  }
  return told;
}
