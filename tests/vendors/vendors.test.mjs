// The stand-in itself: it answers every exchange as recorded, asks for keys, counts what is really done once, and fails on demand.

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { readVendors } from './exchanges.mjs';
import { startVendors } from './vendors.mjs';

let vendors;
before(async () => (vendors = await startVendors()));
after(() => vendors.close());
beforeEach(() => vendors.reset());

const all = readVendors();
const vendorOf = (slug) => all.find((one) => one.slug === slug);
const exchangeOf = (slug, operation) => vendorOf(slug).exchanges.find((one) => one.operation === operation);

/** Sends a recorded request to the stand-in; a derived key is this one. */
function send(request, { key = 'derived-key-0001', headers = {}, signal } = {}) {
  const { host, pathname, search } = new URL(request.url);
  const filled = (text) => text.replace(/@(?:hex|uuid|base32hex)\b/g, key);
  const body = request.body === undefined ? undefined : typeof request.body === 'string' ? request.body : JSON.stringify(request.body);
  const own = Object.entries({ ...request.headers, ...headers }).filter(([, value]) => value !== undefined);
  return fetch(`${vendors.url}/${host}${pathname}${search}`, {
    method: request.method,
    redirect: 'manual',
    signal,
    headers: Object.fromEntries(own.map(([name, value]) => [name, filled(value)])),
    body: body && filled(body),
  });
}

async function bodyOf(response, answer) {
  if (answer.base64 !== undefined) return Buffer.from(await response.arrayBuffer()).toString('base64');
  const text = await response.text();
  return answer.json === undefined ? text : JSON.parse(text);
}

