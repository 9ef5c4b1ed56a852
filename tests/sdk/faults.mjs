// Faults for the tests of clients, and clients that leave.
import process from "node:process";
import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * Runs what a client reads until `signal` is aborted. A promise that the client itself leaves behind, rejected with that very abort (OpenRouter's
 * provider for the AI SDK does, now and then), is nobody's failure; any other is the test's.
 */
export async function untilLeft(signal, read) {
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (reason, promise) => {
    if (!signal.aborted || reason !== signal.reason) for (const other of others) other(reason, promise);
  });
  try {
    await read();
    // Rejections are told at the end of a turn.
    await nextTurn();
    await nextTurn();
  } finally {
    process.removeAllListeners("unhandledRejection");
    for (const other of others) process.on("unhandledRejection", other);
  }
}

/** Of a gateway that may start later: `script(dialect, behaviour, times)` for both providers of a dialect, and `calm()`. */
export const faultsOf = (gateway) => ({
  script(dialect, behaviour, times = null) {
    for (const name of ["one", "two"]) gateway().upstream.script({ prefix: `/p/${name}-${dialect}`, behaviour, times });
  },
  /** Forgets scripts that were not used up, and lets go whatever waits. */
  calm() {
    gateway().upstream.release();
    gateway().upstream.reset();
  },
});
