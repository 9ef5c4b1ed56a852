// Which operation of a vendor's own description a request is: OpenAPI 3, Swagger 2 and Google's discovery documents. Out of scope: what
// its schemas say (`facts.mjs`).

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
        ...(method.response && { responses: { 200: { schema: method.response } } }),
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
