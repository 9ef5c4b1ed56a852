//! Who serves models: one row per provider, everything the relay must know to call it.
//!
//! Out of scope: the models a provider serves (`model`), the rows themselves (`catalog/providers.toml`).
//! A provider is data: a new compatible host is a new row, never new code.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::operation::{Operation, OperationDialect, OperationWire};
use crate::chat::ReasoningFormat;

/// The wire format a provider speaks. It decides the path that is appended to [`Provider::base_url`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenAI chat completions: `{base_url}/chat/completions`.
    OpenaiChat,
    /// Anthropic messages: `{base_url}/v1/messages`.
    AnthropicMessages,
    /// Gemini (AI Studio): `{base_url}/models/{model}:generateContent`, and
    /// `{base_url}/models/{model}:streamGenerateContent?alt=sse` for streams.
    Gemini,
    /// OpenAI Responses: `{base_url}/responses`.
    OpenaiResponses,
    /// Cohere's chat, version 2: `{base_url}/v2/chat`.
    CohereV2,
    /// Bedrock's Converse: `{base_url}/model/{model}/converse`, and `{base_url}/model/{model}/converse-stream` for streams.
    BedrockConverse,
}

/// Where a provider expects its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum AuthScheme {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// The bare key in a header of this name.
    Header {
        /// Lower-case header name.
        name: String,
    },
    /// The bare key in a query parameter of this name.
    Query {
        /// Parameter name.
        name: String,
    },
    /// `Authorization: Basic`; the key is `user:password`.
    Basic,
    /// `Authorization: Bearer <token>`, the token out of an OAuth 2 client-credentials grant. The operator's key is the client's
    /// secret; an account's own is `client id:secret`.
    OauthClientCredentials {
        /// Where tokens are issued; variables as in a base URL.
        token_url: String,
        /// What the token is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
        /// Name of the variable that holds the operator's client id.
        client_id: String,
    },
    /// `Authorization: Bearer <token>`, the token in exchange for a JWT that the key signs (RS256). The key is the JSON of a
    /// Google service account.
    SignedJwt {
        /// Where the JWT is exchanged; variables as in a base URL. Never the address that the key itself names.
        token_url: String,
        /// What the token is for.
        scope: String,
    },
    /// AWS Signature Version 4, or a bearer token where the secret is an API key: see [`crate::signing::aws`].
    SigV4 {
        /// The service's name in signatures.
        service: String,
        /// The deployment's variable with the region; a secret that names a region goes before it, also in the base URL.
        region: String,
        /// How the regions begin that serve this provider's models, where not all do: a secret for another region is not for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<String>,
    },
}

impl AuthScheme {
    /// Whether a region serves the provider's models.
    pub fn reaches(&self, of: &str) -> bool {
        self.within().is_none_or(|start| of.starts_with(start))
    }

    /// How the regions begin that serve the provider's models, where not all do.
    pub fn within(&self) -> Option<&str> {
        match self {
            Self::SigV4 { within, .. } => within.as_deref(),
            _ => None,
        }
    }

    /// Where tokens are issued, if calls are made with tokens.
    pub fn token_url(&self) -> Option<&str> {
        match self {
            Self::OauthClientCredentials { token_url, .. } | Self::SignedJwt { token_url, .. } => {
                Some(token_url)
            }
            Self::Bearer
            | Self::Header { .. }
            | Self::Query { .. }
            | Self::Basic
            | Self::SigV4 { .. } => None,
        }
    }
}

/// Where the path of an operation names the model. A closed list; base URL and query say the rest of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathStyle {
    /// As the dialect has it.
    #[default]
    Dialect,
    /// `/deployments/{model}` before the dialect's own path: Azure OpenAI before its version 1.
    Deployments,
    /// `/models/{model}:rawPredict` or `:streamRawPredict`, and the body names no model: Claude on Vertex
    /// (`anthropic_messages` only).
    RawPredict,
}

/// In which form accounts bring a provider's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyFormat {
    /// The bare key.
    #[default]
    Plain,
    /// A JSON list of Azure resources and deployments, each with its key. (The operator's key is plain, and the resource a
    /// variable.)
    Azure,
    /// The JSON of a Google service account, with `region` where it is not the deployment's.
    ServiceAccount,
    /// An API key of the service, or the JSON of AWS access keys with their region: see [`crate::signing::aws`].
    Aws,
}

