// What every client asks with. A client is an object with a function for each feature: `text`, `stream` (pieces, until `signal`),
// `tools` (one round, then words), `structured output`; and `status`, which reads the status from the error it throws.
import { z } from "zod";
import { tools } from "../cases.mjs";

export const FUNCTIONS = tools.map((tool) => tool.function);
export const CITY = z.object({ name: z.string(), inhabitants: z.int() });
export const PLACE = z.object({ city: z.string() });

/** The tools themselves. */
export const run = (name, { city }) => ({ get_weather: `mild in ${city}`, get_time: `noon in ${city}` })[name];
