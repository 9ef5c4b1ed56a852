// The Worker's main module. Everything else is Rust; these lines give it what its macros cannot: classes that extend
// the runtime's own (RPC needs that), and a fresh Rust object after the wasm instance was replaced.
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";
import * as rust from "./pkg/index.js";

// The runtime counts `instanceId` up each time it replaces a wasm instance that died; objects of the old one are void.
const wasm = rust.__worker_init_state();

// Rust's executor asks for a microtask at each wake. The runtime's own `queueMicrotask` wraps each callback in an object of
// its own; a settled promise does the same without. What throws is told as an unhandled rejection instead.
const settled = Promise.resolve();
globalThis.queueMicrotask = (task) => void settled.then(task);

export class Account extends DurableObject {
  #object;
  #instance;

  #current() {
    if (this.#instance !== wasm.instanceId) {
      this.#object = new rust.Account(this.ctx, this.env);
      this.#instance = wasm.instanceId;
    }
    return this.#object;
  }

  async call(op, json) {
    return this.#current().call(op, json);
  }

  alarm() {
    return this.#current().alarm();
  }

  fetch(request) {
    return this.#current().fetch(request);
  }
}

export default class extends WorkerEntrypoint {
  fetch(request) {
    return rust.fetch.call(this, request, this.env, this.ctx);
  }

  scheduled(event) {
    return rust.scheduled.call(this, event, this.env, this.ctx);
  }
}
