//! What a client asks of the gateway itself: the request's `plugins`, and the older `transforms`.
//!
//! Plugins that choose a model (`routing::auto`) or search the web are read where they are served.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Who reads a PDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PdfEngine {
    /// The model where it can, else the gateway.
    #[default]
    Auto,
    /// The model.
    Native,
    /// The gateway extracts its text.
    Text,
}

/// The plugins of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plugins {
    /// `response-healing`, where the client says.
    pub healing: Option<bool>,
    /// `context-compression`, where the client says.
    pub compression: Option<bool>,
    /// `file-parser`.
    pub pdf: PdfEngine,
}

impl Plugins {
    /// Reads them from the fields that the canonical request has no name for.
    ///
    /// # Errors
    /// 400 with the path of what is wrong.
    pub fn parse(extra: &Map<String, Value>) -> Result<Self> {
        let mut plugins = Self::default();
        match extra.get("transforms") {
            None | Some(Value::Null) => {}
            Some(Value::Array(names)) => {
                let mut names = names.iter().enumerate();
                if let Some((at, _)) = names.find(|(_, name)| *name != "middle-out") {
                    let path = format!("transforms[{at}]");
                    return Err(Error::invalid(path, "expected \"middle-out\""));
                }
                plugins.compression = Some(extra.get("transforms") != Some(&Value::Array(vec![])));
            }
            Some(_) => return Err(Error::invalid("transforms", "expected a list")),
        }
        let all = match extra.get("plugins") {
            None | Some(Value::Null) => return Ok(plugins),
            Some(Value::Array(all)) => all,
            Some(_) => return Err(Error::invalid("plugins", "expected a list of plugins")),
        };
        for (at, plugin) in all.iter().enumerate() {
            plugins.read(plugin, &format!("plugins[{at}]"))?;
        }
        Ok(plugins)
    }

    fn read(&mut self, plugin: &Value, path: &str) -> Result<()> {
        let id = plugin.get("id").and_then(Value::as_str);
        let Some(id) = id else {
            let path = format!("{path}.id");
            return Err(Error::invalid(path, "expected the name of a plugin"));
        };
        let is_on = match plugin.get("enabled") {
            None | Some(Value::Null) => true,
            Some(Value::Bool(is_on)) => *is_on,
            Some(_) => {
                let path = format!("{path}.enabled");
                return Err(Error::invalid(path, "expected true or false"));
            }
        };
        match id {
            "response-healing" => self.healing = Some(is_on),
            "context-compression" => {
                self.compression = Some(is_on);
                let engine = plugin.get("engine").filter(|engine| !engine.is_null());
                if engine.is_some_and(|engine| engine != "middle-out") {
                    let path = format!("{path}.engine");
                    return Err(Error::invalid(path, "expected \"middle-out\""));
                }
            }
            "file-parser" if is_on => self.pdf = pdf_engine(plugin, path)?,
            "file-parser" => self.pdf = PdfEngine::Native,
            _ => {}
        }
        Ok(())
    }
}

fn pdf_engine(plugin: &Value, path: &str) -> Result<PdfEngine> {
    let engine = plugin.get("pdf").and_then(|pdf| pdf.get("engine"));
    let told = match engine {
        None | Some(Value::Null) => return Ok(PdfEngine::Auto),
        Some(Value::String(name)) => match name.as_str() {
            "native" => return Ok(PdfEngine::Native),
            "pdf-text" | "cloudflare-ai" => return Ok(PdfEngine::Text),
            "mistral-ocr" => {
                "mistral-ocr is not offered by this deployment: \"pdf-text\" extracts text, \"native\" leaves the file to the model"
            }
            _ => "expected \"native\", \"pdf-text\" or \"cloudflare-ai\"",
        },
        Some(_) => "expected the name of an engine",
    };
    Err(Error::invalid(format!("{path}.pdf.engine"), told))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(extra: Value) -> Result<Plugins> {
        Plugins::parse(extra.as_object().unwrap())
    }

    #[test]
    fn plugins_are_read_and_switched_off() {
        let on = |healing, compression, pdf| Plugins {
            healing,
            compression,
            pdf,
        };
        for (extra, expected) in [
            (json!({}), Plugins::default()),
            (
                json!({"plugins": null, "transforms": null}),
                Plugins::default(),
            ),
            (
                json!({"plugins": [{"id": "response-healing"}, {"id": "auto-router"}]}),
                on(Some(true), None, PdfEngine::Auto),
            ),
            (
                json!({"plugins": [{"id": "response-healing", "enabled": false}, {"id": "file-parser", "pdf": {"engine": "cloudflare-ai"}}]}),
                on(Some(false), None, PdfEngine::Text),
            ),
            (
                json!({"plugins": [{"id": "file-parser"}], "transforms": ["middle-out"]}),
                on(None, Some(true), PdfEngine::Auto),
            ),
            (
                json!({"transforms": []}),
                on(None, Some(false), PdfEngine::Auto),
            ),
            (
                json!({"plugins": [{"id": "context-compression", "engine": "middle-out"}]}),
                on(None, Some(true), PdfEngine::Auto),
            ),
        ] {
            assert_eq!(parse(extra.clone()).unwrap(), expected, "{extra}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        for (extra, path) in [
            (json!({"plugins": {}}), "plugins"),
            (json!({"plugins": [{}]}), "plugins[0].id"),
            (
                json!({"plugins": [{"id": "web", "enabled": 1}]}),
                "plugins[0].enabled",
            ),
            (
                json!({"plugins": [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]}),
                "plugins[0].pdf.engine",
            ),
            (
                json!({"plugins": [{"id": "context-compression", "engine": "zip"}]}),
                "plugins[0].engine",
            ),
            (json!({"transforms": ["middle-out", "x"]}), "transforms[1]"),
        ] {
            let error = parse(extra.clone()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(path), "{extra}");
        }
    }
}
