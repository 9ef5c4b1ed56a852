// What is measured, and what is made of it. Each measure runs one load on one subject and gives figures by name.
import { load } from "./load.mjs";
import { cpuSeconds } from "./process.mjs";
import { median } from "./stats.mjs";

const SMALL = "Say something short.";
const text = (kilobytes) => "lorem ipsum ".repeat(Math.ceil((kilobytes * 1024) / 12));

/** `count`: requests of a round, `warm`: of the round that counts for nothing; `small`: also on the disk. */
export const MEASURES = [
  {
    name: "one client, small answer",
    kind: "json",
    text: SMALL,
    clients: 1,
    count: 150,
    quick: 20,
    small: true,
    figures: { "total ms": ({ totalMs }) => median(totalMs) },
  },
  {
    name: "one client, stream of 200",
    kind: "chunks-200",
    text: SMALL,
    clients: 1,
    count: 25,
    quick: 4,
    figures: { "first byte ms": ({ firstMs }) => median(firstMs), "total ms": ({ totalMs }) => median(totalMs) },
  },
  {
    name: "32 clients, small answer",
    kind: "json",
    text: SMALL,
    clients: 32,
    count: 800,
    quick: 150,
    // A Worker's code is compiled anew while it runs hot, which takes some thousand requests.
    warm: 2000,
    small: true,
    figures: {
      "requests/s": ({ wallMs, count }) => (count * 1000) / wallMs,
      "CPU s per 1,000": ({ cpu, count }) => (cpu * 1000) / count,
    },
  },
  {
    name: "8 streams of 200 at once",
    kind: "chunks-200",
    text: SMALL,
    clients: 8,
    count: 64,
    quick: 8,
    figures: {
      "chunks/s": ({ wallMs, count }) => (count * 200 * 1000) / wallMs,
      "CPU µs per chunk": ({ cpu, count }) => (cpu * 1e6) / (count * 200),
    },
  },
  {
    name: "40 streams of 100, 5 ms apart",
    kind: "chunks-100-gap-5",
    text: SMALL,
    clients: 40,
    count: 80,
    quick: 40,
    figures: {
      "first byte ms": ({ firstMs }) => median(firstMs),
      "CPU µs per chunk": ({ cpu, count }) => (cpu * 1e6) / (count * 100),
    },
  },
  {
    name: "body of 200 kB",
    kind: "json",
    text: text(200),
    clients: 1,
    count: 30,
    quick: 5,
    figures: { "total ms": ({ totalMs }) => median(totalMs), "CPU ms": ({ cpu, count }) => (cpu * 1000) / count },
  },
  {
    name: "body of 1 MB",
    kind: "json",
    text: text(1024),
    clients: 1,
    count: 20,
    quick: 3,
    figures: { "total ms": ({ totalMs }) => median(totalMs), "CPU ms": ({ cpu, count }) => (cpu * 1000) / count },
  },
];

/** Runs one measure on one subject. */
export async function measure(subject, format, { kind, text, clients, count, figures }) {
  const bytes = subject.request(format, kind, text);
  const before = cpuSeconds(subject.pid);
  const times = await load(subject.port, bytes, { clients, count });
  const seen = { ...times, count, cpu: cpuSeconds(subject.pid) - before };
  return Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, figure(seen)]));
}
