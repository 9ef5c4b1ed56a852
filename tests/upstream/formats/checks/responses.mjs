// What does OpenAI refuse in a request for a response? Raises its own error message, parameter and code.

import { isSigned } from '../../signature.mjs';
import { Rejection, isObject } from '../common.mjs';

const FIELDS = new Set(
  `background conversation include input instructions max_output_tokens max_tool_calls metadata model parallel_tool_calls previous_response_id
  prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream stream_options
  temperature text tool_choice tools top_logprobs top_p truncation user`.split(/\s+/),
);
const ITEMS = {
  message: 'type role content id status phase',
  function_call: 'type call_id name arguments id status',
  function_call_output: 'type call_id output id status',
  custom_tool_call: 'type call_id name input id status',
  custom_tool_call_output: 'type call_id output id status',
  reasoning: 'type id summary content encrypted_content status',
};
const PARTS = { user: ['input_text', 'input_image', 'input_file', 'input_audio'], assistant: ['output_text', 'refusal'] };
const NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const LEAST_TOKENS = 16;

const refuse = (message, param = null, code = null) => {
  throw new Rejection(400, message, { type: 'invalid_request_error', param, code });
};
const missing = (param) => refuse(`Missing required parameter: '${param}'.`, param, 'missing_required_parameter');

/** Throws a `Rejection`. `lax` lets unknown fields pass. */
export function check(body, { lax }) {
  if (!isObject(body)) refuse('We could not parse the JSON body of your request.');
  if (!lax) for (const field of Object.keys(body)) if (!FIELDS.has(field)) refuse(`Unknown parameter: '${field}'.`, field, 'unknown_parameter');
  if (typeof body.model !== 'string' || body.model === '') missing('model');
  checkInput(body.input, lax);
  checkTools(body);
  if (body.max_output_tokens != null && body.max_output_tokens < LEAST_TOKENS) {
    refuse(`Invalid 'max_output_tokens': integer below minimum value. Expected a value >= ${LEAST_TOKENS}, but got ${body.max_output_tokens} instead.`, 'max_output_tokens', 'integer_below_min_value');
  }
  const format = body.text?.format;
  if (format?.type === 'json_schema' && (!NAME.test(format.name ?? '') || !isObject(format.schema))) missing('text.format.name');
}

function checkInput(input, lax) {
  if (input === undefined) missing('input');
  if (typeof input === 'string') return;
  if (!Array.isArray(input)) refuse("Invalid type for 'input': expected one of a string or array of objects.", 'input', 'invalid_type');
  const open = new Set();
  input.forEach((item, index) => {
    const at = `input[${index}]`;
    const kind = item.type ?? 'message';
    if (!ITEMS[kind]) refuse(`Invalid value: '${item.type}'.`, `${at}.type`, 'invalid_value');
    const known = ITEMS[kind].split(' ');
    if (!lax) for (const field of Object.keys(item)) if (!known.includes(field)) refuse(`Unknown parameter: '${at}.${field}'.`, `${at}.${field}`, 'unknown_parameter');
    if (kind === 'message') checkContent(item, at);
    if (kind === 'reasoning') checkReasoning(item, at);
    if (kind.endsWith('_call')) {
      if (!NAME.test(item.name ?? '')) missing(`${at}.name`);
      if (typeof (item.arguments ?? item.input) !== 'string') missing(`${at}.arguments`);
      open.add(item.call_id);
    }
    if (kind.endsWith('_output') && !open.delete(item.call_id)) refuse(`No tool call found for function call output with call_id ${item.call_id}.`, 'input');
  });
  const [left] = open;
  if (left) refuse(`No tool output found for function call ${left}.`, 'input');
}

function checkContent({ role, content }, at) {
  if (!['user', 'assistant', 'system', 'developer'].includes(role)) refuse(`Invalid value: '${role}'.`, `${at}.role`, 'invalid_value');
  if (typeof content === 'string') return;
  if (!Array.isArray(content)) missing(`${at}.content`);
  content.forEach((part, index) => {
    if (!(PARTS[role] ?? ['input_text']).includes(part.type)) refuse(`Invalid value: '${part.type}'.`, `${at}.content[${index}].type`, 'invalid_value');
  });
}

/** Nothing is stored: what comes back has to be sealed, and by this very API. */
function checkReasoning(item, at) {
  if (!Array.isArray(item.summary)) missing(`${at}.summary`);
  if (!item.encrypted_content) refuse(`Item with id '${item.id}' not found. Items are not persisted when \`store\` is set to false.`, 'input');
  if (!isSigned('responses', item.encrypted_content)) {
    refuse(`The encrypted content for item ${item.id} could not be verified.`, null, 'invalid_encrypted_content');
  }
}

function checkTools({ tools, tool_choice: choice }) {
  (tools ?? []).forEach((tool, index) => {
    // Run by the provider itself.
    if (/^web_search(_preview)?$/.test(tool.type)) return;
    if (!['function', 'custom'].includes(tool.type)) refuse(`Invalid value: '${tool.type}'.`, `tools[${index}].type`, 'invalid_value');
    if (!NAME.test(tool.name ?? '')) missing(`tools[${index}].name`);
    if (tool.type === 'function' && tool.parameters !== null && tool.parameters?.type !== 'object') missing(`tools[${index}].parameters`);
  });
  if (isObject(choice) && !tools?.some((tool) => tool.name === choice.name)) refuse(`Tool choice '${choice.name}' not found in 'tools' parameter.`, 'tool_choice');
}
