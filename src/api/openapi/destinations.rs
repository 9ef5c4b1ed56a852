//! Operations of log destinations.

use serde_json::json;

use super::document::{Operation, Types, Who::Manager, operation};
use crate::observability::kind::KINDS;

pub fn types(types: &mut Types) {
    types.words("DestinationType", KINDS.iter().map(|kind| kind.name));
}

const PAGE: &str = "{offset?: int(0..9007199254740991), limit?: int(1..9007199254740991)}";

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Manager, "Destinations", summary);
    vec![
        of("GET", "/observability/destinations", "List destinations").query(PAGE).answers(200, "{data: Destination[], total_count: int(0..)}"),
        of("POST", "/observability/destinations", "Make a destination")
            .takes("NewDestination")
            .example(json!({"type": "otel-collector", "name": "Ours", "config": {"endpoint": "https://otel.example.com"}}))
            .answers(201, "{data: Destination}")
            .fails(&[501]),
        of("GET", "/observability/destinations/{id}", "Show a destination").answers(200, "{data: Destination}"),
        of("PATCH", "/observability/destinations/{id}", "Change a destination")
            .takes("DestinationChange")
            .answers(200, "{data: Destination}")
            .fails(&[501]),
        of("DELETE", "/observability/destinations/{id}", "Delete a destination").answers(200, "Deleted"),
        of("POST", "/observability/destinations/{id}/test", "Send a test")
            .answers(200, "{data: {ok: boolean, status: int | null, message: string, latency_ms: int(0..)}}")
            .fails(&[501]),
        of("GET", "/observability/destinations/{id}/dead-letters", "List what could not be delivered")
            .query(PAGE)
            .answers(200, "{data: DeadLetter[], total_count: int(0..)}"),
        of("DELETE", "/observability/destinations/{id}/dead-letters", "Drop what could not be delivered")
            .answers(200, "{deleted: true, dropped: int(0..)}"),
        of("POST", "/observability/destinations/{id}/dead-letters/retry", "Send again what could not be delivered")
            .takes("{generation_ids?: string[1..1000] | null}!")
            .optional()
            .answers(200, "{data: {queued: int(0..)}}"),
        of("DELETE", "/observability/destinations/{id}/dead-letters/{generation}", "Drop one of them")
            .answers(200, "{deleted: true, dropped: int(0..)}"),
    ]
}
