// The browser that this machine has, and pages of it that are watched.
import assert from "node:assert/strict";
import { existsSync, mkdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import axe from "axe-core";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const folders = (process.env.PATH ?? "").split(delimiter);

/** Where Chromium is: `CHROMIUM` says, or the path of programs does; undefined where there is none. */
export const program = [process.env.CHROMIUM, ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))].find((file) => file && existsSync(file));

/** It asks nobody for anything but the addresses of the test. */
const ARGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--disable-dev-shm-usage",
];

export const startBrowser = () => chromium.launch({ executablePath: program, headless: true, args: ARGS });

/** `SHOTS=folder` keeps a picture of every page that is looked at. */
const shots = process.env.SHOTS;
if (shots) mkdirSync(shots, { recursive: true });

const DESK = { width: 900, height: 820 };
const PHONE = { width: 320, height: 720 };

/** A new profile with one page. `problems` is what the browser complains of, `asked` every address that it asked for. */
export async function visitor(browser) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: DESK });
  const page = await context.newPage();
  const seen = { problems: [], asked: [] };
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && seen.problems.push(message.text()));
  page.on("pageerror", (error) => seen.problems.push(String(error)));
  page.on("request", (request) => seen.asked.push(request.url()));
  return { context, page, ...seen };
}

/** What the judge of accessibility says of the page as it stands. */
async function barriers(page) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

/** The page as people get it: by day and by night, on a desk and on a phone; no barrier, nothing that has to be scrolled sideways. */
export async function look(page, name) {
  for (const [scheme, size] of [["light", DESK], ["dark", DESK], ["light", PHONE]]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize(size);
    const where = `${name}, ${scheme}, ${size.width} wide`;
    if (shots) await page.screenshot({ path: join(shots, `${name}-${scheme}-${size.width}.png`), fullPage: true });
    assert.deepEqual(await barriers(page), [], where);
    const { content, window, scripts } = await page.evaluate(() => ({
      content: document.documentElement.scrollWidth,
      window: document.documentElement.clientWidth,
      scripts: document.scripts.length,
    }));
    assert.ok(content <= window, `${where}: ${content} pixels`);
    assert.equal(scripts, 0, where);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESK);
}
