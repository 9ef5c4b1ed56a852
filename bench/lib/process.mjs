// What Linux says of a process: its processor time and its memory.
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** Ticks per second of `/proc/<pid>/stat`: fixed at 100 on every Linux that Node runs on. */
const TICKS = 100;

const stat = (pid) => readFileSync(`/proc/${pid}/stat`, "utf8");
/** The fields after the name in parentheses, which may itself hold spaces: the first of them is field 3, the state. */
const fields = (text) => text.slice(text.lastIndexOf(")") + 2).split(" ");

/** Seconds of processor time so far, its own and the kernel's for it. */
export function cpuSeconds(pid) {
  const all = fields(stat(pid));
  return (Number(all[11]) + Number(all[12])) / TICKS;
}

/** The greatest resident memory so far, in MB. */
export function peakMegabytes(pid) {
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kilobytes) / 1024;
}

/** The processes named `name` that this process started. */
export function children(name) {
  const own = (pid) => {
    try {
      const text = stat(pid);
      return text.includes(`(${name})`) && Number(fields(text)[1]) === process.pid;
    } catch (error) {
      // It ended while the list was read.
      if (error.code === "ENOENT" || error.code === "ESRCH") return false;
      throw error;
    }
  };
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && own(pid)).map(Number);
}
