// Takes out of the vendors' own descriptions what they say of the requests and answers of our tools: methods, paths, names, types, enums,
// what is required. `node tests/vendors/facts.mjs <folder of descriptions> [slug…]` writes `facts/<slug>.json` anew, and says what the
// exchanges have that a description does not know. Entries of other kinds (`docs`, `source` …) are written by hand and stay.
// `README.md` explains the notation. Out of scope: judging requests by the facts, which the catalog's tests do (`catalog/tool`).

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DOCUMENTS, MENDS } from './documents.mjs';
import { readVendors } from './exchanges.mjs';
import { graphqlFacts } from './graphql.mjs';
import { deref, operationOf } from './schema.mjs';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ROWS = fileURLToPath(new URL('../../catalog/tools/', import.meta.url));
const READ = new Set(DOCUMENTS.map(([, , , source]) => source));
/** More words than this say little: any text will do. */
const MOST_WORDS = 80;

/** A schema with the parts of its `allOf` in it. */
function whole(document, schema) {
  const here = deref(document, schema) ?? {};
  if (!here.allOf) return here;
  const parts = here.allOf.map((one) => whole(document, one));
  const merged = { ...here, allOf: undefined, properties: { ...here.properties }, required: [...(here.required || [])] };
  for (const part of parts) {
    for (const [name, value] of Object.entries(part)) if (merged[name] === undefined) merged[name] = value;
    Object.assign(merged.properties, part.properties);
    merged.required.push(...(Array.isArray(part.required) ? part.required : []));
  }
  if (Object.keys(merged.properties).length === 0) delete merged.properties;
  return merged;
}

function range(from, to) {
  return from === undefined && to === undefined ? '' : ` ${from ?? ''}..${to ?? ''}`;
}

/** Words, or nothing where there are too many. */
function words(here) {
  const list = here.const !== undefined ? [here.const] : here.enum;
  const said = list?.filter((one) => one !== null && one !== '');
  if (!said?.length || said.length > MOST_WORDS || !said.every((one) => typeof one === 'string' && !one.includes('|'))) return undefined;
  return `=${said.join('|')}`;
}

function kindOf(here) {
  const [type] = [here.type].flat().filter((one) => one && one !== 'null');
  return type ?? (here.properties ? 'object' : here.items ? 'array' : 'any');
}

function alternatives(options) {
  const different = [...new Map(options.map((one) => [JSON.stringify(one), one])).values()];
  if (different.length === 0 || different.includes('any')) return 'any';
  return different.length === 1 ? different[0] : { '|': different };
}

/**
 * The notation of a schema. What is below a name that our rows never say keeps its type alone, and such names are dropped where they are not
 * at the top.
 */
export function noted(document, schema, isSaid, depth = 0) {
  const here = whole(document, schema);
  const options = (here.anyOf ?? here.oneOf ?? []).map((one) => whole(document, one)).filter((one) => one.type !== 'null');
  if (options.length) {
    const shared = here.properties ? { properties: here.properties, required: here.required } : {};
    return alternatives(options.map((one) => noted(document, one.properties ? { ...one, properties: { ...shared.properties, ...one.properties } } : one, isSaid, depth)));
  }
  if ([here.type].flat().filter((one) => one && one !== 'null').length > 1) {
    return alternatives([here.type].flat().filter((one) => one !== 'null').map((type) => noted(document, { ...here, type }, isSaid, depth)));
  }
  const type = kindOf(here);
  if (type === 'string') return words(here) ?? `string${range(undefined, here.maxLength)}`;
  if (type === 'integer' || type === 'number') return `${type}${range(here.minimum, here.maximum)}`;
  if (type === 'array') {
    const limits = range(here.minItems, here.maxItems).trim();
    return [noted(document, here.items ?? {}, isSaid, depth), ...(limits ? [limits] : [])];
  }
  if (type !== 'object') return type === 'file' ? 'any' : type;
  const made = {};
  const required = new Set(Array.isArray(here.required) ? here.required : []);
  for (const [name, value] of Object.entries(here.properties ?? {})) {
    const mark = required.has(name) ? '!' : '';
    if (isSaid(name)) made[name + mark] = depth > 6 ? 'any' : noted(document, value, isSaid, depth + 1);
    else if (depth === 0 || mark) made[name + mark] = shallow(document, value);
  }
  const { additionalProperties: others } = here;
  if (others === true || (here.properties === undefined && others === undefined)) made['*'] = 'any';
  else if (typeof others === 'object') made['*'] = depth > 6 || Object.keys(others).length === 0 ? 'any' : noted(document, others, isSaid, depth + 1);
  return Object.keys(made).join() === '*' && made['*'] === 'any' ? 'object' : made;
}

function shallow(document, schema) {
  const here = whole(document, schema);
  if (here.anyOf || here.oneOf || Array.isArray(here.type)) return 'any';
  return kindOf(here);
}

