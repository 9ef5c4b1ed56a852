// What Converse refuses, in its own words: unknown fields, blank text, turns that do not alternate, results without calls, tools
// that the history needs, cache points without a block.

import { isSigned } from '../../signature.mjs';
import { Rejection, isObject } from '../common.mjs';

const FIELDS = new Set('messages system inferenceConfig toolConfig outputConfig guardrailConfig additionalModelRequestFields additionalModelResponseFieldPaths performanceConfig promptVariables requestMetadata serviceTier'.split(' '));
const INFERENCE = new Set(['maxTokens', 'temperature', 'topP', 'stopSequences']);
const BLOCKS = {
  user: ['text', 'image', 'document', 'video', 'audio', 'toolResult', 'cachePoint', 'guardContent', 'searchResult'],
  assistant: ['text', 'toolUse', 'reasoningContent', 'cachePoint', 'citationsContent'],
};
const IMAGES = ['png', 'jpeg', 'gif', 'webp'];
const DOCUMENTS = ['pdf', 'csv', 'doc', 'docx', 'xls', 'xlsx', 'html', 'txt', 'md'];
const DOCUMENT_NAME = /^(?!.*\s\s)[a-zA-Z0-9\s()[\]-]+$/;
const CALL_ID = /^[a-zA-Z0-9_-]{1,64}$/;
const TOOL_NAME = /^[a-zA-Z0-9_-]{1,64}$/;
const MOST_POINTS = 4;

const refuse = (message) => {
  throw new Rejection(400, message);
};

/** Throws a `Rejection`. */
export function check(body) {
  if (!isObject(body)) refuse('Malformed input request, please reformat your input and try again.');
  for (const field of Object.keys(body)) if (!FIELDS.has(field)) refuse(`Malformed input request: extraneous key [${field}] is not permitted, please reformat your input and try again.`);
  for (const field of Object.keys(body.inferenceConfig ?? {})) if (!INFERENCE.has(field)) refuse(`inferenceConfig: extraneous key [${field}] is not permitted`);
  const { temperature, topP, maxTokens } = body.inferenceConfig ?? {};
  for (const [name, value] of Object.entries({ temperature, topP })) if (value !== undefined && !(value >= 0 && value <= 1)) refuse(`Value at 'inferenceConfig.${name}' failed to satisfy constraint: Member must be between 0 and 1`);
  if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens >= 1)) refuse("Value at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1");
  checkList(body.system ?? [], 'system', ['text', 'cachePoint', 'guardContent']);
  checkMessages(body.messages);
  checkTools(body);
  checkThinking(body);
  const points = JSON.stringify(body).match(/"cachePoint":\{/g)?.length ?? 0;
  if (points > MOST_POINTS) refuse(`Number of cache points exceeds the limit of ${MOST_POINTS}.`);
}

/** One block a time, each of one kind, no cache point first or behind another. */
function checkList(list, at, kinds) {
  if (!Array.isArray(list)) refuse(`${at} is not a list`);
  list.forEach((block, index) => {
    const keys = isObject(block) ? Object.keys(block) : [];
    if (keys.length !== 1 || !kinds.includes(keys[0])) refuse(`Malformed input request: #/${at}/${index}: extraneous key [${keys}] is not permitted, please reformat your input and try again.`);
    if (block.cachePoint && (index === 0 || list[index - 1].cachePoint)) refuse(`${at}.${index}: a cachePoint has to follow content.`);
    if (block.cachePoint && block.cachePoint.type !== 'default') refuse(`${at}.${index}.cachePoint.type: Member must satisfy enum value set: [default]`);
    CHECKS[keys[0]]?.(block[keys[0]], `${at}.${index}`);
  });
}

const CHECKS = {
  text(text, at) {
    if (typeof text !== 'string' || text.trim() === '') refuse(`The text field in the ContentBlock object at ${at} is blank. Add text to the text field, and try again.`);
  },
  image({ format, source }, at) {
    if (!IMAGES.includes(format)) refuse(`Value '${format}' at '${at}.image.format' failed to satisfy constraint: Member must satisfy enum value set: [gif, jpeg, png, webp]`);
    checkSource(source, `${at}.image`);
  },
  document({ format, name, source }, at) {
    if (!DOCUMENTS.includes(format)) refuse(`Value '${format}' at '${at}.document.format' failed to satisfy constraint: Member must satisfy enum value set: [${DOCUMENTS.join(', ')}]`);
    if (!DOCUMENT_NAME.test(name ?? '')) refuse('The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, and square brackets. The name can’t contain more than one consecutive whitespace character.');
    checkSource(source, `${at}.document`);
  },
  toolUse({ toolUseId, name, input }, at) {
    if (!CALL_ID.test(toolUseId ?? '')) refuse(`Value at '${at}.toolUse.toolUseId' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+`);
    if (!TOOL_NAME.test(name ?? '')) refuse(`Value at '${at}.toolUse.name' failed to satisfy constraint`);
    if (!isObject(input)) refuse(`The format of the value at ${at}.toolUse.input is invalid. Provide a json object for the field and try again.`);
  },
  toolResult({ toolUseId, content }, at) {
    if (!CALL_ID.test(toolUseId ?? '')) refuse(`Value at '${at}.toolResult.toolUseId' failed to satisfy constraint`);
    checkList(content, `${at}.toolResult.content`, ['text', 'json', 'image', 'document', 'video']);
  },
  reasoningContent({ reasoningText, redactedContent }, at) {
    if (redactedContent !== undefined) return;
    if (typeof reasoningText?.text !== 'string' || !isSigned('anthropic', reasoningText.signature, reasoningText.text)) refuse(`The model returned the following errors: ${at}: Invalid \`signature\` in \`thinking\` block`);
  },
};

