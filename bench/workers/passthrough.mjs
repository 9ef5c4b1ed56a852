// Passes a request on and its answer back, untouched.
export default {
  fetch(request, env) {
    const { pathname } = new URL(request.url);
    const { method, headers, body } = request;
    return fetch(env.UPSTREAM + pathname, { method, headers, body });
  },
};
