// The Worker's main module, telling with each answer what was asked for it of the platform: statements of D1, values of KV, calls of
// objects, in order. So a test can see whether two requests do the same work, which no clock shows reliably.
import Gateway, { Account } from "../../entry.mjs";

export { Account };

/** A binding whose functions are told as they are called; `tell` may replace what they return. */
const watched = (binding, tell) =>
  new Proxy(binding, {
    get(target, name) {
      const value = target[name];
      // The runtime's classes know themselves by their constructor.
      if (typeof value !== "function" || name === "constructor") return value;
      return (...given) => {
        const returned = value.apply(target, given);
        return tell(name, given, returned) ?? returned;
      };
    },
  });

function watchedEnv(env, steps) {
  const tellers = {
    DB: (name, given) => void steps.push(name === "batch" ? `d1 batch of ${given[0].length}` : `d1 ${given[0]}`),
    KV: (name, given) => void steps.push(`kv ${name} ${given[0]}`),
    ACCOUNT: (name, given, object) => ({
      call(op, json) {
        steps.push(`object ${given[0]} ${op}`);
        return object.call(op, json);
      },
    }),
  };
  return new Proxy(env, { get: (target, name) => (tellers[name] && target[name] ? watched(target[name], tellers[name]) : target[name]) });
}

export default class extends Gateway {
  #steps;

  constructor(context, env) {
    const steps = [];
    super(context, watchedEnv(env, steps));
    this.#steps = steps;
  }

  async fetch(request) {
    const response = await super.fetch(request);
    const headers = new Headers(response.headers);
    headers.set("x-steps", encodeURIComponent(JSON.stringify(this.#steps)));
    return new Response(response.body, { status: response.status, headers });
  }
}