function checkSource(source, at) {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(source?.bytes ?? '')) refuse(`${at}.source.bytes: the bytes are no base64`);
}

const found = (message, kind) => (message?.content ?? []).map((block) => block[kind]).filter(Boolean);

function checkMessages(messages) {
  if (!Array.isArray(messages) || messages.length === 0) refuse('The messages field is required. Add at least one message, and try again.');
  messages.forEach((message, index) => {
    const kinds = BLOCKS[message?.role];
    if (!kinds) refuse(`Value '${message?.role}' at 'messages.${index}.role' failed to satisfy constraint: Member must satisfy enum value set: [user, assistant]`);
    if (message.content?.length === 0) refuse(`The content field in the Message object at messages.${index} is empty. Add a ContentBlock object to the content field and try again.`);
    checkList(message.content, `messages/${index}/content`, kinds);
    if (index > 0 && messages[index - 1].role === message.role) refuse(`A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.`);
    if (found(message, 'document').length > 0 && found(message, 'text').length === 0) refuse('The content field has a document but no text. Add a text block and try again.');
    const names = messages.flatMap((each) => found(each, 'document').map(({ name }) => name));
    if (new Set(names).size < names.length) refuse('Duplicate document file names. Use another name and try again.');
    const calls = message.role === 'assistant' ? found(message, 'toolUse').map((use) => use.toolUseId) : [];
    const results = found(messages[index + 1], 'toolResult').map((result) => result.toolUseId);
    const absent = index < messages.length - 1 || calls.length > 0 ? calls.filter((id) => !results.includes(id)) : [];
    if (absent.length > 0) refuse(`Expected toolResult blocks at messages.${index + 1}.content for the following Ids: ${absent.join(', ')}`);
    const before = found(messages[index - 1], 'toolUse').map((use) => use.toolUseId);
    const own = found(message, 'toolResult').map((result) => result.toolUseId);
    if (own.some((id) => !before.includes(id))) refuse(`The number of toolResult blocks at messages.${index}.content exceeds the number of toolUse blocks of previous turn.`);
  });
  if (messages[0].role !== 'user') refuse('A conversation must start with a user message. Try again with a conversation that starts with a user message.');
}

function checkTools({ toolConfig, messages }) {
  const used = messages.some((message) => found(message, 'toolUse').length > 0 || found(message, 'toolResult').length > 0);
  if (toolConfig === undefined) {
    if (used) refuse('The toolConfig field must be defined when using toolUse and toolResult content blocks.');
    return;
  }
  const tools = toolConfig.tools ?? [];
  if (tools.length === 0) refuse("Value '[]' at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1");
  checkList(tools, 'toolConfig.tools', ['toolSpec', 'systemTool', 'cachePoint']);
  for (const { toolSpec } of tools.filter((tool) => tool.toolSpec)) {
    if (!TOOL_NAME.test(toolSpec.name ?? '')) refuse("Value at 'toolConfig.tools.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+");
    if (toolSpec.description === '') refuse("Value at 'toolConfig.tools.member.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1");
    if (toolSpec.inputSchema?.json?.type !== 'object') refuse('The value at toolConfig.tools.toolSpec.inputSchema.json.type must be one of the following: object.');
  }
  const choice = toolConfig.toolChoice;
  if (choice !== undefined && !['auto', 'any', 'tool'].includes(Object.keys(choice)[0])) refuse('toolChoice has to be one of auto, any, tool.');
}

function checkThinking({ additionalModelRequestFields: fields, inferenceConfig, toolConfig }) {
  if (fields?.thinking?.type !== 'enabled') return;
  const { budget_tokens: budget } = fields.thinking;
  if (!(budget >= 1024)) refuse('The model returned the following errors: thinking.enabled.budget_tokens: Input should be greater than or equal to 1024');
  if (!((inferenceConfig?.maxTokens ?? 4096) > budget)) refuse('The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`.');
  if (inferenceConfig?.temperature !== undefined && inferenceConfig.temperature !== 1) refuse('The model returned the following errors: `temperature` may only be set to 1 when thinking is enabled.');
  if (toolConfig?.toolChoice?.any || toolConfig?.toolChoice?.tool) refuse('The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.');
}
