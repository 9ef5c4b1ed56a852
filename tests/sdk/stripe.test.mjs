// The local Stripe of the tests and the gateway's signatures, held against the official package: what it can talk to and what it
// verifies is Stripe's wire, in both directions.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import Stripe from "stripe";
import { call, callJson, eventually } from "../e2e/client.mjs";
import { startGateway } from "../e2e/gateway.mjs";
import { startStripe } from "../stripe/stripe.mjs";

let local, gateway, receiver, official;
const got = [];

before(async () => {
  local = await startStripe();
  receiver = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    got.push({ headers: request.headers, body });
    response.end("{}");
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));
  const { port } = receiver.address();
  gateway = await startGateway({
    vars: {
      STRIPE_SECRET_KEY: local.key,
      STRIPE_WEBHOOK_SECRET: local.webhookSecret,
      STRIPE_API_URL: local.url,
      BILLING_RETURN_URL: "https://app.example/",
      BYOK_MASTER_KEY: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      NOTICE_TRUSTED_HOSTS: `127.0.0.1:${port}`,
    },
  });
  official = new Stripe(local.key, { host: "127.0.0.1", port: local.port, protocol: "http", maxNetworkRetries: 0, telemetry: false });
});
after(async () => {
  await Promise.all([gateway?.stop(), local?.stop()]);
  receiver?.closeAllConnections();
  receiver?.close();
});

const LINES = [{ quantity: 1, price_data: { currency: "usd", unit_amount: 1000, product_data: { name: "Credits" } } }];
const SESSION = { mode: "payment", success_url: "https://app.example/", line_items: LINES };

test("the official client buys, refunds and lists at the local one", async () => {
  const customer = await official.customers.create({ metadata: { a: "b" } });
  assert.deepEqual([customer.object, customer.metadata], ["customer", { a: "b" }]);
  assert.deepEqual((await official.customers.listPaymentMethods(customer.id)).data, []);
  const session = await official.checkout.sessions.create({
    ...SESSION, customer: customer.id, client_reference_id: "ref", automatic_tax: { enabled: true }, customer_update: { address: "auto" },
    payment_intent_data: { setup_future_usage: "off_session", metadata: { own: "1" } }, adaptive_pricing: { enabled: false },
  });
  assert.deepEqual([session.object, session.amount_subtotal, session.payment_status, session.status], ["checkout.session", 1000, "unpaid", "open"]);
  local.pay(session, { tax: 50 });
  const paid = await official.checkout.sessions.retrieve(session.id);
  assert.deepEqual([paid.amount_total, paid.payment_status, paid.total_details.amount_tax], [1050, "paid", 50]);
  const intent = await official.paymentIntents.retrieve(paid.payment_intent, { expand: ["latest_charge"] });
  assert.deepEqual([intent.status, intent.metadata, intent.latest_charge.object], ["succeeded", { own: "1" }, "charge"]);
  const [method] = (await official.customers.listPaymentMethods(customer.id, { limit: 1 })).data;
  const again = await official.paymentIntents.create({
    amount: 580, currency: "usd", customer: customer.id, payment_method: method.id, off_session: true, confirm: true,
    automatic_payment_methods: { enabled: true, allow_redirects: "never" },
  });
  assert.equal(again.status, "succeeded");
  const refund = await official.refunds.create({ payment_intent: again.id, amount: 80, metadata: { own: "2" } });
  assert.deepEqual([refund.object, refund.status, refund.metadata], ["refund", "succeeded", { own: "2" }]);
  const listed = [];
  for await (const each of official.refunds.list({ payment_intent: again.id })) listed.push(each.id);
  assert.deepEqual(listed, [refund.id]);
});

