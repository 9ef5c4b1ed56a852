// A gateway with the fixtures of the conformance suites: requests without a key see them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { testCatalog } from "../e2e/catalog.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { peopleVars } from "../e2e/people.mjs";
import { ROWS, startVendor } from "./vendor.mjs";

/** Variables of a deployment whose fixtures the suites may call. */
export const fixtureVars = () => peopleVars({ MCP_FIXTURES: JSON.stringify(JSON.parse(readFileSync(join(import.meta.dirname, "fixtures.json"), "utf8"))) });

/** A gateway with the fixtures. */
export const startFixtures = () => startGateway({ vars: fixtureVars(), catalog: null });

/** A gateway with the tools of a vendor, which stands beside it as `vendor`. */
export async function startTools() {
  const vendor = await startVendor();
  const vars = peopleVars({ MCP_VENDOR: vendor.url, MCP_VENDOR_KEY: "vendor-key" });
  const gateway = await startGateway({ vars, catalog: { ...testCatalog(), tools: { demo: ROWS } } });
  const stop = async () => {
    await gateway.stop();
    await vendor.close();
  };
  return { ...gateway, vendor, stop };
}
