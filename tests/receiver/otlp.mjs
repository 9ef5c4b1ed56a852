// OTLP as a receiver reads it, checked against opentelemetry-proto 1.x: the JSON mapping field by field, and binary protobuf read by
// field numbers into the same form.
import assert from "node:assert/strict";

const UINT64 = (value) => typeof value === "string" && /^(0|[1-9]\d{0,19})$/.test(value) && BigInt(value) < 2n ** 64n;
const INT64 = (value) => typeof value === "string" && /^(0|-?[1-9]\d{0,18})$/.test(value);
const text = (value) => typeof value === "string";
const hex = (length) => (value) => typeof value === "string" && new RegExp(`^[0-9a-f]{${length}}$`).test(value) && !/^0+$/.test(value);
const whole = (value) => Number.isInteger(value) && value >= 0;
const oneOf = (...values) => (value) => values.includes(value);
const finite = (value) => typeof value === "number" && Number.isFinite(value);

/** Messages: field name → [number, kind, check or message, repeated]. */
const MESSAGES = {
  ExportTraceServiceRequest: { resourceSpans: [1, "ResourceSpans", true] },
  ResourceSpans: { resource: [1, "Resource"], scopeSpans: [2, "ScopeSpans", true], schemaUrl: [3, text] },
  Resource: { attributes: [1, "KeyValue", true], droppedAttributesCount: [2, whole] },
  ScopeSpans: { scope: [1, "InstrumentationScope"], spans: [2, "Span", true], schemaUrl: [3, text] },
  InstrumentationScope: { name: [1, text], version: [2, text], attributes: [3, "KeyValue", true] },
  Span: {
    traceId: [1, hex(32)], spanId: [2, hex(16)], traceState: [3, text], parentSpanId: [4, hex(16)], name: [5, text],
    kind: [6, oneOf(0, 1, 2, 3, 4, 5)], startTimeUnixNano: [7, UINT64], endTimeUnixNano: [8, UINT64],
    attributes: [9, "KeyValue", true], droppedAttributesCount: [10, whole], events: [11, "Event", true], status: [15, "Status"],
  },
  Event: { timeUnixNano: [1, UINT64], name: [2, text], attributes: [3, "KeyValue", true] },
  Status: { message: [2, text], code: [3, oneOf(0, 1, 2)] },
  KeyValue: { key: [1, text], value: [2, "AnyValue"] },
  AnyValue: {
    stringValue: [1, text], boolValue: [2, (value) => typeof value === "boolean"], intValue: [3, INT64], doubleValue: [4, finite],
    arrayValue: [5, "ArrayValue"],
  },
  ArrayValue: { values: [1, "AnyValue", true] },
};

function checkMessage(value, type, path) {
  assert.ok(value !== null && typeof value === "object" && !Array.isArray(value), `${path} is a ${type}`);
  if (type === "AnyValue") assert.equal(Object.keys(value).length, 1, `${path} is one value`);
  for (const [name, field] of Object.entries(value)) {
    const known = MESSAGES[type][name];
    assert.ok(known, `${path}.${name} is no field of ${type}`);
    const [, kind, repeated] = known;
    if (repeated) assert.ok(Array.isArray(field), `${path}.${name} is a list`);
    for (const [at, one] of (repeated ? field : [field]).entries()) {
      const here = `${path}.${name}${repeated ? `[${at}]` : ""}`;
      if (typeof kind === "string") checkMessage(one, kind, here);
      else assert.ok(kind(one), `${here}: ${JSON.stringify(one)}`);
    }
  }
}

/** Reads protobuf by field numbers; values come in the JSON mapping's form. */
function readMessage(bytes, type) {
  const fields = Object.entries(MESSAGES[type]);
  const message = {};
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      assert.notEqual(byte, undefined, "a number is cut off");
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const [number, wire] = [tag >> 3, tag & 7];
    const [name, [, kind, repeated]] = fields.find(([, [known]]) => known === number) ?? assert.fail(`${type} has no field ${number}`);
    let value;
    if (wire === 0) {
      const raw = varint();
      value = kind === INT64 ? String(BigInt.asIntN(64, raw)) : name === "boolValue" ? raw === 1n : Number(raw);
    } else if (wire === 1) {
      value = kind === finite ? bytes.readDoubleLE(at) : String(bytes.readBigUInt64LE(at));
      at += 8;
    } else if (wire === 2) {
      const length = Number(varint());
      const inner = bytes.subarray(at, at + length);
      assert.equal(inner.length, length, `${name} is cut off`);
      at += length;
      if (typeof kind === "string") value = readMessage(inner, kind);
      else value = kind === text ? new TextDecoder("utf-8", { fatal: true }).decode(inner) : inner.toString("hex");
    } else assert.fail(`wire type ${wire}`);
    if (repeated) (message[name] ??= []).push(value);
    else message[name] = value;
  }
  return message;
}

/** The spans of a request, each with `attribute(name)`; everything about the request is checked. */
export function spansOf({ headers, bytes }) {
  const type = headers["content-type"];
  assert.ok(["application/json", "application/x-protobuf"].includes(type), type);
  const request = type === "application/json" ? JSON.parse(bytes.toString()) : readMessage(bytes, "ExportTraceServiceRequest");
  checkMessage(request, "ExportTraceServiceRequest", "request");
  return (request.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => checkedSpan(span, resource))),
  );
}

function checkedSpan(span, resource) {
  assert.ok(span.traceId && span.spanId && span.name, "a span has ids and a name");
  assert.ok(BigInt(span.startTimeUnixNano) <= BigInt(span.endTimeUnixNano), "a span ends after it begins");
  const flat = (list) => {
    const names = list.map(({ key }) => key);
    assert.equal(new Set(names).size, names.length, "attributes are unique");
    return Object.fromEntries(list.map(({ key, value }) => [key, plain(value)]));
  };
  return { ...span, attributes: flat(span.attributes ?? []), resource: flat(resource.attributes) };
}

function plain(value) {
  const [[kind, inner]] = Object.entries(value);
  if (kind === "intValue") return Number(inner);
  return kind === "arrayValue" ? inner.values.map(plain) : inner;
}

/** The spans of generations. */
export const generationsOf = (request) => spansOf(request).filter((span) => span.attributes["gen_ai.response.id"]?.startsWith("gen-"));
