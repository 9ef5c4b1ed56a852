// Faults for the tests of clients.

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
