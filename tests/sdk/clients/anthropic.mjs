// Anthropic's JavaScript SDK.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { CITY, FUNCTIONS, run } from "./common.mjs";

const words = ({ content }) => content.filter(({ type }) => type === "text").map(({ text }) => text).join("");

export function messages({ base, key }) {
  const { messages } = new Anthropic({ baseURL: `${base}/api`, apiKey: key, maxRetries: 0, timeout: 30_000 });
  const asked = (model, content, more) => ({ model, max_tokens: 4_000, messages: [{ role: "user", content }], ...more });
  return {
    text: async (model, prompt) => words(await messages.create(asked(model, prompt))),
    async *stream(model, prompt, signal) {
      const stream = await messages.create(asked(model, prompt, { stream: true }), { signal });
      for await (const { delta } of stream) if (delta?.type === "text_delta") yield delta.text;
    },
    async tools(model, prompt) {
      const tools = FUNCTIONS.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters }));
      const first = asked(model, prompt, { tools });
      const { content } = await messages.create(first);
      const results = content
        .filter(({ type }) => type === "tool_use")
        .map(({ id, name, input }) => ({ type: "tool_result", tool_use_id: id, content: run(name, input) }));
      const turns = [...first.messages, { role: "assistant", content }, { role: "user", content: results }];
      return words(await messages.create({ ...first, messages: turns }));
    },
    "structured output": async (model, prompt) =>
      (await messages.parse(asked(model, prompt, { output_config: { format: zodOutputFormat(CITY) } }))).parsed_output,
    status: ({ status }) => status,
  };
}