describe("the vendors' stand-in", () => {
  it('answers every exchange as it is recorded, polls and cancellations too', async () => {
    for (const vendor of all) {
      for (const exchange of vendor.exchanges) {
        vendors.reset();
        const steps = [exchange, ...(exchange.then ?? []), ...(exchange.cancelled ? [exchange.cancelled] : [])];
        for (const { request, answer } of steps) {
          const response = await send(request);
          const what = `${vendor.slug}/${exchange.operation} ${request.url}`;
          assert.equal(response.status, answer.status, what);
          assert.deepEqual(await bodyOf(response, answer), answer.json ?? answer.text ?? answer.base64 ?? '', what);
        }
        assert.deepEqual(vendors.unknown(), []);
      }
    }
  });

  it('finds the exchange of a request with another input', async () => {
    const { request } = exchangeOf('stripe', 'delete_customer');
    const response = await send({ ...request, url: 'https://api.stripe.com/v1/customers/cus_other' });
    assert.equal(response.status, 200);
    assert.equal(vendors.effects('stripe')[0].path, '/v1/customers/cus_other');
    const other = await send({ method: 'GET', url: 'https://fr.wikipedia.org/w/rest.php/v1/search/page?q=mar%C3%A9e' });
    assert.equal(other.status, 200);
  });

  it('says what it does not know', async () => {
    assert.equal((await send({ method: 'GET', url: 'https://api.stripe.com/v1/nothing' })).status, 404);
    assert.equal(vendors.unknown().length, 1);
  });

  it('asks for the key where the vendor wants it, and lets in who needs none', async () => {
    for (const vendor of all.filter((one) => one.key !== undefined)) {
      const exchange = vendor.exchanges.find((one) => JSON.stringify(one.request).includes(vendor.token ?? vendor.key) && !vendor.keyless);
      if (exchange === undefined) continue;
      const wrong = JSON.parse(JSON.stringify(exchange.request).replaceAll(vendor.token ?? vendor.key, 'someone-elses'));
      const response = await send(wrong);
      const own = vendor.errors.find((error) => error.class === 'auth');
      assert.equal(response.status, own?.answer.status ?? 401, vendor.slug);
      assert.deepEqual(vendors.effects(vendor.slug), []);
    }
    const bare = exchangeOf('tavily', 'search').request;
    assert.equal((await send(bare, { headers: { authorization: undefined, 'x-tavily-access-mode': 'keyless' } })).status, 200);
    assert.equal((await send(exchangeOf('tavily', 'map').request, { headers: { authorization: undefined } })).status, 401);
    assert.equal((await send(exchangeOf('hunter', 'email_verifier').request, { headers: { 'x-api-key': 'test-api-key' } })).status, 200);
    assert.equal((await send(exchangeOf('hunter', 'email_verifier').request, { headers: { 'x-api-key': 'nonsense' } })).status, 401);
  });

  it('gives tokens for what they are asked with', async () => {
    const ask = (body) => fetch(`${vendors.url}/oauth2.googleapis.com/token`, { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: new URLSearchParams(body) });
    const [client_id, client_secret, refresh_token] = vendorOf('google_calendar').key.split(':');
    const given = await ask({ grant_type: 'refresh_token', client_id, client_secret, refresh_token });
    assert.equal((await given.json()).access_token, vendorOf('google_calendar').token);
    assert.equal((await ask({ grant_type: 'refresh_token', client_id, client_secret, refresh_token: 'other' })).status, 400);
  });

  it('does what has the same key once, where the vendor has keys', async () => {
    const email = exchangeOf('resend', 'send_email').request;
    await send(email, { key: 'one' });
    const again = await send(email, { key: 'one' });
    assert.equal(again.status, 200);
    assert.equal(vendors.effects('resend').length, 1);
    await send(email, { key: 'two' });
    assert.equal(vendors.effects('resend').length, 2);

    const event = exchangeOf('google_calendar', 'create_event').request;
    await send(event, { key: 'abcde' });
    const duplicate = await send(event, { key: 'abcde' });
    assert.equal(duplicate.status, 409);
    assert.equal(vendors.effects('google_calendar').length, 1);

    const sms = exchangeOf('twilio', 'send_sms').request;
    await send(sms);
    await send(sms);
    assert.equal(vendors.effects('twilio').length, 2, 'a vendor without keys does it again');
  });

  it('fails before acting and after', async () => {
    const { request } = exchangeOf('slack', 'post_message');
    const effects = () => vendors.effects('slack').length;
    const faulty = async (fault) => {
      vendors.fault({ slug: 'slack', operation: 'post_message', fault });
      const response = await send(request);
      return [response.status, await response.text()];
    };
    assert.equal((await faulty('status-503'))[0], 503);
    assert.equal((await faulty('html'))[0], 502);
    assert.equal((await faulty('redirect'))[0], 302);
    assert.throws(() => JSON.parse('{"results": ['));
    assert.match((await faulty('echo-key'))[1], /xoxb-test-token/);
    assert.equal((await faulty('error-2'))[1], JSON.stringify(vendorOf('slack').errors[2].answer.json));
    await assert.rejects(faulty('reset-before'));
    assert.equal(effects(), 0);
    await assert.rejects(faulty('reset-after'));
    assert.equal(effects(), 1);
    await assert.rejects(faulty('cut-body'));
    assert.equal(effects(), 2);
    assert.equal((await faulty('status-500-after'))[0], 500);
    assert.equal(effects(), 3);
    assert.equal((await send(request)).status, 200, 'a fault is used up');
    assert.throws(() => vendors.fault({ fault: 'nonsense' }), /unknown fault/);
  });

  it('hangs before acting and after, until the caller gives up', async () => {
    const { request } = exchangeOf('slack', 'post_message');
    for (const [fault, acted] of [['hang-before', 0], ['hang-after', 1]]) {
      vendors.reset();
      vendors.fault({ slug: 'slack', fault });
      const gone = new AbortController();
      const call = send(request, { signal: gone.signal });
      await vendors.waitFor((one) => one.slug === 'slack');
      gone.abort();
      await assert.rejects(call);
      assert.equal(vendors.effects('slack').length, acted, fault);
    }
  });

  it('holds a call until it is let go', async () => {
    vendors.fault({ fault: 'gate' });
    const call = send(exchangeOf('npm', 'package').request);
    await vendors.waitFor((one) => one.slug === 'npm');
    vendors.release();
    assert.equal((await call).status, 200);
  });

  it('lets jobs take longer', async () => {
    const crawl = exchangeOf('firecrawl', 'crawl');
    vendors.fault({ slug: 'firecrawl', fault: 'running-2' });
    await send(crawl.request);
    const states = [];
    for (let i = 0; i < 4; i += 1) states.push((await (await send(crawl.then[0].request)).json()).status);
    assert.deepEqual(states, ['scraping', 'scraping', 'scraping', 'completed']);
    await send(crawl.cancelled.request);
    assert.deepEqual(vendors.effects('firecrawl').map((one) => one.operation), ['crawl:cancel']);
  });

  it('is steered from another process', async () => {
    const post = (what, json) => fetch(`${vendors.url}/_vendors/${what}`, { method: 'POST', body: JSON.stringify(json ?? {}) });
    assert.equal((await post('faults', { slug: 'npm', fault: 'status-503' })).status, 204);
    assert.equal((await post('faults', { fault: 'what' })).status, 400);
    assert.equal((await send(exchangeOf('npm', 'package').request)).status, 503);
    const seen = await (await fetch(`${vendors.url}/_vendors/requests`)).json();
    assert.deepEqual(seen.map((one) => [one.slug, one.operation]), [['npm', 'package']]);
    assert.equal((await post('reset')).status, 204);
    assert.deepEqual(await (await fetch(`${vendors.url}/_vendors/effects`)).json(), []);
  });
});
