// Holds answers against the API's document: their status is named for the operation, and their body is of its schema, with no
// field that the schema does not name.
import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { at } from "../../scripts/lib/project.mjs";

export const document = JSON.parse(readFileSync(at("openapi.json"), "utf8"));

const METHODS = ["get", "post", "put", "patch", "delete"];

/** `{method, path, operation, pattern}` of all operations, literal paths before those with parameters. */
export const operations = Object.entries(document.paths)
  .flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      method: method.toUpperCase(),
      path,
      operation: item[method],
      pattern: new RegExp(`^${path.replace(/[.]/g, "\\.").replace(/\{[^}]+\}/g, "([^/]+)")}$`),
    })),
  )
  .sort((a, b) => (a.path.match(/\{/g)?.length ?? 0) - (b.path.match(/\{/g)?.length ?? 0));

/** A schema in which what is not named is forbidden, unless it says otherwise. */
function closed(schema) {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, key === "enum" || key === "example" ? value : closed(value)]));
  if (inner.properties && inner.additionalProperties === undefined) inner.additionalProperties = false;
  return inner;
}

function compiler(text) {
  const ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: true });
  addFormats.default ? addFormats.default(ajv) : addFormats(ajv);
  ajv.addSchema(text, "document");
  const known = new Map();
  return (schema) => {
    const key = JSON.stringify(schema);
    if (!known.has(key)) {
      const absolute = JSON.parse(key, (name, value) => (name === "$ref" ? `document${value}` : value));
      known.set(key, ajv.compile(absolute));
    }
    return known.get(key);
  };
}

const told = compiler({ ...document, components: { ...document.components, schemas: closed(document.components.schemas) } });
const taken = compiler(document);

const words = (errors) => errors.map(({ instancePath, message, params }) => `${instancePath || "the whole"} ${message} ${JSON.stringify(params)}`).join("; ");

/** What is wrong with a value of a named type, by the document; undefined where nothing is. */
export function wrongRequest(type, value) {
  const validate = taken({ $ref: `#/components/schemas/${type}` });
  return validate(value) ? undefined : words(validate.errors);
}

/** The operation that a request asks for. */
export function operationOf(method, url) {
  let path = new URL(url, "http://gateway").pathname.replace(/\/$/, "").replace(/%2F/gi, "/");
  if (path.startsWith("/v1/")) path = `/api${path}`;
  return operations.find((one) => one.method === (method === "HEAD" ? "GET" : method) && one.pattern.test(path));
}

const resolved = (value) => (value?.$ref ? value.$ref.slice(2).split("/").reduce((node, key) => node[key], document) : value);

/** What is wrong with an answer in JSON, by the document; undefined where nothing is, or where the request is for no operation. */
export function wrongAnswer(method, url, status, body) {
  const found = operationOf(method, url);
  if (!found) return undefined;
  const response = resolved(found.operation.responses[status]);
  if (!response) return `${method} ${found.path} may not answer ${status}`;
  const schema = response.content?.["application/json"]?.schema;
  if (!schema) return undefined;
  const validate = told(closed(schema));
  return validate(body) ? undefined : `${method} ${found.path} ${status}: ${words(validate.errors)}`;
}
