// What a person sees: one line per step with its time, and one clear line when something is in the way.
import process from "node:process";

/** Stops the program: one line that says what is wrong and what to do. Never shown with a stack. */
export class Stop extends Error {
  constructor(problem, remedy) {
    super(remedy ? `${problem}\n       ${remedy}` : problem);
  }
}

const WIDTH = 18;
const seconds = (start) => `${((Date.now() - start) / 1000).toFixed(1)} s`;

/**
 * Runs one step and says what it did and how long it took.
 * `action` returns what to say; `meanwhile` is shown on a terminal while it runs.
 */
export async function step(name, action, meanwhile = "…") {
  const start = Date.now();
  const label = `  ${name.padEnd(WIDTH)}`;
  if (process.stdout.isTTY) process.stdout.write(`${label}${meanwhile}`);
  try {
    const said = await action();
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[2K");
    console.log(`${label}${said}, ${seconds(start)}`);
  } catch (error) {
    if (process.stdout.isTTY) process.stdout.write("\r\x1b[2K");
    console.log(`${label}failed after ${seconds(start)}`);
    throw error;
  }
}

/** The body of every script: a `Stop` becomes one message and exit code 1; `atEnd` runs in every case. */
export async function main(body, atEnd = async () => {}) {
  let code = 0;
  try {
    code = (await body()) ?? 0;
  } catch (error) {
    code = 1;
    if (error instanceof Stop) console.error(`\nerror: ${error.message}`);
    else console.error(error);
  }
  await atEnd();
  process.exit(code);
}
