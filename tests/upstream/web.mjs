// The web of the tests: search engines (`/search/exa/search`, `/search/tavily/search`, `/search/brave/web/search`) and a web site
// (`/site/…`). Requests are recorded and scripted like those of the model APIs.

const ENGINES = {
  exa: {
    path: '/search/exa/search',
    key: (headers) => headers['x-api-key'],
    ask: (body) => ({ query: body.query, count: body.numResults }),
    render: (results) => ({ requestId: 'r', results: results.map(({ url, title, text }) => ({ id: url, url, title, text, publishedDate: '2026-11-01' })), costDollars: { total: 0.007 } }),
  },
  tavily: {
    path: '/search/tavily/search',
    key: (headers) => /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1],
    ask: (body) => ({ query: body.query, count: body.max_results }),
    render: (results, query) => ({ query, results: results.map(({ url, title, text }) => ({ url, title, content: text, score: 0.9 })), response_time: 0.1 }),
  },
  brave: {
    path: '/search/brave/web/search',
    key: (headers) => headers['x-subscription-token'],
    ask: (_, query) => ({ query: query.get('q'), count: Number(query.get('count')) }),
    render: (results) => ({ web: { results: results.map(({ url, title, text }) => ({ url, title, description: `<strong>${text}</strong>` })) } }),
  },
};

/** The engine or the site that a path belongs to. */
export function route(path) {
  const engine = Object.entries(ENGINES).find(([, each]) => each.path === path);
  if (engine) return { format: `search-${engine[0]}`, engine: engine[1] };
  return path.startsWith('/site/') ? { format: 'site', page: path.slice('/site/'.length) } : null;
}

/** Results that can be told apart: numbered, and with the words that were searched for. */
const results = (query, count) =>
  Array.from({ length: Math.min(count ?? 5, 3) }, (_, at) => ({
    url: `https://results.example/${at + 1}`,
    title: `Result ${at + 1}`,
    text: `What page ${at + 1} says of ${query}.`,
  }));

/** `{status, headers, body}` for a request that was read. */
export function respond(found, { headers, query, body, port }) {
  if (found.engine) {
    const { engine } = found;
    if (!engine.key(headers) || engine.key(headers).includes('wrong')) return json(401, { error: `no such key: ${engine.key(headers)}` });
    const asked = engine.ask(body ?? {}, query);
    if (!asked.query) return json(400, { error: 'the query is empty' });
    return json(200, engine.render(results(asked.query, asked.count), asked.query));
  }
  const html = (text) => ({ status: 200, headers: { 'content-type': 'text/html; charset=utf-8' }, body: text });
  const away = (location) => ({ status: 302, headers: { location }, body: '' });
  switch (found.page) {
    case 'page':
      return html('<html><head><title>The page</title><script>hidden()</script></head><body><nav>Menu</nav><h1>News</h1><p>It is <b>so</b> &amp; not otherwise.</p></body></html>');
    case 'moved':
      return away('/site/page');
    case 'to-metadata':
      return away('http://169.254.169.254/latest/meta-data/');
    case 'to-itself-by-number':
      return away(`http://2130706433:${port}/site/page`);
    case 'loop':
      return away('/site/loop');
    case 'image':
      return { status: 200, headers: { 'content-type': 'image/png' }, body: 'PNG' };
    case 'long':
      return html(`<title>Long</title><p>${'word '.repeat(200_000)}</p>`);
    default:
      return json(404, { error: 'no such page' });
  }
}

const json = (status, value) => ({ status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) });
