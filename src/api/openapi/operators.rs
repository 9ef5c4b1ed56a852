//! The operator's operations: accounts, grants, corrections, and what members of accounts do, for any account.

use serde_json::json;

use super::document::{Operation, Types, Who::Operator, operation};
use crate::api::{
    admin::{NewAccount, NewCorrection, NewGrant, Rotate},
    presets::NewPreset,
};

pub fn types(types: &mut Types) {
    types.read_as::<NewAccount>("NewAccount", "{name: string(1..128)}");
    types.read_as::<NewGrant>(
        "NewGrant",
        "{amount_usd: Dollars, expires_at?: time | null}",
    );
    types.read_as::<NewCorrection>("NewCorrection", "{cost_usd: Dollars}");
    types.read_as::<Rotate>("Rotate", "");
    types.read_as::<NewPreset>("NewPreset", "");
}

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Operator, "Operator", summary);
    vec![
        of("GET", "/admin/accounts", "List accounts").answers(200, "{data: Account[]}"),
        of("POST", "/admin/accounts", "Open an account")
            .takes("NewAccount")
            .example(json!({"name": "Example"}))
            .answers(201, "{data: Account}"),
        of("GET", "/admin/accounts/{account}", "Show an account")
            .answers(200, "{data: AccountState}"),
        of(
            "DELETE",
            "/admin/accounts/{account}",
            "Close an account and delete its data",
        )
        .says("Call again until it is done.")
        .answers(200, "{data: {[more]: any}}")
        .fails(&[409]),
        of(
            "GET",
            "/admin/accounts/{account}/export",
            "Export an account's data, page by page",
        )
        .query(
            "{
                // `next` of the page before.
                after?: string
            }",
        )
        .answers(200, "{data: {table: string, row: any}[], next: any}"),
        of(
            "GET",
            "/admin/health",
            "Show how the parts of the gateway do",
        )
        .answers(200, "{data: Health}")
        .answers(503, "{data: Health}"),
        of(
            "POST",
            "/admin/providers",
            "Show which of these providers the deployment can call",
        )
        .says("Rows of a catalog in, without keys out.")
        .takes("{providers: object[]}!")
        .answers(
            200,
            "{data: {slug: string, name: string, reachable: boolean, key: boolean}[]}",
        ),
        of(
            "GET",
            "/admin/tools",
            "Show which tools the deployment can call with its own keys",
        )
        .answers(
            200,
            "{data: {slug: string, name: string, category: string, secret: string | null, key: boolean, pooling: 'allowed' | 'forbidden', operations: int, callable: int}[], version: string}",
        ),
        of("POST", "/admin/accounts/{account}/grants", "Grant credits")
            .says("A repeat with the same id changes nothing.")
            .takes("NewGrant")
            .example(json!({"id": "welcome-1", "amount_usd": "5", "note": "welcome"}))
            .answers(201, "{data: Grant}")
            .fails(&[409]),
        of(
            "POST",
            "/admin/accounts/{account}/corrections",
            "Correct what a request was charged",
        )
        .says("A repeat with the same generation and reason changes nothing.")
        .takes("NewCorrection")
        .answers(201, "{data: Correction}")
        .fails(&[409]),
        of(
            "GET",
            "/admin/accounts/{account}/entries",
            "List what stands in the ledger, the newest first",
        )
        .query("{limit?: int(1..), before?: int(1..)}")
        .answers(200, "{data: Entry[]}"),
        of(
            "GET",
            "/admin/accounts/{account}/keys",
            "List an account's keys",
        )
        .query("{offset?: int(0..9007199254740991), include_disabled?: boolean, include_expired?: boolean}")
        .answers(200, "{data: Key[]}"),
        of(
            "POST",
            "/admin/accounts/{account}/keys",
            "Make a key of an account",
        )
        .takes("NewKey")
        .answers(201, "{data: Key, key: string}"),
        of(
            "GET",
            "/admin/accounts/{account}/byok",
            "List an account's provider keys",
        )
        .query("{offset?: int(0..9007199254740991), limit?: int(0..9007199254740991)}")
        .answers(200, "{data: OwnKey[], total_count: int(0..)}"),
        of(
            "POST",
            "/admin/accounts/{account}/byok",
            "Keep a provider key of an account",
        )
        .takes("NewOwnKey")
        .answers(201, "{data: OwnKey}")
        .fails(&[501]),
        of(
            "GET",
            "/admin/accounts/{account}/byok/{id}",
            "Show a provider key of an account",
        )
        .answers(200, "{data: OwnKey}"),
        of(
            "PATCH",
            "/admin/accounts/{account}/byok/{id}",
            "Change a provider key of an account",
        )
        .takes("OwnKeyChange")
        .answers(200, "{data: OwnKey}")
        .fails(&[501]),
        of(
            "DELETE",
            "/admin/accounts/{account}/byok/{id}",
            "Delete a provider key of an account",
        )
        .answers(200, "Deleted"),
        of(
            "GET",
            "/admin/accounts/{account}/presets",
            "List an account's presets",
        )
        .answers(200, "{data: Preset[], total_count: int(0..)}"),
        of(
            "POST",
            "/admin/accounts/{account}/presets",
            "Save a preset of an account",
        )
        .takes("NewPreset")
        .answers(201, "{data: Preset}"),
        of(
            "GET",
            "/admin/accounts/{account}/presets/{slug}",
            "Show a preset of an account",
        )
        .answers(200, "{data: Preset}"),
        of(
            "DELETE",
            "/admin/accounts/{account}/presets/{slug}",
            "Delete a preset of an account",
        )
        .answers(200, "Deleted"),
        of(
            "POST",
            "/admin/byok/rotate",
            "Seal all secrets of accounts anew with the current master key",
        )
        .takes("Rotate")
        .answers(200, "{data: Rotation}")
        .fails(&[501]),
        of("GET", "/admin/keys/{hash}", "Show a key of any account").answers(200, "{data: Key}"),
        of("PATCH", "/admin/keys/{hash}", "Change a key of any account")
            .takes("KeyChange")
            .answers(200, "{data: Key}"),
        of(
            "DELETE",
            "/admin/keys/{hash}",
            "Delete a key of any account",
        )
        .answers(200, "Deleted"),
        of(
            "GET",
            "/admin/catalog",
            "Show the version of the catalog in force",
        )
        .answers(200, "{data: {version: string | null}}"),
        of("POST", "/admin/catalog", "Publish a catalog")
            .says("A snapshot as the catalog tool compiles it.")
            .takes("object")
            .answers(200, "{data: CatalogVersion}"),
    ]
}
