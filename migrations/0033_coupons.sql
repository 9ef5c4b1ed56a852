-- Coupons of the operator: only the SHA-256 of a code is kept.

CREATE TABLE coupons (
    hash TEXT PRIMARY KEY,
    label TEXT NOT NULL,
    amount INTEGER NOT NULL,
    max_uses INTEGER NOT NULL,
    -- When the code ends, and how long the credits that it gave live.
    expires_at INTEGER,
    credits_days INTEGER,
    disabled INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE coupon_uses (
    coupon TEXT NOT NULL REFERENCES coupons (hash),
    account TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (coupon, account)
) STRICT, WITHOUT ROWID;

-- Codes that were wrong, by account and UTC day: nobody tries them out.
CREATE TABLE coupon_misses (
    account TEXT NOT NULL,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (account, day)
) STRICT, WITHOUT ROWID;