test("its errors are what the official client knows by class", async () => {
  const { StripeAuthenticationError, StripeCardError, StripeIdempotencyError, StripeInvalidRequestError, StripeRateLimitError, StripeAPIError } = Stripe.errors;
  const wrong = new Stripe("sk_test_wrong", { host: "127.0.0.1", port: local.port, protocol: "http", maxNetworkRetries: 0 });
  await assert.rejects(wrong.customers.create({}), StripeAuthenticationError);
  await assert.rejects(official.checkout.sessions.create({ ...SESSION, colour: "red" }), (error) => {
    assert.ok(error instanceof StripeInvalidRequestError);
    return error.code === "parameter_unknown" && error.param === "colour";
  });
  await assert.rejects(official.paymentIntents.retrieve(`pi_${"0".repeat(24)}`), (error) => error.code === "resource_missing" && error.statusCode === 404);
  const idempotencyKey = `key-${Date.now()}`;
  const first = await official.customers.create({ name: "a" }, { idempotencyKey });
  const repeated = await official.customers.create({ name: "a" }, { idempotencyKey });
  assert.equal(repeated.id, first.id);
  assert.equal(repeated.lastResponse.headers["idempotent-replayed"], "true");
  await assert.rejects(official.customers.create({ name: "b" }, { idempotencyKey }), StripeIdempotencyError);
  local.fault("POST", "/v1/customers", "429");
  await assert.rejects(official.customers.create({}), StripeRateLimitError);
  local.fault("POST", "/v1/customers", "500");
  await assert.rejects(official.customers.create({}), StripeAPIError);
  const customer = await official.customers.create({});
  const method = local.saveMethod(customer.id);
  local.fault("POST", "/v1/payment_intents", "declined");
  const charge = { amount: 500, currency: "usd", customer: customer.id, payment_method: method.id, off_session: true, confirm: true, automatic_payment_methods: { enabled: true, allow_redirects: "never" } };
  await assert.rejects(official.paymentIntents.create(charge), (error) => {
    assert.ok(error instanceof StripeCardError);
    return error.decline_code === "insufficient_funds" && error.payment_intent.object === "payment_intent";
  });
});

test("what the official package signs the gateway takes, and what it would not verify the gateway refuses", async () => {
  const event = local.event("invoice.paid", { id: "in_1", note: "Grüße 👋" });
  const payload = JSON.stringify(event, null, 2);
  const send = (header) => call(gateway, "stripe/webhook", { method: "POST", body: payload, headers: { "stripe-signature": header } });
  const header = (options = {}) => official.webhooks.generateTestHeaderString({ payload, secret: local.webhookSecret, ...options });
  const now = Math.floor(Date.now() / 1000);
  const cases = [
    header(), header({ timestamp: now - 200 }), `${header({ secret: "whsec_x" })},v1=${/v1=(.*)/.exec(header({ timestamp: now }))[1]}`,
    header({ secret: "whsec_wrong" }), header({ timestamp: now - 400 }), header({ scheme: "v0" }), header().replace(/v1=./, "v1=z"), "t=1", "",
  ];
  for (const each of cases) {
    let isGood = true;
    try {
      official.webhooks.constructEvent(payload, each, local.webhookSecret);
    } catch {
      isGood = false;
    }
    assert.equal((await send(each)).status, isGood ? 200 : 400, each);
  }
  // And the local one signs as the package does.
  assert.equal(official.webhooks.constructEvent(payload, local.sign(payload), local.webhookSecret).id, event.id);
});

test("the gateway's own notices are verified by the official package", async () => {
  const { account } = await gateway.createAccount({ usd: "1" });
  const notice_url = `http://127.0.0.1:${receiver.address().port}/notices`;
  const path = `accounts/${account}/credits/settings`;
  const { data } = await gateway.operator.call("PUT", path, { low_balance_threshold: 2, notice_url });
  const { headers, body } = await eventually(() => got, (all) => all[0]);
  const verified = official.webhooks.constructEvent(body, headers["patchbay-signature"], data.notice_secret);
  assert.equal(verified.type, "credits.low_balance");
  assert.throws(() => official.webhooks.constructEvent(`${body} `, headers["patchbay-signature"], data.notice_secret));
});

test("every call that the gateway makes is one that the official client could have made", async () => {
  const { account } = await gateway.createAccount();
  const path = `accounts/${account}/credits/checkout`;
  const { data } = await gateway.operator.call("POST", path, { amount: 10, save_payment_method: true });
  const ours = local.calls("POST", "/v1/checkout/sessions").find((each) => each.params.client_reference_id === data.id);
  assert.equal(ours.version, official.getApiField("version"));
  const { line_items, adaptive_pricing, automatic_tax, ...rest } = ours.params;
  await official.checkout.sessions.create({
    ...rest,
    line_items: Object.values(line_items).map((item) => ({ ...item, quantity: Number(item.quantity) })),
    adaptive_pricing: { enabled: adaptive_pricing.enabled === "true" },
    automatic_tax: { enabled: automatic_tax.enabled === "true" },
  });
  const theirs = local.calls("POST", "/v1/checkout/sessions").at(-1);
  assert.deepEqual(theirs.params, ours.params, "the same form");
  const { status } = await callJson(gateway, "stripe/webhook", { method: "POST", body: "{}" });
  assert.equal(status, 400);
});
