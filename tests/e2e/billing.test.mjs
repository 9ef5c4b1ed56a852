// Credits are bought, given back, disputed, redeemed and expire: through the whole Worker, against a local Stripe and receivers that fail.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { startStripe } from "../stripe/stripe.mjs";
import { callJson, chat, eventually, nanos, settled } from "./client.mjs";
import { startGateway } from "./gateway.mjs";

let gateway, stripe, receiver;

/** A receiver of notices and e-mail: what it got, and what it answers next. */
async function startReceiver() {
  const own = { got: [], answers: [], inner: new Set(["private.example.com"]) };
  const server = createServer(async (request, response) => {
    // Names are resolved here: one of them, since the day that it is told, to an address that is not public.
    const asked = new URL(request.url, "http://receiver");
    if (asked.pathname === "/dns-query") {
      const data = own.inner.has(asked.searchParams.get("name")) ? "10.0.0.7" : "93.184.216.34";
      const Answer = asked.searchParams.get("type") === "A" ? [{ type: 1, data }] : [];
      return void response.writeHead(200).end(JSON.stringify({ Status: 0, Answer }));
    }
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    own.got.push({ path: request.url, headers: request.headers, body });
    const answer = own.answers.shift() ?? 200;
    if (answer === "drop") return response.destroy();
    response.writeHead(answer, answer === 302 ? { location: `http://127.0.0.1:${own.port}/secret` } : {}).end("{}");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  own.port = server.address().port;
  own.url = `http://127.0.0.1:${own.port}`;
  own.stop = () => (server.closeAllConnections(), new Promise((done) => server.close(done)));
  return own;
}

before(async () => {
  [stripe, receiver] = await Promise.all([startStripe(), startReceiver()]);
  gateway = await startGateway({
    vars: {
      STRIPE_SECRET_KEY: stripe.key,
      STRIPE_WEBHOOK_SECRET: `whsec_of_last_year,${stripe.webhookSecret}`,
      STRIPE_API_URL: stripe.url,
      BILLING_RETURN_URL: "https://app.example/credits",
      BYOK_MASTER_KEY: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      NOTICE_TRUSTED_HOSTS: `127.0.0.1:${receiver.port}`,
      DESTINATION_RESOLVER: `${receiver.url}/dns-query`,
      EMAIL_API_URL: `${receiver.url}/emails`,
      EMAIL_API_KEY: "re_test",
      EMAIL_FROM: "Patchbay <billing@example.com>",
    },
  });
});
after(() => Promise.all([gateway?.stop(), stripe?.stop(), receiver?.stop()]));

const credits = (account, method, path, body) => gateway.operator.call(method, `accounts/${account}/credits/${path}`, body);
const balance = async (account) => nanos((await gateway.account(account)).balance);
const dollars = (amount) => nanos(amount);
const entries = async (account) => (await gateway.operator.call("GET", `accounts/${account}/entries`)).data;
const purchase = async (account, id) => (await credits(account, "GET", `purchases/${id}`)).data;

/** An account that is about to pay: `{account, key, id, session}`. */
async function buying(amount = "10", { usd = "1", ...body } = {}) {
  const made = await gateway.createAccount({ usd });
  const { data } = await credits(made.account, "POST", "checkout", { amount, ...body });
  const session = [...stripe.sessions.values()].find((each) => each.client_reference_id === data.id);
  return { ...made, id: data.id, data, session };
}

/** An account that has paid: the same with `intent`. */
async function bought(amount, options) {
  const made = await buying(amount, options);
  for (const event of stripe.pay(made.session)) assert.equal((await stripe.deliver(gateway, event)).status, 200);
  return { ...made, intent: stripe.sessions.get(made.session.id).payment_intent };
}

const hear = async (events) => {
  for (const event of events) {
    const { status, body } = await stripe.deliver(gateway, event);
    assert.equal(status, 200, JSON.stringify(body));
  }
};

/** A key that administers the account. */
async function management(account) {
  return (await gateway.operator.call("POST", `accounts/${account}/keys`, { name: "m", is_management_key: true })).key;
}

test("credits come when the event says that they are paid, once, with fee and tax on top", async () => {
  const { account, id, data, session } = await buying("10", { save_payment_method: true });
  assert.deepEqual([data.status, data.amount, data.fee, data.total, data.url], ["open", 10, 0.8, 10.8, session.url]);
  const [call] = stripe.calls("POST", "/v1/checkout/sessions").slice(-1);
  assert.deepEqual(Object.values(call.params.line_items).map((item) => item.price_data.unit_amount), ["1000", "80"]);
  assert.equal(call.params.automatic_tax.enabled, "true");
  assert.equal(call.params.payment_intent_data.setup_future_usage, "off_session");
  assert.equal(call.params.success_url, "https://app.example/credits");
  assert.ok(call.key && call.version, "an idempotency key and a version");
  assert.equal(await balance(account), dollars(1), "a page to pay at is no payment");

  const events = stripe.pay(session, { tax: 205 });
  for (const event of events) {
    assert.equal((await stripe.deliver(gateway, event)).body.outcome, "applied");
    assert.equal((await stripe.deliver(gateway, event)).body.outcome, "repeated");
  }
  // The same news under another id, as from a second endpoint.
  await hear([stripe.event("checkout.session.completed", events[1].data.object)]);
  await Promise.all(Array.from({ length: 8 }, () => stripe.deliver(gateway, events[1])));
  assert.equal(await balance(account), dollars(11));
  const paid = await purchase(account, id);
  assert.deepEqual([paid.status, paid.total, paid.url, paid.refunded], ["paid", 12.85, null, 0]);
  assert.deepEqual((await entries(account)).map(({ kind }) => kind), ["purchase", "grant"]);
  const receipt = (await credits(account, "GET", `purchases/${id}/receipt`)).data;
  assert.match(receipt.url, /^https:\/\/pay\.stripe\.com\/receipts\//);
  const noted = await gateway.d1("SELECT COUNT(*) AS n FROM stripe_events WHERE purchase = ?", id);
  assert.equal(noted[0].n, 3);
  const [totals] = [(await gateway.account(account)).total_credits];
  assert.equal(totals, 11);
});

test("one Idempotency-Key is one purchase, and a lost answer of the provider's is asked for again", async () => {
  const { account } = await gateway.createAccount();
  const start = (body, key) =>
    fetch(`${gateway.base}/api/v1/admin/accounts/${account}/credits/checkout`, {
      method: "POST",
      headers: { authorization: `Bearer ${gateway.operator.token}`, "content-type": "application/json", "idempotency-key": key },
      body: JSON.stringify(body),
    });
  stripe.fault("POST", "/v1/checkout/sessions", "drop");
  const lost = await start({ amount: 20 }, "k1");
  assert.equal(lost.status, 503);
  const first = await (await start({ amount: 20 }, "k1")).json();
  const again = await (await start({ amount: "20" }, "k1")).json();
  assert.deepEqual(again, first);
  assert.equal([...stripe.sessions.values()].filter((each) => each.client_reference_id === first.data.id).length, 1);
  assert.equal((await start({ amount: 21 }, "k1")).status, 409);
  const other = await (await start({ amount: 20 }, "k2")).json();
  assert.notEqual(other.data.id, first.data.id);
  const list = await credits(account, "GET", "purchases?limit=1");
  assert.deepEqual([list.data.length, list.total_count], [1, 2]);
});

test("amounts that are not for sale, fields that do not exist and addresses that are none are refused", async () => {
  const { account } = await gateway.createAccount();
  for (const body of [
    { amount: 4.99 }, { amount: "25000.01" }, { amount: -5 }, { amount: 0 }, { amount: "10.001" }, { amount: "1e30" }, { amount: "ten" }, { amount: null },
    {}, { amount: 10, fee: 0 }, { amount: 10, success_url: "javascript:alert(1)" }, { amount: 10, cancel_url: "https://u:p@a.example/" },
  ]) {
    await assert.rejects(credits(account, "POST", "checkout", body), /400/, JSON.stringify(body));
  }
  await assert.rejects(credits("acc_none", "POST", "checkout", { amount: 10 }), /404/);
});

test("what is forged, altered, old or about something else moves nothing", async () => {
  const { account, id, session } = await buying();
  const other = await buying();
  const [, paid] = stripe.pay(session);
  const altered = (change) => {
    const event = structuredClone(paid);
    event.id = `evt_${Math.random().toString(36).slice(2)}`;
    change(event.data.object, event);
    return event;
  };
  const now = Math.floor(Date.now() / 1000);
  const forged = [
    { secret: "whsec_wrong" }, { header: "" }, { header: "t=1,v1=00" }, { at: now - 400 }, { at: now + 400 },
    { header: stripe.sign(JSON.stringify(paid)), body: JSON.stringify(altered((object) => (object.amount_subtotal = 1))) },
    { header: stripe.sign("x").replace("v1", "v0") },
  ];
  for (const options of forged) {
    const { status, body } = await stripe.deliver(gateway, paid, options);
    assert.equal(status, 400, JSON.stringify(options));
    assert.ok(!JSON.stringify(body).includes("whsec"), "no secret is told");
  }
  const claims = [
    altered((object) => (object.amount_subtotal = 100_000)),
    altered((object) => (object.amount_total = 1)),
    altered((object) => (object.currency = "jpy")),
    altered((object) => (object.customer = "cus_000000000000000000000000")),
    altered((object) => (object.metadata.patchbay_account = other.account)),
    altered((object) => (object.metadata.patchbay_purchase = "pur_none")),
    altered((object) => (object.metadata.patchbay_purchase = other.id)),
    altered((object) => (object.client_reference_id = other.id)),
    altered((object) => (object.payment_status = "no_payment_required")),
    altered((object) => (object.id = other.session.id)),
    altered((_, event) => (event.livemode = true)),
    altered((object, event) => (event.data.object = "none")),
  ];
  for (const event of claims) assert.equal((await stripe.deliver(gateway, event)).status, 400, JSON.stringify(event.data));
  assert.match(gateway.log(), /is refused: its amount is not the purchase's/);
  // What another shop of the same provider's account sells is none of our business.
  const foreign = altered((object) => (object.metadata = {}));
  assert.equal((await stripe.deliver(gateway, foreign)).body.outcome, "ignored");
  assert.equal((await stripe.deliver(gateway, stripe.event("invoice.paid", { id: "in_1" }))).body.outcome, "ignored");
  const large = JSON.stringify(altered((object) => (object.padding = "x".repeat(600_000))));
  assert.equal((await stripe.deliver(gateway, paid, { body: large })).status, 413);
  assert.equal((await stripe.deliver(gateway, paid, { body: "[]" })).status, 400);
  for (const each of [account, other.account]) assert.equal(await balance(each), dollars(1));
  await hear([paid]);
  assert.equal(await balance(account), dollars(11), "the true one still counts");
  assert.equal((await purchase(account, id)).status, "paid");
});

test("an event that meets an outage is not noted, and counts when it is sent again", async () => {
  const { account, session } = await buying();
  const [, paid] = stripe.pay(session);
  const body = JSON.stringify(paid);
  const send = (fault) =>
    fetch(`${gateway.base}/api/v1/stripe/webhook`, { method: "POST", headers: { "stripe-signature": stripe.sign(body), "x-patchbay-fault": fault }, body });
  assert.ok((await send("d1")).status >= 500);
  assert.ok((await send("object-panic")).status >= 500);
  assert.equal((await send("none")).status, 200);
  assert.equal(await balance(account), dollars(11));
});

test("money that comes later counts later, and not at all when the bank says no", async () => {
  for (const ok of [true, false]) {
    const { account, id, session } = await buying();
    await hear(stripe.pay(session, { method: "bank" }));
    assert.deepEqual([await balance(account), (await purchase(account, id)).status], [dollars(1), "processing"]);
    await hear(stripe.bankSays(session, ok));
    assert.deepEqual([await balance(account), (await purchase(account, id)).status], [dollars(ok ? 11 : 1), ok ? "paid" : "failed"]);
  }
  const { account, id, session } = await buying();
  const [, paid] = stripe.pay(session);
  const expired = stripe.event("checkout.session.expired", { ...session, payment_status: "unpaid" });
  await hear([paid, expired]);
  assert.deepEqual([await balance(account), (await purchase(account, id)).status], [dollars(11), "paid"], "late news ends nothing");
});

test("an owner is given back what is unused, and the provider is asked until it is clear", async () => {
  const { account, key, id } = await bought("10", { usd: "0.000000001" });
  const { usage } = await chat(gateway, key, { model: "test/openai" });
  assert.ok(usage.cost > 0 && usage.cost < 0.01);
  stripe.fault("POST", "/v1/refunds", "drop");
  const refund = (await credits(account, "POST", `purchases/${id}/refund`, { id: "r1" })).data;
  assert.deepEqual([refund.amount, refund.status], [9.99, "pending"], "whole cents of what is left; nobody knows yet whether it went");
  assert.ok((await balance(account)) < dollars(0.01));
  const again = (await credits(account, "POST", `purchases/${id}/refund`, { id: "r1" })).data;
  assert.deepEqual(again, refund);
  await gateway.d1("UPDATE billing_jobs SET due_at = 0 WHERE id = ?", refund.id);
  await gateway.scheduled();
  await eventually(() => gateway.d1("SELECT status FROM refunds WHERE id = ?", refund.id), ([row]) => row.status === "sent");
  const sent = [...stripe.refunds.values()].filter((each) => each.metadata.patchbay_refund === refund.id);
  assert.deepEqual(sent.map((each) => each.amount), [999], "one refund, asked for twice");
  // Its events say what the ledger knows.
  const known = await entries(account);
  await hear([stripe.event("refund.created", sent[0]), stripe.event("charge.refunded", stripe.intents.get(sent[0].payment_intent).charge)]);
  assert.deepEqual(await entries(account), known);
  assert.equal((await purchase(account, id)).refunded, 9.99);
  // It bounces: the credits come back, once.
  await hear(stripe.failRefund(sent[0].id));
  assert.ok((await balance(account)) > dollars(9.99));
  assert.equal((await purchase(account, id)).refunded, 0);
});

test("a refund that the provider refuses gives the credits back; one beyond what is unused is the operator's", async () => {
  const { account, id } = await bought("10", { usd: "0.01" });
  stripe.fault("POST", "/v1/refunds", "declined");
  const refused = (await credits(account, "POST", `purchases/${id}/refund`, { amount: 4 })).data;
  assert.equal(refused.status, "failed");
  assert.equal(await balance(account), dollars(10.01));
  for (const body of [{ amount: 0 }, { amount: -1 }, { amount: "0.001" }, { amonut: 1 }]) {
    await assert.rejects(credits(account, "POST", `purchases/${id}/refund`, body), /400/, JSON.stringify(body));
  }
  const part = (await credits(account, "POST", `purchases/${id}/refund`, { amount: 4 })).data;
  assert.deepEqual([part.amount, part.status], [4, "sent"]);
  const rest = (await credits(account, "POST", `purchases/${id}/refund`, { amount: 100, even_if_used: true })).data;
  assert.equal(rest.amount, 6, "no more than the purchase");
  await assert.rejects(credits(account, "POST", `purchases/${id}/refund`, {}), /400.*used/);
  assert.equal(await balance(account), dollars(0.01));
  await assert.rejects(credits(account, "POST", "purchases/pur_none/refund", {}), /404/);
});

test("a refund at the provider's dashboard whose news overtakes the payment's ends the same", async () => {
  const { account, session, id } = await buying();
  const paid = stripe.pay(session);
  const intent = stripe.sessions.get(session.id).payment_intent;
  const refunded = stripe.refund(intent, 300);
  await hear(refunded);
  assert.equal(await balance(account), dollars(1), "nothing is taken that has not come");
  await hear([...paid.reverse(), ...refunded]);
  assert.equal(await balance(account), dollars(8));
  // The rest of the money, fee included: the credits go and no more.
  await hear(stripe.refund(intent));
  assert.equal(await balance(account), dollars(1));
  assert.equal((await purchase(account, id)).refunded, 10);
});

test("a dispute locks the credits, a debt refuses requests, and winning it brings them back", async () => {
  const { account, key, intent, id } = await bought("5", { usd: "0.000000001" });
  await chat(gateway, key, { model: "test/openai" });
  const inquiry = stripe.dispute(intent, { status: "warning_needs_response" });
  await hear(inquiry.events);
  assert.ok((await balance(account)) > 0n, "an inquiry takes no money");
  const { id: dispute, events } = stripe.dispute(intent);
  await hear(events);
  assert.ok((await balance(account)) < 0n);
  assert.equal((await purchase(account, id)).disputed, true);
  const refused = await chat(gateway, key, { model: "test/openai" });
  assert.equal(refused.status, 402);
  const won = stripe.close(dispute, "won");
  await hear([...won.reverse(), ...events.map((event) => ({ ...event, id: `${event.id}x` }))]);
  assert.ok((await balance(account)) > dollars(4.99));
  assert.deepEqual((await entries(account)).map(({ kind }) => kind).filter((kind) => kind.startsWith("dispute")), ["dispute_won", "dispute"]);
  const lost = stripe.dispute(intent);
  await hear([...lost.events, ...stripe.close(lost.id, "lost")]);
  assert.ok((await balance(account)) < 0n, "what is lost stays lost");
});

/** An account that buys by itself below `threshold`. */
async function automatic({ usd = "1", ...auto }) {
  const made = await gateway.createAccount({ usd });
  const set = (body) => credits(made.account, "PUT", "settings", body);
  const settings = { auto_top_up: { threshold: usd, amount: 5, ...auto } };
  await assert.rejects(set(settings), /400.*no saved card/);
  const [{ customer }] = await gateway.d1("SELECT customer FROM billing_customers WHERE account = ?", made.account);
  stripe.saveMethod(customer);
  await set(settings);
  return { ...made, set, customer };
}

const charges = (account) => stripe.calls("POST", "/v1/payment_intents").filter((call) => call.params.metadata.patchbay_account === account);
const settings = async (account) => (await credits(account, "GET", "settings")).data;

test("twenty requests that cross the threshold together buy once", async () => {
  const { account, key } = await automatic({ monthly_limit: 8 });
  assert.equal(charges(account).length, 0, "at the threshold is not below it");
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => chat(gateway, key, { model: "test/openai", stream: n % 2 === 0 })));
  assert.ok(answers.every(({ status }) => status === 200));
  const spent = answers.reduce((sum, { usage }) => sum + nanos(usage.cost), 0n);
  await eventually(() => balance(account), (now) => now === dollars(6) - spent, { what: "five dollars more" });
  await settled(gateway, account);
  await gateway.scheduled();
  assert.deepEqual(charges(account).map(({ params }) => [params.amount, params.off_session, params.confirm]), [["580", "true", "true"]]);
  const state = await settings(account);
  assert.deepEqual([state.auto_top_up_pending, state.auto_top_up_stopped, state.auto_top_up_month], [null, null, 5]);
  const [intent] = [...stripe.intents.values()].filter((each) => each.metadata.patchbay_account === account);
  // Its event says again what the answer said; one that claims more is refused.
  await hear([stripe.event("payment_intent.succeeded", intent)]);
  const more = stripe.event("payment_intent.succeeded", { ...intent, amount: 99_999, amount_received: 99_999 });
  assert.equal((await stripe.deliver(gateway, more)).status, 400);
  assert.equal(await balance(account), dollars(6) - spent);
});

test("an automatic purchase bears the tax that the provider calculates, also when its answers get lost", async () => {
  stripe.tax = 95;
  try {
    stripe.fault("POST", "/v1/tax/calculations", "drop");
    stripe.fault("POST", "/v1/payment_intents", "drop");
    const { account, key } = await automatic({});
    const { usage } = await chat(gateway, key, { model: "test/openai" });
    const again = async () => {
      await gateway.d1("UPDATE billing_jobs SET due_at = 0 WHERE account = ? AND error IS NOT NULL", account);
      await gateway.scheduled();
    };
    await eventually(async () => (await again(), balance(account)), (now) => now === dollars(6) - nanos(usage.cost), { what: "five dollars more" });
    const [intent, ...others] = [...stripe.intents.values()].filter((each) => each.metadata.patchbay_account === account);
    assert.deepEqual([intent.amount, others.length], [675, 0]);
    const made = charges(account);
    assert.equal(new Set(made.map((call) => `${call.key} ${call.params.amount} ${call.params.hooks.inputs.tax.calculation}`)).size, 1, "the same each time");
    const asked = stripe.calls("POST", "/v1/tax/calculations").filter((call) => call.params.customer === intent.customer);
    assert.equal(new Set(asked.map((call) => call.key)).size, 1);
    assert.deepEqual(Object.values(asked[0].params.line_items).map((item) => [item.amount, item.tax_behavior]), [["500", "exclusive"], ["80", "exclusive"]]);
    const [bought] = (await credits(account, "GET", "purchases")).data;
    assert.deepEqual([bought.amount, bought.fee, bought.total, bought.status], [5, 0.8, 6.75, "paid"]);
    // An event without the tax is not that of the purchase.
    const less = stripe.event("payment_intent.succeeded", { ...intent, amount: 580, amount_received: 580 });
    assert.equal((await stripe.deliver(gateway, less)).status, 400);

    stripe.tax = null;
    const nowhere = await automatic({});
    await chat(gateway, nowhere.key, { model: "test/openai" });
    const stopped = await eventually(() => settings(nowhere.account), (state) => state.auto_top_up_stopped && state);
    assert.equal(stopped.auto_top_up_stopped, "customer_tax_location_invalid");
    assert.equal(charges(nowhere.account).length, 0);
  } finally {
    stripe.tax = 0;
  }
});

test("a payment whose answer is lost is asked for again and made once", async () => {
  stripe.fault("POST", "/v1/payment_intents", "drop");
  const { account, key } = await automatic({});
  const { usage } = await chat(gateway, key, { model: "test/openai" });
  await eventually(() => gateway.d1("SELECT attempts, error FROM billing_jobs WHERE account = ?", account), ([job]) => job?.error);
  assert.equal(charges(account).length, 1);
  await gateway.d1("UPDATE billing_jobs SET due_at = 0 WHERE account = ?", account);
  await Promise.all([gateway.scheduled(), gateway.scheduled(), gateway.scheduled()]);
  await eventually(() => balance(account), (now) => now === dollars(6) - nanos(usage.cost));
  assert.equal([...stripe.intents.values()].filter((each) => each.metadata.patchbay_account === account).length, 1);
  assert.equal(new Set(charges(account).map((call) => call.key)).size, 1);
});

test("a card that is declined stops automatic purchases and tells why; one that takes time counts when its event comes", async () => {
  const { account, key, set } = await automatic({});
  const url = `${receiver.url}/declined`;
  await set({ auto_top_up: { threshold: 1, amount: 5 }, notice_url: url });
  stripe.fault("POST", "/v1/payment_intents", "declined");
  await chat(gateway, key, { model: "test/openai" });
  const stopped = await eventually(() => settings(account), (state) => state.auto_top_up_stopped && state);
  assert.equal(stopped.auto_top_up_stopped, "insufficient_funds");
  const notice = await eventually(() => receiver.got.find(({ path }) => path === "/declined"));
  assert.equal(JSON.parse(notice.body).type, "credits.auto_top_up_failed");
  await chat(gateway, key, { model: "test/openai" });
  await settled(gateway, account);
  assert.equal(charges(account).length, 1);
  // Set anew: the next one begins at once.
  stripe.fault("POST", "/v1/payment_intents", "processing");
  await set({ auto_top_up: { threshold: 1, amount: 5 } });
  const pending = (await eventually(() => settings(account), (state) => state.auto_top_up_pending && state)).auto_top_up_pending;
  const intent = await eventually(() => [...stripe.intents.values()].find((each) => each.metadata.patchbay_purchase === pending));
  const before = await balance(account);
  await hear(stripe.finish(intent.id, true));
  assert.equal(await balance(account), before + dollars(5));
  assert.equal((await settings(account)).auto_top_up_pending, null);
});

test("of many who redeem one code as many get credits as may, each once", async () => {
  const { data, code } = await gateway.operator.call("POST", "coupons", { name: "launch", amount: "2.5", max_uses: 3 });
  assert.ok(!JSON.stringify(data).includes(code));
  const accounts = await Promise.all(Array.from({ length: 6 }, () => gateway.createAccount({ usd: "1" })));
  const redeem = (account) => credits(account, "POST", "redeem", { code: ` ${code.toLowerCase()} ` }).then(() => true, () => false);
  await Promise.all(accounts.flatMap(({ account }) => [redeem(account), redeem(account), redeem(account)]));
  const balances = await Promise.all(accounts.map(({ account }) => balance(account)));
  assert.deepEqual(balances.map(Number).sort((a, b) => a - b), [1e9, 1e9, 1e9, 3.5e9, 3.5e9, 3.5e9]);
  const [listed] = (await gateway.operator.call("GET", "coupons")).data.filter((each) => each.id === data.id);
  assert.deepEqual([listed.uses, listed.max_uses, listed.amount], [3, 3, 2.5]);
  const winner = accounts[balances.findIndex((each) => each > 1_000_000_000n)].account;
  assert.equal((await credits(winner, "POST", "redeem", { code })).data.amount, 2.5, "a repeat tells what it gave");
  assert.equal(await balance(winner), dollars(3.5));
  const stored = await gateway.d1("SELECT * FROM coupons");
  assert.ok(!JSON.stringify(stored).includes(code), "only its hash is kept");
});

test("codes that are wrong, over or disabled sound alike, and nobody tries them out", async () => {
  const { account } = await gateway.createAccount();
  const words = async (code) => {
    const error = await credits(account, "POST", "redeem", { code }).then(() => assert.fail("was redeemed"), (error) => error.message);
    return error;
  };
  const over = await gateway.operator.call("POST", "coupons", { name: "over", amount: 1, expires_at: "2020-01-01T00:00:00Z" });
  const disabled = await gateway.operator.call("POST", "coupons", { name: "off", amount: 1, code: "SWITCHED-OFF" });
  await gateway.operator.call("DELETE", `coupons/${disabled.data.id}`);
  const wrong = await words("NO-SUCH-CODE");
  for (const code of [over.code, "SWITCHED-OFF", "x", "%' OR 1=1"]) assert.equal(await words(code), wrong);
  for (let tries = 0; tries < 15; tries += 1) await words("NO-SUCH-CODE");
  const good = await gateway.operator.call("POST", "coupons", { name: "good", amount: 1 });
  assert.match(await words(good.code), /429/);
  for (const body of [{ name: "x", amount: -1 }, { name: "x", amount: 1, code: "short" }, { name: "x", amount: 1, max_uses: 0 }, { name: "x", amount: "0.0000000001" }]) {
    await assert.rejects(gateway.operator.call("POST", "coupons", body), /400/, JSON.stringify(body));
  }
});

test("credits with an end go at their end, after they were used first", async () => {
  const { account, key } = await gateway.createAccount({ usd: "1" });
  const expires_at = new Date(Date.now() + 4_000).toISOString();
  await gateway.operator.call("POST", `accounts/${account}/grants`, { id: "gift", amount_usd: "2", expires_at });
  const { usage } = await chat(gateway, key, { model: "test/openai" });
  await eventually(() => balance(account), (now) => now === dollars(1), { what: "the end of the gift" });
  const [lapse] = await entries(account);
  assert.deepEqual([lapse.kind, lapse.id, nanos(lapse.amount)], ["lapse", "gift", nanos(usage.cost) - dollars(2)]);
});

test("a low balance is told once, signed, and sent until the receiver has it", async () => {
  const { account, key } = await gateway.createAccount({ usd: "1" });
  const url = `${receiver.url}/low`;
  const body = { low_balance_threshold: 1, notice_url: url, notice_email: "ann@example.com" };
  const { notice_secret: secret, ...told } = (await credits(account, "PUT", "settings", body)).data;
  assert.match(secret, /^whsec_[0-9a-f]{64}$/);
  assert.equal((await credits(account, "PUT", "settings", body)).data.notice_secret, undefined, "shown once");
  assert.deepEqual(await settings(account), told);
  assert.ok(!JSON.stringify(await gateway.d1("SELECT * FROM billing_settings")).includes(secret.slice(-40)));
  const got = () => receiver.got.filter(({ path, body: text }) => path === "/low" && text.includes(account));
  const mails = () => receiver.got.filter(({ path, body: text }) => path === "/emails" && text.includes(account));
  const retry = async () => {
    await gateway.d1("UPDATE billing_jobs SET due_at = 0 WHERE account = ? AND state = 'due'", account);
    await gateway.scheduled();
  };
  const due = () => gateway.d1("SELECT kind, attempts FROM billing_jobs WHERE account = ? AND state = 'due' AND error IS NOT NULL", account);
  // It fails in three ways; only what is answered with success is over.
  receiver.answers.push(500, 500);
  await chat(gateway, key, { model: "test/openai" });
  await eventually(due, (jobs) => jobs.length === 2);
  receiver.answers.push("drop", "drop");
  await retry();
  receiver.answers.push(302, 302);
  await retry();
  await retry();
  await eventually(due, (jobs) => jobs.length === 0);
  assert.deepEqual([got().length, mails().length], [4, 4]);
  assert.ok(!receiver.got.some(({ path }) => path === "/secret"), "a redirect is not followed");
  const last = got().at(-1);
  const notice = JSON.parse(last.body);
  assert.deepEqual([notice.type, notice.account, notice.data.amount], ["credits.low_balance", account, "1"]);
  assert.equal(nanos(Number(notice.data.balance)), await balance(account));
  assert.equal(new Set(got().map(({ body: text }) => text)).size, 1, "the same each time");
  const [, at] = /^t=(\d+),v1=[0-9a-f]{64}$/.exec(last.headers["patchbay-signature"]);
  assert.equal(last.headers["patchbay-signature"], stripe.sign(last.body, { secret, at }));
  const mail = mails().at(-1);
  assert.equal(mail.headers.authorization, "Bearer re_test");
  assert.ok(mail.headers["idempotency-key"] && mails().every(({ headers }) => headers["idempotency-key"] === mail.headers["idempotency-key"]));
  assert.deepEqual(JSON.parse(mail.body).to, ["ann@example.com"]);
  // Further requests that stay below tell nothing.
  await chat(gateway, key, { model: "test/openai" });
  await settled(gateway, account);
  assert.equal(got().length, 4);
});

test("a name that leads to a private address later on gets no notice any more", async () => {
  const { account, key } = await gateway.createAccount({ usd: "1" });
  await credits(account, "PUT", "settings", { low_balance_threshold: 1, notice_url: "https://turning.example.com/hook" });
  receiver.inner.add("turning.example.com");
  await chat(gateway, key, { model: "test/openai" });
  const job = () => gateway.d1("SELECT state, error FROM billing_jobs WHERE account = ? AND kind = 'webhook'", account);
  const [{ state, error }] = await eventually(job, ([first]) => first?.state === "failed");
  assert.match(`${state} ${error}`, /failed turning\.example\.com resolves to an address that is not public/);
});

test("notices go to public addresses only", async () => {
  const { account } = await gateway.createAccount();
  for (const notice_url of [
    "http://example.com/hook", "https://127.0.0.1/", "https://localhost/", "https://10.0.0.1/", "https://169.254.169.254/latest/meta-data", "https://[::1]/",
    "https://[::ffff:10.0.0.1]/", "https://2130706433/", "https://0x7f.1/", "https://127.0.0.1.nip.io/", "https://user:pass@example.com/", "ftp://example.com/", "x",
    `http://127.0.0.1:${stripe.port}/`, "https://private.example.com/hook",
  ]) {
    await assert.rejects(credits(account, "PUT", "settings", { notice_url }), /400/, notice_url);
  }
  for (const body of [
    { notice_email: "no address" }, { low_balance_threshold: -1 }, { low_balance_threshold: 0 }, { threshold: 1 },
    { auto_top_up: { threshold: 1, amount: 1 } }, { auto_top_up: { threshold: 1, amount: 10, monthly_limit: 5 } }, { auto_top_up: { threshold: 1 } },
  ]) {
    await assert.rejects(credits(account, "PUT", "settings", body), /400/, JSON.stringify(body));
  }
});

test("an account sees its own purchases only, and what costs money takes an owner", async () => {
  const { id, account } = await bought();
  const other = await gateway.createAccount();
  const [own, foreign] = await Promise.all([management(account), management(other.account)]);
  const get = (key, path, options) => callJson(gateway, `credits/${path}`, { key, ...options });
  assert.equal((await get(own, `purchases/${id}`)).body.data.id, id);
  assert.deepEqual((await get(own, "purchases")).body.data.map((each) => each.id), [id]);
  assert.deepEqual((await get(foreign, "purchases")).body, { data: [], total_count: 0 });
  const [hidden, none] = await Promise.all([get(foreign, `purchases/${id}`), get(foreign, "purchases/pur_none")]);
  assert.equal(hidden.status, 404);
  assert.equal(hidden.body.error.message.replace(id, "pur_none"), none.body.error.message);
  for (const path of ["checkout", `purchases/${id}/refund`]) assert.equal((await get(own, path, { body: { amount: 10 } })).status, 403, path);
  assert.equal((await get(own, "settings", { method: "PUT", body: {} })).status, 403);
  assert.equal((await get(other.key, "purchases")).status, 403, "a key that calls models administers nothing");
  assert.equal((await get(undefined, "purchases")).status, 401);
  assert.equal((await callJson(gateway, "credits/coinbase", { key: own, body: {} })).status, 410);
});

test("without a payment provider the routes say what to configure; coupons work", async () => {
  const bare = await startGateway();
  try {
    const { account } = await bare.createAccount();
    const ask = (path, body) => bare.operator.call("POST", `accounts/${account}/credits/${path}`, body);
    await assert.rejects(ask("checkout", { amount: 10 }), /501.*STRIPE_SECRET_KEY/);
    const webhook = await callJson(bare, "stripe/webhook", { body: {} });
    assert.deepEqual([webhook.status, /STRIPE_WEBHOOK_SECRET/.test(webhook.body.error.message)], [501, true]);
    await assert.rejects(bare.operator.call("PUT", `accounts/${account}/credits/settings`, { notice_url: "https://example.com/" }), /501.*BYOK_MASTER_KEY/);
    const { code } = await bare.operator.call("POST", "coupons", { name: "c", amount: 1 });
    assert.equal((await ask("redeem", { code })).data.balance, 6);
  } finally {
    await bare.stop();
  }
});