/** The notation of what an answer has, and in `missing` what its schema does not know. */
export function answered(document, schema, values, at, missing) {
  const here = whole(document, schema);
  const options = (here.anyOf ?? here.oneOf ?? []).map((one) => whole(document, one)).filter((one) => one.type !== 'null');
  const there = values.filter((value) => value !== null && value !== undefined);
  if (options.length) {
    const tries = options.map((one) => {
      const lacks = [];
      const shared = here.properties ? { ...one, properties: { ...here.properties, ...one.properties } } : one;
      return [answered(document, shared, values, at, lacks), lacks];
    });
    const best = tries.reduce((a, b) => (b[1].length < a[1].length ? b : a));
    missing.push(...best[1]);
    return best[0];
  }
  if (there.every(Array.isArray) && there.length) {
    if (kindOf(here) === 'any') return 'any';
    if (kindOf(here) !== 'array') {
      missing.push(`${at}: a list instead of ${kindOf(here)}`);
      return undefined;
    }
    return [there.flat().length ? answered(document, here.items ?? {}, there.flat(), `${at}/*`, missing) ?? 'any' : 'any'];
  }
  if (there.length && there.every((value) => typeof value === 'object')) {
    const { properties, additionalProperties: others } = here;
    if (properties === undefined && typeof others !== 'object') return kindOf(here) === 'any' ? 'any' : 'object';
    const made = {};
    for (const name of new Set(there.flatMap((value) => Object.keys(value)))) {
      const inner = there.map((value) => value[name]).filter((value) => value !== undefined);
      if (properties?.[name] !== undefined) made[name] = answered(document, properties[name], inner, `${at}/${name}`, missing);
      else if (typeof others === 'object') made['*'] = Object.keys(others).length ? answered(document, others, inner, `${at}/*`, missing) : 'any';
      else if (others === true) made['*'] = 'any';
      else missing.push(`${at}/${name}`);
    }
    return Object.fromEntries(Object.entries(made).filter(([, value]) => value !== undefined));
  }
  const type = noted(document, { ...here, properties: undefined, items: undefined, enum: undefined, const: undefined, minimum: undefined, maximum: undefined, maxLength: undefined }, () => false);
  return Array.isArray(type) || typeof type === 'object' ? (type['|'] ? type : 'any') : type;
}

/** How a list goes into a query, where the description says so. */
function listed(one) {
  if (one.name.endsWith('[]')) return 'brackets';
  if (one.collectionFormat) return one.collectionFormat === 'multi' ? 'repeat' : 'comma';
  return one.explode === false ? 'comma' : undefined;
}

function parameters(document, operation, place, isSaid) {
  const made = {};
  const keys = keysOf(document);
  for (const one of operation.parameters.filter((one) => one.in === place)) {
    const style = listed(one);
    const schema = one.schema ?? one;
    let value = noted(document, { ...schema, required: undefined }, isSaid, 1);
    if (Array.isArray(value) && style) value = [...value.slice(0, 1), style];
    // A vendor that takes keys in several places wants one of them.
    const isKey = keys.length > 1 && keys.includes(`${place} ${one.name}`);
    made[one.name.replace(/\[\]$/, '') + (one.required && !isKey ? '!' : '')] = value;
  }
  return made;
}

/** `bearer`, `basic`, `header x-key`, `query key`: where a description wants the key. */
export function keysOf(document) {
  if (document.kind?.startsWith('discovery')) return ['bearer'];
  const schemes = Object.values(document.components?.securitySchemes ?? document.securityDefinitions ?? {});
  const told = schemes.map((one) => {
    if (one.type === 'http') return one.scheme.toLowerCase();
    if (one.type === 'apiKey') return `${one.in} ${one.in === 'header' ? one.name.toLowerCase() : one.name}`;
    return one.type === 'basic' ? 'basic' : 'bearer';
  });
  return [...new Set(told)];
}

function bodyOf(document, operation, type, isSaid) {
  const byName = operation.parameters.find((one) => one.in === 'body');
  if (byName) return noted(document, byName.schema, isSaid);
  const forms = operation.parameters.filter((one) => one.in === 'formData');
  if (forms.length) return parameters(document, operation, 'formData', isSaid);
  const content = deref(document, operation.requestBody)?.content;
  if (content === undefined) return undefined;
  const media = content[type] ?? content['*/*'];
  return media === undefined ? `no ${type}` : noted(document, media.schema ?? {}, isSaid);
}

function answerOf(document, operation, answers, at, missing) {
  const [{ status }] = answers;
  const responses = operation.responses ?? {};
  const told = deref(document, responses[status] ?? responses[`${String(status)[0]}XX`] ?? responses.default ?? (status < 300 ? responses['200'] ?? responses['201'] : undefined));
  const schema = told?.schema ?? Object.entries(told?.content ?? {}).find(([type]) => /json|^\*/.test(type))?.[1].schema;
  const json = answers.map((one) => one.json).filter((one) => one !== undefined);
  if (schema === undefined || json.length === 0) return undefined;
  return answered(document, schema, json, at, missing);
}

