// The catalog of the tests: rows as the real catalog has them, compiled by the catalog's own tool.
//
// Two providers for each dialect, `one-…` cheaper than `two-…`, each with a prefix of its own at the local upstream, so that a
// script can make one of them fail. Models: `test/openai`, `test/anthropic` and `test/gemini`, each at both providers of its
// dialect; `test/everywhere` at the first of every dialect, in that order; `test/spare` at a provider whose secret is not set.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { local, root } from "../../scripts/lib/project.mjs";
import { digest } from "../../scripts/lib/stamps.mjs";

export const DIALECTS = ["openai", "anthropic", "gemini"];

/** How the providers of a dialect are reached: `native` is the dialect's word in the catalog. */
const WIRES = {
  responses: { native: "openai_responses", path: "responses/v1", auth: `{ kind = "bearer" }` },
  openai: { native: "openai_chat", path: "openai/v1", auth: `{ kind = "bearer" }` },
  anthropic: { native: "anthropic_messages", path: "anthropic", auth: `{ kind = "header", name = "x-api-key" }` },
  gemini: { native: "gemini", path: "gemini/v1beta", auth: `{ kind = "header", name = "x-goog-api-key" }` },
  cohere: { native: "cohere_v2", path: "cohere", auth: `{ kind = "bearer" }` },
  bedrock: {
    native: "bedrock_converse",
    path: "bedrock",
    auth: `{ kind = "sig_v4", service = "bedrock", region = "AWS_REGION" }\nkey_format = "aws"`,
  },
};

const PARAMETERS = {
  responses: [
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "response_format", "structured_outputs", "tools", "tool_choice",
    "parallel_tool_calls", "include_reasoning", "reasoning", "reasoning_effort", "verbosity",
  ],
  openai: [
    "temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens", "max_completion_tokens", "logprobs",
    "top_logprobs", "seed", "response_format", "structured_outputs", "stop", "tools", "tool_choice", "parallel_tool_calls",
    "include_reasoning", "reasoning", "reasoning_effort",
  ],
  anthropic: [
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "response_format", "structured_outputs", "stop",
    "tools", "tool_choice", "parallel_tool_calls", "include_reasoning", "reasoning",
  ],
  gemini: [
    "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "max_tokens", "max_completion_tokens", "seed",
    "response_format", "structured_outputs", "stop", "tools", "tool_choice", "include_reasoning", "reasoning",
  ],
  cohere: [
    "temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty", "max_tokens", "max_completion_tokens", "seed",
    "response_format", "structured_outputs", "stop", "tools", "tool_choice", "include_reasoning", "reasoning",
  ],
  bedrock: [
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "response_format", "structured_outputs", "stop",
    "tools", "tool_choice", "include_reasoning", "reasoning",
  ],
};

const REASONING = {
  responses: { efforts: ["high", "medium", "low", "none"] },
  openai: { efforts: ["high", "medium", "low", "minimal", "none"], history: "reasoning_content" },
  anthropic: { budget: { min: 1024 } },
  gemini: { budget: { min: 0, max: 24576 }, toggle: true },
  cohere: { budget: { min: 1 }, toggle: true },
  bedrock: { budget: { min: 1024 }, fields: "thinking" },
};

/** Nano-dollars for a million tokens; odd numbers, so that a charge hardly ever comes out round. */
const PRICES = {
  prompt: 1_000_003_001,
  completion: 4_000_007_003,
  cache_read: 100_000_019,
  cache_write_5m: 1_250_000_027,
  cache_write_1h: 2_000_000_011,
  reasoning: 5_000_000_029,
  tiers: [{ min_prompt_tokens: 200_000, prompt: 2_000_000_033, completion: 6_000_000_091, cache_read: 200_000_017 }],
};

const scaled = (prices, factor) =>
  Object.fromEntries(
    Object.entries(prices).map(([name, value]) => {
      if (name === "tiers") return [name, value.map((tier) => scaled(tier, factor))];
      return [name, name === "min_prompt_tokens" ? value : value * factor];
    }),
  );

const QUIRKS = { openai: ["developer_role", "max_completion_tokens"] };

