// What does Gemini refuse in a generateContent request? Strict protobuf JSON: unknown names are errors, with their path.

import { isSigned } from '../../signature.mjs';
import { Rejection, isObject } from '../common.mjs';

const words = (text) => new Set(text.trim().split(/\s+/));
const FIELDS = words('contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent model serviceTier store');
const CONFIG_FIELDS = words(`audioTimestamp candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens mediaResolution
  presencePenalty responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema seed speechConfig stopSequences temperature
  thinkingConfig topK topP`);
const THINKING_FIELDS = words('includeThoughts thinkingBudget thinkingLevel');
const CONTENT_FIELDS = words('role parts');
const PART_DATA = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', 'executableCode', 'codeExecutionResult', 'toolCall', 'toolResponse'];
const PART_FIELDS = new Set([...PART_DATA, 'thought', 'thoughtSignature', 'videoMetadata', 'mediaResolution', 'partMetadata']);
const TOOL_FIELDS = words('functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse fileSearch googleMaps mcpServers');
const DECLARATION_FIELDS = words('name description parameters parametersJsonSchema response responseJsonSchema behavior');
const SCHEMA_FIELDS = words(`type format title description nullable enum items maxItems minItems properties required minProperties maxProperties minLength
  maxLength pattern example anyOf propertyOrdering default minimum maximum`);
const SCHEMA_TYPES = words('TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL');
const NAME = /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}$/;
const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/;

/** Signatures that Google documents for calls that come from elsewhere. */
const FREE_SIGNATURES = ['context_engineering_is_the_way_to_go', 'skip_thought_signature_validator'];

const refuse = (message, field) => {
  throw new Rejection(400, message, { field });
};

const camel = (key) => key.replaceAll(/_([a-z])/g, (_, letter) => letter.toUpperCase());
const snake = (key) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Keys below these hold the caller's own data and keep their spelling. */
const OPAQUE = words('parameters parametersJsonSchema responseSchema responseJsonSchema args response partMetadata');

/** The body in camel case: protobuf JSON accepts both spellings of its own names. */
export function normalise(value) {
  if (Array.isArray(value)) return value.map(normalise);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [camel(key), OPAQUE.has(camel(key)) ? inner : normalise(inner)]));
}

function known(object, fields, at) {
  for (const key of Object.keys(object)) {
    if (!fields.has(camel(key))) {
      refuse(`Invalid JSON payload received. Unknown name "${snake(key)}"${at ? ` at '${at}'` : ''}: Cannot find field.`, at ?? '');
    }
  }
}

/** Throws a `Rejection`; `body` is normalised. */
export function check(body, { model }) {
  if (!isObject(body)) refuse('Invalid JSON payload received. Expected an object.', '');
  known(body, FIELDS);
  const strict = model.includes('gemini-3');
  checkContents(body.contents, strict);
  if (body.systemInstruction) checkParts([body.systemInstruction.parts ?? []].flat(), 'system_instruction', false);
  checkConfig(body.generationConfig ?? {});
  checkTools(body);
}

function checkContents(contents, strict) {
  if (!Array.isArray(contents) || contents.length === 0) refuse('* GenerateContentRequest.contents: contents is not specified\n', 'contents');
  contents.forEach((content, index) => {
    const at = `contents[${index}]`;
    known(content, CONTENT_FIELDS, at);
    if (content.role !== undefined && !['user', 'model', 'function'].includes(content.role)) refuse('Please use a valid role: user, model.', at);
    const parts = [content.parts ?? []].flat();
    if (parts.length === 0) refuse(`* GenerateContentRequest.contents[${index}].parts: contents.parts must not be empty.\n`, at);
    checkParts(parts, at, strict);
  });
  if (contents.at(-1).role === 'model' && callsOf(contents.at(-1)).length > 0) refuse('Please ensure that function call turn is followed by a function response turn.', 'contents');
  checkTurns(contents, strict);
}

function checkParts(parts, at, strict) {
  parts.forEach((part, index) => {
    const here = `${at}.parts[${index}]`;
    known(part, PART_FIELDS, here);
    const data = PART_DATA.filter((field) => part[field] !== undefined);
    if (data.length === 0 && part.thoughtSignature === undefined) refuse(`* GenerateContentRequest.${here}.data: required oneof field 'data' must have one initialized field\n`, here);
    if (data.length > 1) refuse(`Invalid value at '${here}' (oneof), oneof field 'data' is already set. Cannot set '${snake(data[1])}'`, here);
    if (part.text !== undefined && typeof part.text !== 'string') refuse(`Invalid value at '${here}.text' (TYPE_STRING)`, here);
    const signature = part.thoughtSignature;
    if (signature !== undefined && !FREE_SIGNATURES.includes(signature) && !isSigned('gemini', signature)) refuse('Corrupted thought signature.', here);
    if (part.inlineData) checkBlob(part.inlineData, here);
    if (part.fileData && !part.fileData.fileUri) refuse(`* GenerateContentRequest.${here}.file_data.file_uri: fileUri is required\n`, here);
    if (part.functionCall) checkCall(part.functionCall, 'function_call', 'args', here);
    if (part.functionResponse) checkCall(part.functionResponse, 'function_response', 'response', here);
    if (strict && part.functionResponse && /"\$(?:ref|defs)"/.test(JSON.stringify(part.functionResponse.response))) {
      refuse(`Invalid JSON payload received. Unknown reference "$ref" at '${here}.function_response.response'.`, here);
    }
  });
}

