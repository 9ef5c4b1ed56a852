// How each client surface asks for a feature and how its answers read: everything that differs between the rows of the matrix.
//
// A surface is `{path, ask, read, cannot}`: `ask(wish)` writes the body of a neutral wish, `read(response)` folds an answer, streamed
// or not, into `{text, calls, reasoning, finish, usage: {prompt, completion, cached, cost}, error: {message, type}, status}`, checking
// what holds for every answer of that wire. `cannot` names the features that the wire has no words for.
import assert from "node:assert/strict";

/** A PNG of one pixel. */
export const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=";

export const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, inhabitants: { type: "integer" } },
  required: ["name", "inhabitants"],
  additionalProperties: false,
};

const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const TOOLS = ["get_weather", "get_time"].map((name) => ({ name, description: `Tells ${name.slice(4)} of a city.`, parameters: CITY }));

/** The events of a stream: `[{event, data}]`; comments keep it open and say nothing. */
function events(text) {
  assert.ok(text.endsWith("\n\n"), `a stream ends with a whole event: ${JSON.stringify(text.slice(-200))}`);
  return text.slice(0, -2).split("\n\n").filter((block) => !block.startsWith(":")).map((block) => {
    const fields = Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
    assert.ok(fields.data !== undefined, `an event has data: ${block}`);
    return { event: fields.event, data: fields.data === "[DONE]" ? "[DONE]" : JSON.parse(fields.data) };
  });
}

async function bodyOf(response) {
  const type = response.headers.get("content-type").split(";")[0];
  if (type === "text/event-stream") return { stream: events(await response.text()) };
  assert.equal(type, "application/json");
  return { whole: await response.json() };
}

const empty = () => ({ text: "", calls: [], reasoning: "", finish: undefined, usage: undefined, error: undefined });
const call = (id, name, json) => ({ id, name, args: JSON.parse(json || "{}") });

/** Chat-completion messages of a wish. */
function messages({ user, image, turns = [] }) {
  const content = image ? [{ type: "text", text: user }, { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } }] : user;
  const answered = turns.flatMap(({ calls, results }) => [
    { role: "assistant", content: null, tool_calls: calls.map(({ id, name, args }) => ({ id, type: "function", function: { name, arguments: JSON.stringify(args) } })) },
    ...calls.map(({ id }, at) => ({ role: "tool", tool_call_id: id, content: results[at] })),
  ]);
  return [{ role: "user", content }, ...answered];
}

const CHAT_USAGE = (usage) => usage && {
  prompt: usage.prompt_tokens,
  completion: usage.completion_tokens,
  cached: usage.prompt_tokens_details.cached_tokens,
  cost: usage.cost,
};

const chat = {
  path: "chat/completions",
  cannot: [],
  ask: (wish) => ({
    model: wish.model,
    stream: wish.stream,
    messages: messages(wish),
    ...(wish.tools && { tools: TOOLS.map((tool) => ({ type: "function", function: tool })) }),
    ...(wish.reasoning && { reasoning: { effort: "low" } }),
    ...(wish.schema && { response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema: SCHEMA } } }),
  }),
  async read(response) {
    const { stream, whole } = await bodyOf(response);
    const seen = empty();
    if (whole) {
      if (whole.error) return { ...seen, error: { message: whole.error.message, type: whole.error.type } };
      const [{ message, finish_reason: finish }] = whole.choices;
      const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: json } }) => call(id, name, json));
      return { ...seen, text: message.content ?? "", reasoning: message.reasoning ?? "", calls, finish, usage: CHAT_USAGE(whole.usage) };
    }
    assert.equal(stream.at(-1).data, "[DONE]");
    const calls = [];
    for (const { data } of stream.slice(0, -1)) {
      if (data.error) seen.error = { message: data.error.message, type: data.error.type };
      if (data.usage) seen.usage = CHAT_USAGE(data.usage);
      for (const { delta, finish_reason: finish } of data.choices) {
        seen.text += delta.content ?? "";
        seen.reasoning += delta.reasoning ?? "";
        seen.finish = finish ?? seen.finish;
        for (const { index, id, function: { name, arguments: json } } of delta.tool_calls ?? []) {
          const own = (calls[index] ??= { id, name: "", json: "" });
          own.name += name ?? "";
          own.json += json ?? "";
        }
      }
    }
    return { ...seen, calls: calls.map(({ id, name, json }) => call(id, name, json)) };
  },
};