/** One provider's row as TOML; `counts`: it tells how long a conversation is. */
export function provider({ slug, dialect, secret = "TEST_UPSTREAM_KEY", quirks = QUIRKS[dialect] ?? [], counts = false }) {
  const { native, path, auth } = WIRES[dialect];
  return `[[provider]]
slug = "${slug}"
name = "Test ${slug}"
dialect = "${native}"
base_url = "\${TEST_UPSTREAM}/p/${slug}/${path}"
auth = ${auth}
secret = "${secret}"
data_policy = { training = false, retention_days = 0 }
quirks = ${JSON.stringify(quirks)}
can_cancel = true
counts_tokens = ${counts}
`;
}

/** One endpoint's row. `factor` scales the prices; `fields` replaces any field of the row. */
export function endpoint({ model, provider, dialect, factor = 1, fields = {} }) {
  return {
    model,
    provider,
    tag: provider,
    upstream_model_id: model.replace("/", "-"),
    context_length: 1_000_000,
    max_completion_tokens: 64_000,
    prices: scaled(PRICES, factor),
    supported_parameters: PARAMETERS[dialect],
    reasoning: REASONING[dialect],
    input_modalities: ["text", "image", "file"],
    output_modalities: ["text"],
    ...fields,
  };
}

export function model(slug, fields = {}) {
  return {
    slug,
    canonical_slug: slug,
    name: `Test: ${slug}`,
    description: "Answered by the local upstream, for tests.",
    created: 1_782_950_400,
    context_length: 1_000_000,
    input_modalities: ["text", "image", "file"],
    output_modalities: ["text"],
    tokenizer: "Other",
    ...fields,
  };
}

/** The rows that tests get unless they bring their own: `{providers, models, endpoints, aliases}`. */
export function testCatalog() {
  const pairs = DIALECTS.flatMap((dialect) => [
    { slug: `one-${dialect}`, dialect, factor: 1 },
    { slug: `two-${dialect}`, dialect, factor: 2 },
  ]);
  return {
    providers: [...pairs, { slug: "spare", dialect: "openai", secret: "SPARE_KEY" }].map(provider),
    models: [...DIALECTS.map((dialect) => `test/${dialect}`), "test/everywhere", "test/spare"].map((slug) => model(slug)),
    endpoints: [
      ...pairs.map(({ slug, dialect, factor }) => endpoint({ model: `test/${dialect}`, provider: slug, dialect, factor })),
      ...DIALECTS.map((dialect, at) => endpoint({ model: "test/everywhere", provider: `one-${dialect}`, dialect, factor: 1 + at })),
      endpoint({ model: "test/spare", provider: "spare", dialect: "openai" }),
    ],
    aliases: [{ alias: "test/former-name", model: "test/openai" }],
  };
}

const TOOL_INPUTS = ["catalog/tool", "src/catalog", "src/credits", "src/chat", "Cargo.lock"];

