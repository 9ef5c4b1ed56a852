// The main module of the Rust pass-through: its code is `bench/passthrough-rs`.
import * as rust from "./pkg/index.js";

export default {
  fetch(request, env, context) {
    return rust.fetch.call(this, request, env, context);
  },
};
