// What stands around the gateway in a browser's world: TLS in front of it, an app of somebody else's on another site.
import { createServer, request as ask } from "node:http";
import { createServer as createTlsServer } from "node:https";
import selfsigned from "selfsigned";

const listening = (server) => new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
const closing = (server) => () => {
  server.closeAllConnections();
  return new Promise((done) => server.close(done));
};

/** TLS for a gateway that starts later (`front.to = port`): `{url, close}`. */
export async function startTls() {
  const { private: key, cert } = selfsigned.generate([{ name: "commonName", value: "127.0.0.1" }], { keySize: 2048, algorithm: "sha256" });
  const front = {};
  const server = createTlsServer({ key, cert }, (request, response) => {
    const { method, url: path, headers } = request;
    const behind = ask({ host: "127.0.0.1", port: front.to, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    behind.once("error", (error) => response.destroy(error));
    request.pipe(behind);
  });
  front.url = `https://127.0.0.1:${await listening(server)}`;
  front.close = closing(server);
  return front;
}

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
const html = (body) => `<!doctype html><html lang="en"><head><title>App</title><link rel="icon" href="data:,"></head><body>${body}</body></html>`;

/**
 * Somebody else's app, on another site than the gateway: `/start?to=` links there, `/frame?of=` frames it, `/forge?to=` has a form
 * that goes there with whatever else was asked for, `/moved` sends on what it got to yet another origin. `got` are its requests.
 */
export async function startApp() {
  const app = { got: [] };
  const server = createServer((request, response) => {
    const url = new URL(request.url, app.url);
    const get = (name) => url.searchParams.get(name);
    app.got.push({ path: url.pathname, query: url.searchParams, headers: request.headers });
    if (url.pathname === "/moved") return response.writeHead(302, { location: `${app.elsewhere}/landed${url.search}` }).end();
    const pages = {
      "/start": () => `<a href="${escaped(get("to"))}">Connect</a>`,
      "/frame": () => `<p>Win a prize!</p><iframe title="prize" src="${escaped(get("of"))}" width="600" height="600"></iframe>`,
      "/forge": () => {
        const fields = [...url.searchParams].filter(([name]) => name !== "to");
        const inputs = fields.map(([name, value]) => `<input type="hidden" name="${escaped(name)}" value="${escaped(value)}">`).join("");
        return `<form method="post" action="${escaped(get("to"))}">${inputs}<button>Win a prize</button></form>`;
      },
    };
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(html((pages[url.pathname] ?? (() => "<p>Thank you</p>"))()));
  });
  const port = await listening(server);
  return Object.assign(app, { url: `http://localhost:${port}`, elsewhere: `http://127.0.0.1:${port}`, close: closing(server) });
}
