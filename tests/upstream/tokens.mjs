// What a text costs in tokens here, and which prompts the upstream remembers: a deterministic stand-in for a tokenizer and a prompt cache.

import { createHash } from 'node:crypto';

/** Tokens of a text: a quarter of its characters, rounded up; nothing costs nothing. */
export const countTokens = (text) => Math.ceil(text.length / 4);

/** Flat prices in tokens of what has no text. */
export const IMAGE_TOKENS = 258;
export const DOCUMENT_TOKENS = 500;

/** Automatic caches (OpenAI, Gemini) ignore shorter prompts than this and count in steps of 128. */
const AUTOMATIC_MINIMUM = 1024;
const AUTOMATIC_STEP = 128;

/**
 * Remembers prompt prefixes. A prompt is a list of blocks `{text, tokens?, marker?}` in the order in which
 * the provider reads them (tools, system, messages); `marker` is the lifetime of a cache marker ('5m', '1h').
 */
export class PromptCache {
  #seen = new Set();

  /** Explicit markers (Anthropic): what stands before the last marker is read if it was written before, else written. */
  marked(blocks) {
    let read = 0;
    let covered = 0;
    const written = { '5m': 0, '1h': 0 };
    const points = this.#prefixes(blocks).filter((point) => point.marker);
    for (const point of points) {
      if (this.#seen.has(point.hash)) {
        read = point.tokens;
        written['5m'] = 0;
        written['1h'] = 0;
      } else {
        written[point.marker] += point.tokens - covered;
      }
      covered = point.tokens;
    }
    for (const point of points) this.#seen.add(point.hash);
    return { read, write5m: written['5m'], write1h: written['1h'] };
  }

  /** Automatic caching (OpenAI, Gemini): the longest prefix of whole blocks that was sent before. */
  automatic(blocks) {
    let read = 0;
    const points = this.#prefixes(blocks);
    for (const point of points) {
      if (this.#seen.has(point.hash) && point.tokens >= AUTOMATIC_MINIMUM) read = point.tokens;
    }
    for (const point of points) this.#seen.add(point.hash);
    return { read: read - (read % AUTOMATIC_STEP), write5m: 0, write1h: 0 };
  }

  #prefixes(blocks) {
    const hash = createHash('sha256');
    let tokens = 0;
    return blocks.map((block) => {
      hash.update(JSON.stringify(block.text));
      tokens += block.tokens ?? countTokens(block.text);
      return { hash: hash.copy().digest('base64'), tokens, marker: block.marker };
    });
  }
}

export const promptTokens = (blocks) =>
  blocks.reduce((sum, block) => sum + (block.tokens ?? countTokens(block.text)), 0);
