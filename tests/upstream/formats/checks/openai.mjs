// What does OpenAI refuse in a chat completion request? Raises its own error message, parameter and code.

import { Rejection, isObject } from '../common.mjs';

const FIELDS = new Set(
  `audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages metadata modalities model n
  parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
  safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
  web_search_options`.split(/\s+/),
);
const MESSAGE_FIELDS = new Set('role content name tool_calls tool_call_id refusal audio function_call annotations reasoning_content'.split(' '));
const PARTS = {
  user: ['text', 'image_url', 'input_audio', 'file'],
  system: ['text'],
  developer: ['text'],
  tool: ['text'],
  assistant: ['text', 'refusal'],
};
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const MAX_CALL_ID = 40;

const refuse = (message, param = null, code = null) => {
  throw new Rejection(400, message, { type: 'invalid_request_error', param, code });
};
const invalidType = (param, expected) => refuse(`Invalid type for '${param}': expected ${expected}.`, param, 'invalid_type');
const missing = (param) => refuse(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');

/** Throws a `Rejection`. `lax` lets unknown fields pass, as many compatible providers do. */
export function check(body, { lax }) {
  if (!isObject(body)) refuse('We could not parse the JSON body of your request.');
  if (!lax) for (const field of Object.keys(body)) if (!FIELDS.has(field)) refuse(`Unknown parameter: '${field}'.`, field, 'unknown_parameter');
  if (typeof body.model !== 'string' || body.model === '') refuse('you must provide a model parameter');
  checkMessages(body.messages, lax);
  checkTools(body);
  checkNumbers(body);
  checkOutput(body);
  if (body.stream_options && body.stream !== true) refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", 'stream_options');
  const stops = [body.stop ?? []].flat();
  if (stops.length > 4) refuse("Invalid 'stop': array too long. Expected an array with maximum length 4.", 'stop', 'array_above_max_length');
  if (stops.some((stop) => typeof stop !== 'string')) invalidType('stop', 'a string or an array of strings');
}

function checkMessages(messages, lax) {
  if (messages === undefined) missing('messages');
  if (!Array.isArray(messages)) invalidType('messages', 'an array of objects');
  if (messages.length === 0) refuse("Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.", 'messages', 'empty_array');
  let open = new Set();
  messages.forEach((message, index) => {
    const at = `messages[${index}]`;
    if (!isObject(message)) invalidType(at, 'an object');
    if (!lax) for (const field of Object.keys(message)) if (!MESSAGE_FIELDS.has(field)) refuse(`Unknown parameter: '${at}.${field}'.`, `${at}.${field}`, 'unknown_parameter');
    if (!PARTS[message.role]) refuse(`Invalid value: '${message.role}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'.`, `${at}.role`, 'invalid_value');
    if (message.role === 'tool') {
      open = answerCall(message, at, open);
    } else {
      allAnswered(open, `${at}.role`);
      open = new Set(message.role === 'assistant' ? checkCalls(message.tool_calls, at) : []);
    }
    checkContent(message, at);
  });
  allAnswered(open, 'messages');
}

function answerCall(message, at, open) {
  if (typeof message.tool_call_id !== 'string') missing(`${at}.tool_call_id`);
  if (!open.has(message.tool_call_id)) {
    refuse("Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.", `${at}.role`);
  }
  return new Set([...open].filter((id) => id !== message.tool_call_id));
}

function allAnswered(open, param) {
  if (open.size > 0) {
    refuse(`An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${[...open].join(', ')}`, param);
  }
}

function checkCalls(calls, at) {
  if (calls === undefined) return [];
  if (!Array.isArray(calls)) invalidType(`${at}.tool_calls`, 'an array of objects');
  if (calls.length === 0) refuse(`Invalid '${at}.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead.`, `${at}.tool_calls`, 'empty_array');
  return calls.map((call, index) => {
    const here = `${at}.tool_calls[${index}]`;
    if (typeof call.id !== 'string') missing(`${here}.id`);
    if (call.id.length > MAX_CALL_ID) refuse(`Invalid '${here}.id': string too long. Expected a string with maximum length ${MAX_CALL_ID}, but got a string with length ${call.id.length} instead.`, `${here}.id`, 'string_above_max_length');
    if (call.type !== 'function') missing(`${here}.type`);
    if (!NAME.test(call.function?.name ?? '')) refuse(`Invalid '${here}.function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`, `${here}.function.name`, 'invalid_value');
    if (typeof call.function.arguments !== 'string') invalidType(`${here}.function.arguments`, 'a string');
    return call.id;
  });
}

function checkContent(message, at) {
  const { content, role } = message;
  if (content === null || content === undefined) {
    if (role === 'assistant' && (message.tool_calls || message.refusal || message.audio)) return;
    refuse(`Invalid value for 'content': expected a string, got null.`, `${at}.content`);
  }
  if (typeof content === 'string') return;
  if (!Array.isArray(content)) invalidType(`${at}.content`, 'one of a string or array of objects');
  if (content.length === 0) refuse(`Invalid '${at}.content': empty array. Expected an array with minimum length 1, but got an empty array instead.`, `${at}.content`, 'empty_array');
  content.forEach((part, index) => {
    const here = `${at}.content[${index}]`;
    if (!PARTS[role].includes(part?.type)) {
      refuse(`Invalid value: '${part?.type}'. Supported values are: ${PARTS[role].map((type) => `'${type}'`).join(', ')}.`, `${here}.type`, 'invalid_value');
    }
    if (part.type === 'text' && typeof part.text !== 'string') missing(`${here}.text`);
    if (part.type === 'image_url' && !/^(?:https?:\/\/|data:image\/)/.test(part.image_url?.url ?? '')) {
      refuse(`Invalid '${here}.image_url.url'. Expected a valid URL, but got a value with an invalid format.`, `${here}.image_url.url`, 'invalid_value');
    }
    if (part.type === 'file' && !part.file?.file_id && !/^data:/.test(part.file?.file_data ?? '')) {
      refuse(`Invalid '${here}.file.file_data'. Expected a base64-encoded data URL with a MIME type.`, `${here}.file.file_data`, 'invalid_value');
    }
  });
}

function checkTools(body) {
  const { tools, tool_choice: choice } = body;
  if (tools === undefined || tools === null) {
    if (choice !== undefined && choice !== 'none') refuse("'tool_choice' is only allowed when 'tools' are specified.", 'tool_choice');
    if (body.parallel_tool_calls !== undefined) refuse("'parallel_tool_calls' is only allowed when 'tools' are specified.", 'parallel_tool_calls');
    return;
  }
  if (!Array.isArray(tools)) invalidType('tools', 'an array of objects');
  if (tools.length === 0) refuse("Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.", 'tools', 'empty_array');
  tools.forEach((tool, index) => {
    if (tool?.type !== 'function') refuse(`Invalid value: '${tool?.type}'. Supported values are: 'function' and 'custom'.`, `tools[${index}].type`, 'invalid_value');
    if (!NAME.test(tool.function?.name ?? '')) refuse(`Invalid 'tools[${index}].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`, `tools[${index}].function.name`, 'invalid_value');
    const { parameters, name, strict } = tool.function;
    if (parameters !== undefined && parameters?.type !== 'object') refuse(`Invalid schema for function '${name}': schema must be a JSON Schema of 'type: "object"', got 'type: "${parameters?.type}"'.`, `tools[${index}].function.parameters`, 'invalid_function_parameters');
    if (strict === true) checkStrict(parameters, `Invalid schema for function '${name}'`, `tools[${index}].function.parameters`, 'invalid_function_parameters');
  });
  checkChoice(choice, tools);
}

function checkChoice(choice, tools) {
  if (choice === undefined || choice === null) return;
  if (typeof choice === 'string') {
    if (!['none', 'auto', 'required'].includes(choice)) refuse(`Invalid value: '${choice}'. Supported values are: 'none', 'auto', and 'required'.`, 'tool_choice', 'invalid_value');
    return;
  }
  if (choice.type === 'allowed_tools') return;
  const name = choice.function?.name;
  if (choice.type !== 'function' || !name) missing('tool_choice.function');
  if (!tools.some((tool) => tool.function?.name === name)) refuse(`Tool choice 'function' not found in 'tools' parameter: '${name}'.`, 'tool_choice');
}

function checkStrict(schema, label, param, code) {
  if (!isObject(schema)) return;
  if (schema.type === 'object') {
    if (schema.additionalProperties !== false) refuse(`${label}: In context=(), 'additionalProperties' is required to be supplied and to be false.`, param, code);
    const absent = Object.keys(schema.properties ?? {}).find((name) => !(schema.required ?? []).includes(name));
    if (absent) refuse(`${label}: In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing '${absent}'.`, param, code);
  }
  for (const inner of [...Object.values(schema.properties ?? {}), schema.items]) checkStrict(inner, label, param, code);
}

function checkNumbers(body) {
  const within = (field, least, most) => {
    const value = body[field];
    if (value === undefined || value === null) return;
    if (typeof value !== 'number') invalidType(field, 'a number');
    if (value < least) refuse(`Invalid '${field}': below minimum value. Expected a value >= ${least}, but got ${value} instead.`, field, 'decimal_below_min_value');
    if (value > most) refuse(`Invalid '${field}': above maximum value. Expected a value <= ${most}, but got ${value} instead.`, field, 'decimal_above_max_value');
  };
  within('temperature', 0, 2);
  within('top_p', 0, 1);
  within('n', 1, 128);
  within('max_tokens', 1, Infinity);
  within('max_completion_tokens', 1, Infinity);
  within('frequency_penalty', -2, 2);
  within('presence_penalty', -2, 2);
  if (body.max_tokens != null && body.max_completion_tokens != null) {
    refuse("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.", 'max_tokens');
  }
  if (body.max_tokens != null && /(?:^|\/)(?:o\d|gpt-5)/.test(body.model)) {
    refuse("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.", 'max_tokens', 'unsupported_parameter');
  }
  const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'];
  if (body.reasoning_effort != null && !efforts.includes(body.reasoning_effort)) {
    refuse(`Invalid value: '${body.reasoning_effort}'. Supported values are: ${efforts.map((each) => `'${each}'`).join(', ')}.`, 'reasoning_effort', 'invalid_value');
  }
}

function checkOutput(body) {
  const format = body.response_format;
  if (format === undefined || format === null || format.type === 'text') return;
  if (format.type === 'json_object') {
    if (!/json/i.test(JSON.stringify(body.messages))) refuse("'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.", 'messages');
  } else if (format.type === 'json_schema') {
    const { json_schema: wrapper } = format;
    if (!NAME.test(wrapper?.name ?? '')) missing('response_format.json_schema.name');
    if (!isObject(wrapper.schema)) missing('response_format.json_schema.schema');
    if (wrapper.strict === true) checkStrict(wrapper.schema, `Invalid schema for response_format '${wrapper.name}'`, 'response_format', null);
  } else {
    refuse(`Invalid value: '${format.type}'. Supported values are: 'json_object', 'json_schema', and 'text'.`, 'response_format.type', 'invalid_value');
  }
}
