//! The `provider` object of a request: what the client wants of the endpoints that may serve it.
//!
//! Spec: OpenRouter's provider preferences, its older `X-Provider` header and its deprecated `route` field. Unknown keys and
//! words are refused with their path, so that a misspelt filter is never ignored.

use serde_json::{Map, Value, value::RawValue};

use crate::{
    catalog::Quantization,
    credits::{
        money::{MoneyError, Nanos},
        pricing::Price,
    },
    error::{Error, Result},
};

/// What to order endpoints by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub enum SortBy {
    Price,
    Throughput,
    Latency,
    Exacto,
}

impl SortBy {
    /// The order of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == word)
    }

    /// Every order.
    pub const ALL: [Self; 4] = [Self::Price, Self::Throughput, Self::Latency, Self::Exacto];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::Throughput => "throughput",
            Self::Latency => "latency",
            Self::Exacto => "exacto",
        }
    }
}

/// `sort`, as a word or an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sort {
    /// What to order by.
    pub by: Option<SortBy>,
    /// `partition: "none"`: the endpoints of all models together.
    pub across_models: bool,
}

/// `data_collection`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataCollection {
    /// They may.
    Allow,
    /// They may not.
    Deny,
}

/// Highest acceptable prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxPrice {
    /// Per million prompt tokens.
    pub prompt: Option<Price>,
    /// Per million completion tokens.
    pub completion: Option<Price>,
    /// Per million audio tokens.
    pub audio: Option<Price>,
    /// Per request.
    pub request: Option<Nanos>,
    /// Per image sent.
    pub image: Option<Nanos>,
}

/// Cutoffs at percentiles; all that are given must be met.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(missing_docs, reason = "the words are the wire's own")]
pub struct Cutoffs {
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p90: Option<f64>,
    pub p99: Option<f64>,
}

/// When a second endpoint is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hedge {
    /// After the time that the first usually takes.
    Usual,
    /// After so many milliseconds.
    After(u64),
}

/// The `provider` object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderPreferences {
    /// Try these first, in this order.
    pub order: Option<Vec<String>>,
    /// `false`: no endpoint beyond the first choice (or beyond `order`).
    pub allow_fallbacks: Option<bool>,
    /// Only these.
    pub only: Option<Vec<String>>,
    /// Never these.
    pub ignore: Option<Vec<String>>,
    /// Only endpoints that support every parameter sent.
    pub require_parameters: Option<bool>,
    /// Whether endpoints that train on or keep what they are sent may serve.
    pub data_collection: Option<DataCollection>,
    /// Only endpoints with zero data retention.
    pub zdr: Option<bool>,
    /// Only models whose author permits distillation.
    pub enforce_distillable_text: Option<bool>,
    /// Only these precisions.
    pub quantizations: Option<Vec<String>>,
    /// Order by.
    pub sort: Option<Sort>,
    /// Price caps.
    pub max_price: MaxPrice,
    /// Soft: tokens per second.
    pub preferred_min_throughput: Option<Cutoffs>,
    /// Soft: seconds to the first token.
    pub preferred_max_latency: Option<Cutoffs>,
    /// A second endpoint is called when the first is silent.
    pub hedge: Option<Hedge>,
    /// A stream that breaks goes on at the next endpoint (`continue`).
    pub resume: bool,
    /// Per-provider pass-through options: slug → fields of the upstream's own body.
    pub options: Map<String, Value>,
}

impl ProviderPreferences {
    /// Reads the object; `None` is the default.
    ///
    /// # Errors
    /// Unknown keys, words and wrong types, with their path.
    pub fn parse(raw: Option<&RawValue>) -> Result<Self> {
        match raw {
            Some(raw) => Self::read(raw.get(), "provider", &KEYS),
            None => Ok(Self::default()),
        }
    }

    /// Adds what the `X-Provider` header says beside the body, which wins.
    ///
    /// # Errors
    /// As [`Self::parse`]; the header knows `order` and `allow_fallbacks`.
    pub fn with_header(mut self, header: Option<&str>) -> Result<Self> {
        if let Some(text) = header {
            let header = Self::read(text, "X-Provider", &["order", "allow_fallbacks"])?;
            self.order = self.order.or(header.order);
            self.allow_fallbacks = self.allow_fallbacks.or(header.allow_fallbacks);
        }
        Ok(self)
    }

    /// Adds the deprecated `route` field: `fallback` and `sort` are the two partitions of `sort`, which wins.
    ///
    /// # Errors
    /// Another word.
    pub fn with_route(mut self, route: Option<&Value>) -> Result<Self> {
        let across_models = match route {
            None | Some(Value::Null) => return Ok(self),
            Some(Value::String(word)) if word == "fallback" => false,
            Some(Value::String(word)) if word == "sort" => true,
            Some(_) => return Err(Error::invalid("route", "expected fallback or sort")),
        };
        self.sort.get_or_insert(Sort {
            by: None,
            across_models,
        });
        Ok(self)
    }

