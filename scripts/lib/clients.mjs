// The generated part of the client packages: operations and types, out of the API's OpenAPI document. Pure: a document in, files out.
// Only what an API key or nobody may call is in them: administration is done by other means.

const NOTE = "Generated from openapi.json by `npm run clients`.";
const isIdentifier = (name) => /^[A-Za-z_$][\w$]*$/.test(name);
const nameOf = (reference) => reference.split("/").at(-1);

/** The operations of the packages: `[{id, method, path, operation}]`, in the document's order. */
function operations(document) {
  const found = [];
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const schemes = (operation.security ?? []).flatMap((one) => Object.keys(one));
      const isForKeys = schemes.includes("apiKey");
      const isForAll = schemes.length === 0 && method === "get";
      if (isForKeys || isForAll) found.push({ id: operation.operationId, method: method.toUpperCase(), path, operation });
    }
  }
  return found;
}

/** Names of the schemas that these values lead to, in the document's order. */
function reached(document, values) {
  const schemas = document.components.schemas;
  const seen = new Set();
  const walk = (value) => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (value === null || typeof value !== "object") return;
    if (typeof value.$ref === "string") {
      const name = nameOf(value.$ref);
      if (name in schemas && !seen.has(name)) {
        seen.add(name);
        walk(schemas[name]);
      }
    }
    Object.values(value).forEach(walk);
  };
  walk(values);
  return Object.keys(schemas).filter((name) => seen.has(name));
}

const content = (holder, type) => holder?.content?.[type]?.schema;

/** What goes into an operation and what comes out of it. */
function parts({ operation }) {
  const parameters = (place) => (operation.parameters ?? []).filter((one) => one.in === place);
  const body = content(operation.requestBody, "application/json");
  const good = Object.keys(operation.responses).filter((status) => status.startsWith("2"));
  const answers = good.map((status) => content(operation.responses[status], "application/json")).filter(Boolean);
  const events = good.map((status) => operation.responses[status].content?.["text/event-stream"]?.["x-event-schema"]).filter(Boolean);
  return { path: parameters("path"), query: parameters("query"), body, answers, events };
}

const unique = (list) => [...new Set(list)];

/** A schema as a type of TypeScript. */
function ts(schema) {
  if (schema === true || schema === undefined) return "any";
  if (schema === false) return "never";
  if (schema.$ref) return `Schemas[${JSON.stringify(nameOf(schema.$ref))}]`;
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return unique(schema.enum.map((value) => JSON.stringify(value))).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return unique(choices.map(ts)).join(" | ");
  if (schema.allOf) return schema.allOf.map((one) => `(${ts(one)})`).join(" & ");
  if (Array.isArray(schema.type)) return unique(schema.type.map((type) => ts({ ...schema, type }))).join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      return `Array<${ts(schema.items)}>`;
    case "object":
      return object(schema);
    default:
      return schema.properties ? object(schema) : "any";
  }
}

function object(schema) {
  const required = schema.required ?? [];
  const fields = Object.entries(schema.properties ?? {}).map(([name, inner]) => {
    const key = isIdentifier(name) ? name : JSON.stringify(name);
    return `${key}${required.includes(name) ? "" : "?"}: ${ts(inner)}`;
  });
  const more = schema.additionalProperties;
  if (fields.length === 0) return more && more !== true ? `Record<string, ${ts(more)}>` : "Record<string, any>";
  return `{ ${fields.join("; ")} }`;
}

const comment = (text, indent) => (text ? `${indent}/** ${text.replaceAll("*/", "* /")} */\n` : "");

function parameterType(parameters) {
  if (parameters.length === 0) return "undefined";
  const fields = parameters.map(({ name, required, schema }) => `${isIdentifier(name) ? name : JSON.stringify(name)}${required ? "" : "?"}: ${ts(schema)}`);
  return `{ ${fields.join("; ")} }`;
}

