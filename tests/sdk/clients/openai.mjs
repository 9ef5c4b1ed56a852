// OpenAI's JavaScript SDK: chat completions and Responses.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { CITY, FUNCTIONS, run } from "./common.mjs";

const client = ({ base, key }) => new OpenAI({ baseURL: `${base}/api/v1`, apiKey: key, maxRetries: 0, timeout: 30_000 });
const user = (content) => ({ role: "user", content });

export function chat(gateway) {
  const { completions } = client(gateway).chat;
  return {
    text: async (model, prompt) => (await completions.create({ model, messages: [user(prompt)] })).choices[0].message.content,
    async *stream(model, prompt, signal) {
      const stream = await completions.create({ model, messages: [user(prompt)], stream: true }, { signal });
      for await (const { choices } of stream) if (choices[0]?.delta.content) yield choices[0].delta.content;
    },
    async tools(model, prompt) {
      const messages = [user(prompt)];
      const tools = FUNCTIONS.map((each) => ({ type: "function", function: each }));
      const { message } = (await completions.create({ model, messages, tools })).choices[0];
      const results = message.tool_calls.map(({ id, function: { name, arguments: json } }) => ({
        role: "tool",
        tool_call_id: id,
        content: run(name, JSON.parse(json)),
      }));
      return (await completions.create({ model, messages: [...messages, message, ...results], tools })).choices[0].message.content;
    },
    async "structured output"(model, prompt) {
      const asked = { model, messages: [user(prompt)], response_format: zodResponseFormat(CITY, "city") };
      return (await completions.parse(asked)).choices[0].message.parsed;
    },
    status: ({ status }) => status,
  };
}

export function responses(gateway) {
  const openai = client(gateway);
  return {
    text: async (model, input) => (await openai.responses.create({ model, input })).output_text,
    async *stream(model, input, signal) {
      const stream = await openai.responses.create({ model, input, stream: true }, { signal });
      for await (const { type, delta } of stream) if (type === "response.output_text.delta") yield delta;
    },
    async tools(model, prompt) {
      const input = [user(prompt)];
      const tools = FUNCTIONS.map((each) => ({ type: "function", strict: true, ...each }));
      const { output } = await openai.responses.create({ model, input, tools });
      const results = output
        .filter(({ type }) => type === "function_call")
        .map(({ call_id: id, name, arguments: json }) => ({ type: "function_call_output", call_id: id, output: run(name, JSON.parse(json)) }));
      return (await openai.responses.create({ model, input: [...input, ...output, ...results], tools })).output_text;
    },
    "structured output": async (model, input) =>
      (await openai.responses.parse({ model, input, text: { format: zodTextFormat(CITY, "city") } })).output_parsed,
    status: ({ status }) => status,
  };
}
