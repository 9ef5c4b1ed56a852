// What does Anthropic refuse in a messages request? Raises its own messages, with its dotted paths.
// Consecutive turns of one role are legal there (they are joined), but a tool result has to stand in the very next turn.

import { isSigned } from '../../signature.mjs';
import { Rejection, isObject } from '../common.mjs';

const FIELDS = new Set(
  `cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model output_config output_format service_tier
  speed stop_sequences stream system temperature thinking tool_choice tools top_k top_p`.split(/\s+/),
);
const BLOCKS = {
  text: ['text', 'citations'],
  image: ['source'],
  document: ['source', 'title', 'context', 'citations'],
  search_result: ['source', 'title', 'content', 'citations'],
  tool_use: ['id', 'name', 'input', 'caller'],
  tool_result: ['tool_use_id', 'content', 'is_error'],
  thinking: ['thinking', 'signature'],
  redacted_thinking: ['data'],
};
const ROLE_BLOCKS = {
  user: ['text', 'image', 'document', 'search_result', 'tool_result'],
  assistant: ['text', 'thinking', 'redacted_thinking', 'tool_use'],
};
const TOOL_FIELDS = new Set('type name description input_schema cache_control strict eager_input_streaming defer_loading allowed_callers input_examples'.split(' '));
const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];
const CALL_ID = /^[a-zA-Z0-9_-]+$/;
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,128}$/;
const LEAST_BUDGET = 1024;
const MOST_MARKERS = 4;

const refuse = (message) => {
  throw new Rejection(400, message);
};

