// Operations beside conversation, as OpenAI and Cohere serve them: embeddings, rerank, images, speech, transcriptions.
//
// Everything is made of the request alone: a vector of the text's hash, scores by words in common, one small PNG, silence as long as the
// text, and for sound the text that it is said to hold.

import { createHash } from 'node:crypto';
import { countTokens } from '../tokens.mjs';
import { Rejection } from './common.mjs';
import { authenticate, errorBody, responseHeaders } from './openai.mjs';

export const name = 'operations';
export { authenticate, errorBody, responseHeaders };

/** A PNG of one pixel. */
export const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';
/** The most inputs of one call for embeddings. */
const MOST_INPUTS = 2048;
const DIMENSIONS = 8;
const PCM_BYTES_PER_CHARACTER = 480;

const PATHS = {
  '/openai/v1/embeddings': ['embeddings', 'openai'],
  '/openai/v1/rerank': ['rerank', 'openai'],
  '/openai/v1/images/generations': ['images', 'openai'],
  '/openai/v1/images/edits': ['images', 'openai'],
  '/openai/v1/audio/speech': ['speech', 'openai'],
  '/openai/v1/audio/transcriptions': ['transcription', 'openai'],
  '/cohere/v2/embed': ['embeddings', 'cohere'],
  '/cohere/v2/rerank': ['rerank', 'cohere'],
};

export function route(path) {
  for (const [end, [operation, wire]] of Object.entries(PATHS)) {
    if (path.endsWith(end)) return { prefix: path.slice(0, -end.length) + end.split('/').slice(0, 2).join('/'), operation, wire };
  }
  return null;
}

export const requested = (body) => ({ model: body.model, stream: false });

/** A form as an object of its fields; a file is `{filename, bytes}`. JSON is the server's own matter. */
export function parse(bytes, headers) {
  const boundary = /^multipart\/form-data;.*boundary=("?)([^";]+)\1/.exec(headers['content-type'] ?? '')?.[2];
  if (!boundary) return undefined;
  const fields = {};
  const text = bytes.toString('latin1');
  for (const part of text.split(`--${boundary}`).slice(1, -1)) {
    const split = part.indexOf('\r\n\r\n');
    const head = part.slice(0, split);
    const value = part.slice(split + 4, -2);
    const field = / name="([^"]*)"/.exec(head)?.[1];
    const filename = / filename="([^"]*)"/.exec(head)?.[1];
    fields[field] = filename === undefined ? Buffer.from(value, 'latin1').toString('utf8') : { filename, bytes: value.length };
  }
  return fields;
}

const KNOWN = {
  openai: {
    embeddings: ['model', 'input', 'encoding_format', 'dimensions', 'user'],
    rerank: ['model', 'query', 'documents', 'top_n', 'return_documents'],
    images: ['model', 'prompt', 'n', 'size', 'quality', 'background', 'output_format', 'output_compression', 'images', 'stream', 'partial_images'],
    speech: ['model', 'input', 'voice', 'response_format', 'speed', 'instructions'],
    transcription: ['model', 'file', 'language', 'temperature', 'response_format', 'timestamp_granularities[]', 'prompt', 'stream'],
  },
  cohere: {
    embeddings: ['model', 'texts', 'inputs', 'input_type', 'embedding_types', 'output_dimension'],
    rerank: ['model', 'query', 'documents', 'top_n', 'max_tokens_per_doc'],
  },
};

const REQUIRED = {
  openai: { embeddings: ['input'], rerank: ['query', 'documents'], images: ['prompt'], speech: ['input', 'voice'], transcription: ['file'] },
  cohere: { embeddings: ['input_type', 'embedding_types'], rerank: ['query', 'documents'] },
};

export function check(body, { found }) {
  const { operation, wire } = found;
  for (const field of Object.keys(body)) {
    if (!KNOWN[wire][operation].includes(field)) throw new Rejection(400, `Unknown parameter: '${field}'.`, { param: field, code: 'unknown_parameter' });
  }
  for (const field of ['model', ...REQUIRED[wire][operation]]) {
    if (body[field] === undefined) throw new Rejection(400, `Missing required parameter: '${field}'.`, { param: field });
  }
  if (operation === 'embeddings' && inputsOf(body).length > MOST_INPUTS) throw new Rejection(400, `'input' array too long: at most ${MOST_INPUTS}.`);
  if (operation === 'transcription' && body.file.bytes === 0) throw new Rejection(400, 'Audio file is empty.');
}

const inputsOf = (body) => {
  const input = body.input ?? body.texts ?? body.inputs;
  return Array.isArray(input) && typeof input[0] !== 'number' ? input : [input];
};

const textOf = (input) => (typeof input === 'string' ? input : JSON.stringify(input));

