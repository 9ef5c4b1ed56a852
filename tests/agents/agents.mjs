// Coding agents, unmodified: Claude Code (Messages), Codex (Responses) and opencode (chat completions), each with a home of its own, the
// gateway's address and a key, against models of two dialects: words, a tool that the agent runs, and a key that is refused.
//
// `npm run test:agents`. What they taught is kept in tests/e2e/agents.test.mjs, which needs none of them.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { startGateway } from "../e2e/gateway.mjs";

const LIMIT_MS = 120_000;
const WORD = "heliotrope";
const MODELS = [["test/anthropic", "anthropic"], ["test/openai", "openai"]];

let gateway;
let key;
before(async () => {
  gateway = await startGateway();
  ({ key } = await gateway.createAccount({ usd: "1000" }));
});
after(() => gateway?.stop());

/** Runs an agent in a folder and a home of its own, with nothing of this machine's settings. */
function run(program, args, { home, folder, env }) {
  const own = { PATH: process.env.PATH, HOME: home, TERM: "dumb", NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1", ...env };
  const options = { cwd: folder, env: own, timeout: LIMIT_MS, maxBuffer: 64 << 20 };
  return new Promise((done) => {
    const file = join(import.meta.dirname, "node_modules", ".bin", program);
    const child = execFile(file, args, options, (error, out, err) => done({ code: error?.code ?? (error ? 1 : 0), out, err }));
    child.stdin.end();
  });
}

/** Each agent: how it is asked, what it answered, and its tool that reads a file. */
const AGENTS = {
  async claude({ model, prompt, key, home, folder }) {
    const env = {
      ANTHROPIC_BASE_URL: `${gateway.base}/api`,
      ANTHROPIC_AUTH_TOKEN: key,
      ANTHROPIC_API_KEY: "",
      ANTHROPIC_MODEL: model,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model,
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
      CLAUDE_CODE_MAX_RETRIES: "0",
    };
    const { code, out, err } = await run("claude", ["-p", prompt, "--output-format", "json", "--allowedTools", "Read"], { home, folder, env });
    const { result, is_error: failed } = out ? JSON.parse(out) : { result: err, is_error: true };
    return { failed: failed || code !== 0, text: result };
  },
  async codex({ model, prompt, key, home, folder, runs }) {
    mkdirSync(join(home, ".codex"), { recursive: true });
    const provider = `name = "Patchbay"\nbase_url = "${gateway.base}/api/v1"\nenv_key = "PATCHBAY_KEY"\nwire_api = "responses"\nrequest_max_retries = 0\nstream_max_retries = 0\n`;
    // Without its sandbox Codex offers a live search, which the gateway has no engine for here.
    const search = runs ? 'web_search = "disabled"\n' : "";
    writeFileSync(join(home, ".codex", "config.toml"), `${search}model = "${model}"\nmodel_provider = "patchbay"\n[model_providers.patchbay]\n${provider}`);
    const free = runs ? ["--dangerously-bypass-approvals-and-sandbox"] : [];
    const args = ["exec", "--json", "--skip-git-repo-check", ...free, prompt];
    const { code, out, err } = await run("codex", args, { home, folder, env: { PATCHBAY_KEY: key } });
    const events = out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const said = events.filter(({ item }) => item?.type === "agent_message").map(({ item }) => item.text);
    const errors = events.filter(({ type }) => type === "error" || type === "turn.failed").map((event) => event.message ?? event.error?.message);
    return { failed: code !== 0 || errors.length > 0, text: said.at(-1) ?? `${errors.join("\n")}${err}` };
  },
  async opencode({ model, prompt, key, home, folder }) {
    const options = { baseURL: `${gateway.base}/api/v1`, apiKey: key };
    // It asks a small model for a title beside: not the one that is scripted.
    const ids = [...MODELS.map(([id]) => id), "test/gemini"];
    const models = Object.fromEntries(ids.map((id) => [id, { name: id }]));
    const provider = { patchbay: { npm: "@ai-sdk/openai-compatible", name: "Patchbay", options, models } };
    writeFileSync(join(folder, "opencode.json"), JSON.stringify({ provider, small_model: "patchbay/test/gemini" }));
    const env = { OPENCODE_DISABLE_AUTOUPDATE: "1", OPENCODE_DISABLE_MODELS_FETCH: "1" };
    const { code, out, err } = await run("opencode", ["run", "--format", "json", "-m", `patchbay/${model}`, prompt], { home, folder, env });
    const events = out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const said = events.filter(({ type }) => type === "text").map(({ part }) => part.text);
    const errors = events.filter(({ type }) => type === "error").map(({ error }) => JSON.stringify(error));
    return { failed: code !== 0 || errors.length > 0, text: said.at(-1) ?? `${errors.join("\n")}${err}` };
  },
};
const READ = {
  claude: (file) => ({ name: "Read", args: { file_path: file } }),
  codex: (file) => ({ name: "exec_command", args: { cmd: `cat ${file}` } }),
  opencode: (file) => ({ name: "read", args: { filePath: file } }),
};

for (const [agent, ask] of Object.entries(AGENTS)) {
  describe(agent, () => {
    /** A home and a folder with a file in it, both gone afterwards. */
    function place(t) {
      const at = mkdtempSync(join(tmpdir(), "patchbay-agent-"));
      t.after(() => {
        gateway.upstream.reset();
        rmSync(at, { recursive: true, force: true, maxRetries: 5 });
      });
      const [home, folder] = ["home", "folder"].map((name) => join(at, name));
      for (const path of [home, folder]) mkdirSync(path);
      writeFileSync(join(folder, "word.txt"), `The word is ${WORD}.\n`);
      return { home, folder };
    }
    const script = (dialect, behaviour, times = null) => gateway.upstream.script({ prefix: `/p/one-${dialect}`, behaviour, times });

    for (const [model, dialect] of MODELS) {
      test(`words, ${dialect} upstream`, async (t) => {
        const at = place(t);
        script(dialect, { text: "Good morning from the model." });
        const { failed, text } = await ask({ model, prompt: "Greet me.", key, ...at });
        assert.ok(!failed, text);
        assert.match(text, /Good morning from the model\./);
      });

      test(`a tool that the agent runs, ${dialect} upstream`, async (t) => {
        const at = place(t);
        const file = join(at.folder, "word.txt");
        gateway.upstream.reset();
        script(dialect, { calls: [READ[agent](file)] }, 1);
        script(dialect, { text: "I have read it." });
        const { failed, text } = await ask({ model, prompt: "Which word is in word.txt?", key, ...at, runs: true });
        assert.ok(!failed, text);
        assert.match(text, /I have read it\./);
        const told = gateway.upstream.requests().filter(({ body }) => JSON.stringify(body).includes(WORD));
        assert.ok(told.length > 0, "the model was told what the file says");
        const bad = gateway.upstream.requests().filter(({ status }) => status !== 200);
        assert.deepEqual(bad.map(({ rejected }) => rejected), []);
      });
    }

    test("a key that is refused is said to whoever asked", async (t) => {
      const { failed, text } = await ask({ model: MODELS[0][0], prompt: "Hello", key: `sk-pb-v1-${"0".repeat(64)}`, ...place(t) });
      assert.ok(failed, text);
      assert.match(text, /401|API key|auth/i);
    });
  });
}