impl KeyFormat {
    /// Variables of the address that an account's key brings along, so that they need not be set.
    pub fn brings(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Azure => &["AZURE_RESOURCE_NAME", "AZURE_FOUNDRY_RESOURCE_NAME"],
            Self::ServiceAccount => Self::SERVICE_ACCOUNT,
            Self::Aws => &["AWS_REGION", "AWS_REGION_EU", "AWS_REGION_US"],
        }
    }

    /// Variables that follow from the operator's own key and from other variables.
    pub fn implies(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Azure | Self::Aws => &[],
            Self::ServiceAccount => Self::SERVICE_ACCOUNT,
        }
    }

    const SERVICE_ACCOUNT: &'static [&'static str] =
        &["GOOGLE_VERTEX_PROJECT", "GOOGLE_VERTEX_ENDPOINT"];
}

/// How an `openai_chat` host wants to be asked for reasoning. The other dialects have one native way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningStyle {
    /// `reasoning_effort: "low"`; no budget, no switch of its own.
    #[default]
    Effort,
    /// As `effort`, and `"none"` switches it off, also where the endpoint lists no efforts.
    EffortOrNone,
    /// `reasoning: {effort, max_tokens, enabled}`.
    Object,
    /// `reasoning: {enabled: bool}`, with `reasoning_effort` beside it where the endpoint lists efforts.
    Enabled,
    /// `thinking: {type: "enabled" | "disabled"}`, with `reasoning_effort` beside it where the endpoint lists efforts.
    Thinking,
    /// `enable_thinking: bool` and `thinking_budget: n`.
    EnableThinking,
    /// `chat_template_kwargs: {enable_thinking: bool}`, and `reasoning_effort` where the endpoint lists efforts.
    TemplateKwargs,
    /// Nothing to ask with: the host reasons or does not.
    None,
}

/// What a provider does differently from the plainest host of its dialect. A closed list: a row with another word is refused.
///
/// The plain `openai_chat` host takes `max_tokens`, `system` but not `developer` messages, `stream_options.include_usage`,
/// array content, `tool_choice` in all its forms, tool-call ids of any shape, and reports usage once, on the last chunk, with
/// reasoning tokens inside `completion_tokens`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// The limit on the answer is spelt `max_completion_tokens`.
    MaxCompletionTokens,
    /// Knows the `developer` role; elsewhere it becomes `system`.
    DeveloperRole,
    /// Refuses or ignores `stream_options`; usage arrives on its own or not at all.
    NoStreamOptions,
    /// Usage comes on every chunk and is cumulative: the last one counts.
    UsageOnEveryChunk,
    /// `completion_tokens` leaves the reasoning tokens out; they are added to it.
    ReasoningOutsideCompletion,
    /// Refuses `parallel_tool_calls`.
    NoParallelToolCalls,
    /// `tool_choice: "required"` is spelt `"any"`.
    ToolChoiceAny,
    /// Knows only `tool_choice: "auto"` and `"none"`.
    ToolChoiceAutoOnly,
    /// Tool-call ids are exactly nine letters and digits.
    ShortToolCallIds,
    /// Refuses `name` in messages.
    NoNames,
    /// Message content must be a string: text parts are joined.
    StringContent,
    /// `seed` is spelt `random_seed`.
    RandomSeed,
    /// Refuses fields that it does not know: only the fields of `supported_parameters` are sent.
    RefusesUnknownFields,
    /// Knows `json_object` but not `json_schema` as response format.
    NoJsonSchema,
    /// Reasoning arrives between `<think>` tags in the content.
    ThinkTags,
    /// Lets its models' own way of writing tool calls through into the text.
    LeaksToolMarkup,
    /// Thinking blocks carry no signature, and are accepted back without one. Elsewhere an unsigned block is dropped.
    UnsignedThinking,
    /// Takes cache markers (`cache_control`) inside chat-completion content parts.
    CacheControlParts,
    /// Takes `user` / `prompt_cache_key` as the upstream's cache and abuse key.
    PromptCacheKey,
    /// Refuses lookaround and `\0` in the regular expressions of JSON Schemas, or answers them with nothing.
    PlainPatterns,
    /// An assistant message at the end is the beginning of the answer.
    AcceptsPrefill,
    /// The same, where that message says `prefix: true`.
    PrefixFlag,
    /// The same, where that message says `partial: true`.
    PartialFlag,
    /// Tells thoughts as summaries where it is asked to (`reasoning.summary`); asked by itself where a client wants thoughts.
    SummarizesReasoning,
    /// Reasoning items are sealed by xAI: nobody else opens them.
    XaiReasoning,
    /// Reasoning items are sealed by an Azure resource: nobody else opens them.
    AzureReasoning,
    /// Reasoning items are sealed by Amazon Bedrock: nobody else opens them.
    BedrockReasoning,
}

