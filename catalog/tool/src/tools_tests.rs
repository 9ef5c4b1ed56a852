//! Tools as they are written: what is refused, with its line; and the rows of the repository.

use std::{fs, path::Path};

use patchbay::tools::catalog::{BodyKind, Class, RetryKind, ToolSnapshot};

use crate::rows::Fault;
use crate::tools::{Tools, load};

const CAPABILITIES: &str = "[[capability]]
name = \"web_search\"
title = \"Search\"
description = \"Searches.\"
kind = \"search_results\"
input = '''{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"query\"], \"properties\": {\"query\": {\"type\": \"string\"}}}'''
intents = [\"search\"]
";

const ROW: &str = "slug = \"acme\"
name = \"Acme\"
docs = \"https://acme.example/docs\"
category = \"search\"
base_url = \"https://api.acme.example\"
secret = \"ACME_API_KEY\"
auth = { kind = \"header\", name = \"x-api-key\" }

[[errors]]
when = { status = 432 }
class = \"quota\"
message = \"/detail\"

[[operation]]
name = \"search\"
title = \"Search\"
description = \"Searches.\"
capability = \"web_search\"
normal = '''{\"q\": \"{/query}\"}'''
effect = \"read\"
price = { call = 8_000_000, when = [{ pointer = \"/deep\", equals = true, call = 16_000_000 }] }
price_source = \"acme.example (2026-11-20)\"
intents = [\"a\", \"b\", \"c\"]
input = '''{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"q\"], \"properties\": {\"q\": {\"type\": \"string\"}, \"deep\": {\"type\": \"boolean\"}}}'''
[operation.request]
method = \"POST\"
path = \"/search\"
[operation.response]
kind = \"search_results\"
result = '''{\"items\": {\"$each\": \"/results\", \"url\": \"{/url}\"}}'''
binary = false

[[operation]]
name = \"make\"
title = \"Make\"
description = \"Makes.\"
effect = \"write\"
retry = { field = \"/id\", form = \"uuid\" }
undo = { operation = \"unmake\", input = '''{\"id\": \"{/data/id}\"}''', class = \"clean\" }
price = { call = 0 }
price_source = \"free\"
intents = [\"a\", \"b\", \"c\"]
input = '''{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"name\": {\"type\": \"string\"}}}'''
[operation.request]
method = \"POST\"
path = \"/things\"
body = { form = '''{\"name\": \"{/name}\"}''' }

[[operation]]
name = \"unmake\"
title = \"Unmake\"
description = \"Unmakes.\"
effect = \"destructive\"
price = { call = 0 }
price_source = \"free\"
intents = [\"a\", \"b\", \"c\"]
input = '''{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"id\"], \"properties\": {\"id\": {\"type\": \"string\"}}}'''
[operation.request]
method = \"DELETE\"
path = \"/things/{id}\"
";

fn read(row: &str) -> (Tools, Vec<Fault>) {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let dir = std::env::temp_dir().join(format!("patchbay-tools-{}-{number}", std::process::id()));
    fs::create_dir_all(dir.join("tools")).unwrap();
    fs::write(dir.join("tools/capabilities.toml"), CAPABILITIES).unwrap();
    fs::write(dir.join("tools/acme.toml"), row).unwrap();
    let mut faults = Vec::new();
    let tools = load(&dir, &mut faults).unwrap();
    fs::remove_dir_all(dir).unwrap();
    (tools, faults)
}

#[test]
fn what_may_be_written_in_several_ways_is_read_as_one() {
    let (tools, faults) = read(ROW);
    assert_eq!(faults, []);
    let provider = &tools.providers[0].0.value;
    assert_eq!(provider.errors[0].when.status, [432]);
    assert_eq!(provider.errors[0].message, ["/detail"]);
    assert_eq!(provider.errors[0].class, Some(Class::Quota));
    let [search, make, unmake] = &provider.operation[..] else {
        panic!("three operations");
    };
    assert_eq!(search.retry.kind, RetryKind::Safe);
    assert_eq!(search.price.when[0].call.unwrap().get(), 16_000_000);
    assert_eq!(search.price.when[0].when.pointer.as_deref(), Some("/deep"));
    assert_eq!(search.response.binary, None);
    assert_eq!(make.retry.kind, RetryKind::Key);
    let body = make.request.body.as_ref().unwrap();
    assert_eq!(body.kind, BodyKind::Form);
    assert_eq!(body.template.as_ref().unwrap().value()["name"], "{/name}");
    assert_eq!(unmake.retry.kind, RetryKind::None);
    // What is published reads back.
    let snapshot = crate::files::tools(&tools).unwrap();
    let text = snapshot.text().unwrap();
    assert_eq!(
        ToolSnapshot::read(serde_json::from_str(&text).unwrap()).unwrap(),
        snapshot
    );
    assert_eq!(
        snapshot.catalog().get("acme__search").unwrap().id,
        "acme/search"
    );
}

#[test]
fn a_wrong_row_is_refused_with_its_line_and_why() {
    for (from, to, line, why) in [
        ("slug = \"acme\"", "slug = \"acme_\"", 1, "acme_ is no slug"),
        (
            "slug = \"acme\"",
            "slug = \"other\"",
            1,
            "the slug other is not the file's name",
        ),
        (
            "category = \"search\"",
            "category = \"things\"",
            1,
            "\"things\" is no category",
        ),
        ("secret = \"ACME_API_KEY\"", "", 1, "its secret is missing"),
        (", name = \"x-api-key\"", "", 1, "auth.name is missing"),
        (
            "name = \"x-api-key\"",
            "name = \"X-Api-Key\"",
            1,
            "no header of a row",
        ),
        (
            "class = \"quota\"",
            "class = \"quotas\"",
            1,
            "unknown variant `quotas`",
        ),
        (
            "status = 432",
            "statuses = 432",
            1,
            "unknown field `statuses`",
        ),
        ("slug = \"acme\"", "slug = ", 1, ""),
        (
            "path = \"/search\"",
            "path = \"/search/{page}\"",
            14,
            "search: path: there is no input field page",
        ),
        (
            "path = \"/search\"",
            "path = \"/search/{deep}\"",
            14,
            "search: path: deep is not required and has no default",
        ),
        (
            "path = \"/search\"",
            "path = \"/search/{key.sid}\"",
            14,
            "the key has no part sid",
        ),
        (
            "path = \"/search\"",
            "path = \"/search\"\nquery = [\"q\"]\nbody = \"none\"",
            14,
            "request: deep goes nowhere",
        ),
        (
            "path = \"/search\"",
            "pfad = \"/search\"",
            14,
            "search: unknown field `pfad`",
        ),
        (
            "\"additionalProperties\": false, \"required\": [\"q\"], ",
            "",
            14,
            "additionalProperties: false is missing",
        ),
        (
            "{\"type\": \"boolean\"}",
            "{\"type\": \"boolean\", \"default\": true}",
            14,
            "default is not portable",
        ),
        (
            "intents = [\"a\", \"b\", \"c\"]",
            "intents = [\"a\"]",
            14,
            "three to eight intents",
        ),
        (
            "{\"$each\": \"/results\"",
            "{\"$every\": \"/results\"",
            14,
            "$every is no object of templates",
        ),
        (
            "{\"$each\": \"/results\"",
            "{\"$each\": \"results\"",
            14,
            "is no JSON Pointer",
        ),
        (
            "'''{\"q\": \"{/query}\"}'''",
            "'''{\"q\": \"{/text}\"}'''",
            14,
            "normal: web_search has no text",
        ),
        (
            "'''{\"q\": \"{/query}\"}'''",
            "'''{\"q\": '''",
            14,
            "search: normal is no JSON",
        ),
        (
            "capability = \"web_search\"",
            "capability = \"search\"",
            14,
            "unknown capability search",
        ),
        (
            "pointer = \"/deep\"",
            "pointer = \"/depth\"",
            14,
            "there is no input field \"depth\"",
        ),
        (
            "operation = \"unmake\"",
            "operation = \"destroy\"",
            33,
            "make: undo: there is no operation destroy",
        ),
        (
            "{\"id\": \"{/data/id}\"}",
            "{\"ids\": \"{/data/id}\"}",
            33,
            "make: undo: unmake takes no ids",
        ),
        (
            "{\"id\": \"{/data/id}\"}",
            "{\"id\": \"{/answer/id}\"}",
            33,
            "sees input, data, before, not /answer",
        ),
        (
            "field = \"/id\"",
            "header = \"x\", field = \"/id\"",
            33,
            "retry names a header or a field",
        ),
        (
            "price = { call = 0 }",
            "price = { unit = 1, count = \"/n\" }",
            33,
            "make: price: hold is missing",
        ),
        (
            "price_source = \"free\"",
            "",
            33,
            "make: price_source is missing",
        ),
        (
            "name = \"unmake\"",
            "name = \"make\"",
            49,
            "make: a second one of this name",
        ),
    ] {
        assert!(ROW.contains(from), "{from}");
        let (_, faults) = read(&ROW.replacen(from, to, 1));
        let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let found = faults
            .iter()
            .any(|fault| fault.line == Some(line) && fault.why.contains(why));
        assert!(found, "{to:?}: wanted {line}: {why}; got {told:#?}");
    }
}

#[test]
fn the_rows_of_the_repository_are_good() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut faults = Vec::new();
    let tools = load(&dir, &mut faults).unwrap();
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(told, Vec::<String>::new());
    assert!(crate::files::tools(&tools).is_ok());
}
