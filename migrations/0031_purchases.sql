-- Credits that accounts buy (src/api/billing). The ledger of the account decides about credits; these rows say what was agreed.

CREATE TABLE purchases (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL CHECK (kind IN ('checkout', 'auto')),
    status TEXT NOT NULL CHECK (status IN ('open', 'processing', 'paid', 'failed', 'expired')),
    -- Nano-dollars of credits, and what they cost in cents: before tax, and in all once it is known.
    credits INTEGER NOT NULL,
    fee_cents INTEGER NOT NULL,
    charge_cents INTEGER NOT NULL,
    total_cents INTEGER,
    customer TEXT,
    session TEXT UNIQUE,
    payment_intent TEXT UNIQUE,
    url TEXT,
    receipt_url TEXT,
    -- Nano-dollars of credits that went back.
    taken INTEGER NOT NULL DEFAULT 0,
    disputed INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    created_at INTEGER NOT NULL,
    paid_at INTEGER
) STRICT;

CREATE INDEX purchases_by_account ON purchases (account, created_at);

CREATE TABLE billing_customers (
    account TEXT PRIMARY KEY,
    customer TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- Events that were applied: each once.
CREATE TABLE stripe_events (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    purchase TEXT,
    outcome TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Refunds that were asked for here: their ids go to the payment provider and come back with its events.
CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    purchase TEXT NOT NULL REFERENCES purchases (id),
    account TEXT NOT NULL,
    cents INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'sent', 'failed')),
    refund TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX refunds_by_purchase ON refunds (purchase);