impl Quirk {
    /// Whose sealed reasoning items (`openai_responses`) a host with these quirks gives and takes.
    pub fn reasoning_items(quirks: &[Self]) -> ReasoningFormat {
        if quirks.contains(&Self::XaiReasoning) {
            ReasoningFormat::Other("xai-responses-v1".to_owned())
        } else if quirks.contains(&Self::AzureReasoning) {
            ReasoningFormat::Other("azure-openai-responses-v1".to_owned())
        } else if quirks.contains(&Self::BedrockReasoning) {
            ReasoningFormat::Other("bedrock-openai-responses-v1".to_owned())
        } else {
            ReasoningFormat::OpenaiResponses
        }
    }
}

/// What a provider does with what it is sent. `None` means that it is not known, and is taken as the worst case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPolicy {
    /// Whether prompts or answers of paying API customers may train models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<bool>,
    /// Days that prompts and answers are kept; 0 is zero data retention.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
}

impl DataPolicy {
    /// The longest retention that still counts as transient (abuse monitoring), so that `data_collection: "deny"` admits it.
    pub const TRANSIENT_DAYS: u32 = 30;

    /// Whether `provider.data_collection: "deny"` excludes this policy.
    pub fn collects_data(&self) -> bool {
        self.training != Some(false)
            || self
                .retention_days
                .is_none_or(|days| days > Self::TRANSIENT_DAYS)
    }

    /// Whether `provider.zdr: true` admits this policy.
    pub fn is_zdr(&self) -> bool {
        self.training == Some(false) && self.retention_days == Some(0)
    }
}

/// A provider: an upstream that runs models behind one base URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Short id, as in `provider.order`: `google-ai-studio`.
    pub slug: String,
    /// Display name, as in a response's `provider`: `Google AI Studio`.
    pub name: String,
    /// Wire format, where an endpoint names no other: ask [`Endpoint::dialect`](super::Endpoint::dialect).
    pub dialect: Dialect,
    /// Everything before the operation's path (see [`Dialect`]), without a trailing slash. `${NAME}` stands for a variable of
    /// the deployment: see [`resolve_base_url`].
    pub base_url: String,
    /// Where the key goes.
    pub auth: AuthScheme,
    /// Name of the secret that holds the operator's key. A provider without its secret is not offered, unless
    /// [`secret_optional`](Self::secret_optional).
    pub secret: String,
    /// The provider takes calls without a key too: where the secret is not set, none is sent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret_optional: bool,
    /// Where the path names the model.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path_style: PathStyle,
    /// The query of every call, `name=value`; variables as in the base URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// What variables are where the deployment does not set them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub defaults: BTreeMap<String, String>,
    /// Name of a binding that serves the operator's calls where the deployment has it: no address and no key is needed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<String>,
    /// The slug that it shares with other providers of one cloud: clients name them together by it, and an account's key is
    /// for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// In which form accounts bring its key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key_format: KeyFormat,
    /// What it does with data.
    #[serde(default)]
    pub data_policy: DataPolicy,
    /// How to ask for reasoning (`openai_chat` only).
    #[serde(default)]
    pub reasoning_style: ReasoningStyle,
    /// Deviations from the plain host of the dialect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quirks: Vec<Quirk>,
    /// How operations beside conversation are asked for, where that differs from the plain host of the dialect.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<Operation, OperationWire>,
    /// Whether closing the connection stops the work and its billing upstream.
    #[serde(default)]
    pub can_cancel: bool,
    /// It tells how long a conversation is before it is sent, for nothing (`dialects::count`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub counts_tokens: bool,
    /// Privacy policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_policy_url: Option<String>,
    /// Terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms_of_service_url: Option<String>,
    /// Status page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_page_url: Option<String>,
    /// ISO 3166 country code of the company's seat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headquarters: Option<String>,
}

