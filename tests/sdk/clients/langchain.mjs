// LangChain's chat models: OpenAI's, Anthropic's and OpenRouter's.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { ChatOpenRouter } from "@langchain/openrouter";
import { CITY, FUNCTIONS, PLACE, run } from "./common.mjs";

const TOOLS = FUNCTIONS.map(({ name, description }) => tool((input) => run(name, input), { name, description, schema: PLACE }));

const client = (llm) => ({
  text: async (model, prompt) => (await llm(model).invoke(prompt)).text,
  async *stream(model, prompt, signal) {
    for await (const { text } of await llm(model).stream(prompt, { signal })) if (text) yield text;
  },
  async tools(model, prompt) {
    const bound = llm(model).bindTools(TOOLS);
    const question = new HumanMessage(prompt);
    const asked = await bound.invoke([question]);
    const results = asked.tool_calls.map(({ id, name, args }) => new ToolMessage({ tool_call_id: id, content: run(name, args) }));
    return (await bound.invoke([question, asked, ...results])).text;
  },
  "structured output": (model, prompt) => llm(model).withStructuredOutput(CITY, { name: "city" }).invoke(prompt),
  status: ({ status, code, statusCode }) => status ?? statusCode ?? code,
});

export const openai = ({ base, key }) =>
  client((model) => new ChatOpenAI({ model, apiKey: key, maxRetries: 0, configuration: { baseURL: `${base}/api/v1` } }));
export const anthropic = ({ base, key }) =>
  client((model) => new ChatAnthropic({ model, apiKey: key, maxRetries: 0, maxTokens: 4_000, anthropicApiUrl: `${base}/api` }));
export const openrouter = ({ base, key }) =>
  client((model) => new ChatOpenRouter({ model, apiKey: key, maxRetries: 0, baseURL: `${base}/api/v1` }));
