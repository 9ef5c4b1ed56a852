// The wires that are not OTLP, as their receivers check them.
import assert from "node:assert/strict";
import { createHash, createHmac, createPublicKey, verify } from "node:crypto";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
const hmac = (key, text) => createHmac("sha256", key).update(text).digest();

/** S3: the signature of a PUT, from what arrived (AWS Signature Version 4, paths encoded once). */
export function checkS3({ method, target, headers, raw }, { id, secret, region }) {
  const [, key, date, scopeRegion, service, names, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(headers.authorization) ??
    assert.fail(`authorization: ${headers.authorization}`);
  assert.deepEqual([key, scopeRegion, service, headers["x-amz-date"].slice(0, 8)], [id, region, "s3", date]);
  assert.equal(headers["x-amz-content-sha256"], sha256(raw), "the digest is that of the body");
  const signed = names.split(";");
  for (const name of ["host", "x-amz-date", "x-amz-content-sha256"]) assert.ok(signed.includes(name), `${name} is signed`);
  for (const name of Object.keys(headers).filter((name) => name.startsWith("x-amz-"))) assert.ok(signed.includes(name), `${name} is signed`);
  const [path, query = ""] = target.split("?");
  const lines = signed.map((name) => `${name}:${headers[name].trim()}\n`);
  const canonical = [method, path, query, lines.join(""), names, sha256(raw)].join("\n");
  const parts = [date, region, "s3", "aws4_request"];
  const toSign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], parts.join("/"), sha256(canonical)].join("\n");
  assert.equal(signature, createHmac("sha256", parts.reduce(hmac, `AWS4${secret}`)).update(toSign).digest("hex"));
}

/** JSON lines, each ended. */
export function linesOf({ bytes }) {
  const text = bytes.toString();
  assert.ok(text.endsWith("\n"), "the last line is ended");
  return text.slice(0, -1).split("\n").map((line) => JSON.parse(line));
}

/** ClickHouse: the rows of an insert, whose columns are those of the statement and of the table. */
export function rowsOfInsert(request, setup) {
  const statement = request.query.get("query");
  const [, table, list] = /^INSERT INTO (\w+) \(([\w, ]+)\) FORMAT JSONEachRow$/.exec(statement) ?? assert.fail(statement);
  const columns = list.split(", ");
  const types = Object.fromEntries([...setup.matchAll(/^ {4}(\w+) ([^\n]+?),?$/gm)].map(([, name, type]) => [name, type]));
  assert.deepEqual(Object.keys(types), columns, "the statement names the table's columns");
  const rows = linesOf(request);
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) {
      const type = types[name] ?? assert.fail(`no column ${name}`);
      if (type === "String") assert.equal(typeof value, "string", name);
      if (type === "UInt64") assert.ok(Number.isSafeInteger(value) && value >= 0, `${name}: ${value}`);
      if (type.startsWith("DateTime64")) assert.equal(new Date(value).toISOString(), value, name);
      if (type.startsWith("Decimal")) assert.match(value, /^-?\d+(\.\d{1,9})?$/, name);
    }
  }
  return { table, rows, token: request.query.get("insert_deduplication_token") };
}

/** Standard Webhooks: the signature over id, time and body. */
export function checkWebhook({ headers, raw }, secret) {
  const { "webhook-id": id, "webhook-timestamp": time, "webhook-signature": signatures } = headers;
  assert.ok(Math.abs(Date.now() / 1000 - Number(time)) < 300, `sent at ${time}`);
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const expected = hmac(key, Buffer.concat([Buffer.from(`${id}.${time}.`), raw])).toString("base64");
  assert.ok(signatures.split(" ").includes(`v1,${expected}`), signatures);
  return id;
}

/** Snowflake: the claims of a JWT, checked with the account's public key. */
export function claimsOf({ headers }, publicKey) {
  assert.equal(headers["x-snowflake-authorization-token-type"], "KEYPAIR_JWT");
  const [, head, claims, signature] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(headers.authorization) ?? assert.fail(headers.authorization);
  const key = createPublicKey(publicKey);
  assert.ok(verify("RSA-SHA256", Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, "base64url")), "the signature holds");
  assert.deepEqual(JSON.parse(Buffer.from(head, "base64url")), { alg: "RS256", typ: "JWT" });
  const print = createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("base64");
  return { ...JSON.parse(Buffer.from(claims, "base64url")), print };
}