/** Numbers that 32 bits hold exactly, so that both forms of a vector are the same. */
export function vectorOf(text, dimensions = DIMENSIONS) {
  const hash = createHash('sha256').update(text).digest();
  return Array.from({ length: dimensions }, (_, at) => (hash[at % hash.length] - 128) / 128);
}

const base64 = (vector) => Buffer.from(Float32Array.from(vector).buffer).toString('base64');

/** Events, each a piece of its own. */
const events = (usage, list) => ({ usage, type: 'text/event-stream', pieces: list.map((event) => Buffer.from(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)) });

/** The answer: `{usage, type, body}` in one piece, or `{usage, type, pieces}`. */
export function operate(body, { found, wish = {}, tag }) {
  const made = MAKERS[found.operation](body, found.wire, { tag, empty: wish.empty, tokens: wish.usage?.input });
  return made.pieces ? made : { ...made, type: 'application/json', body: JSON.stringify(made.body) };
}

const MAKERS = {
  embeddings(body, wire, { tag, tokens, empty }) {
    const inputs = empty ? [] : inputsOf(body);
    const input = tokens ?? inputs.reduce((sum, each) => sum + Math.max(1, countTokens(textOf(each))), 0);
    const vectors = inputs.map((each) => vectorOf(textOf(each), body.dimensions ?? body.output_dimension));
    if (wire === 'cohere') {
      const embeddings = { float: vectors };
      return { usage: { input }, body: { id: tag, embeddings, meta: { api_version: { version: '2' }, billed_units: { input_tokens: input } }, response_type: 'embeddings_by_type' } };
    }
    const encode = body.encoding_format === 'base64' ? base64 : (vector) => vector;
    const data = vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) }));
    return { usage: { input }, body: { object: 'list', data, model: body.model, usage: { prompt_tokens: input, total_tokens: input } } };
  },

  rerank(body, wire, { tag, tokens }) {
    const words = new Set(body.query.toLowerCase().split(/\W+/));
    const score = (text) => text.toLowerCase().split(/\W+/).filter((word) => words.has(word)).length / (1 + words.size);
    const results = body.documents
      .map((document, index) => ({ index, relevance_score: score(document) }))
      .sort((a, b) => b.relevance_score - a.relevance_score)
      .slice(0, body.top_n ?? Infinity);
    const input = tokens ?? body.documents.reduce((sum, each) => sum + countTokens(each) + countTokens(body.query), 0);
    if (wire === 'cohere') {
      const searches = Math.ceil(body.documents.length / 100);
      return { usage: { searches }, body: { id: tag, results, meta: { billed_units: { search_units: searches } } } };
    }
    return { usage: { input }, body: { id: tag, model: body.model, results, usage: { total_tokens: input } } };
  },

  images(body, wire, { empty, tokens }) {
    const n = body.n ?? 1;
    const image = empty ? { url: 'https://images.invalid/gone.png' } : { b64_json: PIXEL };
    const input = tokens ?? countTokens(body.prompt);
    const output = 100 * n;
    const usage = { input_tokens: input, output_tokens: output, total_tokens: input + output };
    if (body.stream && !empty) {
      const partial = Array.from({ length: body.partial_images ?? 0 }, (_, at) => ({ type: 'image_generation.partial_image', partial_image_index: at, b64_json: PIXEL }));
      return events({ input, output, images: 1 }, [...partial, { type: 'image_generation.completed', b64_json: PIXEL, usage }]);
    }
    return { usage: { input, output, images: n }, body: { created: 1, data: Array.from({ length: n }, () => image), usage } };
  },

  speech(body, wire, { empty }) {
    const characters = empty ? 0 : [...body.input].length;
    const type = { mp3: 'audio/mpeg', pcm: 'audio/pcm' }[body.response_format] ?? 'application/octet-stream';
    const pieces = Array.from({ length: characters }, (_, at) => Buffer.alloc(PCM_BYTES_PER_CHARACTER, at % 251));
    return { usage: { characters }, type, pieces };
  },

  transcription(body) {
    const seconds = body.file.bytes / 1000;
    const text = `A file of ${body.file.bytes} bytes named ${body.file.filename}.`;
    const times = body.response_format === 'verbose_json' && { task: 'transcribe', language: body.language ?? 'english', duration: seconds, segments: [{ id: 0, start: 0, end: seconds, text }] };
    if (body.stream === 'true') {
      const words = text.split(/(?<= )/).map((delta) => ({ type: 'transcript.text.delta', delta }));
      return events({ seconds }, [...words, { type: 'transcript.text.done', text, usage: { type: 'duration', seconds } }]);
    }
    return { usage: { seconds }, body: { text, ...times } };
  },
};
