// What does Cohere refuse in a request to chat? Raises its own sentences.

import { Rejection, isObject } from '../common.mjs';

const FIELDS = new Set(
  `model messages stream tools documents citation_options response_format safety_mode max_tokens stop_sequences temperature seed frequency_penalty
  presence_penalty k p logprobs tool_choice strict_tools thinking priority`.split(/\s+/),
);
const ROLES = { system: 'role content', user: 'role content', assistant: 'role content tool_calls tool_plan citations', tool: 'role content tool_call_id' };
const PARTS = { system: ['text'], user: ['text', 'image_url', 'document'], assistant: ['text', 'thinking'], tool: ['text', 'document'] };

const refuse = (message) => {
  throw new Rejection(400, `invalid request: ${message}`);
};

/** Throws a `Rejection`. `lax` lets unknown fields pass. */
export function check(body, { lax }) {
  if (!isObject(body)) refuse('the body is not an object');
  if (!lax) for (const field of Object.keys(body)) if (!FIELDS.has(field)) refuse(`unknown field: parameter '${field}' is not a valid field`);
  if (typeof body.model !== 'string' || body.model === '') refuse("missing required field 'model'");
  if (!Array.isArray(body.messages) || body.messages.length === 0) refuse("'messages' must not be empty");
  checkMessages(body.messages);
  if (body.tools?.length === 0) refuse("'tools' must not be empty");
  if (body.response_format && (body.tools || body.documents)) refuse("'response_format' is not supported together with tools or documents");
  if (body.temperature < 0 || body.temperature > 1) refuse("'temperature' must be between 0 and 1");
  if (body.p < 0.01 || body.p > 0.99) refuse("'p' must be between 0.01 and 0.99");
  if (body.stop_sequences?.length > 5) refuse("at most 5 'stop_sequences'");
}

function checkMessages(messages) {
  const open = new Set();
  for (const [index, message] of messages.entries()) {
    const known = ROLES[message.role] ?? refuse(`messages[${index}]: unknown role '${message.role}'`);
    for (const field of Object.keys(message)) if (!known.split(' ').includes(field)) refuse(`messages[${index}]: unknown field '${field}'`);
    const parts = Array.isArray(message.content) ? message.content : [];
    for (const { type } of parts) if (!PARTS[message.role].includes(type)) refuse(`messages[${index}]: unknown content type '${type}'`);
    if (message.role === 'user' && (message.content === '' || message.content?.length === 0)) refuse(`messages[${index}]: 'content' must not be empty`);
    for (const call of message.tool_calls ?? []) open.add(call.id);
    if (message.role === 'tool' && !open.delete(message.tool_call_id)) refuse(`messages[${index}]: no call has the id '${message.tool_call_id}'`);
  }
  if (open.size > 0) refuse(`the calls ${[...open]} have no results`);
}
