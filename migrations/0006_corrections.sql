-- What operators corrected of generations' costs. The account's ledger is the truth; a usage row stays what was charged at first.
CREATE TABLE corrections (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    generation TEXT NOT NULL,
    reason TEXT NOT NULL,
    change INTEGER NOT NULL,
    at INTEGER NOT NULL,
    UNIQUE (generation, account, reason)
) STRICT;
