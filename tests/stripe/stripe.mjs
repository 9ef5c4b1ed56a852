// A local Stripe: the part of its API that the gateway uses, and the events that it sends. See README.md.
import { createHash, createHmac, randomBytes } from "node:crypto";
import { createServer } from "node:http";

const API_VERSION = "2026-10-28.endive";
const KEY = "sk_test_local";
const WEBHOOK_SECRET = "whsec_of_the_tests";

const id = (prefix) => `${prefix}_${randomBytes(12).toString("hex")}`;
const seconds = () => Math.floor(Date.now() / 1000);

class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    Object.assign(this, { status, error });
  }
}

const invalid = (message, rest = {}) => new Refusal(400, { type: "invalid_request_error", message, ...rest });

/** `a[b][0][c]=d` as nested objects; lists stay objects with numbers as names. */
export function parseForm(text) {
  const form = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const path = name.split("[").map((part) => part.replace(/\]$/, ""));
    let at = form;
    for (const part of path.slice(0, -1)) at = at[part] ??= {};
    at[path.at(-1)] = value;
  }
  return form;
}

/** Refuses parameters that are missing or unknown. `shape` names those that are known; `!` marks those that must be there. */
function check(params, shape) {
  const known = shape.map((name) => name.replace("!", ""));
  for (const name of Object.keys(params)) {
    if (!known.includes(name)) throw invalid(`Received unknown parameter: ${name}`, { code: "parameter_unknown", param: name });
  }
  for (const name of shape.filter((each) => each.endsWith("!"))) {
    const plain = name.slice(0, -1);
    if (params[plain] === undefined) throw invalid(`Missing required param: ${plain}.`, { code: "parameter_missing", param: plain });
  }
}

function wholeCents(text, param) {
  if (!/^\d+$/.test(text ?? "")) throw invalid(`Invalid integer: ${text}`, { param });
  return Number(text);
}

class Stripe {
  key = KEY;
  webhookSecret = WEBHOOK_SECRET;
  customers = new Map();
  sessions = new Map();
  intents = new Map();
  refunds = new Map();
  disputes = new Map();
  /** Cents of tax on each calculation; null where the customer's place is not known. */
  tax = 0;
  calculations = new Map();
  #methods = new Map();
  #remembered = new Map();
  #log = [];
  #faults = [];

  /** The next call of this method and path goes wrong. */
  fault(method, path, what, times = 1) {
    this.#faults.push({ method, path, what, left: times });
  }

  /** What was asked for: `{method, path, params, key, replayed}`. */
  calls(method, path) {
    return this.#log.filter((call) => call.method === method && call.path === path);
  }

