//! Operations of imported tools: of an account, and the same of the operator.

use serde_json::json;

use super::document::{
    Operation,
    Who::{self, Manager, Operator},
    operation,
};

pub fn operations() -> Vec<Operation> {
    let mut all = of(
        Manager,
        "/tools/sources",
        "/tools/sources/{id}",
        "/tools/sources/{id}/refresh",
    );
    all.extend(of(
        Operator,
        "/admin/tools/sources",
        "/admin/tools/sources/{id}",
        "/admin/tools/sources/{id}/refresh",
    ));
    all
}

fn of(who: Who, all: &'static str, one: &'static str, again: &'static str) -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, who, "Imported tools", summary);
    vec![
        of("GET", all, "List imported sources")
            .answers(200, "{data: ToolSource[], total_count: int(0..)}"),
        of("POST", all, "Import an OpenAPI document or an MCP server")
            .says(
                "Its operations become tools `slug/operation` beside those of the catalog. What cannot be carried over is told in `left_out` and `weakened`. \
                 An account's own sources are free, and called with its own key.",
            )
            .takes("NewToolSource")
            .example(json!({"slug": "shop", "url": "https://api.example.com/openapi.json", "include": ["list_*", "get_*"]}))
            .answers(200, "{data: ToolSource}")
            .answers(201, "{data: ToolSource}")
            .fails(&[409, 501]),
        of("GET", one, "Show an imported source").answers(200, "{data: ToolSource}"),
        of("PATCH", one, "Change an imported source, or accept what changed in it")
            .takes("ToolSourceChange")
            .answers(200, "{data: ToolSource}")
            .fails(&[409, 501]),
        of("DELETE", one, "Delete an imported source").answers(200, "Deleted"),
        of("POST", again, "Read an imported source again")
            .says("What changed, and what is new, stays off until it is accepted.")
            .takes("{document?: object | string | null, accept?: boolean | string | null}!")
            .optional()
            .answers(200, "{data: ToolSource}")
            .fails(&[409, 501]),
    ]
}
