// The clouds for tests: a server with the addresses of Vertex, Azure, Ollama and Workers AI, which checks who asks and how, and lets the
// local upstream answer. It issues tokens as Google and OAuth servers do.
//
// Under `/vertex`, `/azure/{resource}`, `/ollama`, `/basic` and `/oauth` are the clouds, at `/token` the tokens. What the runtime's own binding
// of Workers AI sends arrives by its proxy headers. A model with `own` in its name answers there in Workers AI's own form.
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { createServer } from "node:http";
import { Readable } from "node:stream";

const SCOPE = "https://www.googleapis.com/auth/cloud-platform";

/** A service account with a key of its own: `{json, verifies}`. */
export function serviceAccount(project, fields = {}) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const account = {
    type: "service_account",
    project_id: project,
    client_email: `${project}@iam.example`,
    private_key_id: `the-key-of-${project}`,
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    // A key must not choose where it is exchanged.
    token_uri: "http://127.0.0.1:9/token",
    ...fields,
  };
  return { json: JSON.stringify(account), email: account.client_email, publicKey: createPublicKey(privateKey), secret: account.private_key };
}

class Refusal extends Error {
  constructor(status, message, body) {
    super(message);
    this.status = status;
    this.body = body ?? { error: { code: status, message, status: "UNAUTHENTICATED" } };
  }
}

const need = (condition, status, message) => {
  if (!condition) throw new Refusal(status, message);
};

/** Where each address leads, as the local upstream has it. */
const ROUTES = [
  {
    path: /^\/vertex\/v1\/projects\/([\w-]+)\/locations\/([\w-]+)\/publishers\/google\/(models\/.+)$/,
    to: ([, project, region, operation]) => ({ path: `/p/vertex-${project}-${region}/gemini/v1beta/${operation}`, headers: { "x-goog-api-key": "k" } }),
    auth: "token",
  },
  {
    path: /^\/vertex\/v1\/projects\/([\w-]+)\/locations\/([\w-]+)\/publishers\/anthropic\/models\/([^:]+):(rawPredict|streamRawPredict)$/,
    to([, project, region, model, operation], body) {
      need(body.model === undefined, 400, "model: Extra inputs are not permitted");
      need(body.anthropic_version === "vertex-2023-10-16", 400, "anthropic_version: Field required");
      need((body.stream === true) === (operation === "streamRawPredict"), 400, "stream and the operation differ");
      const { anthropic_version: _, ...rest } = body;
      return {
        path: `/p/vertex-${project}-${region}/anthropic/v1/messages`,
        headers: { "x-api-key": "k", "anthropic-version": "2023-06-01" },
        body: { model: decodeURIComponent(model), ...rest },
      };
    },
    auth: "token",
  },
  {
    path: /^\/azure\/([\w-]+)\/openai\/v1\/chat\/completions$/,
    to: ([, resource]) => ({ path: `/p/azure-${resource}/openai/v1/chat/completions`, headers: { authorization: "Bearer k" } }),
    auth: "api-key",
  },
  {
    path: /^\/azure\/([\w-]+)\/openai\/deployments\/([\w.-]+)\/chat\/completions$/,
    to([, resource, deployment], body, query) {
      need(query === "?api-version=2024-10-21", 404, "Resource not found");
      return { path: `/p/azure-${resource}-${deployment}/openai/v1/chat/completions`, headers: { authorization: "Bearer k" } };
    },
    auth: "api-key",
  },
  ...["ollama", "basic", "oauth"].map((name) => ({
    path: new RegExp(`^/${name}/v1/chat/completions$`),
    to: () => ({ path: `/p/${name}/openai/v1/chat/completions`, headers: { authorization: "Bearer k" } }),
    auth: { ollama: "none", basic: "basic", oauth: "token" }[name],
  })),
];

