// The Vercel AI SDK, with OpenRouter's, OpenAI's and Anthropic's own providers for it.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenRouter } from "@openrouter/ai-sdk-provider";
import { Output, generateText, isStepCount, streamText, tool } from "ai";
import { CITY, FUNCTIONS, PLACE, run } from "./common.mjs";

const client = (model) => {
  const asked = (name, prompt, more) => ({ model: model(name), prompt, maxRetries: 0, ...more });
  return {
    text: async (name, prompt) => (await generateText(asked(name, prompt))).text,
    stream: (name, prompt, abortSignal) => streamText(asked(name, prompt, { abortSignal, onError: () => {} })).textStream,
    async tools(name, prompt) {
      const own = FUNCTIONS.map(({ name, description }) => [name, tool({ description, inputSchema: PLACE, execute: async (input) => run(name, input) })]);
      return (await generateText(asked(name, prompt, { tools: Object.fromEntries(own), stopWhen: isStepCount(3) }))).text;
    },
    "structured output": async (name, prompt) => (await generateText(asked(name, prompt, { output: Output.object({ schema: CITY }) }))).output,
    status: ({ statusCode }) => statusCode,
  };
};

export const openrouter = ({ base, key }) => client(createOpenRouter({ baseURL: `${base}/api/v1`, apiKey: key, compatibility: "strict" }));
export const openaiResponses = ({ base, key }) => client(createOpenAI({ baseURL: `${base}/api/v1`, apiKey: key }));
export const openaiChat = ({ base, key }) => client(createOpenAI({ baseURL: `${base}/api/v1`, apiKey: key }).chat);
export const anthropic = ({ base, key }) => client(createAnthropic({ baseURL: `${base}/api/v1`, apiKey: key }));
