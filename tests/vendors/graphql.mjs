// What a GraphQL schema says of the requests and answers of our tools, in the notation of `facts/`.
// Reads just enough of the language: types, inputs, enums; queries with variables, arguments and plain selections. Out of scope:
// fragments, directives, unions.

const SCALARS = { String: 'string', ID: 'string', Int: 'integer', Float: 'number', Boolean: 'boolean' };

/** Types by name: `{kind, fields: {name: {type, args}}, words}`. */
export function schemaOf(text) {
  const types = {};
  const plain = text.replace(/"""[\s\S]*?"""/g, '').replace(/"[^"\n]*"/g, '""').replace(/#.*$/gm, '').replace(/@\w+(?:\([^()]*\))?/g, '');
  for (const [, kind, name, inside] of plain.matchAll(/^(type|input|enum|interface)\s+(\w+)[^{]*\{([\s\S]*?)^\}/gm)) {
    if (kind === 'enum') types[name] = { kind, words: inside.match(/\w+/g) ?? [] };
    else {
      const fields = {};
      for (const [, field, args, type] of inside.matchAll(/(\w+)\s*(?:\(([^()]*)\))?\s*:\s*([[\]\w!]+)/g)) {
        fields[field] = { type, args: Object.fromEntries([...(args ?? '').matchAll(/(\w+)\s*:\s*([[\]\w!]+)/g)].map(([, one, of]) => [one, of])) };
      }
      types[name] = { kind, fields };
    }
  }
  return types;
}

function bare(type) {
  return type.replace(/[[\]!]/g, '');
}

/** The notation of an input's type: names that a value uses. */
function input(types, type, values) {
  const inner = type.replace(/!$/, '');
  const there = values.filter((value) => value !== undefined && value !== null);
  if (inner.startsWith('[')) return [input(types, inner.slice(1, -1), there.flat())];
  const of = types[inner];
  if (of === undefined) return SCALARS[inner] ?? 'string';
  if (of.kind === 'enum') return `=${of.words.join('|')}`;
  const made = {};
  for (const [name, field] of Object.entries(of.fields)) {
    const used = there.filter((value) => typeof value === 'object').map((value) => value[name]).filter((value) => value !== undefined);
    if (used.length) made[name + (field.type.endsWith('!') ? '!' : '')] = input(types, field.type, used);
    else if (field.type.endsWith('!')) made[`${name}!`] = 'any';
    else if (types[bare(field.type)] === undefined) made[name] = field.type.startsWith('[') ? ['string'] : SCALARS[bare(field.type)] ?? 'string';
  }
  return made;
}

function tokens(text) {
  return text.match(/\$\w+|\w+|[{}():![\]=,]|"[^"]*"/g) ?? [];
}

/** Walks a selection: the notation of the answer, and in `missing` what the schema does not know. */
function selection(types, type, list, variables, missing) {
  const made = {};
  while (list.length && list[0] !== '}') {
    const name = list.shift();
    const field = types[bare(type)]?.fields?.[name];
    if (field === undefined) missing.push(`${bare(type)} has no ${name}`);
    if (list[0] === '(') {
      list.shift();
      while (list[0] !== ')') {
        const argument = list.shift();
        list.shift();
        const value = list.shift();
        if (list[0] === ',') list.shift();
        const wanted = field?.args[argument];
        if (wanted === undefined) missing.push(`${name} takes no ${argument}`);
        else if (value.startsWith('$') && bare(variables[value] ?? '') !== bare(wanted)) missing.push(`${value} is ${variables[value]} instead of ${wanted}`);
        else if (types[bare(wanted)]?.words && !value.startsWith('$') && !types[bare(wanted)].words.includes(value)) missing.push(`${argument} is not ${value}`);
      }
      list.shift();
    }
    if (field === undefined) return made;
    let inner = types[bare(field.type)]?.words ? 'string' : (SCALARS[bare(field.type)] ?? 'string');
    if (list[0] === '{') {
      list.shift();
      inner = selection(types, field.type, list, variables, missing);
      list.shift();
    }
    made[name] = field.type.startsWith('[') ? [inner] : inner;
  }
  return made;
}

/** As `factsOf` of `facts.mjs`, out of a GraphQL schema. */
export function graphqlFacts(text, [, , base, source, kind], vendor) {
  const types = schemaOf(text);
  const operations = {};
  const missing = [];
  for (const exchange of vendor.exchanges) {
    const { query } = exchange.request.body;
    const same = vendor.exchanges.filter((one) => one.request.body.query === query).map((one) => one.request.body.variables ?? {});
    const list = tokens(query);
    const root = list.shift() === 'mutation' ? 'Mutation' : 'Query';
    list.shift();
    const variables = {};
    if (list[0] === '(') {
      const [head] = query.match(/\([^)]*\)/);
      for (const [, name, type] of head.matchAll(/(\$\w+)\s*:\s*([[\]\w!]+)/g)) variables[name] = type;
      while (list.shift() !== ')');
    }
    list.shift();
    const data = selection(types, root, list, variables, missing);
    const named = Object.entries(variables).map(([name, type]) => [name.slice(1) + (type.endsWith('!') ? '!' : ''), input(types, type, same.map((one) => one[name.slice(1)]))]);
    operations[`POST /graphql#${exchange.operation}`] = { body: { 'query!': `=${query}`, ...(named.length && { variables: Object.fromEntries(named) }) }, answer: { data } };
  }
  return [{ source, kind, read: new Date().toISOString().slice(0, 10), base, keys: ['header authorization', 'bearer'], operations }, missing];
}
