//! The tools that stand for a large catalog: find, explain, call; and the one by which a client without forms confirms.

use serde_json::{Map, Value, json};

use super::message::Fault;
use crate::tools::export::{self, Format};

/// The most schemas of one request.
const MAX_SCHEMAS: usize = 10;
/// The most tools that a search names.
const MAX_FOUND: usize = 20;
/// How many it names where nothing is said.
const FOUND: usize = 8;

/// A tool of the gateway itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaTool {
    /// Finds tools.
    Search,
    /// Tells what tools take.
    Schema,
    /// Calls a tool.
    Execute,
    /// Calls one that wanted to be confirmed.
    Confirm,
}

/// What is asked of a meta tool.
#[derive(Debug, PartialEq)]
pub enum Asked {
    /// Tools for a wish.
    Search {
        /// In the model's words.
        query: String,
        /// Of this category alone.
        category: Option<String>,
        /// How many.
        limit: usize,
    },
    /// The schemas of these.
    Schemas(Vec<String>),
    /// A call of another tool.
    Call {
        /// Its name.
        name: String,
        /// What it is given.
        arguments: Map<String, Value>,
        /// What makes it happen once.
        idempotency_key: Option<String>,
        /// The token that confirms it.
        confirmation: Option<String>,
    },
}

impl MetaTool {
    /// All that find and call others.
    pub const CATALOG: [Self; 3] = [Self::Search, Self::Schema, Self::Execute];

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Search, Self::Schema, Self::Execute, Self::Confirm]
            .into_iter()
            .find(|tool| tool.name() == name)
    }

    /// What it is called by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => export::meta::SEARCH,
            Self::Schema => export::meta::SCHEMA,
            Self::Execute => export::meta::EXECUTE,
            Self::Confirm => export::meta::CONFIRM,
        }
    }

    /// The tool as `tools/list` has it. What it calls may be named, so that it happens once.
    pub fn render(self) -> Value {
        let own = export::meta::functions().into_iter();
        let mut own = own.chain([export::meta::confirm()]);
        let Some(function) = own.find(|function| function.name == self.name()) else {
            return Value::Null;
        };
        let mut told = export::write(&function, Format::Mcp, false);
        let properties = told.pointer_mut("/inputSchema/properties");
        if let (false, Some(Value::Object(properties))) = (function.is_read, properties) {
            let key = "Calls with the same key happen once: choose one for each intended effect, and send it again after a failure";
            properties.insert(
                "idempotency_key".to_owned(),
                json!({"type": "string", "description": key}),
            );
        }
        told
    }

    /// Reads what is asked of it.
    ///
    /// # Errors
    /// What is wrong, for the model to mend.
    pub fn read(self, mut arguments: Map<String, Value>) -> Result<Asked, String> {
        let mut text = |name: &str, needed: bool| match arguments.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            None | Some(Value::Null) if !needed => Ok(None),
            _ => Err(format!("{name} has to be text")),
        };
        Ok(match self {
            Self::Search => {
                let query = text("query", true)?.unwrap_or_default();
                let category = text("category", false)?;
                let limit = arguments.get("limit").and_then(Value::as_u64);
                let limit = limit.and_then(|limit| usize::try_from(limit).ok());
                Asked::Search {
                    query,
                    category,
                    limit: limit.unwrap_or(FOUND).clamp(1, MAX_FOUND),
                }
            }
            Self::Schema => {
                let names = arguments.get("tools").and_then(Value::as_array);
                let names: Option<Vec<String>> = names.map(|names| {
                    let names = names.iter().filter_map(Value::as_str);
                    names.map(str::to_owned).collect()
                });
                match names {
                    Some(names) if (1..=MAX_SCHEMAS).contains(&names.len()) => {
                        Asked::Schemas(names)
                    }
                    _ => {
                        return Err(format!(
                            "tools has to be a list of 1 to {MAX_SCHEMAS} names"
                        ));
                    }
                }
            }
            Self::Execute | Self::Confirm => {
                let name = text("tool", true)?.unwrap_or_default();
                let idempotency_key = text("idempotency_key", false)?;
                let confirmation = text("token", self == Self::Confirm)?;
                let arguments = match arguments.remove("input") {
                    Some(Value::Object(arguments)) => arguments,
                    None | Some(Value::Null) => Map::new(),
                    // Some models write the object as text.
                    Some(Value::String(text)) => crate::json::from_str(&text)
                        .map_err(|_| "input has to be an object".to_owned())?,
                    Some(_) => return Err("input has to be an object".to_owned()),
                };
                Asked::Call {
                    name,
                    arguments,
                    idempotency_key,
                    confirmation,
                }
            }
        })
    }
}

/// There is no such tool, or it is not for this key.
pub fn unknown(name: &str) -> Fault {
    Fault::params(format!("Unknown tool: {name}"))
}