    /// Whether fallbacks beyond the first choice are allowed.
    pub fn fallbacks_allowed(&self) -> bool {
        self.allow_fallbacks.unwrap_or(true)
    }

    /// Whether the client named the providers that it wants.
    pub fn names_providers(&self) -> bool {
        self.order.is_some() || self.only.is_some()
    }

    fn read(text: &str, path: &str, known: &[&str]) -> Result<Self> {
        let object: Value = crate::json::from_str(text)
            .map_err(|error| Error::invalid(path, format!("{path} is not JSON: {error}")))?;
        let object = match object {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => return Err(Error::invalid(path, "expected an object")),
        };
        let mut preferences = Self::default();
        for (key, value) in object {
            let at = format!("{path}.{key}");
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                let message = format!("Unrecognized key in object: '{key}'. Known: {known}");
                return Err(Error::invalid(at, message));
            }
            if !value.is_null() {
                preferences.set(&key, value, &at)?;
            }
        }
        Ok(preferences)
    }

    fn set(&mut self, key: &str, value: Value, at: &str) -> Result<()> {
        match key {
            "order" => self.order = Some(names(value, at)?),
            "only" => self.only = Some(names(value, at)?),
            "ignore" => self.ignore = Some(names(value, at)?),
            "allow_fallbacks" => self.allow_fallbacks = Some(flag(&value, at)?),
            "require_parameters" => self.require_parameters = Some(flag(&value, at)?),
            "zdr" => self.zdr = Some(flag(&value, at)?),
            "enforce_distillable_text" => self.enforce_distillable_text = Some(flag(&value, at)?),
            "data_collection" => {
                self.data_collection = Some(match value.as_str() {
                    Some("allow") => DataCollection::Allow,
                    Some("deny") => DataCollection::Deny,
                    _ => return Err(Error::invalid(at, "expected allow or deny")),
                });
            }
            "quantizations" => self.quantizations = Some(quantizations(value, at)?),
            "sort" => self.sort = Some(sort(&value, at)?),
            "max_price" => self.max_price = max_price(&value, at)?,
            "preferred_min_throughput" => {
                self.preferred_min_throughput = Some(cutoffs(&value, at)?);
            }
            "preferred_max_latency" => self.preferred_max_latency = Some(cutoffs(&value, at)?),
            "hedge" => self.hedge = hedge(&value, at)?,
            "continue" => self.resume = flag(&value, at)?,
            "options" => self.options = options(value, at)?,
            _ => {}
        }
        Ok(())
    }
}

/// The keys of the object.
const KEYS: [&str; 16] = [
    "order",
    "allow_fallbacks",
    "only",
    "ignore",
    "require_parameters",
    "data_collection",
    "zdr",
    "enforce_distillable_text",
    "quantizations",
    "sort",
    "max_price",
    "preferred_min_throughput",
    "preferred_max_latency",
    "hedge",
    "continue",
    "options",
];

fn names(value: Value, at: &str) -> Result<Vec<String>> {
    let Value::Array(items) = value else {
        return Err(Error::invalid(at, "expected a list of provider names"));
    };
    let name = |(index, item)| match item {
        Value::String(name) => Ok(name),
        _ => Err(Error::invalid(
            format!("{at}[{index}]"),
            "expected the name of a provider",
        )),
    };
    items.into_iter().enumerate().map(name).collect()
}

fn flag(value: &Value, at: &str) -> Result<bool> {
    value
        .as_bool()
        .ok_or_else(|| Error::invalid(at, "expected true or false"))
}

/// `true`, `false` or `{after_ms?}`.
fn hedge(value: &Value, at: &str) -> Result<Option<Hedge>> {
    let object = match value {
        Value::Bool(wanted) => return Ok(wanted.then_some(Hedge::Usual)),
        Value::Object(object) => object,
        _ => return Err(Error::invalid(at, "expected true, false or {after_ms}")),
    };
    let mut hedge = Hedge::Usual;
    for (key, value) in object {
        let at = format!("{at}.{key}");
        match (key.as_str(), value) {
            ("after_ms", Value::Null) => {}
            ("after_ms", value) => {
                let ms = value.as_u64();
                let ms = ms.ok_or_else(|| Error::invalid(at, "expected whole milliseconds"))?;
                hedge = Hedge::After(ms);
            }
            _ => return Err(Error::invalid(at, "Known here: after_ms")),
        }
    }
    Ok(Some(hedge))
}

