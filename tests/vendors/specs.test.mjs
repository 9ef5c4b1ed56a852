// Every request of the exchanges against the vendors' own descriptions, where `$PATCHBAY_VENDOR_SPECS` is a folder that has them
// (`tests/vendors/README.md` says which and from where). The catalog's tests hold the connector to these same requests.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readVendors } from './exchanges.mjs';
import { misfits, operationOf, typed } from './schema.mjs';

const folder = process.env.PATCHBAY_VENDOR_SPECS;

/** Which description is for which addresses. */
const DOCUMENTS = [
  ['tavily', 'tavily', 'https://api.tavily.com'],
  ['exa', 'exa', 'https://api.exa.ai'],
  ['firecrawl', 'firecrawl', 'https://api.firecrawl.dev/v2'],
  ['resend', 'resend', 'https://api.resend.com'],
  ['sendgrid', 'sendgrid', 'https://api.sendgrid.com/v3'],
  ['twilio', 'twilio', 'https://api.twilio.com'],
  ['slack', 'slack', 'https://slack.com/api'],
  ['discord', 'discord', 'https://discord.com/api/v10'],
  ['github', 'github', 'https://api.github.com'],
  ['notion', 'notion', 'https://api.notion.com'],
  ['google_calendar', 'google_calendar', 'https://www.googleapis.com/calendar/v3'],
  ['open_meteo', 'open_meteo', 'https://api.open-meteo.com'],
  ['open_meteo', 'open_meteo_air', 'https://air-quality-api.open-meteo.com'],
  ['elevenlabs', 'elevenlabs', 'https://api.elevenlabs.io'],
  ['deepgram', 'deepgram', 'https://api.deepgram.com'],
  ['replicate', 'replicate', 'https://api.replicate.com/v1'],
  ['deepl', 'deepl', 'https://api-free.deepl.com'],
  ['massive', 'massive', 'https://api.massive.com'],
  ['e2b', 'e2b', 'https://api.e2b.app'],
  ['openai', 'openai', 'https://api.openai.com/v1'],
  ['frankfurter', 'frankfurter', 'https://api.frankfurter.dev/v1'],
  ['stripe', 'stripe', 'https://api.stripe.com'],
];

/** Where a description is behind its vendor, or says less than the vendor's pages; with the reason. */
const KNOWN = [
  ['notion', /^\/children\/\d+: object instead of string$/, 'blocks are objects; the description says texts'],
  ['notion', /^\/parent\/(?:page_id: required|data_source_id: unknown)$/, 'rows have data sources as parents since 2025-09-03; the description still has databases'],
];

/** `a[b][0]=1` as an object. */
function nested(text) {
  const made = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const steps = name.split(/\[|\]\[|\]/).filter((step, i, all) => step !== '' || i < all.length - 1);
    let here = made;
    steps.forEach((step, i) => {
      if (i === steps.length - 1) here[step] = step in here ? [here[step], value].flat() : value;
      else here = here[step] ??= /^\d+$/.test(steps[i + 1]) ? [] : {};
    });
  }
  return made;
}

function loose(document, schema, value) {
  if (typeof value === 'string') return typed(document, schema, [value]);
  return value;
}

function problems(document, request, base) {
  const url = new URL(request.url);
  const path = `${url.origin}${url.pathname}`.slice(base.length);
  const operation = operationOf(document, request.method, path);
  if (operation === undefined) return [`${request.method} ${path} is no operation of it`];
  const found = [];
  const declared = operation.parameters.filter((one) => one.in === 'query');
  for (const name of new Set(url.searchParams.keys())) {
    const one = declared.find((parameter) => [name, name.replace(/\[\]$/, '')].includes(parameter.name.replace(/\[\]$/, '')));
    if (one === undefined) found.push(`query ${name}: unknown`);
    else found.push(...misfits(document, one.schema ?? one, typed(document, one.schema ?? one, url.searchParams.getAll(name)), `query ${name}`));
  }
  for (const one of declared) if (one.required && !url.searchParams.has(one.name)) found.push(`query ${one.name}: required`);
  const isNamed = (name) => Object.keys(request.headers ?? {}).includes(name.toLowerCase());
  for (const one of operation.parameters) if (one.in === 'header' && one.required && !isNamed(one.name) && one.name !== 'token') found.push(`header ${one.name}: required`);

  const type = request.headers?.['content-type']?.split(';')[0];
  const body = type?.includes('form') ? nested(request.body) : request.body;
  const bodyParameter = operation.parameters.find((one) => one.in === 'body');
  const forms = operation.parameters.filter((one) => one.in === 'formData');
  const content = operation.requestBody && (operation.requestBody.content ?? document.components?.requestBodies?.[operation.requestBody.$ref?.split('/').pop()]?.content);
  if (request.body === undefined) {
    if (operation.requestBody?.required || forms.some((one) => one.required)) found.push('body: required');
  } else if (bodyParameter) {
    found.push(...misfits(document, bodyParameter.schema, body));
  } else if (forms.length) {
    for (const name of Object.keys(body)) if (!forms.some((one) => one.name === name)) found.push(`/${name}: unknown`);
    for (const one of forms) if (one.required && !(one.name in body)) found.push(`/${one.name}: required`);
  } else if (content) {
    const schema = content[type]?.schema;
    if (schema === undefined) found.push(`content type ${type}: unknown`);
    else if (type.includes('form')) {
      const { properties = {}, required = [] } = schema.$ref ? document.components.schemas[schema.$ref.split('/').pop()] : schema;
      for (const [name, value] of Object.entries(body)) {
        if (properties[name] === undefined) found.push(`/${name}: unknown`);
        else if (typeof value === 'string') found.push(...misfits(document, properties[name], loose(document, properties[name], value), `/${name}`));
      }
      for (const name of required) if (!(name in body)) found.push(`/${name}: required`);
    } else found.push(...misfits(document, schema, body));
  } else found.push('body: none is known');
  return found;
}

describe("requests and the vendors' descriptions", () => {
  const vendors = readVendors();
  for (const [slug, name, base] of DOCUMENTS) {
    const file = folder && join(folder, `${name}.json`);
    const skip = !file || !existsSync(file) ? `no ${name}.json in $PATCHBAY_VENDOR_SPECS` : false;
    it(`${slug} knows what is sent to ${base}`, { skip }, (t) => {
      const document = JSON.parse(readFileSync(file, 'utf8'));
      const vendor = vendors.find((one) => one.slug === slug);
      const requests = vendor.exchanges.flatMap((one) => [one, ...(one.then ?? []), ...(one.cancelled ? [one.cancelled] : [])].map(({ request }) => ({ operation: one.operation, request })));
      const about = requests.filter(({ request }) => request.url.startsWith(`${base}/`));
      assert.ok(about.length > 0, 'nothing is sent there');
      const isKnown = (why) => KNOWN.some(([of, what]) => of === slug && what.test(why));
      const found = about.flatMap(({ operation, request }) => problems(document, request, base).filter((why) => !isKnown(why)).map((why) => `${operation}: ${why}`));
      t.diagnostic(`${about.length} requests`);
      assert.deepEqual(found, []);
    });
  }
});