function typescriptTypes(document, all) {
  const names = reached(document, all.map(({ operation }) => operation));
  const lines = [`// ${NOTE}`, "", "export interface Schemas {"];
  for (const name of names) {
    const schema = document.components.schemas[name];
    lines.push(`${comment(schema.description, "  ")}  ${name}: ${ts(schema)};`);
  }
  lines.push("}", "", "export interface Operations {");
  for (const one of all) {
    const { path, query, body, answers, events } = parts(one);
    const either = (list, otherwise) => (list.length === 0 ? otherwise : unique(list.map(ts)).join(" | "));
    lines.push(
      `${comment(one.operation.summary, "  ")}  ${one.id}: {`,
      `    path: ${parameterType(path)};`,
      `    query: ${parameterType(query)};`,
      `    body: ${body ? ts(body) : "undefined"};`,
      `    response: ${either(answers, "Response")};`,
      `    event: ${either(events, "never")};`,
      "  };",
    );
  }
  lines.push("}", "", "export type OperationId = keyof Operations;", "");
  return lines.join("\n");
}

function typescriptOperations(all) {
  const rows = all.map(({ id, method, path }) => `  ${id}: [${JSON.stringify(method)}, ${JSON.stringify(path)}],`);
  return [`// ${NOTE}`, "", "/** Method and path of each operation. */", "export const OPERATIONS = {", ...rows, "};", ""].join("\n");
}

/** A schema as a type of Python. */
function py(schema) {
  if (schema === true || schema === undefined) return "Any";
  if (schema.$ref) return nameOf(schema.$ref);
  const literal = (value) => (value === null ? "None" : typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value));
  // Numbers that are no whole ones have no literals.
  const isLiteral = (value) => value === null || typeof value !== "number" || Number.isInteger(value);
  if ("const" in schema) return isLiteral(schema.const) ? `Literal[${literal(schema.const)}]` : "float";
  if (schema.enum) return schema.enum.every(isLiteral) ? `Literal[${unique(schema.enum.map(literal)).join(", ")}]` : "Any";
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return unique(choices.map(py)).join(" | ");
  if (schema.allOf) return "dict[str, Any]";
  if (Array.isArray(schema.type)) return unique(schema.type.map((type) => py({ ...schema, type }))).join(" | ");
  switch (schema.type) {
    case "string":
      return "str";
    case "integer":
      return "int";
    case "number":
      return "float";
    case "boolean":
      return "bool";
    case "null":
      return "None";
    case "array":
      return `list[${py(schema.items)}]`;
    case "object": {
      const more = schema.additionalProperties;
      return `dict[str, ${schema.properties || !more || more === true ? "Any" : py(more)}]`;
    }
    default:
      return "Any";
  }
}

function pythonTypes(document, all) {
  const lines = [`"""Types of the API. ${NOTE}"""`, "", "from typing import Any, Literal, TypedDict, Union", ""];
  for (const name of reached(document, all.map(({ operation }) => operation))) {
    const schema = document.components.schemas[name];
    if (schema.description) lines.push(`# ${schema.description}`);
    if (schema.type === "object" && schema.properties) {
      const fields = Object.entries(schema.properties).map(([field, inner]) => `    ${JSON.stringify(field)}: ${JSON.stringify(py(inner))},`);
      lines.push(`${name} = TypedDict(`, `    ${JSON.stringify(name)},`, "    {", ...fields.map((line) => `    ${line}`), "    },", "    total=False,", ")");
    } else {
      // Names of others may only come later.
      lines.push(`${name} = Union[${JSON.stringify(py(schema))}]`);
    }
  }
  return [...lines, ""].join("\n");
}

function pythonOperations(all) {
  const ids = all.map(({ id }) => `    ${JSON.stringify(id)},`);
  const rows = all.map(({ id, method, path }) => `    ${JSON.stringify(id)}: (${JSON.stringify(method)}, ${JSON.stringify(path)}),`);
  return [
    `"""Method and path of each operation. ${NOTE}"""`,
    "",
    "from typing import Literal",
    "",
    "OperationId = Literal[",
    ...ids,
    "]",
    "OPERATIONS: dict[str, tuple[str, str]] = {",
    ...rows,
    "}",
    "",
  ].join("\n");
}

/** Every generated file: `[[path, text]]`. */
export function generated(document) {
  const all = operations(document);
  return [
    ["clients/typescript/src/operations.js", typescriptOperations(all)],
    ["clients/typescript/src/types.d.ts", typescriptTypes(document, all)],
    ["clients/python/patchbay/operations.py", pythonOperations(all)],
    ["clients/python/patchbay/types.py", pythonTypes(document, all)],
  ];
}
