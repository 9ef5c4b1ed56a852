//! Operations of the books: the audit log, and whether accounts' balances add up.

use super::document::{
    Operation,
    Who::{Manager, Operator},
    operation,
};

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Operator, "Operator", summary);
    vec![
        operation("GET", "/audit", Manager, "Organization", "List what was changed in the account, the newest first")
            .query("{since?: string, action?: string, before?: int(1..9007199254740991), limit?: int(1..9007199254740991)}")
            .answers(200, "{data: AuditLine[]}"),
        of("GET", "/admin/audit", "List what was changed, the newest first")
            .query("{account?: string, since?: string, action?: string, before?: int(1..9007199254740991), limit?: int(1..9007199254740991)}")
            .answers(200, "{data: AuditLine[]}"),
        of("GET", "/admin/reconcile", "List the walks over accounts' books")
            .query("{account?: string, after?: string}")
            .answers(200, "{data: ReconcileWalk[]}"),
        of("POST", "/admin/reconcile", "Read on in an account's books")
            .says("Call again until it is done.")
            .takes("{account: string, restart?: boolean}!")
            .answers(200, "{data: Reconciliation}")
            .fails(&[404]),
        of("GET", "/admin/reconcile/findings", "List differences that were found")
            .query("{account?: string, state?: 'open' | 'all', before?: int(1..9007199254740991), limit?: int(1..9007199254740991)}")
            .answers(200, "{data: Finding[]}"),
    ]
}
