// What log destinations send, read by OpenTelemetry's own definitions: both encodings carry the same message, byte for byte.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import root from "@opentelemetry/otlp-transformer/build/src/generated/root.js";
import { callJson, chat, eventually, settled, user } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { startReceiver } from "../receiver/receiver.mjs";

const Request = root.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;

let gateway, receiver;
before(async () => {
  receiver = await startReceiver();
  const vars = { BYOK_MASTER_KEY: randomBytes(32).toString("base64"), DESTINATION_TRUSTED_HOSTS: receiver.host };
  gateway = await startGateway({ vars });
});
after(async () => {
  await gateway?.stop();
  await receiver?.close();
});

/** OTLP's JSON writes ids in hex, where protobuf's own mapping has base64. */
const ids = (name, value) => (["traceId", "spanId", "parentSpanId"].includes(name) ? Buffer.from(value, "hex") : value);

test("OpenTelemetry's own decoder reads what is sent", async () => {
  const { account, key } = await gateway.createAccount();
  const { key: manager } = await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "manager", is_management_key: true });
  for (const encoding of ["json", "protobuf"]) {
    const body = { type: "otel-collector", name: encoding, config: { endpoint: `${receiver.url}/${encoding}`, encoding } };
    assert.equal((await callJson(gateway, "observability/destinations", { key: manager, body })).status, 201);
  }
  gateway.upstream.script({ prefix: "/p/one-openai/", times: 1, behaviour: "fault-status-503" });
  const trace = { trace_id: "workflow-1", span_name: "Step", tags: ["a", "b"], rate: 0.25, deep: { on: true } };
  await chat(gateway, key, { model: "test/openai", messages: [user("Zwölf Boxkämpfer")], session_id: "s", user: "u", trace });
  await settled(gateway, account);
  const arrived = () => ["/json", "/protobuf"].every((path) => receiver.at(path).length > 0);
  await eventually(async () => (await gateway.scheduled(), arrived()), undefined, { what: "both encodings" });
  const [json] = receiver.at("/json");
  const [protobuf] = receiver.at("/protobuf");
  const decoded = Request.decode(protobuf.bytes);
  assert.equal(Request.verify(decoded), null);
  assert.ok(Buffer.from(Request.encode(decoded).finish()).equals(protobuf.bytes), "nothing is lost that the definitions do not know");
  const object = JSON.parse(json.bytes, ids);
  assert.ok(Buffer.from(Request.encode(Request.fromObject(object)).finish()).equals(protobuf.bytes), "both say the same");
});
