// What the three formats share: the shape of a rejection, of a stream event, and how text falls into pieces.

/** A request that the real API would refuse; `details` are that API's own extra fields. */
export class Rejection extends Error {
  constructor(status, message, details = {}) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

/**
 * One server-sent event. `kind` tells faults where they may act: 'preamble' (before content), 'content', 'frame'
 * (opens or closes a block), 'ping', 'finish', 'usage', 'done', 'error'. `pause` is an extra delay before it, in milliseconds.
 */
export const event = (kind, data, name, pause) => ({ kind, data: typeof data === 'string' ? data : JSON.stringify(data), name, pause });

const PIECE_CHARS = 64;

/** Text as a model streams it: two words at a time, never inside a code point. `whole` keeps it in one piece. */
export function pieces(text, whole = false) {
  if (whole) return [text];
  return (text.match(/\s*\S+(?:\s+\S+)?\s*/g) ?? [text]).flatMap((piece) => (piece.length <= PIECE_CHARS ? [piece] : byChars(piece, PIECE_CHARS)));
}

/** Text in runs of `size` code points, as tool arguments are streamed. */
export function byChars(text, size) {
  const points = [...text];
  return Array.from({ length: Math.ceil(points.length / size) }, (_, index) => points.slice(index * size, (index + 1) * size).join(''));
}

/** The pause before usage that comes late. */
export const LATE_USAGE_MS = 150;

export const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** The text of a content that is a string or a list of parts with `text`. */
export const textOf = (content) =>
  typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').filter(Boolean).join('\n');
