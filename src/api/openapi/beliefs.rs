//! Operations of beliefs: what is believed of providers of tools, and what users say of outcomes.

use serde_json::json;

use super::document::{
    Operation,
    Who::{AnyKey, Caller},
    operation,
};

pub fn operations() -> Vec<Operation> {
    vec![
        operation(
            "GET",
            "/beliefs",
            AnyKey,
            "Tools",
            "Show what is believed of the providers of tools, and by which rule",
        )
        .query("{category?: string, tool?: string}")
        .answers(200, "Beliefs"),
        operation("POST", "/tools/route", Caller, "Tools", "Choose a tool for what is wanted in words, without running it")
            .says("Ranked by fit alone; below the thresholds nothing is chosen. With `fill`, a model may be asked for the input, which is charged like any request.")
            .takes("RouteRequest")
            .example(json!({"intent": "find papers about graph neural networks"}))
            .answers(200, "ToolRoute"),
        operation(
            "POST",
            "/tools/executions/{id}/report",
            Caller,
            "Tools",
            "Say whether an execution did what it should",
        )
        .says("One vote for each execution, by the key that ran it.")
        .takes("{outcome: 'success' | 'failure', reason?: string(..500) | null}!")
        .example(json!({"outcome": "failure", "reason": "The results were of another year"}))
        .answers(
            200,
            "{data: {id: string, tool: string, outcome: 'success' | 'failure'}}",
        )
        .fails(&[404, 409]),
    ]
}
