// Passes a request on, and reads each chunk of the answer on its way back.
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    const { method, headers, body } = request;
    const answer = await fetch(env.UPSTREAM + pathname, { method, headers, body });
    let bytes = 0;
    const reading = new TransformStream({
      transform(chunk, out) {
        bytes += chunk.length;
        out.enqueue(chunk);
      },
    });
    return new Response(answer.body.pipeThrough(reading), answer);
  },
};