/** The facts of one description, and what the exchanges have beyond it. */
export function factsOf(document, [slug, , base, source, kind], vendor, row) {
  const said = new Set(`${row} ${JSON.stringify(vendor.exchanges.map((one) => one.request.body ?? ''))}`.match(/[\w.$-]+/g));
  const isSaid = (name) => said.has(name);
  const pattern = new RegExp(`^${base.split('{}').map((text) => text.replace(/[.*+?^$()|[\]\\/]/g, '\\$&')).join('[^/.]+')}(/.*)$`);
  const sent = vendor.exchanges.flatMap((one) => [one, ...(one.then ?? []), ...(one.cancelled ? [one.cancelled] : [])]);
  const operations = {};
  const missing = [];
  const groups = new Map();
  for (const { request, answer } of sent) {
    const url = new URL(request.url);
    const path = pattern.exec(`${url.origin}${url.pathname}`)?.[1];
    if (path === undefined) continue;
    const operation = operationOf(document, request.method, path);
    if (operation === undefined) {
      missing.push(`${request.method} ${path} is no operation`);
      continue;
    }
    // What has more segments than its template has slashes in its last part.
    const isLonger = path.split('/').length > operation.template.split('/').length;
    const name = `${request.method} ${isLonger ? operation.template.replace(/\}$/, '...}') : operation.template}`;
    if (!groups.has(name)) groups.set(name, { operation, requests: [], answers: [] });
    groups.get(name).requests.push(request);
    groups.get(name).answers.push(answer);
  }
  for (const [name, { operation, requests, answers }] of groups) {
    const made = {};
    const query = parameters(document, operation, 'query', isSaid);
    if (Object.keys(query).length) made.query = query;
    const headers = Object.entries(parameters(document, operation, 'header', isSaid)).filter(([header]) => header.endsWith('!') && !/^(authorization|token|accept)!$/i.test(header));
    if (headers.length) made.headers = Object.fromEntries(headers.map(([header, value]) => [header.toLowerCase(), value]));
    const type = requests.map((one) => one.headers?.['content-type']?.split(';')[0]).find(Boolean) ?? 'application/json';
    const body = bodyOf(document, operation, type, isSaid);
    if (body !== undefined) made.body = body;
    if (type.includes('form')) made.form = true;
    const answer = answerOf(document, operation, answers, `${name} answer`, missing);
    if (answer !== undefined) made.answer = answer;
    operations[name] = made;
  }
  const mends = MENDS.filter(([of]) => of === vendor.slug);
  for (const [, place, notation] of mends.filter(([, place]) => place !== 'keys')) mend(operations, place, notation);
  const keys = mends.find(([, place]) => place === 'keys')?.[2] ?? keysOf(document);
  return [{ source, kind, read: new Date().toISOString().slice(0, 10), base, keys, operations }, missing];
}

// Puts right what a description says of one place: `POST /search answer/results/*/date`.
function mend(operations, place, notation) {
  const [, name, part, path] = /^(\w+ \S+) (\w+)\/(.*)$/.exec(place);
  const steps = path.split('/');
  const last = steps.pop();
  let here = operations[name]?.[part];
  for (const step of steps) here = step === '*' ? here?.[0] : here?.[step];
  if (here === undefined) return;
  if (notation !== 'optional') here[`${last}!` in here ? `${last}!` : last] = notation;
  else for (const field of Object.keys(here)) {
    const value = here[field];
    delete here[field];
    here[field === `${last}!` ? last : field] = value;
  }
}

/** Lines of JSON that can be read: what is short stands on one. */
export function written(value, indent = '') {
  const flat = JSON.stringify(value);
  if (flat.length + indent.length <= 150 || value === null || typeof value !== 'object') return spaced(value);
  const inner = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((one) => inner + written(one, inner)).join(',\n')}\n${indent}]`;
  return `{\n${Object.entries(value).map(([name, one]) => `${inner}${JSON.stringify(name)}: ${written(one, inner)}`).join(',\n')}\n${indent}}`;
}

function spaced(value) {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`;
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`).join(', ')}}`;
}

function main([folder, ...slugs]) {
  const vendors = readVendors();
  for (const slug of new Set(DOCUMENTS.map(([one]) => one))) {
    if (slugs.length && !slugs.includes(slug)) continue;
    const file = join(HERE, 'facts', `${slug}.json`);
    const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : [];
    const vendor = vendors.find((one) => one.slug === slug);
    const row = readFileSync(join(ROWS, `${slug}.toml`), 'utf8');
    const made = [];
    for (const one of DOCUMENTS.filter(([of]) => of === slug)) {
      const graphql = join(folder, `${one[1]}.graphql`);
      const json = join(folder, `${one[1]}.json`);
      if (!existsSync(graphql) && !existsSync(json)) {
        made.push(...before.filter(({ source }) => source === one[3]));
        continue;
      }
      const [facts, missing] = existsSync(graphql) ? graphqlFacts(readFileSync(graphql, 'utf8'), one, vendor) : factsOf(JSON.parse(readFileSync(json, 'utf8')), one, vendor, row);
      made.push(facts);
      const isMended = (what) => MENDS.some(([of, place]) => of === slug && place === what);
      for (const what of missing.filter((what) => !isMended(what))) console.log(`${slug}: ${what}`);
    }
    const all = [...before.filter(({ source }) => !READ.has(source)), ...made];
    writeFileSync(file, `${written(all)}\n`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
