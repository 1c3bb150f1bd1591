// OpenAI's package for JavaScript: what its documentation shows, with answers that the demonstration model knows.

import OpenAI from "openai";

import { ANY_KEY, KEY, MODEL, URL, check, checkWithKey, equal, holds, rejects, soon } from "./checking.mjs";

const baseURL = `${URL}/v1`;
const client = new OpenAI({ baseURL, apiKey: ANY_KEY, maxRetries: 0, timeout: 60_000 });

const FRANCE = "What is the capital of France?";
const PARIS = "The capital of France is Paris.";
const COUNT = "Count from 3 to 7.";
const COUNTED = "3, 4, 5, 6, 7.";
const DESCRIBE = "Describe Anna, 34, baker from Oslo as JSON.";
const ANNA = { name: "Anna", age: 34, job: "baker", city: "Oslo" };
const WEATHER = "What is the weather in Oslo?";
const RAINY = '{"temperature": 7, "sky": "rainy"}';
const RAINY_OSLO = "It is 7 degrees and rainy in Oslo.";

const CITY = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const FUNCTION = { name: "get_weather", description: "Get the weather in a city.", parameters: CITY };
const TOOL = { type: "function", function: FUNCTION };
const PERSON = {
  type: "object",
  properties: {
    name: { type: "string" },
    age: { type: "integer" },
    job: { type: "string" },
    city: { type: "string" },
  },
  required: ["name", "age", "job", "city"],
  additionalProperties: false,
};

const ask = (content) => [{ role: "user", content }];
const chat = (content, fields = {}) =>
  client.chat.completions.create({ model: MODEL, messages: ask(content), temperature: 0, ...fields });
const respond = (input, fields = {}) => client.responses.create({ model: MODEL, input, temperature: 0, ...fields });

async function collected(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

check("chat answers", async () => {
  const answer = await chat(FRANCE, { n: 2, logprobs: true, top_logprobs: 2 });
  equal(answer.choices.map((choice) => choice.message.content), [PARIS, PARIS]);
  equal(answer.choices[0].finish_reason, "stop");
  const tokens = answer.choices[0].logprobs.content;
  equal(tokens.slice(0, -1).map((token) => token.token).join(""), PARIS);
  holds(tokens.every((token) => token.top_logprobs.length === 2));
});

check("chat streams", async () => {
  const chunks = await collected(await chat(COUNT, { stream: true, stream_options: { include_usage: true } }));
  equal(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), COUNTED);
  equal(chunks.at(-2).choices[0].finish_reason, "stop");
  const usage = chunks.at(-1).usage;
  equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});

check("the stream helper builds the answer", async () => {
  const pieces = [];
  const stream = client.chat.completions
    .stream({ model: MODEL, messages: ask(FRANCE), temperature: 0 })
    .on("content", (piece) => pieces.push(piece));
  const final = await stream.finalChatCompletion();
  equal(pieces.join(""), PARIS);
  equal(final.choices[0].message.content, PARIS);
});

check("a cancelled stream stops running", async () => {
  const running = async () => (await client.get("/loads")).aggregate.total_running_reqs;
  const stream = await chat("Tell me a long story.", { stream: true, max_tokens: 3000, ignore_eos: true });
  await soon(async () => (await running()) === 1);
  stream.controller.abort();
  await soon(async () => (await running()) === 0);
});

check("tools are called, and what they found is told", async () => {
  for (const tool_choice of ["auto", "required", { type: "function", function: { name: "get_weather" } }]) {
    const asked = (await chat(WEATHER, { tools: [TOOL], tool_choice })).choices[0].message;
    equal(asked.tool_calls.map((call) => call.function.name), ["get_weather"]);
    equal(JSON.parse(asked.tool_calls[0].function.arguments), { city: "Oslo" });
    const found = { role: "tool", tool_call_id: asked.tool_calls[0].id, content: RAINY };
    const messages = [...ask(WEATHER), asked, found];
    equal((await chat("", { messages, tools: [TOOL] })).choices[0].message.content, RAINY_OSLO);
  }
});

