//! The faults of the drill: what is done behind the books' back, and which differences that shows.

use patchbay::books::Kind;

use super::Books;

/// What is done, and what is found: kind, a part of its subject, the difference in nano-dollars.
pub(super) type Fault = (
    &'static str,
    fn(&Books),
    &'static [(Kind, &'static str, Option<i64>)],
);

pub(super) const FAULTS: &[Fault] = &[
    (
        "an amount changed in D1",
        |books| books.break_d1("UPDATE usage SET cost = cost + 1 WHERE id = 'gen-8'"),
        &[
            (Kind::ChargeTotal, "gen-8", Some(1)),
            (Kind::RowCost, "gen-8", Some(1)),
        ],
    ),
    (
        "a usage row is missing",
        |books| books.break_d1("DELETE FROM usage WHERE id = 'gen-9'"),
        &[(Kind::MissingRow, "gen-9", None)],
    ),
    (
        "a usage row is there twice",
        |books| {
            books.break_d1(
                "INSERT INTO usage (id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model,
                    streamed, cancelled, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                    completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, estimated, charge)
                 SELECT id || '-copy', account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model,
                    streamed, cancelled, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                    completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, estimated, charge
                 FROM usage WHERE id = 'gen-8'",
            );
        },
        &[(Kind::OrphanRow, "gen-8-copy", None)],
    ),
    (
        "a usage row of another account",
        |books| books.break_d1("UPDATE usage SET account = 'evil' WHERE id = 'gen-8'"),
        &[(Kind::RowAccount, "gen-8", None)],
    ),
    (
        "a usage row of another key",
        |books| books.break_d1("UPDATE usage SET key_hash = 'other' WHERE id = 'gen-8'"),
        &[(Kind::RowKey, "gen-8", None)],
    ),
    (
        "a usage row that tells of another end",
        |books| books.break_d1("UPDATE usage SET status = 'voided' WHERE id = 'gen-8'"),
        &[(Kind::RowStatus, "gen-8", None)],
    ),
    (
        "a running balance is wrong",
        |books| {
            books.break_object("UPDATE entries SET balance = balance - 5 WHERE id = 'gen-8'");
        },
        &[
            (Kind::RunningBalance, "(gen-8)", Some(-5)),
            (Kind::RunningBalance, "entry", Some(5)),
        ],
    ),
    (
        "the last balance is wrong",
        |books| {
            books.break_object(
                "UPDATE entries SET balance = balance + 1 WHERE seq = (SELECT MAX(seq) FROM entries)",
            );
        },
        &[
            (Kind::Balance, "balance", Some(1)),
            (Kind::RunningBalance, "entry", Some(1)),
            (Kind::LotSum, "balance", Some(-1)),
        ],
    ),
    (
        "a key's counter is wrong",
        |books| books.break_object("UPDATE keys SET used = used + 1 WHERE hash = 'k'"),
        &[(Kind::KeyCounter, "k ever", Some(1))],
    ),
    (
        "a deleted key's counter of a period is wrong",
        |books| books.break_object("UPDATE keys SET used_month = used_month - 7 WHERE hash = 'k2'"),
        &[(Kind::KeyCounter, "k2 monthly", Some(-7))],
    ),
    (
        "a period that never was",
        |books| books.break_object("UPDATE keys SET day = day + 86400000 WHERE hash = 'k'"),
        &[(Kind::KeyCounter, "k daily", None)],
    ),
    (
        "a settlement was lost",
        |books| books.break_object("DELETE FROM entries WHERE id = 'gen-8'"),
        &[
            (Kind::KeyCounter, "k ever", None),
            (Kind::MissingEntry, "entry", None),
            (Kind::OrphanRow, "gen-8", None),
            (Kind::RunningBalance, "entry", None),
            (Kind::Balance, "balance", None),
        ],
    ),
    (
        "a settlement's amount was changed",
        |books| books.break_object("UPDATE entries SET amount = amount - 3 WHERE id = 'gen-8'"),
        &[
            (Kind::RowCost, "gen-8", Some(-3)),
            (Kind::RunningBalance, "(gen-8)", Some(3)),
            (Kind::KeyCounter, "k ever", Some(-3)),
            (Kind::Balance, "balance", Some(3)),
        ],
    ),
    (
        "a void that charges",
        |books| books.break_object("UPDATE entries SET amount = -2 WHERE id = 'gen-9'"),
        &[
            (Kind::EntryAmount, "(gen-9)", None),
            (Kind::RowCost, "gen-9", Some(-2)),
            (Kind::RunningBalance, "(gen-9)", Some(2)),
            (Kind::Balance, "balance", Some(2)),
        ],
    ),
    (
        "a cost unlike the provider's, which is the price",
        |books| {
            books.break_d1("UPDATE usage SET upstream_cost = upstream_cost - 1 WHERE id = 'gen-3'")
        },
        &[(Kind::ProviderCost, "gen-3", Some(1))],
    ),
    (
        "a charge whose lines do not make its total",
        |books| {
            books.break_d1(
                "UPDATE usage SET charge = json_set(charge, '$.lines[0].price', (charge ->> '$.lines[0].price') + 1000000)
                 WHERE id = 'gen-8'",
            );
        },
        &[(Kind::ChargeSum, "gen-8", Some(-584))],
    ),
    (
        "a charge that counts other tokens",
        |books| {
            books.break_d1(
                "UPDATE usage SET completion_tokens = completion_tokens + 1 WHERE id = 'gen-8'",
            )
        },
        &[(Kind::ChargeTokens, "gen-8", None)],
    ),
    (
        "a charge that is not there",
        |books| books.break_d1("UPDATE usage SET charge = NULL WHERE id = 'gen-8'"),
        &[(Kind::ChargeMissing, "gen-8", None)],
    ),
    (
        "a row without any entry",
        |books| {
            books.break_d1("UPDATE usage SET id = 'gen-nobody' WHERE id = 'gen-8'");
        },
        &[
            (Kind::MissingRow, "gen-8", None),
            (Kind::OrphanRow, "gen-nobody", None),
        ],
    ),
    (
        "a correction that D1 does not know",
        |books| {
            books.break_d1(
                "DELETE FROM corrections WHERE generation = 'gen-1' AND reason = 'wrong price'",
            )
        },
        &[(Kind::Correction, "gen-1: wrong price", None)],
    ),
    (
        "a correction of another amount",
        |books| {
            books.break_d1(
                "UPDATE corrections SET change = change + 4 WHERE generation = 'gen-1' AND reason = 'and again'",
            );
        },
        &[(Kind::Correction, "gen-1: and again", Some(4))],
    ),
    (
        "a hold that nobody released",
        |books| {
            books.break_object(
                "INSERT INTO holds (id, key_hash, amount, release_at, began, tokens, byok, free, draft)
                 VALUES ('gen-stale', 'k', 5, 1, 0, 0, 0, 0, '{}')",
            );
        },
        &[(Kind::StaleHold, "gen-stale", None)],
    ),
    (
        "a hold of a request that has ended",
        |books| {
            books.break_object(
                "INSERT INTO holds (id, key_hash, amount, release_at, began, tokens, byok, free, draft)
                 VALUES ('gen-8', 'k', 5, 9000000000000, 0, 0, 0, 0, '{}')",
            );
        },
        &[(Kind::HoldAfterEnd, "gen-8", None)],
    ),
    (
        "entries of a key that is gone",
        |books| books.break_object("DELETE FROM keys WHERE hash = 'k2'"),
        &[(Kind::UnknownKey, "k2", None)],
    ),
    (
        "a paid purchase whose credits never came",
        |books| books.break_d1("UPDATE purchases SET status = 'paid' WHERE id = 'pur_3'"),
        &[(Kind::Purchase, "pur_3", None)],
    ),
    (
        "credits of a purchase that nobody paid",
        |books| books.break_d1("UPDATE purchases SET status = 'failed' WHERE id = 'pur_1'"),
        &[(Kind::Purchase, "pur_1", None)],
    ),
    (
        "a purchase of other credits",
        |books| books.break_d1("UPDATE purchases SET credits = credits + 3 WHERE id = 'pur_1'"),
        &[(Kind::Purchase, "pur_1", Some(3))],
    ),
    (
        "what went back of a purchase is wrong",
        |books| books.break_d1("UPDATE purchases SET taken = taken - 1 WHERE id = 'pur_2'"),
        &[(Kind::PurchaseTaken, "pur_2", Some(-1))],
    ),
    (
        "a purchase that vanished from the ledger",
        |books| books.break_object("DELETE FROM entries WHERE id = 'pur_1' AND kind = 'purchase'"),
        &[
            (Kind::Purchase, "pur_1", None),
            (Kind::MissingEntry, "entry", None),
            (Kind::RunningBalance, "entry", None),
            (Kind::Balance, "balance", Some(50_000_000_000)),
        ],
    ),
    (
        "a refund that D1 does not know",
        |books| books.break_d1("DELETE FROM refunds WHERE id = 'ref_1'"),
        &[(Kind::Refund, "ref_1", None)],
    ),
    (
        "a refund of another amount",
        |books| books.break_d1("UPDATE refunds SET cents = cents + 1 WHERE id = 'ref_1'"),
        &[(Kind::Refund, "ref_1", Some(10_000_000))],
    ),
    (
        "a refund that failed and took its credits",
        |books| books.break_d1("UPDATE refunds SET status = 'failed' WHERE id = 'ref_1'"),
        &[(Kind::Refund, "ref_1", Some(-5_000_000_000))],
    ),
    (
        "a coupon that was redeemed for nothing",
        |books| {
            books.break_d1(
                "INSERT INTO coupon_uses (coupon, account, at) VALUES ('decaf', 'acme', 1)",
            )
        },
        &[(Kind::Coupon, "decaf", None)],
    ),
    (
        "credits of a coupon that nobody redeemed",
        |books| books.break_d1("DELETE FROM coupon_uses WHERE coupon = 'c0ffee'"),
        &[(Kind::Coupon, "c0ffee", None)],
    ),
    (
        "a coupon of another amount",
        |books| books.break_d1("UPDATE coupons SET amount = amount - 2 WHERE hash = 'c0ffee'"),
        &[(Kind::Coupon, "c0ffee", Some(-2))],
    ),
    (
        "credits that lapsed without an entry",
        |books| books.break_object("UPDATE lots SET lapsed = lapsed + 1 WHERE id = 'c0ffee'"),
        &[(Kind::Lot, "coupon c0ffee lapsed", Some(1))],
    ),
    (
        "a lot of credits that never came",
        |books| {
            books.break_object(
                "INSERT INTO lots (kind, id, expires_at, due_at, remains) VALUES ('grant', 'ghost', 1, 1, 0)",
            );
        },
        &[(Kind::Lot, "grant ghost", None)],
    ),
    (
        "a lot that holds more than its credits, and all more than the balance",
        |books| {
            books.break_object("UPDATE lots SET remains = 9000000000000000 WHERE id = 'pur_2'");
        },
        &[
            (Kind::Lot, "purchase pur_2", None),
            (Kind::LotSum, "lots", None),
        ],
    ),
    (
        "lots that missed a change of the balance",
        |books| books.break_object("UPDATE account SET lots_balance = lots_balance - 4"),
        &[(Kind::LotSum, "balance", Some(-4))],
    ),
    (
        "a counter of free models that one too many counted",
        |books| books.break_object("UPDATE account SET free_used = free_used + 1"),
        &[(Kind::FreeCounter, "free models", None)],
    ),
    (
        "a counter of free models that lost one",
        |books| books.break_object("UPDATE account SET free_used = free_used - 1"),
        &[(Kind::FreeCounter, "free models", None)],
    ),
];
