// Reads the ledgers of a gateway that has ended, from the files in which workerd keeps its objects, without asking the Worker.
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** Every account's ledger under a persisted folder: `Map` of account id to `{entries, holds, outbox, keys}`. */
export function readLedgers(persist) {
  const folder = join(persist, "state", "do");
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".sqlite"));
  const read = files.map((name) => readLedger(join(folder, name))).filter(Boolean);
  return new Map(read.map(({ account, ...ledger }) => [account, ledger]));
}

/** A copy is read: after SIGKILL the file's log has to be replayed, which is a write. */
function readLedger(file) {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-ledger-"));
  try {
    const copy = join(folder, basename(file));
    for (const suffix of ["", "-wal"]) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
    const database = new DatabaseSync(copy);
    const all = (sql) => database.prepare(sql).all();
    // The runtime's own files lie beside the objects'.
    const isLedger = all("SELECT 1 FROM sqlite_master WHERE name = 'entries'").length === 1;
    const ledger = isLedger && {
      account: all("SELECT id FROM account")[0].id,
      entries: all("SELECT id, kind, amount, balance, key_hash FROM entries ORDER BY seq"),
      holds: all("SELECT id, release_at FROM holds"),
      outbox: all("SELECT seq FROM outbox"),
      keys: all("SELECT hash, used FROM keys"),
    };
    database.close();
    return ledger;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