check("tools are run by the package", async () => {
  const asked = [];
  const get_weather = ({ city }) => {
    asked.push(city);
    return RAINY;
  };
  const runner = client.chat.completions.runTools({
    model: MODEL,
    messages: ask(WEATHER),
    temperature: 0,
    tools: [{ type: "function", function: { ...FUNCTION, function: get_weather, parse: JSON.parse } }],
  });
  equal(await runner.finalContent(), RAINY_OSLO);
  equal(asked, ["Oslo"]);
});

check("a schema is met", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "person", strict: true, schema: PERSON } };
  const parsed = await client.chat.completions.parse({
    model: MODEL,
    messages: ask(DESCRIBE),
    temperature: 0,
    response_format,
  });
  equal(JSON.parse(parsed.choices[0].message.content), ANNA);
  const any = await chat(DESCRIBE, { response_format: { type: "json_object" } });
  equal(JSON.parse(any.choices[0].message.content), ANNA);
});

check("plain completions go on", async () => {
  const fields = { model: MODEL, prompt: "Once upon a time", temperature: 0, max_tokens: 8 };
  const alone = (await client.completions.create(fields)).choices[0].text;
  const echoed = (await client.completions.create({ ...fields, echo: true, logprobs: 1 })).choices[0];
  equal(echoed.text, "Once upon a time" + alone);
  equal(echoed.logprobs.tokens.join(""), echoed.text);
  const chunks = await collected(await client.completions.create({ ...fields, stream: true }));
  equal(chunks.map((chunk) => chunk.choices[0]?.text ?? "").join(""), alone);
});

check("embeddings are vectors of length one", async () => {
  // The package asks for base64 of its own accord, and unpacks it.
  const answer = await client.embeddings.create({ model: MODEL, input: ["cat dog", "red"] });
  equal(answer.data.length, 2);
  holds(Math.abs(Math.hypot(...answer.data[0].embedding) - 1) < 1e-4);
  const short = await client.embeddings.create({ model: MODEL, input: "cat dog", dimensions: 32 });
  equal(short.data[0].embedding.length, 32);
});

check("a response answers, is kept, and is gone on from", async () => {
  const first = await respond(FRANCE);
  equal(first.output_text, PARIS);
  equal((await client.responses.retrieve(first.id)).status, "completed");
  const second = await respond("And of Spain?", { previous_response_id: first.id });
  equal(second.output_text, "The capital of Spain is Madrid.");
  await client.responses.delete(first.id);
  await rejects(OpenAI.NotFoundError, () => client.responses.retrieve(first.id));
});

check("a response streams named events", async () => {
  const events = await collected(await respond(COUNT, { stream: true }));
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  equal(deltas.map((event) => event.delta).join(""), COUNTED);
  equal(events.at(-1).type, "response.completed");
  const stream = client.responses.stream({ model: MODEL, input: FRANCE, temperature: 0 });
  equal((await stream.finalResponse()).output_text, PARIS);
});

check("a response calls a tool", async () => {
  const tools = [{ type: "function", ...FUNCTION, strict: true }];
  const asked = await respond(WEATHER, { tools });
  const call = asked.output[0];
  equal([call.type, call.name, JSON.parse(call.arguments)], ["function_call", "get_weather", { city: "Oslo" }]);
  const found = [{ type: "function_call_output", call_id: call.call_id, output: RAINY }];
  equal((await respond(found, { tools, previous_response_id: asked.id })).output_text, RAINY_OSLO);
});

check("models are listed", async () => {
  equal((await collected(client.models.list())).map((model) => model.id), [MODEL]);
  equal((await client.models.retrieve(MODEL)).id, MODEL);
});

check("errors are the package's own", async () => {
  const bad = await rejects(OpenAI.BadRequestError, () => chat(FRANCE, { temperature: 3 }));
  equal([bad.status, bad.param], [400, "temperature"]);
  const unknown = await rejects(OpenAI.NotFoundError, () => chat(FRANCE, { model: "gpt-4o" }));
  equal(unknown.code, "model_not_found");
});

checkWithKey("a wrong key is refused", async () => {
  const stranger = new OpenAI({ baseURL, apiKey: KEY + "x", maxRetries: 0 });
  const error = await rejects(OpenAI.AuthenticationError, () => stranger.models.list());
  equal(error.status, 401);
});