/** Starts it before an upstream: `{url, seen, issued, accounts, revoke, tokens, close}`. */
export async function startCloud(upstream) {
  const cloud = { seen: [], issued: [], accounts: [], left: 0, tokens: { status: 200 } };
  const valid = new Set();

  function issue(form) {
    if (cloud.tokens.status !== 200) throw new Refusal(cloud.tokens.status, "no", { error: "invalid_grant", error_description: form.get("assertion") });
    const asked = form.get("grant_type");
    let to = form.get("client_id");
    if (asked === "urn:ietf:params:oauth:grant-type:jwt-bearer") {
      const [header, claims, signature] = form.get("assertion").split(".");
      const { iss, scope, aud, iat, exp } = JSON.parse(Buffer.from(claims, "base64url"));
      const account = cloud.accounts.find(({ email }) => email === iss);
      need(account, 400, `nobody is ${iss}`);
      need(verify("sha256", Buffer.from(`${header}.${claims}`), account.publicKey, Buffer.from(signature, "base64url")), 400, "signature");
      need(scope === SCOPE && aud === `${cloud.url}/token` && exp - iat === 3600 && Math.abs(iat - Date.now() / 1000) < 60, 400, "claims");
      to = iss;
    } else {
      need(asked === "client_credentials" && form.get("client_secret") === "the/secret" && form.get("scope") === "read write", 400, "client");
    }
    const token = `token-${cloud.issued.length + 1}-${to}`;
    cloud.issued.push(to);
    valid.add(token);
    return { access_token: token, expires_in: 3600, token_type: "Bearer" };
  }

  function authenticate(auth, headers) {
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (auth === "token") need(valid.has(bearer), 401, "Request had invalid authentication credentials.");
    if (auth === "api-key") need(/^azure-key/.test(headers["api-key"]) && !headers.authorization, 401, "Access denied due to invalid subscription key.");
    if (auth === "none") need(!headers.authorization, 400, "no key is wanted");
    if (auth === "basic") need(headers.authorization === `Basic ${btoa("me:secret")}`, 401, "who?");
    return bearer ?? headers["api-key"];
  }

  /** A call of the binding, as the runtime's own class makes it. */
  function binding(headers, { inputs, options }) {
    need(headers["mf-url"] === "https://workers-binding.ai/run?version=3", 404, `no ${headers["mf-url"]}`);
    need(options.returnRawResponse === true, 400, "the raw response is wanted");
    const model = headers["mf-header-cf-consn-model-id"];
    need(inputs.model === undefined, 400, "the model is no input");
    return { path: "/p/ai/openai/v1/chat/completions", headers: { authorization: "Bearer k" }, body: { model: model.split("/").at(-1), ...inputs }, isOwn: model.includes("own") };
  }

  async function forward({ path, headers, body, isOwn }, query, raw, res) {
    const leaves = new AbortController();
    res.once("close", () => {
      if (!res.writableFinished) cloud.left += 1;
      leaves.abort();
    });
    const answer = await fetch(`${upstream.url}${path}${query}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: body ? JSON.stringify(body) : raw,
      signal: leaves.signal,
    });
    res.writeHead(answer.status, { "content-type": answer.headers.get("content-type"), "mf-forwarded-response": "1" });
    if (isOwn) return res.end(ownForm(answer.headers.get("content-type"), await answer.text()));
    Readable.fromWeb(answer.body).on("error", () => res.destroy()).pipe(res);
  }

  const server = createServer(async (req, res) => {
    const { pathname, search } = new URL(req.url, "http://cloud");
    const sends = (status, body) => {
      res.writeHead(status, { "content-type": "application/json" });
      res.end(JSON.stringify(body));
    };
    try {
      const raw = Buffer.concat(await req.toArray()).toString();
      if (pathname === "/token") return sends(200, issue(new URLSearchParams(raw)));
      const body = JSON.parse(raw);
      if (req.headers["mf-binding"] === "AI") return await forward(binding(req.headers, body), "", raw, res);
      const route = ROUTES.find(({ path }) => path.test(pathname));
      need(route, 404, `no route ${pathname}`);
      const entry = { path: pathname, query: search, status: 401 };
      cloud.seen.push(entry);
      entry.key = authenticate(route.auth, req.headers);
      entry.status = 200;
      const query = search.startsWith("?api-version") ? "" : search;
      await forward(route.to(route.path.exec(pathname), body, search), query, raw, res);
    } catch (error) {
      if (res.headersSent || error.name === "AbortError") return res.destroy();
      sends(error.status ?? 500, error.body ?? { error: { message: error.message } });
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  cloud.url = `http://127.0.0.1:${server.address().port}`;
  cloud.revoke = () => valid.clear();
  cloud.close = () => new Promise((done) => { server.close(done); server.closeAllConnections(); });
  return cloud;
}

/** What chat completions say, as Workers AI's older models would. */
function ownForm(type, text) {
  if (!type.includes("event-stream")) {
    const { choices, usage } = JSON.parse(text);
    return JSON.stringify({ response: choices[0].message.content, usage });
  }
  const chunks = text.split("\n\n").filter((event) => event.startsWith("data: {")).map((event) => JSON.parse(event.slice(6)));
  const events = chunks.map(({ choices, usage }) => ({ response: choices[0]?.delta.content ?? "", ...(usage && { usage }) }));
  return [...events.map((event) => JSON.stringify(event)), "[DONE]"].map((data) => `data: ${data}\n\n`).join("");
}