const completions = {
  path: "completions",
  cannot: ["tools", "parallel", "reasoning", "image"],
  ask: (wish) => ({
    model: wish.model,
    stream: wish.stream,
    prompt: wish.user,
    ...(wish.schema && { response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema: SCHEMA } } }),
  }),
  async read(response) {
    const { stream, whole } = await bodyOf(response);
    const seen = empty();
    if (whole) {
      if (whole.error) return { ...seen, error: { message: whole.error.message, type: whole.error.type } };
      assert.equal(whole.object, "text_completion");
      return { ...seen, text: whole.choices[0].text, finish: whole.choices[0].finish_reason, usage: CHAT_USAGE(whole.usage) };
    }
    assert.equal(stream.at(-1).data, "[DONE]");
    for (const { data } of stream.slice(0, -1)) {
      if (data.error) seen.error = { message: data.error.message, type: data.error.type };
      if (data.usage) seen.usage = CHAT_USAGE(data.usage);
      for (const { text, finish_reason: finish } of data.choices) {
        seen.text += text ?? "";
        seen.finish = finish ?? seen.finish;
      }
    }
    return seen;
  },
};

const RESPONSES_USAGE = (usage) => usage && {
  prompt: usage.input_tokens,
  completion: usage.output_tokens,
  cached: usage.input_tokens_details.cached_tokens,
  cost: usage.cost,
};

function response(object) {
  const seen = empty();
  for (const item of object.output) {
    if (item.type === "message") seen.text += item.content.map(({ text }) => text ?? "").join("");
    if (item.type === "function_call") seen.calls.push(call(item.call_id, item.name, item.arguments));
    if (item.type === "reasoning") {
      seen.reasoning += [...(item.summary ?? []), ...(item.content ?? [])].map(({ text }) => text ?? "").join("");
    }
  }
  const error = object.error ? { message: object.error.message, type: object.error.code } : undefined;
  return { ...seen, finish: object.status, usage: RESPONSES_USAGE(object.usage), error };
}

/** Which event ends an item or a part that another one began. */
const OPENS = { "response.output_item.added": "response.output_item.done", "response.content_part.added": "response.content_part.done" };

const responses = {
  path: "responses",
  cannot: [],
  ask: (wish) => ({
    model: wish.model,
    stream: wish.stream,
    input: [
      { role: "user", content: [{ type: "input_text", text: wish.user }, ...(wish.image ? [{ type: "input_image", image_url: `data:image/png;base64,${PIXEL}` }] : [])] },
      ...(wish.turns ?? []).flatMap(({ calls, results }) => [
        ...calls.map(({ id, name, args }) => ({ type: "function_call", call_id: id, name, arguments: JSON.stringify(args) })),
        ...calls.map(({ id }, at) => ({ type: "function_call_output", call_id: id, output: results[at] })),
      ]),
    ],
    ...(wish.tools && { tools: TOOLS.map((tool) => ({ type: "function", ...tool })) }),
    ...(wish.reasoning && { reasoning: { effort: "low", summary: "auto" } }),
    ...(wish.schema && { text: { format: { type: "json_schema", name: "city", strict: true, schema: SCHEMA } } }),
  }),
  async read(answer) {
    const { stream, whole } = await bodyOf(answer);
    if (whole) return whole.error && !whole.output ? { ...empty(), error: { message: whole.error.message, type: whole.error.type } } : response(whole);
    const named = stream.filter(({ data }) => data !== "[DONE]");
    assert.equal(named[0].data.type, "response.created");
    const open = [];
    let text = "";
    named.forEach(({ event, data }, at) => {
      assert.equal(event, data.type);
      assert.equal(data.sequence_number, at);
      if (OPENS[data.type]) open.push(OPENS[data.type]);
      else if (Object.values(OPENS).includes(data.type)) {
        const began = open.lastIndexOf(data.type);
        assert.ok(began >= 0, `${data.type} without its beginning`);
        open.splice(began, 1);
      }
      if (data.type === "response.output_text.delta") text += data.delta;
    });
    const last = named.at(-1).data;
    if (last.type === "error") return { ...empty(), text, error: { message: last.message, type: last.code } };
    assert.match(last.type, /^response\.(completed|incomplete|failed)$/);
    const seen = response(last.response);
    if (last.type !== "response.failed") {
      assert.deepEqual(open, [], "every item and part is closed");
      assert.equal(text, seen.text, "the deltas are the text");
    }
    return { ...seen, text };
  },
};