/** The snapshot that is published, compiled by the catalog's tool; the same rows are compiled once. */
export async function compile(rows) {
  const lines = (list) => list.map((row) => `${JSON.stringify(row)}\n`).join("");
  const files = {
    "providers.toml": rows.providers.join("\n"),
    "models.jsonl": lines(rows.models),
    "endpoints.jsonl": lines(rows.endpoints),
    "aliases.jsonl": lines(rows.aliases),
    "quality.jsonl": lines(rows.quality ?? []),
    "local/models.jsonl": "",
    "local/endpoints.jsonl": "",
    ...Object.fromEntries(Object.entries(rows.tools ?? {}).map(([slug, text]) => [`tools/${slug}.toml`, text])),
  };
  const key = createHash("sha256").update(JSON.stringify(files)).update(digest(TOOL_INPUTS)).digest("hex").slice(0, 16);
  const out = local("e2e", `catalog-${key}.json`);
  if (existsSync(out)) return readFileSync(out, "utf8");
  const folder = local("e2e", `catalog-${key}-${process.pid}`);
  for (const inside of ["local", "tools"]) mkdirSync(join(folder, inside), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const args = ["run", "-q", "-p", "catalog-tool", "--", "compile", "--dir", folder, "--out", `${folder}.json`];
  await promisify(execFile)("cargo", args, { cwd: root });
  rmSync(folder, { recursive: true });
  // Whole or not at all: test files may run side by side.
  renameSync(`${folder}.json`, out);
  return readFileSync(out, "utf8");
}

/** A provider of operations beside conversation; `wires` are the tables of its operations. */
const operator = (slug, { dialect = "openai_chat", path = "openai/v1", wires = "" } = {}) => `[[provider]]
slug = "${slug}"
name = "Test ${slug}"
dialect = "${dialect}"
base_url = "\${TEST_UPSTREAM}/p/${slug}/${path}"
auth = { kind = "bearer" }
secret = "TEST_UPSTREAM_KEY"
data_policy = { training = false, retention_days = 0 }
can_cancel = true
${wires}`;

const IMAGE_WIRE = `[provider.operations.images]
dialect = "openai"
quirks = ["always_base64", "image_finish", "image_edits", "streamed_images"]
`;

/** What each operation costs at its cheaper endpoint: odd numbers, as above. */
export const OPERATION_PRICES = {
  embeddings: { prompt: 20_000_003, completion: 0 },
  rerank: { prompt: 0, completion: 0, units: { search_unit: 2_000_001 } },
  images: { prompt: 5_000_000_001, completion: 0, units: { images: [{ max_pixels: 1_048_576, price: 11_000_003 }, { price: 40_000_007 }] } },
  speech: { prompt: 0, completion: 0, units: { characters: 15_000_000_011 } },
  transcription: { prompt: 0, completion: 0, units: { audio_in_hour: 40_000_007 } },
};

/** The tests' own rows, and `test/embeddings` at its two providers. */
export function catalogWithEmbeddings() {
  const [usual, more] = [testCatalog(), operationsCatalog()];
  const ofEmbeddings = (row) => [row.slug, row.model].includes("test/embeddings");
  return {
    ...usual,
    providers: [...usual.providers, ...more.providers.filter((row) => /slug = "(?:one|two)-ops"/.test(row))],
    models: [...usual.models, ...more.models.filter(ofEmbeddings)],
    endpoints: [...usual.endpoints, ...more.endpoints.filter(ofEmbeddings)],
  };
}

/** `test/openai`, two that paint in conversations (`test/painter-…`), and models of every operation, `test/<operation>`, each at `one-ops` and, twice as dear, at `two-ops`; rankings at Cohere's wire first. */
export function operationsCatalog() {
  const writes = { embeddings: "embeddings", rerank: "rerank", images: "image", speech: "speech", transcription: "transcription" };
  const row = (operation, provider, factor, fields = {}) => {
    const { reasoning, ...plain } = endpoint({ model: `test/${operation}`, provider, dialect: "openai" });
    return {
      ...plain,
      operation,
      context_length: 8192,
      max_completion_tokens: 8192,
      prices: scaledUnits(OPERATION_PRICES[operation], factor),
      supported_parameters: operation === "transcription" ? ["response_format"] : [],
      input_modalities: operation === "transcription" ? ["audio"] : ["text", "image"],
      output_modalities: [writes[operation]],
      ...fields,
    };
  };
  const operations = Object.keys(writes);
  const places = operations.flatMap((operation) => {
    const first = operation === "rerank" ? "one-cohere" : "one-ops";
    return [row(operation, first, 1), row(operation, "two-ops", 2)];
  });
  return {
    providers: [
      operator("one-ops", { wires: `[provider.operations.embeddings]\ndialect = "openai"\nmax_inputs = 3\n${IMAGE_WIRE}` }),
      operator("two-ops", { wires: `[provider.operations.embeddings]\ndialect = "openai"\nquirks = ["numbers_only"]\n${IMAGE_WIRE}` }),
      operator("one-cohere", { dialect: "cohere_v2", path: "cohere" }),
      ...["openai", "gemini"].map((dialect) => provider({ slug: `one-${dialect}`, dialect })),
    ],
    models: [
      model("test/openai"),
      ...["openai", "gemini"].map((dialect) => model(`test/painter-${dialect}`, { output_modalities: ["text", "image"] })),
      ...operations.map((operation) =>
        model(`test/${operation}`, {
          context_length: 8192,
          input_modalities: operation === "transcription" ? ["audio"] : ["text", "image"],
          output_modalities: [writes[operation]],
        }),
      ),
    ],
    endpoints: [
      endpoint({ model: "test/openai", provider: "one-openai", dialect: "openai" }),
      ...["openai", "gemini"].map((dialect) =>
        endpoint({ model: `test/painter-${dialect}`, provider: `one-${dialect}`, dialect, fields: { output_modalities: ["text", "image"] } }),
      ),
      ...places,
    ],
    aliases: [],
  };
}

const scaledUnits = (value, factor, key) => {
  if (typeof value === "number") return key === "max_pixels" ? value : value * factor;
  if (Array.isArray(value)) return value.map((each) => scaledUnits(each, factor));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, scaledUnits(each, factor, name)]));
};