function checkBlob(blob, at) {
  known(blob, words('mimeType data displayName'), `${at}.inline_data`);
  if (!blob.mimeType) refuse(`* GenerateContentRequest.${at}.inline_data.mime_type: mimeType is required\n`, at);
  if (!BASE64.test(blob.data ?? '')) refuse(`Invalid value at '${at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed`, at);
}

function checkCall(call, kind, payload, at) {
  known(call, kind === 'function_call' ? words('id name args') : words('id name response willContinue scheduling parts'), `${at}.${kind}`);
  if (!call.name) refuse(`* GenerateContentRequest.${at}.${kind}.name: Name cannot be empty.\n`, at);
  if (call[payload] !== undefined && !isObject(call[payload])) {
    refuse(`Invalid value at '${at}.${kind}.${payload}' (type.googleapis.com/google.protobuf.Struct), ${JSON.stringify(call[payload])}`, at);
  }
  if (payload === 'response' && call.response === undefined) refuse(`* GenerateContentRequest.${at}.function_response.response: response is required\n`, at);
}

const callsOf = (content) => [content?.parts ?? []].flat().filter((part) => part.functionCall);
const responsesOf = (content) => [content?.parts ?? []].flat().filter((part) => part.functionResponse);

function checkTurns(contents, strict) {
  const lastUser = contents.findLastIndex((content) => content.role !== 'model' && responsesOf(content).length === 0);
  contents.forEach((content, index) => {
    const calls = content.role === 'model' ? callsOf(content) : [];
    const before = contents[index - 1];
    if (calls.length > 0) {
      if (index === 0 || before.role === 'model') refuse('Please ensure that function call turn comes immediately after a user turn or after a function response turn.', 'contents');
      const responses = responsesOf(contents[index + 1]);
      if (responses.length !== calls.length) refuse('Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.', 'contents');
      matchNames(calls, responses);
      if (strict && index > lastUser && !calls[0].thoughtSignature) {
        refuse(`Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call \`default_api:${calls[0].functionCall.name}\` , position ${index}.`, 'contents');
      }
    }
    if (responsesOf(content).length > 0 && callsOf(before).length === 0) refuse('Please ensure that function response turn comes immediately after a function call turn.', 'contents');
  });
}

function matchNames(calls, responses) {
  const expected = calls.map((part) => part.functionCall.name).sort();
  const given = responses.map((part) => part.functionResponse.name).sort();
  const odd = given.find((name, index) => name !== expected[index]);
  if (odd !== undefined) refuse(`Function response name "${odd}" does not match the name of a function call of the function call turn.`, 'contents');
  const ids = calls.map((part) => part.functionCall.id).filter(Boolean);
  const stray = responses.map((part) => part.functionResponse.id).find((id) => id && ids.length > 0 && !ids.includes(id));
  if (stray) refuse(`Function response id "${stray}" does not match the id of a function call of the function call turn.`, 'contents');
}

function checkConfig(config) {
  known(config, CONFIG_FIELDS, 'generation_config');
  const { thinkingConfig: thinking, stopSequences: stops } = config;
  if (thinking) {
    known(thinking, THINKING_FIELDS, 'generation_config.thinking_config');
    if (thinking.thinkingBudget !== undefined && thinking.thinkingLevel !== undefined) refuse('You can only set only one of thinking budget and thinking level.', 'generation_config.thinking_config');
    if (thinking.thinkingLevel !== undefined && !['minimal', 'low', 'medium', 'high'].includes(String(thinking.thinkingLevel).toLowerCase())) {
      refuse(`Invalid value at 'generation_config.thinking_config.thinking_level' (type.googleapis.com/google.ai.generativelanguage.v1beta.ThinkingConfig.ThinkingLevel), "${thinking.thinkingLevel}"`, 'generation_config');
    }
  }
  if (stops !== undefined && (!Array.isArray(stops) || stops.length > 5)) refuse('* GenerateContentRequest.generation_config.stop_sequences: the number of stop sequences must not exceed 5\n', 'generation_config');
  const bounds = { temperature: [0, 2], topP: [0, 1], candidateCount: [1, 8], maxOutputTokens: [1, 2 ** 31 - 1] };
  for (const [field, [least, most]] of Object.entries(bounds)) {
    const value = config[field];
    if (value === undefined) continue;
    if (typeof value !== 'number' || value < least || value > most) refuse(`* GenerateContentRequest.generation_config.${snake(field)}: ${snake(field)} must be in the range [${least}, ${most}]\n`, 'generation_config');
  }
  const schema = config.responseSchema ?? config.responseJsonSchema;
  if (schema !== undefined && config.responseMimeType !== 'application/json') {
    refuse(`Response schema is only supported with response_mime_type 'application/json', got '${config.responseMimeType ?? ''}'.`, 'generation_config');
  }
  if (config.responseSchema !== undefined && config.responseJsonSchema !== undefined) refuse('Only one of response_schema and response_json_schema may be set.', 'generation_config');
  if (config.responseSchema !== undefined) checkSchema(config.responseSchema, 'generation_config.response_schema');
}

