// What a vendor's own description says of a request: OpenAPI 3, Swagger 2 and Google's discovery documents.
// Only what tells whether a request is one that the vendor knows: names, places, types, enums, what is required. Out of scope: the rest
// of JSON Schema.

/** What is referred to. */
export function deref(document, value) {
  let here = value;
  for (let i = 0; i < 20 && typeof here?.$ref === 'string'; i += 1) {
    const { $ref } = here;
    if (!$ref.startsWith('#/')) return document.schemas?.[$ref];
    here = $ref
      .slice(2)
      .split('/')
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce((inside, step) => inside?.[step], document);
  }
  return here;
}

function kinds(value) {
  if (value === null) return ['null'];
  if (Array.isArray(value)) return ['array'];
  if (Number.isInteger(value)) return ['integer', 'number'];
  return [typeof value];
}

/** Why a value does not fit a schema: a list of sentences. */
export function misfits(document, schema, value, at = '') {
  const here = deref(document, schema);
  if (here === undefined || here === true || Object.keys(here).length === 0) return [];
  if (value === null && (here.nullable || here['x-nullable'])) return [];
  const found = [];
  const { allOf, properties: own = {}, required = [] } = here;
  const alternatives = [here.anyOf, here.oneOf].filter((list) => list?.length);
  // The parts of an `allOf` share their properties.
  const merged = { properties: { ...own }, required: [...(Array.isArray(required) ? required : [])], isOpen: here.additionalProperties === true };
  for (const part of (allOf ?? []).map((one) => deref(document, one))) {
    if (part?.properties) Object.assign(merged.properties, part.properties);
    if (part?.required) merged.required.push(...part.required);
    if (part && !part.properties) found.push(...misfits(document, part, value, at));
  }
  for (const list of alternatives) {
    const tries = list.map((one) => {
      const option = deref(document, one) ?? {};
      const joined = Object.keys(merged.properties).length && option.properties ? { ...option, properties: { ...merged.properties, ...option.properties } } : option;
      return misfits(document, joined, value, at);
    });
    if (!tries.some((one) => one.length === 0)) {
      const nearest = tries.reduce((a, b) => (b.length < a.length ? b : a));
      found.push(...nearest);
    }
  }
  const types = [here.type].flat().filter((type) => type && type !== 'any');
  if (types.length && !types.some((type) => kinds(value).includes(type))) return [...found, `${at || '/'}: ${kinds(value)[0]} instead of ${types.join(' or ')}`];
  if (here.enum && !here.enum.some((one) => JSON.stringify(one) === JSON.stringify(value))) found.push(`${at}: ${JSON.stringify(value)} is none of ${JSON.stringify(here.enum.slice(0, 12))}`);
  if (here.const !== undefined && JSON.stringify(here.const) !== JSON.stringify(value)) found.push(`${at}: is not ${JSON.stringify(here.const)}`);
  if (typeof value === 'string' && value.length > (here.maxLength ?? Infinity)) found.push(`${at}: longer than ${here.maxLength}`);
  if (typeof value === 'number' && (value > (here.maximum ?? Infinity) || value < (here.minimum ?? -Infinity))) found.push(`${at}: out of range`);
  if (Array.isArray(value)) {
    if (value.length > (here.maxItems ?? Infinity) || value.length < (here.minItems ?? 0)) found.push(`${at}: ${value.length} items`);
    value.forEach((item, i) => found.push(...misfits(document, here.items, item, `${at}/${i}`)));
  } else if (value !== null && typeof value === 'object') {
    const names = Object.keys(merged.properties);
    for (const name of new Set(merged.required)) if (!(name in value)) found.push(`${at}/${name}: required`);
    for (const [name, item] of Object.entries(value)) {
      if (merged.properties[name] !== undefined) found.push(...misfits(document, merged.properties[name], item, `${at}/${name}`));
      else if (names.length && !merged.isOpen && !alternatives.length && typeof here.additionalProperties !== 'object') found.push(`${at}/${name}: unknown`);
      else if (typeof here.additionalProperties === 'object') found.push(...misfits(document, here.additionalProperties, item, `${at}/${name}`));
    }
  }
  return found;
}

/** The operations of a discovery document, as OpenAPI has them. */
function discovered(document) {
  const paths = {};
  const walk = (resource) => {
    for (const method of Object.values(resource.methods ?? {})) {
      const path = `/${method.path}`;
      const named = { ...document.parameters, ...method.parameters };
      const parameters = Object.entries(named).map(([name, one]) => ({ name, in: one.location, required: one.required, schema: { type: one.type, enum: one.enum } }));
      paths[path] ??= {};
      paths[path][method.httpMethod.toLowerCase()] = {
        parameters,
        ...(method.request && { requestBody: { content: { 'application/json': { schema: method.request } } } }),
      };
    }
    for (const inner of Object.values(resource.resources ?? {})) walk(inner);
  };
  walk(document);
  return paths;
}

/** The operation of a description that a request is, with what stands in its path. */
export function operationOf(document, method, path) {
  const paths = document.kind === 'discovery#restDescription' ? discovered(document) : document.paths;
  const fits = (template, one) => new RegExp(`^${template.split(/\{[^}]+\}/).map((text) => text.replace(/[.*+?^$()|[\]\\]/g, '\\$&')).join(one)}$`).test(path);
  const literal = (template) => template.replace(/\{[^}]+\}/g, '').length;
  const candidates = ['[^/]+', '.+'].map((one) => Object.keys(paths).filter((template) => paths[template][method.toLowerCase()] && fits(template, one)));
  const [template] = (candidates.find((list) => list.length) ?? []).sort((a, b) => literal(b) - literal(a));
  if (template === undefined) return undefined;
  const item = paths[template];
  const own = deref(document, item[method.toLowerCase()]);
  return { template, ...own, parameters: [...(item.parameters ?? []), ...(own.parameters ?? [])].map((one) => deref(document, one)) };
}

/** A text of a query as what its schema wants. */
export function typed(document, schema, texts) {
  const here = deref(document, schema) ?? {};
  const options = [here, ...(here.anyOf ?? here.oneOf ?? []).map((one) => deref(document, one))];
  const wants = (type) => options.some((one) => [one?.type].flat().includes(type));
  const one = (text) => {
    if (wants('boolean') && /^(true|false)$/.test(text)) return text === 'true';
    if ((wants('integer') || wants('number')) && text.trim() !== '' && !Number.isNaN(Number(text))) return Number(text);
    return text;
  };
  if (here.type === 'array') return texts.flatMap((text) => text.split(','));
  return one(texts[0]);
}
