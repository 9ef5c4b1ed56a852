// How long a conversation is, as Anthropic, Gemini and OpenAI say it before it is sent: `…/messages/count_tokens`, `…:countTokens`,
// `…/responses/input_tokens`. What belongs to the answer alone is refused.

import { countTokens } from '../tokens.mjs';
import * as anthropic from './anthropic.mjs';
import { Rejection } from './common.mjs';
import * as gemini from './gemini.mjs';
import * as openai from './openai.mjs';

export const name = 'counting';
export const { errorBody, responseHeaders } = openai;

const WIRES = [
  {
    path: /^(.*\/anthropic)\/v1\/messages\/count_tokens$/,
    spoken: anthropic,
    known: ['model', 'messages', 'system', 'tools', 'tool_choice', 'thinking', 'output_config', 'cache_control'],
    told: (count) => ({ input_tokens: count }),
  },
  {
    path: /^(.*\/gemini)\/v1beta\/models\/([^/:]+):countTokens$/,
    spoken: gemini,
    known: ['generateContentRequest'],
    told: (count) => ({ totalTokens: count }),
  },
  {
    path: /^(.*\/(?:openai|responses)\/v1)\/responses\/input_tokens$/,
    spoken: openai,
    known: ['model', 'input', 'instructions', 'tools', 'tool_choice', 'reasoning', 'text', 'parallel_tool_calls', 'truncation'],
    told: (count) => ({ object: 'response.input_tokens', input_tokens: count }),
  },
];

export function route(path) {
  for (const wire of WIRES) {
    const found = wire.path.exec(path);
    if (found) return { prefix: found[1], model: found[2], wire };
  }
  return null;
}

export const requested = (body, { model }) => ({ model: body.model ?? model, stream: false });

export const authenticate = (headers, { path }) => route(path).wire.spoken.authenticate(headers);

export function check(body, { found: { wire } }) {
  for (const field of Object.keys(body)) {
    if (!wire.known.includes(field)) throw new Rejection(400, `Unknown parameter: '${field}'.`, { param: field });
  }
}

export function operate(body, { found: { wire } }) {
  const input = countTokens(JSON.stringify(body));
  return { usage: { input }, type: 'application/json', body: JSON.stringify(wire.told(input)) };
}