fn quantizations(value: Value, at: &str) -> Result<Vec<String>> {
    let words = names(value, at)?;
    let is_known = |word: &str| {
        word == "unknown" || Quantization::ALL.iter().any(|known| known.as_str() == word)
    };
    match words.iter().position(|word| !is_known(word)) {
        Some(index) => {
            let known = Quantization::ALL.map(Quantization::as_str).join(", ");
            let message = format!("expected one of {known}, unknown");
            Err(Error::invalid(format!("{at}[{index}]"), message))
        }
        None => Ok(words),
    }
}

fn sort(value: &Value, at: &str) -> Result<Sort> {
    let by = |value: &Value, at: &str| {
        let known = |by: &SortBy| value.as_str() == Some(by.as_str());
        SortBy::ALL
            .into_iter()
            .find(known)
            .ok_or_else(|| Error::invalid(at, "expected price, throughput, latency or exacto"))
    };
    let Value::Object(object) = value else {
        let by = Some(by(value, at)?);
        return Ok(Sort {
            by,
            across_models: false,
        });
    };
    let mut sort = Sort::default();
    for (key, value) in object {
        let at = format!("{at}.{key}");
        match (key.as_str(), value.as_str()) {
            ("by" | "partition", None) if value.is_null() => {}
            ("by", _) => sort.by = Some(by(value, &at)?),
            ("partition", Some("model")) => sort.across_models = false,
            ("partition", Some("none")) => sort.across_models = true,
            ("partition", _) => return Err(Error::invalid(at, "expected model or none")),
            _ => return Err(Error::invalid(at, "Known here: by, partition")),
        }
    }
    Ok(sort)
}

fn max_price(value: &Value, at: &str) -> Result<MaxPrice> {
    let Value::Object(object) = value else {
        return Err(Error::invalid(at, "expected an object"));
    };
    let mut caps = MaxPrice::default();
    for (key, value) in object {
        let at = format!("{at}.{key}");
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(Error::invalid(at, "expected dollars")),
        };
        let wrong = |error: MoneyError| Error::invalid(at.clone(), error.to_string());
        let price = || {
            Price::from_dollars_per_million(&text)
                .map(Some)
                .map_err(wrong)
        };
        let amount = || Nanos::from_dollars(&text).map(Some).map_err(wrong);
        match key.as_str() {
            "prompt" => caps.prompt = price()?,
            "completion" => caps.completion = price()?,
            "audio" => caps.audio = price()?,
            "request" => caps.request = amount()?,
            "image" => caps.image = amount()?,
            _ => {
                let known = "Known here: prompt, completion, request, image, audio";
                return Err(Error::invalid(at, known));
            }
        }
    }
    Ok(caps)
}

fn cutoffs(value: &Value, at: &str) -> Result<Cutoffs> {
    let figure = |value: &Value, at: &str| {
        let figure = value.as_f64().filter(|figure| *figure >= 0.0);
        figure.ok_or_else(|| Error::invalid(at, "expected a number of at least 0"))
    };
    let Value::Object(object) = value else {
        let p50 = Some(figure(value, at)?);
        return Ok(Cutoffs {
            p50,
            ..Cutoffs::default()
        });
    };
    let mut cutoffs = Cutoffs::default();
    for (key, value) in object {
        let at = format!("{at}.{key}");
        let place = match key.as_str() {
            "p50" => &mut cutoffs.p50,
            "p75" => &mut cutoffs.p75,
            "p90" => &mut cutoffs.p90,
            "p99" => &mut cutoffs.p99,
            _ => return Err(Error::invalid(at, "Known here: p50, p75, p90, p99")),
        };
        if !value.is_null() {
            *place = Some(figure(value, &at)?);
        }
    }
    Ok(cutoffs)
}

