//! Operations that execute tools, and what is kept of executions.

use serde_json::json;

use super::document::{
    Operation,
    Who::{AnyKey, Caller, Manager},
    operation,
};

/// Statuses of failed executions whose body is the envelope with its error.
const FAILURES: [u16; 13] = [
    400, 401, 402, 403, 404, 409, 422, 424, 429, 500, 502, 503, 504,
];

fn execute(path: &'static str, summary: &'static str) -> Operation {
    let mut execute = operation("POST", path, Caller, "Tools", summary)
        .says(
            "The answer is one envelope for every tool. Only what succeeded is charged. With an Idempotency-Key the same is carried out
            once, and answered the same for a day: 409 while it is under way, 422 where the key stands for something else. What moves money
            or destroys answers 202 with `confirmation` first: send the same request with its token. Where nobody knows whether it was
            done, the status is 424 and `outcome_unknown`.",
        )
        .headers(
            "{
            // The client's name for this execution: it is carried out once. Bare, or a quoted string.
            Idempotency-Key?: string(1..257),
            // A name of the client's own for the request; it comes back.
            X-Request-Id?: string(1..128),
            // The page of the app that asks.
            HTTP-Referer?: string,
            // The app's name.
            X-Title?: string
        }",
        )
        .takes("ExecuteRequest")
        .example(json!({"tool": "open_meteo/forecast", "input": {"latitude": 52.5, "longitude": 13.4}}))
        .answers(200, "Execution")
        .answers(202, "Execution");
    for status in FAILURES {
        execute = execute.answers(status, "Execution");
    }
    execute
}

pub fn operations() -> Vec<Operation> {
    vec![
        execute("/tools/execute", "Execute a tool"),
        execute("/execute", "Execute a tool, at ToolRoute's path"),
        operation("GET", "/tools/executions", AnyKey, "Tools", "List executions of the last day")
            .says("Those of the key that asks; a management key sees those of all keys.")
            .query("{limit?: int(1..500), before?: string, status?: ExecutionState, parent?: string, key_hash?: string}")
            .answers(200, "{data: ExecutionEntry[], next: string | null}"),
        operation("GET", "/tools/executions/{id}", Caller, "Tools", "Show an execution")
            .says("Its envelope, for a day. A job is asked about first.")
            .answers(200, "Execution")
            .answers(404, "Execution")
            .answers(503, "Execution"),
        operation("DELETE", "/tools/executions/{id}", Caller, "Tools", "Stop a job")
            .says("Where its provider can.")
            .answers(200, "Execution")
            .answers(404, "Execution")
            .answers(409, "Execution")
            .answers(503, "Execution"),
        operation("GET", "/tools/guards", Manager, "Tools", "Show the guards over tools")
            .says("Of the account, or of a key.")
            .query("{key_hash?: string(1..)}")
            .answers(200, "{data: ToolGuards}")
            .fails(&[404]),
        operation("PUT", "/tools/guards", Manager, "Tools", "Set the guards over tools")
            .says(
                "They replace all that were there. A key's rules count what the key did, the account's what all keys did; all that fit hold.
                Where none says anything of it, writes are bounded: 60 a minute, 50 recipients each, 500 an hour.",
            )
            .query("{key_hash?: string(1..)}")
            .takes("ToolGuardsChange")
            .example(json!({"confirm": "writes", "rules": [{"tool": "resend", "calls_per_day": 200, "recipients_per_call": 5}]}))
            .answers(200, "{data: ToolGuards}")
            .fails(&[404]),
    ]
}
