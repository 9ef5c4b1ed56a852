//! Operations of tools: the catalog, and the calls of a model's answer.

use serde_json::json;

use super::document::{
    Operation,
    Who::{AnyKey, Anyone, Caller},
    operation,
};

pub fn operations() -> Vec<Operation> {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "open_meteo__forecast", "arguments": "{\"latitude\": 52.5, \"longitude\": 13.4}"}});
    vec![
        operation("GET", "/tools", Anyone, "Tools", "List tools")
            .says("With a key: what it may call. With `format` they come as functions for the API of a model; more than 40 as three functions that stand for the catalog.")
            .query(
                "{
                    // Words that the tools should be about: the best fit comes first.
                    q?: string, category?: string, provider?: string, effect?: ExecutionEffect, capability?: string,
                    // Ids or names, by commas.
                    names?: string,
                    // Also what cannot be called now.
                    offerability?: ToolOfferability | 'all',
                    limit?: int(1..1000), offset?: int(0..), format?: ToolFormat,
                    // In the subset that a model's arguments are held to, where a schema can be said in it.
                    strict?: boolean,
                    // The tools themselves, however many.
                    all?: boolean,
                    // The functions that stand for the catalog, however few.
                    meta?: boolean,
                    // And the one that confirms.
                    confirm?: boolean,
                    // With the schemas of their input.
                    schemas?: boolean
                }",
            )
            .answers(200, "ToolList")
            .fails(&[401, 403]),
        operation("GET", "/tools/categories", Anyone, "Tools", "List the categories of tools")
            .answers(200, "{object: 'list', data: ToolCategory[], total_count: int(0..)}")
            .fails(&[401, 403]),
        operation("GET", "/tools/{provider}/{operation}", Anyone, "Tools", "Show a tool")
            .answers(200, "{data: Tool}")
            .fails(&[401, 403]),
        operation("POST", "/tools/run", Caller, "Tools", "Run the calls of a model's answer")
            .says(
                "Takes the answer of a model as any of the three APIs gives it, and answers the messages or items that the conversation goes on with. \
                 Reads run side by side. A function that is not there, wrong arguments and a missing confirmation are results that say so. What changes something \
                 runs once, however often the same answer is sent.",
            )
            .headers("{Idempotency-Key?: string(1..255)}")
            .takes("ToolRunRequest")
            .example(json!({"message": {"role": "assistant", "tool_calls": [call]}}))
            .answers(200, "ToolRun"),
        operation("GET", "/usage", AnyKey, "Tools", "List executions with what they cost")
            .says("A management key sees those of all keys. A row arrives a moment after its answer.")
            .query(
                "{
                    tool?: string,
                    // A time in RFC 3339, a day, or unix milliseconds.
                    since?: string,
                    limit?: int(0..500), offset?: int(0..1000000)
                }",
            )
            .answers(200, "{object: 'list', data: ToolUsage[], limit: int(1..), offset: int(0..)}"),
        operation("GET", "/agent/manifest", Anyone, "Gateway", "Tell programs how to get in")
            .says("Also at /agents.json and /.well-known/agents.json.")
            .answers(200, "{name: string, openapi: string, endpoints: object, protocols: object, [more]: any}"),
    ]
}