const MESSAGES_USAGE = (usage) => usage && {
  prompt: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
  completion: usage.output_tokens,
  cached: usage.cache_read_input_tokens,
  cost: usage.cost,
};

function message(object) {
  const seen = empty();
  for (const block of object.content) {
    if (block.type === "text") seen.text += block.text;
    if (block.type === "thinking") seen.reasoning += block.thinking;
    if (block.type === "tool_use") seen.calls.push({ id: block.id, name: block.name, args: block.input });
  }
  return { ...seen, finish: object.stop_reason, usage: MESSAGES_USAGE(object.usage) };
}

const messagesSurface = {
  path: "messages",
  cannot: [],
  ask: (wish) => ({
    model: wish.model,
    max_tokens: 4_000,
    stream: wish.stream,
    messages: [
      { role: "user", content: [{ type: "text", text: wish.user }, ...(wish.image ? [{ type: "image", source: { type: "base64", media_type: "image/png", data: PIXEL } }] : [])] },
      ...(wish.turns ?? []).flatMap(({ calls, results }) => [
        { role: "assistant", content: calls.map(({ id, name, args }) => ({ type: "tool_use", id, name, input: args })) },
        { role: "user", content: calls.map(({ id }, at) => ({ type: "tool_result", tool_use_id: id, content: results[at] })) },
      ]),
    ],
    ...(wish.tools && { tools: TOOLS.map(({ parameters, ...tool }) => ({ ...tool, input_schema: parameters })) }),
    ...(wish.reasoning && { thinking: { type: "enabled", budget_tokens: 1_024 } }),
    ...(wish.schema && { output_config: { format: { type: "json_schema", schema: SCHEMA } } }),
  }),
  async read(answer) {
    const { stream, whole } = await bodyOf(answer);
    if (whole) return whole.type === "error" ? { ...empty(), error: { message: whole.error.message, type: whole.error.type } } : message(whole);
    let object;
    let open;
    let ended = false;
    let error;
    for (const { event, data } of stream) {
      assert.equal(event, data.type);
      assert.ok(!ended, `${event} after the end`);
      switch (data.type) {
        case "message_start":
          object = { ...data.message, content: [] };
          break;
        case "content_block_start":
          assert.equal(open, undefined, "one block at a time");
          assert.equal(data.index, object.content.length);
          open = { ...data.content_block, json: "" };
          object.content.push(open);
          break;
        case "content_block_delta":
          assert.equal(data.index, object.content.length - 1);
          open.text += data.delta.text ?? "";
          open.thinking += data.delta.thinking ?? "";
          open.json += data.delta.partial_json ?? "";
          break;
        case "content_block_stop":
          if (open.type === "tool_use") open.input = JSON.parse(open.json || "{}");
          open = undefined;
          break;
        case "message_delta":
          Object.assign(object, data.delta, { usage: { ...object.usage, ...data.usage } });
          break;
        case "error":
          error = { message: data.error.message, type: data.error.type };
          ended = true;
          break;
        case "message_stop":
          assert.equal(open, undefined, "every block is closed");
          ended = true;
          break;
        default:
          assert.equal(data.type, "ping");
      }
    }
    assert.ok(ended, "a stream ends with message_stop or error");
    return { ...(object ? message(object) : empty()), error };
  },
};

export const SURFACES = { chat, completions, responses, messages: messagesSurface };
