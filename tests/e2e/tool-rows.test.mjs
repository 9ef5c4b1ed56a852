// Every tool of the catalog in real workerd, against the stand-in of its vendor: without any secret those that need none, then all of them
// with the secrets of an operator, jobs, binaries and tokens included.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { at } from "../../scripts/lib/project.mjs";
import { readVendors } from "../vendors/exchanges.mjs";
import { startVendors } from "../vendors/vendors.mjs";
import { testCatalog } from "./catalog.mjs";
import { callJson, eventually } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

const rows = () => {
  const files = readdirSync(at("catalog/tools")).filter((name) => name.endsWith(".toml"));
  return Object.fromEntries(files.map((name) => [name.slice(0, -".toml".length), readFileSync(at("catalog/tools", name), "utf8")]));
};

/** Whether an exchange needs no key. */
const isOpen = (vendor, exchange) => vendor.key === undefined || vendor.keyless === true || (vendor.keyless?.includes(exchange.operation) ?? false);

async function started(secrets, run) {
  const vendors = await startVendors();
  const vars = { TOOLS_ORIGIN: vendors.url, TOOLS_SINGLE_TENANT: "on", TOOLS_CONFIRM: "never", ...(secrets && vendors.secrets) };
  const gateway = await startGateway({ catalog: { ...testCatalog(), tools: rows() }, vars });
  try {
    await run(gateway, vendors);
  } finally {
    await gateway.stop();
    await vendors.close();
  }
}

/** Executes an exchange and waits for its job, if it has one. */
async function executed(gateway, key, vendor, exchange) {
  const tool = `${vendor.slug}/${exchange.operation}`;
  const { body } = await callJson(gateway, "tools/execute", { key, body: { tool, input: exchange.input } });
  if (body.status !== "running") return body;
  const ask = async () => (await callJson(gateway, `tools/executions/${body.id}`, { key })).body;
  return eventually(ask, (told) => told.status !== "running", { what: `the end of ${tool}` });
}

function held(vendor, exchange, envelope) {
  const what = `${vendor.slug}/${exchange.operation}: ${JSON.stringify(envelope).slice(0, 600)}`;
  assert.equal(envelope.status, "succeeded", what);
  assert.deepEqual(envelope.result, exchange.result, what);
}

describe("the catalog's tools", () => {
  test("those that need no secret work on a first boot, and are free", async () => {
    await started(false, async (gateway, vendors) => {
      const { key } = await gateway.createAccount();
      const offered = new Set();
      for (let offset = 0, more = true; more; ) {
        const { body } = await callJson(gateway, `tools?limit=100&offset=${offset}`, { key });
        for (const tool of body.data) offered.add(tool.id);
        offset += body.data.length;
        more = body.has_more && body.data.length > 0;
      }
      for (const vendor of readVendors()) {
        for (const exchange of vendor.exchanges) {
          const id = `${vendor.slug}/${exchange.operation}`;
          assert.equal(offered.has(id), isOpen(vendor, exchange), id);
          if (!isOpen(vendor, exchange)) continue;
          const envelope = await executed(gateway, key, vendor, exchange);
          held(vendor, exchange, envelope);
          assert.equal(envelope.usage.cost, 0, id);
        }
      }
      assert.deepEqual(vendors.unknown(), []);
    });
  });

  test("all do with their secrets what their exchanges say, once, and are charged so", async () => {
    await started(true, async (gateway, vendors) => {
      for (const vendor of readVendors()) {
        const { key } = await gateway.createAccount({ usd: "20" });
        for (const exchange of vendor.exchanges) {
          vendors.reset();
          const envelope = await executed(gateway, key, vendor, exchange);
          held(vendor, exchange, envelope);
          const id = `${vendor.slug}/${exchange.operation}`;
          assert.equal(Math.round(envelope.usage.cost * 1e9), exchange.charge, id);
          assert.equal(vendors.effects(vendor.slug).length, exchange.effect === undefined ? 0 : 1, id);
          assert.equal(vendors.unknown().length, 0, id);
        }
      }
    });
  });
});
