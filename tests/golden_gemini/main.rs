//! Golden table of Gemini, beside the answers of `tests/golden.rs`.
//!
//! Requests: each recorded native request is read into the canonical form by a reader of this test,
//! written again by the product, and must come out with the same shape: the same turns, parts, tools, limits and schemas.
//!
//! Left out of the comparison are ids of calls (the product always sends them), defaults, and fields that the gateway does not
//! speak; whole cases that it does not speak stand in [`OUT_OF_SCOPE`] with the reason.

#[cfg(test)]
mod reader;

#[cfg(test)]
mod golden {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::Path,
    };

    use patchbay::{
        catalog::{Budget, Endpoint, Parameter, Provider, Reasoning},
        chat::{ChatRequest, Completion, Effort},
        dialects::{Inbound, Target, gemini},
    };
    use serde_json::{Value, json};

    use crate::reader::{camel, canonical};

    const API: &str = "google.generateContent";

    /// Recorded requests that cannot be asked through the gateway, by what they ask for.
    const OUT_OF_SCOPE: [(&str, &str); 4] = [
        (
            "/tools/0/codeExecution",
            "a server tool that no canonical request asks for",
        ),
        (
            "/tools/0/urlContext",
            "a server tool that no canonical request asks for",
        ),
        (
            "/tools/0/mcpServers",
            "a server tool that no canonical request asks for",
        ),
        (
            "/cachedContent",
            "cached contents are made and named by the operator's own means",
        ),
    ];

    /// Top-level fields that are not compared: settings of safety are never invented or passed on, the model is in the path.
    const NOT_COMPARED: [&str; 2] = ["safetySettings", "model"];

    #[test]
    fn recorded_requests_come_out_with_the_same_shape() {
        let Some(fixtures) = fixtures() else {
            return;
        };
        let index = fs::read_to_string(fixtures.join("index.jsonl")).unwrap();
        let rows = index
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut wrong = Vec::new();
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows.filter(|row| row["api"] == API) {
            let name = row["case"].as_str().unwrap();
            let Ok(bytes) = fs::read(fixtures.join("google").join(name).join("request.json"))
            else {
                *seen.entry("no request was recorded").or_default() += 1;
                continue;
            };
            let native = clean(camel(&serde_json::from_slice(&bytes).unwrap()));
            let reason = OUT_OF_SCOPE
                .iter()
                .find(|(pointer, _)| native.pointer(pointer).is_some());
            if let Some((_, reason)) = reason {
                *seen.entry(reason).or_default() += 1;
                continue;
            }
            let model = row["model"].as_str().unwrap_or("gemini-2.5-flash");
            let (ours, theirs) = (shape(&write(&native, model)), shape(&native));
            match difference(&theirs, &ours) {
                None => *seen.entry("same shape").or_default() += 1,
                Some(path) => wrong.push(format!("{name}: {path}")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(seen["same shape"], 89, "{seen:?}");
    }

    /// An answer in one piece and the same answer as a stream of one event are one message.
    #[test]
    fn an_answer_in_one_piece_reads_as_its_stream() {
        for (name, bytes) in answers("response.json") {
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            let Ok(whole) = gemini::response(&bytes) else {
                continue;
            };
            let mut stream = gemini::Stream::default();
            let mut events = Vec::new();
            let frame = format!("data: {body}\r\n\r\n");
            stream.feed(frame.as_bytes(), &mut events).unwrap();
            stream.finish(&mut events).unwrap();
            if body.pointer("/candidates/0/finishReason").is_some() {
                assert_eq!(whole, events, "{name}");
            }
        }
    }

    /// Offsets of citations count characters of the message, and lead to the words that the provider cites.
    #[test]
    fn citations_stand_where_the_cited_words_are() {
        let mut checked = 0;
        for (name, bytes) in answers("response.sse").chain(answers("response.json")) {
            let mut stream = gemini::Stream::default();
            let mut events = Vec::new();
            let read = stream.feed(&bytes, &mut events);
            if read.is_err() || events.is_empty() {
                events = gemini::response(&bytes).unwrap_or_default();
            }
            for choice in Completion::from_events(events).choices {
                let text: Vec<char> = choice.content.unwrap_or_default().chars().collect();
                for annotation in &choice.annotations {
                    let citation = &annotation["url_citation"];
                    let offset =
                        |key: &str| usize::try_from(citation[key].as_u64().unwrap()).unwrap();
                    let cited: String = text[offset("start_index")..offset("end_index")]
                        .iter()
                        .collect();
                    assert_eq!(citation["content"], cited, "{name}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 30 || fixtures().is_none(), "{checked}");
    }

    /// The recorded answers in files of this name.
    fn answers(file: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
        let root = fixtures();
        let index = root
            .as_ref()
            .map(|root| fs::read_to_string(root.join("index.jsonl")).unwrap())
            .unwrap_or_default();
        let rows: Vec<Value> = index
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|row: &Value| row["api"] == API)
            .collect();
        let file = file.to_owned();
        rows.into_iter().filter_map(move |row| {
            let name = row["case"].as_str()?.to_owned();
            let path = root.as_ref()?.join("google").join(&name).join(&file);
            Some((name, fs::read(path).ok()?))
        })
    }

    fn fixtures() -> Option<std::path::PathBuf> {
        let shared = std::env::var_os("PATCHBAY_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
            Into::into,
        );
        let fixtures = shared.join("fixtures");
        if !fixtures.is_dir() {
            eprintln!("skipped: no recordings at {}", fixtures.display());
            return None;
        }
        Some(fixtures)
    }

    /// The product's own request for what a recorded one says.
    fn write(native: &Value, model: &str) -> Value {
        let request: ChatRequest = canonical(native);
        let endpoint = endpoint(model.trim_start_matches("models/"), native);
        let provider: Provider = serde_json::from_value(json!({
            "slug": "google-ai-studio", "name": "Google AI Studio", "dialect": "gemini", "base_url": "https://example.com/v1beta",
            "auth": {"kind": "header", "name": "x-goog-api-key"}, "secret": "GEMINI_API_KEY"
        }))
        .unwrap();
        let target = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        let inbound = Inbound {
            request: &request,
            raw: None,
        };
        let written = gemini::request(&inbound, &target).unwrap();
        assert_eq!(written.dropped, [""; 0]);
        let body: Value = serde_json::from_slice(&written.body).unwrap();
        check_ids(&body);
        body
    }

    fn endpoint(model: &str, native: &Value) -> Endpoint {
        let budgets = native
            .pointer("/generationConfig/thinkingConfig/thinkingBudget")
            .is_some();
        let mut endpoint: Endpoint = serde_json::from_value(json!({
            "model": "google/gemini", "provider": "google-ai-studio", "tag": "google-ai-studio", "upstream_model_id": model,
            "context_length": 1_048_576, "max_completion_tokens": 65_536, "prices": {"prompt": 0, "completion": 0},
            "supported_parameters": [], "input_modalities": ["text"], "output_modalities": ["text"]
        }))
        .unwrap();
        endpoint.supported_parameters = Parameter::ALL.to_vec();
        endpoint.reasoning = Some(if model.starts_with("gemini-3") && !budgets {
            Reasoning {
                efforts: vec![Effort::High, Effort::Medium, Effort::Low, Effort::Minimal],
                ..Reasoning::default()
            }
        } else {
            Reasoning {
                budget: Some(Budget {
                    min: Some(0),
                    max: Some(24_576),
                }),
                toggle: true,
                ..Reasoning::default()
            }
        });
        endpoint
    }

    /// Each result carries the id of the call at its position in the turn before.
    fn check_ids(body: &Value) {
        let turns = body["contents"].as_array().unwrap();
        let ids = |turn: &Value, kind: &str| -> Vec<Value> {
            let parts = turn["parts"].as_array().unwrap().iter();
            parts
                .filter_map(|part| part.get(kind)?.get("id").cloned())
                .collect()
        };
        for pair in turns.windows(2) {
            let results = ids(&pair[1], "functionResponse");
            if !results.is_empty() {
                assert_eq!(ids(&pair[0], "functionCall"), results);
            }
        }
    }

    /// Without nulls, empty objects at the top, and values that say the default.
    fn clean(mut native: Value) -> Value {
        fn strip(value: &mut Value) {
            match value {
                Value::Object(object) => {
                    object.retain(|_, value| !value.is_null());
                    object.values_mut().for_each(strip);
                }
                Value::Array(items) => items.iter_mut().for_each(strip),
                _ => {}
            }
        }
        strip(&mut native);
        native
    }

    /// What is compared.
    fn shape(native: &Value) -> Value {
        let mut shape = native.clone();
        let object = shape.as_object_mut().unwrap();
        object.retain(|key, _| !NOT_COMPARED.contains(&key.as_str()));
        if let Some(system) = object.remove("systemInstruction") {
            let texts: Vec<Value> = parts(&system).iter().filter_map(part_shape).collect();
            if !texts.is_empty() {
                object.insert("systemInstruction".to_owned(), Value::Array(texts));
            }
        }
        object.insert("contents".to_owned(), turns(&native["contents"]));
        for tool in native["tools"].as_array().into_iter().flatten() {
            for declaration in tool["functionDeclarations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let schema = ["parameters", "parametersJsonSchema"]
                    .iter()
                    .find_map(|key| declaration.get(*key));
                let name = declaration["name"].as_str().unwrap();
                let mut kept = json!({"schema": schema.map(lower_types)});
                // Some clients send an empty description.
                if declaration
                    .get("description")
                    .is_some_and(|text| *text != "")
                {
                    kept["description"] = declaration["description"].clone();
                }
                object.insert(format!("function {name}"), kept);
            }
            for (kind, _) in tool.as_object().unwrap() {
                object.insert(format!("tool {kind}"), json!(true));
            }
        }
        object.remove("tools");
        if let Some(config) = object.remove("generationConfig") {
            let config = config_shape(config);
            if config != json!({}) {
                object.insert("generationConfig".to_owned(), config);
            }
        }
        sorted(&shape)
    }

    fn parts(content: &Value) -> Vec<Value> {
        match &content["parts"] {
            Value::Array(parts) => parts.clone(),
            Value::Null => Vec::new(),
            part => vec![part.clone()],
        }
    }

    /// Turns: neighbours of one role are one turn.
    fn turns(contents: &Value) -> Value {
        let mut turns: Vec<(Value, Vec<Value>)> = Vec::new();
        for content in contents.as_array().unwrap() {
            let parts: Vec<Value> = parts(content).iter().filter_map(part_shape).collect();
            let role = match &content["role"] {
                Value::Null => json!("user"),
                role => role.clone(),
            };
            match turns.last_mut() {
                Some((last, all)) if *last == role => all.extend(parts),
                _ => turns.push((role, parts)),
            }
        }
        json!(turns)
    }

    fn part_shape(part: &Value) -> Option<Value> {
        let mut part = part.clone();
        if part["thought"] == false {
            part.as_object_mut()?.remove("thought");
        }
        if part == json!({"text": ""}) {
            return None;
        }
        for kind in ["functionCall", "functionResponse"] {
            if let Some(call) = part.get_mut(kind) {
                call.as_object_mut()?.remove("id");
            }
        }
        if let Some(file) = part.get_mut("fileData") {
            // The provider knows the type of its own files, and finds out that of others.
            file.as_object_mut()?.remove("mimeType");
        }
        Some(part)
    }

    fn config_shape(mut config: Value) -> Value {
        let object = config.as_object_mut().unwrap();
        if object.get("candidateCount") == Some(&json!(1)) {
            object.remove("candidateCount");
        }
        for key in ["responseSchema", "responseJsonSchema"] {
            if let Some(schema) = object.remove(key) {
                object.insert("schema".to_owned(), lower_types(&schema));
            }
        }
        if let Some(level) = config.pointer_mut("/thinkingConfig/thinkingLevel") {
            *level = json!(level.as_str().unwrap().to_lowercase());
        }
        config
    }

    /// OpenAPI types are spelt in capitals, those of JSON Schema are not; identifiers are not needed.
    fn lower_types(schema: &Value) -> Value {
        match schema {
            Value::Object(object) => object
                .iter()
                .filter(|(key, _)| *key != "$schema")
                .map(|(key, value)| match value {
                    Value::String(word) if key == "type" => {
                        (key.clone(), json!(word.to_lowercase()))
                    }
                    value => (key.clone(), lower_types(value)),
                })
                .collect(),
            Value::Array(items) => items.iter().map(lower_types).collect(),
            other => other.clone(),
        }
    }

    /// The path of the first difference, without the recorded values.
    fn difference(recorded: &Value, ours: &Value) -> Option<String> {
        match (recorded, ours) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
                keys.into_iter()
                    .find_map(|key| match (a.get(key), b.get(key)) {
                        (Some(a), Some(b)) => difference(a, b).map(|rest| format!(".{key}{rest}")),
                        (Some(_), None) => Some(format!(".{key} is missing")),
                        _ => Some(format!(".{key} is too much")),
                    })
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let pairs = a.iter().zip(b).enumerate();
                pairs
                    .into_iter()
                    .find_map(|(at, (a, b))| difference(a, b).map(|rest| format!("[{at}]{rest}")))
            }
            (Value::Array(a), Value::Array(b)) => {
                Some(format!(" has {} items, not {}", b.len(), a.len()))
            }
            (a, b) => (a != b).then(|| " differs".to_owned()),
        }
    }

    /// Keys in order, numbers by value.
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(object) => {
                let ordered: BTreeMap<&String, &Value> = object.iter().collect();
                ordered
                    .into_iter()
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect()
            }
            Value::Array(items) => items.iter().map(sorted).collect(),
            Value::Number(number) => json!(number.as_f64()),
            other => other.clone(),
        }
    }
}
