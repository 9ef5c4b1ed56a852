//! Where the path of an operation names the model: the styles of hosts that differ from their dialect.

use crate::{
    catalog::PathStyle,
    error::{Error, ErrorType, Next, Result, Source},
};

use super::Target;

/// A dialect's path as this target has it.
///
/// # Errors
/// When the model id cannot stand in a path.
pub fn styled(path: String, target: &Target<'_>, stream: bool) -> Result<String> {
    let model = || segment(&target.endpoint.upstream_model_id);
    Ok(match target.provider.path_style {
        PathStyle::Dialect => path,
        PathStyle::Deployments => format!("/deployments/{}{path}", model()?),
        PathStyle::RawPredict if stream => format!("/models/{}:streamRawPredict", model()?),
        PathStyle::RawPredict => format!("/models/{}:rawPredict", model()?),
    })
}

/// A model id that is one segment of a path and leads to no other operation (P107).
fn segment(model: &str) -> Result<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    let is_fine = model.chars().all(plain) && model.chars().any(|c| c != '.');
    is_fine.then_some(model).ok_or_else(|| {
        Error::new(
            Source::Gateway,
            Next::NextAttempt,
            ErrorType::Server,
            "The model id of this endpoint cannot stand in a path",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        catalog::{Endpoint, Provider},
        dialects::{Inbound, Surface, request},
    };

    /// The path and the body of a request in this style.
    fn written(dialect: &str, style: &str, surface: Surface, body: &Value) -> (String, Value) {
        let provider: Provider = serde_json::from_value(json!({
            "slug": "p", "name": "P", "dialect": dialect, "base_url": "https://a.example", "path_style": style,
            "auth": {"kind": "bearer"}, "secret": "KEY",
        }))
        .unwrap();
        let endpoint: Endpoint = serde_json::from_value(json!({
            "model": "a/b", "provider": "p", "tag": "p", "upstream_model_id": "b@1", "context_length": 100_000,
            "prices": {"prompt": 0, "completion": 0}, "supported_parameters": [],
            "input_modalities": ["text"], "output_modalities": ["text"],
        }))
        .unwrap();
        let raw = body.to_string().into_bytes();
        let inbound = Inbound {
            request: &surface.parse(&raw).unwrap(),
            surface,
            raw: Some(&raw),
        };
        let target = Target {
            endpoint: &endpoint,
            provider: &provider,
        };
        let native = request(&inbound, &target).unwrap();
        (native.path, serde_json::from_slice(&native.body).unwrap())
    }

    #[test]
    fn claude_on_vertex_is_named_by_the_path_alone_whatever_the_client_speaks() {
        for (stream, path) in [
            (false, "/models/b@1:rawPredict"),
            (true, "/models/b@1:streamRawPredict"),
        ] {
            let body = json!({
                "model": "a/b", "max_tokens": 9, "stream": stream, "messages": [{"role": "user", "content": "Hi"}],
            });
            for surface in [Surface::ChatCompletions, Surface::Messages] {
                let told = written("anthropic_messages", "raw_predict", surface, &body);
                assert_eq!(told.0, path);
                assert_eq!(told.1["anthropic_version"], "vertex-2023-10-16");
                assert_eq!(
                    (told.1.get("model"), told.1["stream"] == true),
                    (None, stream)
                );
                let plain = written("anthropic_messages", "dialect", surface, &body);
                assert_eq!(
                    (plain.0.as_str(), &plain.1["model"]),
                    ("/v1/messages", &json!("b@1"))
                );
                assert!(plain.1.get("anthropic_version").is_none());
            }
        }
    }

    #[test]
    fn a_deployment_stands_before_the_operation() {
        let body = json!({"model": "a/b", "messages": [{"role": "user", "content": "Hi"}]});
        let (path, _) = written(
            "openai_chat",
            "deployments",
            Surface::ChatCompletions,
            &body,
        );
        assert_eq!(path, "/deployments/b@1/chat/completions");
    }

    #[test]
    fn a_model_id_stays_one_segment() {
        for good in ["gpt-4.1", "claude-haiku-4-5@20251001", "my_deployment"] {
            assert_eq!(segment(good), Ok(good));
        }
        for bad in ["", ".", "..", "a/b", "a?b", "a#b", "a%2f", "a:b"] {
            assert!(segment(bad).is_err(), "{bad}");
        }
    }
}