fn options(value: Value, at: &str) -> Result<Map<String, Value>> {
    let Value::Object(options) = value else {
        return Err(Error::invalid(at, "expected an object"));
    };
    match options.iter().find(|(_, fields)| !fields.is_object()) {
        Some((provider, _)) => Err(Error::invalid(
            format!("{at}.{provider}"),
            "expected an object",
        )),
        None => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ProviderPreferences> {
        ProviderPreferences::parse(Some(&RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let table = [
            (r#"{"ordre":["openai"]}"#, "provider.ordre"),
            (r#"{"order":"openai"}"#, "provider.order"),
            (r#"{"only":["openai",1]}"#, "provider.only[1]"),
            (r#"{"ignore":{}}"#, "provider.ignore"),
            (r#"{"allow_fallbacks":"no"}"#, "provider.allow_fallbacks"),
            (r#"{"require_parameters":1}"#, "provider.require_parameters"),
            (r#"{"zdr":"yes"}"#, "provider.zdr"),
            (
                r#"{"enforce_distillable_text":0}"#,
                "provider.enforce_distillable_text",
            ),
            (r#"{"data_collection":"never"}"#, "provider.data_collection"),
            (
                r#"{"quantizations":["fp8","fp9"]}"#,
                "provider.quantizations[1]",
            ),
            (r#"{"sort":"cheap"}"#, "provider.sort"),
            (r#"{"sort":7}"#, "provider.sort"),
            (r#"{"sort":{"by":"speed"}}"#, "provider.sort.by"),
            (r#"{"sort":{"partition":"all"}}"#, "provider.sort.partition"),
            (r#"{"sort":{"order":"asc"}}"#, "provider.sort.order"),
            (r#"{"max_price":1}"#, "provider.max_price"),
            (
                r#"{"max_price":{"prompt":"cheap"}}"#,
                "provider.max_price.prompt",
            ),
            (r#"{"max_price":{"image":[]}}"#, "provider.max_price.image"),
            (r#"{"max_price":{"video":1}}"#, "provider.max_price.video"),
            (
                r#"{"preferred_min_throughput":"fast"}"#,
                "provider.preferred_min_throughput",
            ),
            (
                r#"{"preferred_max_latency":{"p95":1}}"#,
                "provider.preferred_max_latency.p95",
            ),
            (
                r#"{"preferred_max_latency":{"p90":-1}}"#,
                "provider.preferred_max_latency.p90",
            ),
            (r#"{"options":{"openai":1}}"#, "provider.options.openai"),
            (r#"[]"#, "provider"),
        ];
        for (text, path) in table {
            let error = parse(text).unwrap_err();
            assert_eq!(
                (error.status, error.param.as_deref()),
                (400, Some(path)),
                "{text}"
            );
        }
    }

    #[test]
    fn words_and_objects_mean_the_same() {
        let sort = |text: &str| parse(text).unwrap().sort.unwrap();
        assert_eq!(
            sort(r#"{"sort":"price"}"#),
            sort(r#"{"sort":{"by":"price","partition":"model"}}"#)
        );
        let across = sort(r#"{"sort":{"by":"latency","partition":"none"}}"#);
        assert_eq!(
            across,
            Sort {
                by: Some(SortBy::Latency),
                across_models: true
            }
        );
        let low = |text: &str| parse(text).unwrap().preferred_min_throughput;
        assert_eq!(
            low(r#"{"preferred_min_throughput":50}"#),
            low(r#"{"preferred_min_throughput":{"p50":50.0,"p90":null}}"#)
        );
        // `null` is how clients say nothing.
        let nothing = parse(r#"{"order":null,"sort":null,"max_price":{"prompt":null}}"#);
        assert_eq!(nothing.unwrap(), ProviderPreferences::default());
        assert_eq!(parse("null").unwrap(), ProviderPreferences::default());
    }

    #[test]
    fn the_header_fills_what_the_body_leaves_open() {
        let header = |body: &str, header: &str| parse(body).unwrap().with_header(Some(header));
        let both = header("{}", r#"{"order":["a"],"allow_fallbacks":false}"#).unwrap();
        assert_eq!(both.order.as_deref(), Some(&["a".to_owned()][..]));
        assert!(!both.fallbacks_allowed());
        let body_wins = header(
            r#"{"order":["b"]}"#,
            r#"{"order":["a"],"allow_fallbacks":false}"#,
        );
        let body_wins = body_wins.unwrap();
        assert_eq!(body_wins.order.as_deref(), Some(&["b".to_owned()][..]));
        assert!(!body_wins.fallbacks_allowed());
        for (text, path) in [
            (r#"{"sort":"price"}"#, "X-Provider.sort"),
            (r#"{"order":1}"#, "X-Provider.order"),
            ("openai", "X-Provider"),
        ] {
            assert_eq!(header("{}", text).unwrap_err().param.as_deref(), Some(path));
        }
    }

    #[test]
    fn the_deprecated_route_is_a_partition() {
        let with = |body: &str, route: Value| parse(body).unwrap().with_route(Some(&route));
        assert!(
            with("{}", "sort".into())
                .unwrap()
                .sort
                .unwrap()
                .across_models
        );
        assert!(
            !with("{}", "fallback".into())
                .unwrap()
                .sort
                .unwrap()
                .across_models
        );
        let sorted = with(r#"{"sort":"price"}"#, "sort".into())
            .unwrap()
            .sort
            .unwrap();
        assert_eq!(
            (sorted.by, sorted.across_models),
            (Some(SortBy::Price), false)
        );
        assert_eq!(
            with("{}", "both".into()).unwrap_err().param.as_deref(),
            Some("route")
        );
    }
}
