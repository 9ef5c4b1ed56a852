// MCP's clients of npm, unmodified, as tests use them.
import * as modern from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

const INFO = { name: "test", version: "1" };

/** A client of `gateway` that calls with `key`: `{call(params), close()}`. `answer` fills in forms; `era` is `modern` or `legacy`. */
export async function connectMcp(gateway, key, { era = "modern", query = "", answer }) {
  const address = new URL(`/mcp${query}`, gateway.base);
  const options = { requestInit: { headers: { authorization: `Bearer ${key}` } } };
  if (era === "legacy") {
    const client = new Client(INFO, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, answer);
    await client.connect(new StreamableHTTPClientTransport(address, options));
    return { call: (params) => client.callTool(params), close: () => client.close() };
  }
  const client = new modern.Client(INFO, { capabilities: { elicitation: { form: {} } }, versionNegotiation: { mode: "auto" } });
  client.setRequestHandler("elicitation/create", answer);
  await client.connect(new modern.StreamableHTTPClientTransport(address, options));
  return { call: (params) => client.callTool(params), close: () => client.close() };
}
