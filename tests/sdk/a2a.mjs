// The official A2A SDK for JavaScript as tests use it: a client of the gateway, and messages in its own form.
import { randomUUID } from "node:crypto";
import { ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory, RestTransportFactory } from "@a2a-js/sdk/client";

/** How a task stands, as the SDK counts. */
export const COMPLETED = 3, FAILED = 4, INPUT_REQUIRED = 6, REJECTED = 7;

/** A client of `gateway` that calls with `key`, over `jsonrpc` or `rest`. */
export async function connectA2a(gateway, key, transport = "jsonrpc") {
  const fetchImpl = (url, init = {}) => fetch(url, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
  const transports = [transport === "rest" ? new RestTransportFactory({ fetchImpl }) : new JsonRpcTransportFactory({ fetchImpl })];
  const cardResolver = new DefaultAgentCardResolver({ fetchImpl });
  const preferredTransports = [transport === "rest" ? "HTTP+JSON" : "JSONRPC"];
  return new ClientFactory({ ...ClientFactoryOptions.default, transports, cardResolver, preferredTransports }).createFromUrl(gateway.base);
}

export const data = (value) => ({ $case: "data", value });
export const text = (value) => ({ $case: "text", value });

/** A message of the user's with one part. */
export const message = (content, more = {}) => ({
  message: { messageId: randomUUID(), role: 1, parts: [{ content, metadata: {}, filename: "", mediaType: "" }], contextId: "", taskId: "", metadata: {}, extensions: [], referenceTaskIds: [], ...more },
});

/** The data in parts, of the first that has some. */
export const dataOf = (parts = []) => parts.find((part) => part.content?.$case === "data")?.content.value;