/** Throws a `Rejection`. */
export function check(body) {
  if (!isObject(body)) refuse('The request body is not valid JSON: expected an object');
  if (typeof body.model !== 'string') refuse('model: Field required');
  if (body.max_tokens === undefined) refuse('max_tokens: Field required');
  if (!Number.isInteger(body.max_tokens)) refuse('max_tokens: Input should be a valid integer');
  if (body.max_tokens < 1) refuse('max_tokens: Input should be greater than or equal to 1');
  for (const field of Object.keys(body)) if (!FIELDS.has(field)) refuse(`${field}: Extra inputs are not permitted`);
  checkSystem(body.system);
  checkTools(body);
  checkSampling(body);
  checkMessages(body.messages);
  checkThinking(body);
  checkOutput(body);
  const markers = JSON.stringify([body.tools, body.system, body.messages]).match(/"cache_control":\{/g)?.length ?? 0;
  if (markers > MOST_MARKERS) refuse(`A maximum of ${MOST_MARKERS} blocks with cache_control may be provided. Found ${markers}.`);
}

function checkSystem(system) {
  if (system === undefined || typeof system === 'string') return;
  if (!Array.isArray(system)) refuse('system: Input should be a valid list');
  system.forEach((block, index) => checkBlock(block, `system.${index}`, ['text']));
}

function checkMessages(messages) {
  if (messages === undefined) refuse('messages: Field required');
  if (!Array.isArray(messages)) refuse('messages: Input should be a valid list');
  if (messages.length === 0) refuse('messages: at least one message is required');
  const seen = new Set();
  messages.forEach((message, index) => {
    const at = `messages.${index}`;
    if (message?.role === 'system') refuse('messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, not "system" as an input message role.');
    if (!ROLE_BLOCKS[message?.role]) refuse(`${at}.role: Input should be 'user' or 'assistant'`);
    for (const field of Object.keys(message)) if (field !== 'role' && field !== 'content') refuse(`${at}.${field}: Extra inputs are not permitted`);
    checkContent(message, at, index === messages.length - 1);
    for (const id of idsOf(message, 'tool_use', 'id')) {
      if (seen.has(id)) refuse('messages: `tool_use` ids must be unique');
      seen.add(id);
    }
  });
  if (messages[0].role !== 'user') refuse('messages: first message must use the "user" role');
  checkPairs(messages);
}

function checkContent(message, at, isLast) {
  const { content, role } = message;
  const isEmpty = content === '' || (Array.isArray(content) && content.length === 0);
  if (isEmpty && !(isLast && role === 'assistant')) {
    refuse(`${at}: all messages must have non-empty content except for the optional final assistant message`);
  }
  if (typeof content === 'string') {
    if (!isEmpty && role === 'user' && content.trim() === '') refuse('messages: text content blocks must contain non-whitespace text');
  } else if (Array.isArray(content)) {
    content.forEach((block, index) => checkBlock(block, `${at}.content.${index}`, ROLE_BLOCKS[role]));
  } else {
    refuse(content === undefined ? `${at}.content: Field required` : `${at}.content: Input should be a valid list`);
  }
  const last = typeof content === 'string' ? content : content.at(-1)?.text;
  if (isLast && role === 'assistant' && /\s$/.test(last ?? '')) refuse('messages: final assistant content cannot end with trailing whitespace');
}

function checkBlock(block, at, allowed) {
  if (!isObject(block) || typeof block.type !== 'string') refuse(`${at}.type: Field required`);
  if (!allowed.includes(block.type) && BLOCKS[block.type] === undefined && !/_tool_(?:result|use)$|^server_tool_use$|^container_upload$/.test(block.type)) {
    refuse(`${at}: Input tag '${block.type}' found using 'type' does not match any of the expected tags: ${allowed.map((tag) => `'${tag}'`).join(', ')}`);
  }
  const known = BLOCKS[block.type];
  if (known === undefined) return;
  if (!allowed.includes(block.type)) refuse(`${at}: \`${block.type}\` blocks are not permitted here`);
  for (const field of Object.keys(block)) {
    if (!known.includes(field) && field !== 'type' && field !== 'cache_control') refuse(`${at}.${block.type}.${field}: Extra inputs are not permitted`);
  }
  if (block.cache_control && /thinking/.test(block.type)) refuse(`${at}.${block.type}.cache_control: Extra inputs are not permitted`);
  if (block.cache_control && !['5m', '1h', undefined].includes(block.cache_control.ttl)) refuse(`${at}.${block.type}.cache_control.ttl: Input should be '5m' or '1h'`);
  CHECKS[block.type]?.(block, at, allowed);
}

const CHECKS = {
  text(block, at, allowed) {
    if (typeof block.text !== 'string') refuse(`${at}.text.text: Field required`);
    if (block.cache_control && block.text === '') refuse(`${at}.text: cache_control cannot be set for empty text blocks`);
    if (block.text === '') refuse(`${at.startsWith('system') ? 'system' : 'messages'}: text content blocks must be non-empty`);
    if (block.text.trim() === '' && allowed !== ROLE_BLOCKS.assistant) refuse(`${at.startsWith('system') ? 'system' : 'messages'}: text content blocks must contain non-whitespace text`);
  },
  image(block, at) {
    checkSource(block.source, `${at}.image.source`, IMAGE_TYPES);
  },
  document(block, at) {
    checkSource(block.source, `${at}.document.source`, ['application/pdf', 'text/plain']);
  },
  tool_use(block, at) {
    if (typeof block.id !== 'string') refuse(`${at}.tool_use.id: Field required`);
    if (!CALL_ID.test(block.id)) refuse(`${at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
    if (!TOOL_NAME.test(block.name ?? '')) refuse(`${at}.tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
    if (!isObject(block.input)) refuse(`${at}.tool_use.input: Input should be a valid dictionary`);
  },
  tool_result(block, at) {
    if (typeof block.tool_use_id !== 'string') refuse(`${at}.tool_result.tool_use_id: Field required`);
    if (!CALL_ID.test(block.tool_use_id)) refuse(`${at}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]+$'`);
    if (block.content === undefined || typeof block.content === 'string') return;
    if (!Array.isArray(block.content)) refuse(`${at}.tool_result.content: Input should be a valid list`);
    block.content.forEach((inner, index) => checkBlock(inner, `${at}.tool_result.content.${index}`, ['text', 'image', 'document', 'search_result']));
  },
  thinking(block, at) {
    if (typeof block.thinking !== 'string') refuse(`${at}.thinking.thinking: Field required`);
    if (typeof block.signature !== 'string') refuse(`${at}.thinking.signature: Field required`);
    if (!isSigned('anthropic', block.signature, block.thinking)) refuse(`${at}: Invalid \`signature\` in \`thinking\` block`);
  },
  redacted_thinking(block, at) {
    if (!isSigned('anthropic', block.data)) refuse(`${at}: Invalid \`data\` in \`redacted_thinking\` block`);
  },
};

function checkSource(source, at, mediaTypes) {
  if (!isObject(source)) refuse(`${at}: Field required`);
  if (source.type === 'base64') {
    if (!mediaTypes.includes(source.media_type)) refuse(`${at}.base64.media_type: Input should be ${mediaTypes.map((type) => `'${type}'`).join(', ')}`);
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(source.data ?? '')) refuse(`${at}.base64.data: Invalid base64 data`);
  } else if (source.type === 'url') {
    if (!/^https:\/\//.test(source.url ?? '')) refuse(`${at}.url.url: Only HTTPS URLs are supported.`);
  } else if (!['file', 'text', 'content'].includes(source.type)) {
    refuse(`${at}: Input tag '${source.type}' found using 'type' does not match any of the expected tags: 'base64', 'url', 'file'`);
  }
}

const idsOf = (message, type, field) => (Array.isArray(message.content) ? message.content.filter((block) => block.type === type).map((block) => block[field]) : []);

/** Each tool_use needs its tool_result in the next message, before any other block; no result without its call. */
function checkPairs(messages) {
  messages.forEach((message, index) => {
    const next = messages[index + 1];
    const calls = message.role === 'assistant' ? idsOf(message, 'tool_use', 'id') : [];
    if (calls.length > 0) {
      const blocks = next?.role === 'user' && Array.isArray(next.content) ? next.content : [];
      const leading = blocks.slice(0, blocks.findLastIndex((block, at) => block.type === 'tool_result' && blocks.slice(0, at).every((each) => each.type === 'tool_result')) + 1);
      const absent = calls.filter((id) => !leading.some((block) => block.tool_use_id === id));
      if (absent.length > 0) {
        refuse(`messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${absent.join(', ')}. Each \`tool_use\` block must have a corresponding \`tool_result\` block in the next message.`);
      }
    }
    const before = index > 0 ? idsOf(messages[index - 1], 'tool_use', 'id') : [];
    const stray = idsOf(message, 'tool_result', 'tool_use_id').find((id) => !before.includes(id));
    if (stray) refuse(`messages.${index}.content.0: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`);
  });
}

function checkTools(body) {
  const { tools, tool_choice: choice } = body;
  const names = new Set();
  (tools ?? []).forEach((tool, index) => {
    const at = `tools.${index}`;
    if (/_\d{8}$|^mcp_toolset$/.test(tool.type ?? '')) return;
    if (tool.type !== undefined && tool.type !== 'custom') refuse(`${at}: Input tag '${tool.type}' found using 'type' does not match any of the expected tags: 'bash_20250124', 'custom', 'web_search_20250305'`);
    for (const field of Object.keys(tool)) if (!TOOL_FIELDS.has(field)) refuse(`${at}.custom.${field}: Extra inputs are not permitted`);
    if (!TOOL_NAME.test(tool.name ?? '')) refuse(`${at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'`);
    if (!isObject(tool.input_schema)) refuse(`${at}.custom.input_schema: Field required`);
    if (tool.input_schema.type !== 'object') refuse(`${at}.custom.input_schema.type: Input should be 'object'`);
    if (names.has(tool.name)) refuse('tools: Tool names must be unique.');
    names.add(tool.name);
  });
  if (choice === undefined) return;
  if (!['auto', 'any', 'tool', 'none'].includes(choice?.type)) refuse(`tool_choice: Input tag '${choice?.type}' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'`);
  if (!tools?.length) refuse('tool_choice may only be specified while providing tools.');
  if (choice.type === 'tool' && !tools.some((tool) => tool.name === choice.name)) refuse(`Tool '${choice.name}' not found in provided tools`);
}

function checkSampling(body) {
  if (body.temperature !== undefined && !(body.temperature >= 0 && body.temperature <= 1)) refuse('temperature: range: 0..1');
  if (body.top_p !== undefined && !(body.top_p >= 0 && body.top_p <= 1)) refuse('top_p: range: 0..1');
  if (body.stop_sequences === undefined) return;
  if (!Array.isArray(body.stop_sequences)) refuse('stop_sequences: Input should be a valid list');
  if (body.stop_sequences.some((stop) => typeof stop !== 'string' || stop.trim() === '')) refuse('stop_sequences: each stop sequence must contain non-whitespace');
}

function checkThinking(body) {
  const { thinking } = body;
  if (thinking === undefined) return;
  if (!['enabled', 'disabled', 'adaptive'].includes(thinking?.type)) refuse(`thinking: Input tag '${thinking?.type}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'`);
  if (thinking.type === 'disabled') return;
  if (thinking.type === 'enabled') {
    if (thinking.budget_tokens === undefined) refuse('thinking.enabled.budget_tokens: Field required');
    if (thinking.budget_tokens < LEAST_BUDGET) refuse(`thinking.enabled.budget_tokens: Input should be greater than or equal to ${LEAST_BUDGET}`);
    if (thinking.budget_tokens >= body.max_tokens) refuse('`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size');
  }
  if (body.temperature !== undefined && body.temperature !== 1) refuse('`temperature` may only be set to 1 when thinking is enabled.');
  if (body.top_k !== undefined) refuse('`top_k` must be unset when thinking is enabled.');
  if (['any', 'tool'].includes(body.tool_choice?.type)) refuse('Thinking may not be enabled when tool_choice forces tool use.');
  // Adaptive thinking may skip a turn, so its blocks cannot be insisted on.
  if (thinking.type === 'enabled') checkThinkingReplay(body.messages);
}

/** While a tool loop is open, its assistant turn has to begin with the thinking that led to it. */
function checkThinkingReplay(messages) {
  if (idsOf(messages.at(-1), 'tool_result', 'tool_use_id').length === 0) return;
  const index = messages.findLastIndex((message) => message.role === 'assistant');
  const first = messages[index].content[0].type;
  if (!first.includes('thinking')) {
    refuse(`messages.${index}.content.0.type: Expected \`thinking\` or \`redacted_thinking\`, but found \`${first}\`. When \`thinking\` is enabled, a final \`assistant\` message must start with a thinking block (preceeding the lastmost set of \`tool_use\` and \`tool_result\` blocks).`);
  }
}

function checkOutput(body) {
  const format = body.output_config?.format ?? body.output_format;
  if (format === undefined) return;
  if (format?.type !== 'json_schema' || !isObject(format.schema)) refuse('output_config.format.schema: Field required');
  checkClosed(format.schema);
}

function checkClosed(schema) {
  if (!isObject(schema)) return;
  if (schema.type === 'object' && schema.additionalProperties !== false) {
    refuse("output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false");
  }
  for (const inner of [...Object.values(schema.properties ?? {}), ...Object.values(schema.$defs ?? {}), schema.items, ...(schema.anyOf ?? [])]) checkClosed(inner);
}