impl Provider {
    /// Whether the provider has this quirk.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// How to ask it for an operation beside conversation; `None` where its dialect has no such thing.
    pub fn wire(&self, operation: Operation) -> Option<Cow<'_, OperationWire>> {
        if let Some(wire) = self.operations.get(&operation) {
            return Some(Cow::Borrowed(wire));
        }
        let dialect = match self.dialect {
            Dialect::OpenaiChat | Dialect::OpenaiResponses => OperationDialect::Openai,
            Dialect::CohereV2 => OperationDialect::Cohere,
            Dialect::Gemini => OperationDialect::Google,
            Dialect::AnthropicMessages | Dialect::BedrockConverse => return None,
        };
        Some(Cow::Owned(OperationWire::plain(dialect)))
    }

    /// Whether its models go on with an answer whose beginning they are given.
    pub fn takes_prefill(&self) -> bool {
        [Quirk::AcceptsPrefill, Quirk::PrefixFlag, Quirk::PartialFlag]
            .into_iter()
            .any(|quirk| self.has(quirk))
    }

    /// The deployment's variables without which this provider cannot be called with the operator's key: its secret, and those
    /// of its address that nothing else tells.
    pub fn required_variables(&self) -> impl Iterator<Item = &str> {
        let secret = Some(self.secret.as_str()).filter(|_| !self.secret_optional);
        let client = match &self.auth {
            AuthScheme::OauthClientCredentials { client_id, .. } => Some(client_id.as_str()),
            _ => None,
        };
        let implied = self.key_format.implies();
        let address = self.variables().filter(|name| !implied.contains(name));
        secret.into_iter().chain(client).chain(address)
    }

    /// Whether the operator's calls can be made in a deployment that has these variables and bindings.
    pub fn is_callable(&self, has: impl Fn(&str) -> bool) -> bool {
        self.binding.as_deref().is_some_and(&has) || self.required_variables().all(has)
    }

    /// Whether calls with an account's own key can be made in a deployment that has these variables.
    pub fn is_reachable(&self, has: impl Fn(&str) -> bool) -> bool {
        let brought = self.key_format.brings();
        self.variables()
            .all(|name| brought.contains(&name) || has(name))
    }

    /// The variables of the address that have no default.
    fn variables(&self) -> impl Iterator<Item = &str> {
        let base_url = Some(self.base_url.as_str());
        let templates = [base_url, self.query.as_deref(), self.auth.token_url()];
        let names = templates.into_iter().flatten().flat_map(|template| {
            let parts = template.split("${").skip(1);
            parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
        });
        names.filter(|name| !self.defaults.contains_key(*name))
    }

    /// The slug under which accounts bring keys for it.
    pub fn family(&self) -> &str {
        self.group.as_deref().unwrap_or(&self.slug)
    }

    /// Whether a name out of `order`, `only` or `ignore` means this provider: its slug, the slug of its group, or its display
    /// name in any case.
    pub fn answers_to(&self, name: &str) -> bool {
        self.slug == name
            || self.group.as_deref() == Some(name)
            || self.name.eq_ignore_ascii_case(name)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A base URL that cannot be completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseUrlError {
    /// The deployment has no variable of this name.
    Missing(String),
    /// A `${` without its `}`.
    Unclosed,
}

impl fmt::Display for BaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "the variable {name} is not set"),
            Self::Unclosed => f.write_str("a ${ is not closed"),
        }
    }
}

impl std::error::Error for BaseUrlError {}

/// Puts the deployment's variables into a base URL and drops a trailing slash.
///
/// # Errors
///
/// A variable that `lookup` does not know, or a `${` without its end.
pub fn resolve_base_url(
    template: &str,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<String, BaseUrlError> {
    let mut url = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or(BaseUrlError::Unclosed)?;
        url.push_str(before);
        url.push_str(&lookup(name).ok_or_else(|| BaseUrlError::Missing(name.to_owned()))?);
        rest = tail;
    }
    url.push_str(rest);
    url.truncate(url.trim_end_matches('/').len());
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_takes_the_deployments_variables() {
        let vars = |name: &str| (name == "DEMO_UPSTREAM").then(|| "http://127.0.0.1:9/".to_owned());
        assert_eq!(
            resolve_base_url("https://api.openai.com/v1/", vars).unwrap(),
            "https://api.openai.com/v1"
        );
        assert_eq!(
            resolve_base_url("${DEMO_UPSTREAM}x", vars).unwrap(),
            "http://127.0.0.1:9/x"
        );
        assert_eq!(
            resolve_base_url("${OTHER}/x", vars),
            Err(BaseUrlError::Missing("OTHER".into()))
        );
        assert_eq!(
            resolve_base_url("${OTHER", vars),
            Err(BaseUrlError::Unclosed)
        );
    }

    #[test]
    fn an_unknown_policy_counts_as_the_worst() {
        let policy = |training, retention_days| DataPolicy {
            training,
            retention_days,
        };
        assert!(policy(None, None).collects_data() && !policy(None, Some(0)).is_zdr());
        assert!(policy(Some(false), None).collects_data());
        assert!(policy(Some(true), Some(0)).collects_data());
        assert!(
            !policy(Some(false), Some(30)).collects_data()
                && !policy(Some(false), Some(30)).is_zdr()
        );
        assert!(policy(Some(false), Some(31)).collects_data());
        assert!(policy(Some(false), Some(0)).is_zdr());
    }

    #[test]
    fn the_quirks_are_a_closed_list() {
        assert!(serde_json::from_str::<Quirk>("\"no_stream_options\"").is_ok());
        assert!(serde_json::from_str::<Quirk>("\"likes_cheese\"").is_err());
    }
}