  #fault(method, path) {
    const fault = this.#faults.find((each) => each.left > 0 && each.method === method && path.startsWith(each.path));
    if (fault) fault.left -= 1;
    return fault?.what;
  }

  handle = async (request, response) => {
    const url = new URL(request.url, "http://stripe");
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    const requestId = id("req");
    const send = (status, body, headers = {}) => {
      response.writeHead(status, { "content-type": "application/json", "request-id": requestId, "stripe-version": API_VERSION, ...headers });
      response.end(JSON.stringify(body));
    };
    const call = { method: request.method, path: url.pathname, key: request.headers["idempotency-key"], version: request.headers["stripe-version"] };
    try {
      if (request.headers.authorization !== `Bearer ${KEY}`) throw new Refusal(401, { type: "invalid_request_error", message: "Invalid API Key provided" });
      if (text && !request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded")) throw invalid("The request body is no form");
      call.params = request.method === "GET" ? parseForm(url.search.slice(1)) : parseForm(text);
      this.#log.push(call);
      const fault = this.#fault(request.method, url.pathname);
      if (fault === "500") throw new Refusal(500, { type: "api_error", message: "An unknown error occurred" });
      if (fault === "429") throw new Refusal(429, { type: "invalid_request_error", code: "rate_limit", message: "Too many requests" });
      const { status, body, replayed } = this.#once(call, text, fault);
      if (fault === "drop") return response.destroy();
      send(status, body, { ...(call.key && { "idempotency-key": call.key }), ...(replayed && { "idempotent-replayed": "true" }) });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      send(error.status, { error: { ...error.error, request_log_url: `https://dashboard.stripe.com/test/logs/${requestId}` } });
    }
  };

  /** Runs a call, or replays what its key led to before. */
  #once(call, text, fault) {
    if (call.method !== "POST" || !call.key) return { status: 200, body: this.#route(call, fault) };
    const digest = createHash("sha256").update(`${call.path}\n${text}`).digest("hex");
    const known = this.#remembered.get(call.key);
    if (known && known.digest !== digest) {
      throw new Refusal(400, { type: "idempotency_error", message: "Keys for idempotent requests can only be used with the same parameters they were first used with." });
    }
    if (known) {
      call.replayed = true;
      return { ...known.answer, replayed: true };
    }
    let answer;
    try {
      answer = { status: 200, body: this.#route(call, fault) };
    } catch (error) {
      // What fails before it begins is not remembered; a declined card is.
      if (!(error instanceof Refusal) || error.status === 400) throw error;
      answer = { status: error.status, body: { error: error.error } };
    }
    this.#remembered.set(call.key, { digest, answer });
    return answer;
  }

  #route({ method, path, params }, fault) {
    const [, , resource, ...rest] = path.split("/");
    const at = `${method} ${[resource, ...rest.map((part) => (/_[0-9a-f]{24}$/.test(part) ? "*" : part))].join("/")}`;
    const named = rest.find((part) => /_[0-9a-f]{24}$/.test(part));
    const find = (map, what) => {
      const found = map.get(named);
      if (!found) throw new Refusal(404, { type: "invalid_request_error", code: "resource_missing", message: `No such ${what}: '${named}'`, param: "id" });
      return found;
    };
    switch (at) {
      case "POST customers": return this.#createCustomer(params);
      case "GET customers/*": return find(this.customers, "customer");
      case "GET customers/*/payment_methods": {
        const methods = this.#methods.get(find(this.customers, "customer").id) ?? [];
        const limit = Number(params.limit ?? 10);
        return { object: "list", url: path, has_more: methods.length > limit, data: methods.slice(0, limit) };
      }
      case "POST checkout/sessions": return this.#createSession(params);
      case "GET checkout/sessions/*": return find(this.sessions, "checkout.session");
      case "POST tax/calculations": return this.#calculate(params);
      case "POST payment_intents": return this.#createIntent(params, fault);
      case "GET payment_intents/*": {
        const { charge, ...intent } = find(this.intents, "payment_intent");
        const expanded = Object.values(params.expand ?? {}).includes("latest_charge");
        return { ...intent, latest_charge: expanded && charge ? charge : intent.latest_charge };
      }
      case "POST refunds": return this.#createRefund(params, fault);
      case "GET refunds": {
        const data = [...this.refunds.values()].filter((each) => !params.payment_intent || each.payment_intent === params.payment_intent);
        return { object: "list", url: path, has_more: false, data: data.reverse() };
      }
      case "GET refunds/*": return find(this.refunds, "refund");
      default: throw new Refusal(404, { type: "invalid_request_error", message: `Unrecognized request URL (${method}: ${path}).` });
    }
  }

  #createCustomer(params) {
    check(params, ["metadata", "email", "name"]);
    const customer = { id: id("cus"), object: "customer", created: seconds(), email: null, livemode: false, metadata: params.metadata ?? {} };
    this.customers.set(customer.id, customer);
    return customer;
  }

  #createSession(params) {
    check(params, [
      "mode!", "success_url!", "cancel_url", "customer", "client_reference_id", "line_items!", "metadata", "payment_intent_data", "automatic_tax",
      "customer_update", "adaptive_pricing",
    ]);
    if (params.mode !== "payment") throw invalid("Invalid mode", { param: "mode" });
    if (params.customer && !this.customers.has(params.customer)) throw invalid(`No such customer: '${params.customer}'`, { code: "resource_missing", param: "customer" });
    const taxed = params.automatic_tax?.enabled === "true";
    if (taxed && params.customer && params.customer_update?.address !== "auto") {
      throw invalid("Automatic tax calculation in Checkout requires a valid address on the Customer.", { code: "customer_tax_location_invalid" });
    }
    let subtotal = 0;
    for (const [at, item] of Object.entries(params.line_items)) {
      check(item, ["quantity!", "price_data!"]);
      check(item.price_data, ["currency!", "unit_amount!", "product_data!"]);
      if (!item.price_data.product_data.name) throw invalid("Missing required param", { param: `line_items[${at}][price_data][product_data][name]` });
      subtotal += wholeCents(item.price_data.unit_amount, "unit_amount") * wholeCents(item.quantity, "quantity");
    }
    if (subtotal < 50) throw invalid("The Checkout Session's total amount due must add up to at least $0.50 usd", { code: "amount_too_small" });
    const session = {
      id: id("cs_test"), object: "checkout.session", adaptive_pricing: { enabled: params.adaptive_pricing?.enabled === "true" },
      amount_subtotal: subtotal, amount_total: subtotal, automatic_tax: { enabled: taxed, status: taxed ? "requires_location_inputs" : null, liability: null },
      cancel_url: params.cancel_url ?? null, client_reference_id: params.client_reference_id ?? null, created: seconds(), currency: "usd",
      customer: params.customer ?? null, customer_details: null, expires_at: seconds() + 86_400, livemode: false, metadata: params.metadata ?? {},
      mode: "payment", payment_intent: null, payment_method_types: ["card"], payment_status: "unpaid", status: "open", success_url: params.success_url,
      total_details: { amount_discount: 0, amount_shipping: 0, amount_tax: 0 }, ui_mode: "hosted_page", url: "",
    };
    session.url = `https://checkout.stripe.com/c/pay/${session.id}`;
    this.sessions.set(session.id, session);
    this.#sessionData.set(session.id, params.payment_intent_data ?? {});
    return { ...session };
  }
  #sessionData = new Map();

  #calculate(params) {
    check(params, ["currency!", "customer!", "line_items!"]);
    if (!this.customers.has(params.customer)) throw invalid(`No such customer: '${params.customer}'`, { code: "resource_missing", param: "customer" });
    let amount = 0;
    for (const item of Object.values(params.line_items)) {
      check(item, ["amount!", "reference", "tax_behavior", "tax_code", "quantity"]);
      amount += wholeCents(item.amount, "amount");
    }
    if (this.tax === null) throw invalid("We could not determine the customer's tax location based on the provided customer address.", { code: "customer_tax_location_invalid" });
    const calculation = {
      id: id("taxcalc"), object: "tax.calculation", amount_total: amount + this.tax, currency: "usd", customer: params.customer, expires_at: seconds() + 7_776_000,
      livemode: false, tax_amount_exclusive: this.tax, tax_amount_inclusive: 0,
    };
    this.calculations.set(calculation.id, calculation);
    return { ...calculation };
  }

  #createIntent(params, fault) {
    const calculation = params.hooks?.inputs?.tax?.calculation;
    if (calculation !== undefined && this.calculations.get(calculation)?.amount_total !== Number(params.amount)) throw invalid("The amount is not that of the tax calculation", { param: "hooks[inputs][tax][calculation]" });
    check(params, [
      "hooks",
      "amount!", "currency!", "customer", "payment_method", "off_session", "confirm", "description", "metadata", "automatic_payment_methods", "return_url",
    ]);
    const amount = wholeCents(params.amount, "amount");
    if (params.confirm === "true") {
      const methods = this.#methods.get(params.customer) ?? [];
      if (!methods.some((method) => method.id === params.payment_method)) throw invalid(`No such PaymentMethod: '${params.payment_method}'`, { code: "resource_missing", param: "payment_method" });
      if (params.automatic_payment_methods?.allow_redirects !== "never" && !params.return_url) throw invalid("you must provide a `return_url`");
    }
    const intent = this.#newIntent({ amount, customer: params.customer, metadata: params.metadata, status: "requires_payment_method" });
    if (fault === "processing") {
      intent.status = "processing";
    } else if (fault === "declined") {
      const error = { type: "card_error", code: "card_declined", decline_code: "insufficient_funds", message: "Your card has insufficient funds." };
      intent.last_payment_error = error;
      throw new Refusal(402, { ...error, payment_intent: this.#plain(intent) });
    } else {
      this.#succeed(intent);
    }
    return this.#plain(intent);
  }

  #newIntent({ amount, customer, metadata, status }) {
    const intent = {
      id: id("pi"), object: "payment_intent", amount, amount_capturable: 0, amount_received: 0, capture_method: "automatic", client_secret: id("secret"),
      confirmation_method: "automatic", created: seconds(), currency: "usd", customer: customer ?? null, last_payment_error: null, latest_charge: null,
      livemode: false, metadata: metadata ?? {}, next_action: null, payment_method: null, payment_method_types: ["card"], status,
    };
    this.intents.set(intent.id, intent);
    return intent;
  }

  #succeed(intent) {
    const charge = {
      id: id("ch"), object: "charge", amount: intent.amount, amount_captured: intent.amount, amount_refunded: 0, captured: true, created: seconds(),
      currency: "usd", customer: intent.customer, disputed: false, livemode: false, metadata: { ...intent.metadata }, paid: true, payment_intent: intent.id,
      receipt_url: `https://pay.stripe.com/receipts/${intent.id}`, refunded: false, status: "succeeded",
    };
    Object.assign(intent, { status: "succeeded", amount_received: intent.amount, latest_charge: charge.id, charge });
  }

  #plain({ charge: _charge, ...object }) {
    return object;
  }

  #createRefund(params, fault) {
    check(params, ["payment_intent!", "amount", "reason", "metadata"]);
    const intent = this.intents.get(params.payment_intent);
    if (!intent) throw invalid(`No such payment_intent: '${params.payment_intent}'`, { code: "resource_missing", param: "payment_intent" });
    const left = intent.charge.amount - intent.charge.amount_refunded;
    const amount = params.amount === undefined ? left : wholeCents(params.amount, "amount");
    if (left === 0 || fault === "declined") throw invalid("Charge has already been refunded.", { code: "charge_already_refunded" });
    if (amount > left) throw invalid(`Refund amount ($${amount / 100}) is greater than unrefunded amount on charge`, { code: "refund_amount_too_large", param: "amount" });
    const refund = {
      id: id("re"), object: "refund", amount, charge: intent.charge.id, created: seconds(), currency: "usd", metadata: params.metadata ?? {},
      payment_intent: intent.id, reason: params.reason ?? null, receipt_number: null, status: "succeeded",
    };
    this.refunds.set(refund.id, refund);
    intent.charge.amount_refunded += amount;
    intent.charge.refunded = intent.charge.amount_refunded === intent.charge.amount;
    return { ...refund };
  }

  /** The buyer pays at the session's page. `method` is how: `card`, or `bank`, where the money comes later. */
  pay(session, { tax = 0, method = "card" } = {}) {
    const own = this.sessions.get(session.id ?? session);
    const data = this.#sessionData.get(own.id);
    const total = own.amount_subtotal + tax;
    const intent = this.#newIntent({ amount: total, customer: own.customer, metadata: data.metadata, status: "processing" });
    if (method === "card") this.#succeed(intent);
    const paid = method === "card" ? "paid" : "unpaid";
    Object.assign(own, { amount_total: total, payment_intent: intent.id, payment_status: paid, status: "complete", url: null });
    own.total_details.amount_tax = tax;
    if (data.setup_future_usage === "off_session") this.saveMethod(own.customer);
    const completed = this.event("checkout.session.completed", own);
    return method === "card" ? [this.event("payment_intent.succeeded", this.#plain(intent)), completed] : [completed];
  }

  /** The bank of a buyer who paid by transfer says how it went. */
  bankSays(session, ok) {
    const own = this.sessions.get(session.id ?? session);
    const intent = this.intents.get(own.payment_intent);
    if (ok) this.#succeed(intent);
    own.payment_status = ok ? "paid" : "unpaid";
    return [this.event(`checkout.session.async_payment_${ok ? "succeeded" : "failed"}`, own)];
  }

  saveMethod(customer) {
    const method = { id: id("pm"), object: "payment_method", type: "card", created: seconds(), customer, livemode: false, metadata: {}, card: { brand: "visa", last4: "4242" } };
    const methods = this.#methods.get(customer) ?? [];
    this.#methods.set(customer, [method, ...methods]);
    return method;
  }

  /** Somebody refunds at the dashboard. */
  refund(intentId, amount) {
    const refund = this.#createRefund({ payment_intent: intentId, ...(amount && { amount: String(amount) }) });
    return [this.event("refund.created", refund), this.event("charge.refunded", this.intents.get(intentId).charge)];
  }

  failRefund(refundId) {
    const refund = this.refunds.get(refundId);
    refund.status = "failed";
    this.intents.get(refund.payment_intent).charge.amount_refunded -= refund.amount;
    return [this.event("refund.failed", refund), this.event("refund.updated", refund)];
  }

  dispute(intentId, { status = "needs_response", amount } = {}) {
    const intent = this.intents.get(intentId);
    const dispute = {
      id: id("du"), object: "dispute", amount: amount ?? intent.amount, charge: intent.charge.id, created: seconds(), currency: "usd", is_charge_refundable: false,
      livemode: false, metadata: {}, payment_intent: intentId, reason: "fraudulent", status,
    };
    this.disputes.set(dispute.id, dispute);
    const events = [this.event("charge.dispute.created", dispute)];
    if (!status.startsWith("warning_")) events.push(this.event("charge.dispute.funds_withdrawn", dispute));
    return { id: dispute.id, events };
  }

  close(disputeId, status) {
    const dispute = this.disputes.get(disputeId);
    dispute.status = status;
    const events = [this.event("charge.dispute.closed", dispute)];
    if (status === "won") events.push(this.event("charge.dispute.funds_reinstated", dispute));
    return events;
  }

  /** A payment that was under way comes to its end. */
  finish(intentId, ok) {
    const intent = this.intents.get(intentId);
    if (ok) this.#succeed(intent);
    else Object.assign(intent, { status: "requires_payment_method", last_payment_error: { type: "card_error", code: "card_declined", message: "Declined." } });
    return [this.event(ok ? "payment_intent.succeeded" : "payment_intent.payment_failed", this.#plain(intent))];
  }

  event(type, object) {
    return {
      id: id("evt"), object: "event", api_version: API_VERSION, created: seconds(), data: { object: structuredClone(object) }, livemode: false,
      pending_webhooks: 1, request: { id: null, idempotency_key: null }, type,
    };
  }

  sign(body, { secret = WEBHOOK_SECRET, at = seconds() } = {}) {
    return `t=${at},v1=${createHmac("sha256", secret).update(`${at}.${body}`).digest("hex")}`;
  }

  /** Sends an event to the gateway; answers with its status and body. */
  async deliver(gateway, event, { body = JSON.stringify(event, null, 2), header, ...options } = {}) {
    const signature = header ?? this.sign(body, options);
    const headers = { "content-type": "application/json; charset=utf-8", ...(signature && { "stripe-signature": signature }) };
    const response = await fetch(`${gateway.base}/api/v1/stripe/webhook`, { method: "POST", headers, body });
    return { status: response.status, body: await response.json() };
  }
}

/** Starts it: `{url, port, key, webhookSecret, …}`. */
export async function startStripe() {
  const stripe = new Stripe();
  const server = createServer((request, response) => stripe.handle(request, response).catch((error) => response.destroy(error)));
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  return Object.assign(stripe, {
    url: `http://127.0.0.1:${port}`,
    port,
    async stop() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  });
}
