// A gateway with the tools of the catalog, and the stand-in of their vendors behind it.
import { readdirSync, readFileSync } from "node:fs";
import { at } from "../../scripts/lib/project.mjs";
import { startVendors } from "../vendors/vendors.mjs";
import { testCatalog } from "./catalog.mjs";
import { startGateway } from "./gateway.mjs";

/** The rows of the catalog's tools: name of the file → text. */
export const rows = () => {
  const files = readdirSync(at("catalog/tools")).filter((name) => name.endsWith(".toml"));
  return Object.fromEntries(files.map((name) => [name.slice(0, -".toml".length), readFileSync(at("catalog/tools", name), "utf8")]));
};

/** `{gateway, vendors, stop()}`: with keys of two vendors, whatever needs none, and the models of the tests. `change` may add to the rows. */
export async function startToolGateway({ vars = {}, upstream, main, catalog = testCatalog(), change = (all) => all } = {}) {
  const vendors = await startVendors();
  const { TAVILY_API_KEY, RESEND_API_KEY } = vendors.secrets;
  const gateway = await startGateway({
    upstream,
    main,
    catalog: { ...catalog, tools: change(rows()) },
    vars: { TOOLS_ORIGIN: vendors.url, TOOLS_SINGLE_TENANT: "on", TAVILY_API_KEY, RESEND_API_KEY, ...vars },
  });
  return {
    gateway,
    vendors,
    async stop() {
      await gateway.stop();
      await vendors.close();
    },
  };
}