function checkTools(body) {
  const tools = body.tools ?? [];
  if (!Array.isArray(tools)) refuse("Invalid value at 'tools'", 'tools');
  const names = [];
  tools.forEach((tool, index) => {
    known(tool, TOOL_FIELDS, `tools[${index}]`);
    (tool.functionDeclarations ?? []).forEach((declaration, at) => {
      const here = `tools[${index}].function_declarations[${at}]`;
      known(declaration, DECLARATION_FIELDS, here);
      if (!NAME.test(declaration.name ?? '')) refuse(`* GenerateContentRequest.${here}.name: Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.\n`, here);
      if (names.includes(declaration.name)) refuse(`Duplicate function declaration found: ${declaration.name}`, here);
      names.push(declaration.name);
      if (declaration.parameters && declaration.parametersJsonSchema) refuse('Only one of parameters and parameters_json_schema may be set.', here);
      if (declaration.parameters) {
        checkSchema(declaration.parameters, `${here}.parameters`);
        if (String(declaration.parameters.type).toUpperCase() !== 'OBJECT') refuse(`* GenerateContentRequest.${here}.parameters.type: parameters schema should be of type OBJECT.\n`, here);
      }
    });
  });
  const calling = body.toolConfig?.functionCallingConfig;
  if (!calling) return;
  if (!['AUTO', 'ANY', 'NONE', 'VALIDATED', undefined].includes(calling.mode)) refuse(`Invalid value at 'tool_config.function_calling_config.mode', "${calling.mode}"`, 'tool_config');
  if (names.length === 0) refuse('Function calling config is set without function_declarations.', 'tool_config');
  if (!calling.allowedFunctionNames) return;
  if (!['ANY', 'VALIDATED'].includes(calling.mode)) refuse('Allowed function names should only be set when function calling mode is ANY or VALIDATED.', 'tool_config');
  const stray = calling.allowedFunctionNames.find((name) => !names.includes(name));
  if (stray) refuse(`Allowed function name "${stray}" is not among the function declarations.`, 'tool_config');
}

/** The subset of OpenAPI that `parameters` and `response_schema` know (P74). */
function checkSchema(schema, at) {
  if (!isObject(schema)) refuse(`Invalid value at '${at}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema)`, at);
  if (Array.isArray(schema.type)) refuse(`Invalid JSON payload received. Unknown name "type" at '${at}': Proto field is not repeating, cannot start list.`, at);
  for (const key of Object.keys(schema)) {
    if (!SCHEMA_FIELDS.has(camel(key))) refuse(`Invalid JSON payload received. Unknown name "${key}" at '${at}': Cannot find field.`, at);
  }
  if (schema.type !== undefined && !SCHEMA_TYPES.has(String(schema.type).toUpperCase())) refuse(`Invalid value at '${at}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), "${schema.type}"`, at);
  if (schema.enum?.some((each) => typeof each !== 'string')) refuse(`Invalid value at '${at}.enum' (TYPE_STRING)`, at);
  const type = String(schema.type ?? '').toUpperCase();
  if (type === 'ARRAY' && schema.items === undefined) refuse(`* GenerateContentRequest.${at}.items: missing field.\n`, at);
  const properties = Object.entries(schema.properties ?? {});
  const absent = (schema.required ?? []).find((name) => !properties.some(([each]) => each === name));
  if (absent !== undefined) refuse(`* GenerateContentRequest.${at}.required[${schema.required.indexOf(absent)}]: property is not defined\n`, at);
  properties.forEach(([, inner], index) => checkSchema(inner, `${at}.properties[${index}].value`));
  if (schema.items) checkSchema(schema.items, `${at}.items`);
  (schema.anyOf ?? schema.any_of ?? []).forEach((inner, index) => checkSchema(inner, `${at}.any_of[${index}]`));
}
