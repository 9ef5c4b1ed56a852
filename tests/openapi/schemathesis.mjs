// Runs schemathesis over every operation of the document that a gateway serves, as who may call it.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { peopleVars, person } from "../e2e/people.mjs";
import { ensurePython } from "../sdk/python.mjs";

/** What the deployment needs for all operations to work. */
export const VARS = peopleVars({ BYOK_MASTER_KEY: Buffer.from("0123456789abcdef0123456789abcdef").toString("base64") });

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
  "ignored_auth",
  "unsupported_method",
  "allow_header_conformance",
  "use_after_free",
];

/** Models of the test catalog that a request may name, by the type of its body: else all of them would be of no model. */
const MODELS = {
  ChatRequest: ["test/openai", "test/anthropic"],
  CompletionRequest: ["test/openai"],
  MessagesRequest: ["test/anthropic", "test/openai"],
  ResponsesRequest: ["test/openai"],
};

/** The document with models that this gateway has. */
export async function servedDocument(gateway) {
  const document = await (await fetch(`${gateway.base}/openapi.json`)).json();
  for (const [type, models] of Object.entries(MODELS)) {
    const { properties } = document.components.schemas[type];
    properties.model = { enum: models };
    delete properties.models;
  }
  // Any object at all is more than the generator can think of: it fails on its own.
  const [catalog] = Object.values(document.paths["/api/v1/admin/catalog"].post.requestBody.content);
  catalog.schema = { type: "object", properties: { version: { type: "string" } }, additionalProperties: false };
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item)) {
      // People's cookies go along by themselves (see below): nothing is asked without them.
      operation.security = operation.security.filter((scheme) => !scheme.session);
      for (const media of Object.values(operation.requestBody?.content ?? {})) {
        const models = MODELS[media.schema.$ref?.split("/").at(-1)];
        if (models && media.example) media.example.model = models[0];
      }
    }
  }
  return document;
}

const toml = (value) => JSON.stringify(value);

/** Who calls: by the security scheme of the operation; people by their cookie. */
function configuration({ key, manager, operator, cookie, csrf }, origin) {
  const bearer = (name, token) => `[auth.openapi.${name}]\nbearer = ${toml(token)}\n`;
  const named = (name, token) => `[auth.openapi.${name}]\napi_key = ${toml(token)}\n`;
  return [
    // 501 and 503 say what the deployment was not given: a payment provider, a cron that ran.
    '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "3xx", "4xx", 501, 503]\n',
    bearer("apiKey", key),
    bearer("managementKey", manager),
    bearer("operator", operator),
    named("apiKeyHeader", key),
    named("managementKeyHeader", manager),
    `[[operations]]\ninclude-path-regex = "^/api/v1/(me|invitations)"\nheaders = { Cookie = ${toml(cookie)}, "x-csrf-token" = ${toml(csrf)}, Origin = ${toml(origin)} }\n`,
  ].join("\n");
}

/**
 * `{ok, output}`, or `{missing}` with what this machine lacks. `who` are the callers; `options` go to schemathesis as they are.
 */
export async function schemathesis(gateway, who, options) {
  const { python, missing } = await ensurePython({ name: "schemathesis", requirements: "tests/openapi/requirements.txt" });
  if (missing) return { missing };
  const folder = mkdtempSync(join(tmpdir(), "patchbay-openapi-"));
  try {
    const document = join(folder, "openapi.json");
    writeFileSync(document, JSON.stringify(await servedDocument(gateway)));
    writeFileSync(join(folder, "schemathesis.toml"), configuration(who, gateway.base));
    const args = ["--config-file", join(folder, "schemathesis.toml"), "run", document, "--url", gateway.base, "--checks", CHECKS.join(","), ...options];
    return await new Promise((done) => {
      const program = join(dirname(python), "schemathesis");
      const env = { ...process.env, NO_PROXY: "127.0.0.1", PYTHONDONTWRITEBYTECODE: "1", HYPOTHESIS_STORAGE_DIRECTORY: folder };
      execFile(program, args, { cwd: folder, env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => done({ ok: !error, output: stdout + stderr }));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Callers of every kind in a gateway. */
export async function callers(gateway) {
  const { account, key } = await gateway.createAccount({ usd: "1000" });
  const made = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "manager", is_management_key: true });
  const browser = await person(gateway, "ann@example.com");
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const { csrf_token: csrf } = (await browser.api("GET", "me")).body.data;
  return { account, key, manager: made.key, operator: gateway.operator.token, cookie, csrf };
}
