// Which value satisfies a JSON Schema? Takes its values from the user's own words where they fit, so that answers look sensible.

const FORMATS = {
  date: '2026-01-15',
  'date-time': '2026-01-15T09:30:00Z',
  time: '09:30:00Z',
  email: 'demo@example.com',
  uri: 'https://example.com/',
  url: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000001',
  ipv4: '192.0.2.1',
  ipv6: '2001:db8::1',
  hostname: 'example.com',
};

const MAX_DEPTH = 8;

/** What the user's text offers: quoted strings, capitalised names after a preposition, numbers; each used once, in order. */
export function hintsOf(text) {
  const names = [...text.matchAll(/\b(?:in|for|at|to|of|about)\s+((?:\p{Lu}[\p{L}-]*)(?:\s+\p{Lu}[\p{L}-]*)*)/gu)];
  const quoted = [...text.matchAll(/["“]([^"”]{1,80})["”]/gu)];
  return {
    strings: [...quoted, ...names].map((match) => match[1]),
    numbers: (text.match(/-?\d+(?:\.\d+)?/g) ?? []).map(Number),
  };
}

/** A value that `schema` accepts. Understands local `$ref`, `anyOf`, `oneOf`, `allOf`, and Gemini's upper-case types. */
export function sampleValue(schema, hints = { strings: [], numbers: [] }, root = schema, depth = 0) {
  if (schema === null || typeof schema !== 'object') return 'demo';
  if (schema.$ref) return depth > MAX_DEPTH ? null : sampleValue(resolve(schema.$ref, root), hints, root, depth + 1);
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return pickEnum(schema.enum, hints);
  if ('default' in schema && schema.default !== null) return schema.default;
  if (schema.allOf) return sampleValue(merge(schema, root), hints, root, depth + 1);
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) {
    const concrete = variants.find((variant) => typeOf(variant) !== 'null') ?? variants[0];
    return sampleValue(concrete, hints, root, depth + 1);
  }
  switch (typeOf(schema)) {
    case 'object':
      return sampleObject(schema, hints, root, depth);
    case 'array':
      return depth > MAX_DEPTH && !schema.minItems
        ? []
        : Array.from({ length: Math.max(1, schema.minItems ?? 1) }, () =>
            sampleValue(schema.items ?? { type: 'string' }, hints, root, depth + 1));
    case 'integer':
    case 'number':
      return sampleNumber(schema, hints);
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return sampleString(schema, hints);
  }
}

function sampleObject(schema, hints, root, depth) {
  const properties = schema.properties ?? {};
  const required = schema.required ?? [];
  const names = required.length > 0 || depth > MAX_DEPTH ? required : Object.keys(properties);
  return Object.fromEntries(names.map((name) => [name, sampleValue(properties[name] ?? {}, hints, root, depth + 1)]));
}

function sampleNumber(schema, hints) {
  let value = hints.numbers.length > 0 ? hints.numbers.shift() : 1;
  const least = schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + 1 : -Infinity);
  const most = schema.maximum ?? (schema.exclusiveMaximum !== undefined ? schema.exclusiveMaximum - 1 : Infinity);
  value = Math.min(Math.max(value, least), most);
  if (schema.multipleOf) value = Math.ceil(value / schema.multipleOf) * schema.multipleOf;
  return typeOf(schema) === 'integer' ? Math.round(value) : value;
}

function sampleString(schema, hints) {
  let value = FORMATS[schema.format] ?? hints.strings.shift() ?? 'demo';
  if (schema.pattern && !new RegExp(schema.pattern, 'u').test(value)) {
    value = ['demo', 'DEMO', '1', '12345', 'a', 'A1', '2026-01-15'].find((guess) => new RegExp(schema.pattern, 'u').test(guess)) ?? value;
  }
  value = value.padEnd(schema.minLength ?? 0, 'o');
  return schema.maxLength === undefined ? value : value.slice(0, schema.maxLength);
}

function pickEnum(values, hints) {
  const index = hints.strings.findIndex((hint) => values.includes(hint));
  return index < 0 ? values[0] : hints.strings.splice(index, 1)[0];
}

function typeOf(schema) {
  const type = Array.isArray(schema?.type) ? schema.type.find((each) => each !== 'null') : schema?.type;
  if (type) return String(type).toLowerCase();
  if (schema?.properties) return 'object';
  return schema?.items ? 'array' : 'string';
}

function resolve(ref, root) {
  return ref
    .replace(/^#\/?/, '')
    .split('/')
    .filter(Boolean)
    .reduce((node, key) => node?.[decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~')], root) ?? {};
}

function merge(schema, root) {
  const { allOf, ...rest } = schema;
  return allOf
    .map((part) => (part.$ref ? resolve(part.$ref, root) : part))
    .reduce((sum, part) => ({
      ...sum,
      ...part,
      properties: { ...sum.properties, ...part.properties },
      required: [...(sum.required ?? []), ...(part.required ?? [])],
    }), rest);
}
