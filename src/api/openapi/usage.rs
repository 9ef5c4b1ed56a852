//! Operations of content that is kept, and of the account's settings about it.

use super::document::{
    Operation,
    Who::{AnyKey, Manager},
    operation,
};

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Manager, "Settings", summary);
    vec![
        operation("GET", "/generation/content", AnyKey, "Usage", "Show what was asked and answered")
            .says("Where the account keeps it. A key reads what it sent itself, a management key all of the account.")
            .query("{id: string(1..)}")
            .answers(200, "{data: Content}")
            .fails(&[404, 501]),
        of("GET", "/account/settings", "Show the account's settings").answers(200, "{data: Workspace}"),
        of("PATCH", "/account/settings", "Change the account's settings").takes("WorkspaceChange").answers(200, "{data: Workspace}"),
        of("GET", "/workspaces", "List workspaces: there is one").answers(200, "{data: Workspace[], total_count: int(0..)}"),
        of("GET", "/workspaces/{id}", "Show the workspace `default`").answers(200, "{data: Workspace}"),
        of("PATCH", "/workspaces/{id}", "Change the workspace `default`").takes("WorkspaceChange").answers(200, "{data: Workspace}"),
    ]
}
