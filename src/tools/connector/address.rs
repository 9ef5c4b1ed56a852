//! Where an operation is: the provider's base address and the operation's path, with what stands in them.
//!
//! Hosts come from rows alone. An input field may name one label of a host where the row says so, and segments of a path, of which
//! none can lead upwards. `<SLUG>_BASE_URL` puts another server in the place of a provider's (one that is hosted by oneself);
//! `TOOLS_ORIGIN` one server in the place of all of them, with the host as the first segment of the path.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Context, Problem,
    auth::{parts, wrong},
    template::plain,
};
use crate::{
    catalog::provider::resolve_base_url,
    identity::people::form::encoded,
    tools::catalog::{Tool, ToolProvider},
};

/// The variable with the server that stands for all.
const ORIGIN: &str = "TOOLS_ORIGIN";

/// What stands in an address.
pub(super) struct Places<'a> {
    pub(super) tool: &'a Tool,
    pub(super) cx: &'a Context<'a>,
    /// The input's fields.
    pub(super) fields: &'a Value,
    /// The input's fields that the address used.
    pub(super) used: BTreeSet<String>,
}

impl Places<'_> {
    /// The base address of the tool, or this one where there is one.
    pub(super) fn base(&mut self, own: Option<&str>) -> Result<String, Problem> {
        let provider = &self.tool.provider;
        let key = self.cx.credentials.part(provider, "").unwrap_or_default();
        let fitting = provider.base_urls.iter();
        let by_key = fitting
            .filter(|one| key.ends_with(&one.key_suffix))
            .map(|one| one.url.as_str())
            .next();
        let template = own
            .or(self.tool.operation.base_url.as_deref())
            .or(by_key)
            .unwrap_or(&provider.base_url);
        let url = resolve_base_url(template, self.cx.var)
            .map_err(|error| wrong(provider, &error.to_string()))?;
        let host_ends = url
            .split_once("://")
            .and_then(|(scheme, rest)| Some(scheme.len() + 3 + rest.find('/')?));
        let (origin, path) = url
            .split_at_checked(host_ends.unwrap_or(url.len()))
            .unwrap_or_default();
        let mut filled = self.fill(origin, Within::Host)?;
        filled.push_str(&self.fill(path, Within::Path)?);
        Ok(redirected(provider, filled, self.cx.var))
    }

    /// A path with what stands in it.
    pub(super) fn path(&mut self, template: &str) -> Result<String, Problem> {
        let path = self.fill(template, Within::Path)?;
        Ok(path)
    }

    fn fill(&mut self, template: &str, within: Within) -> Result<String, Problem> {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            filled.push_str(&self.place(name, within)?);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }

    /// What stands for `key`, `key.x`, `field`, `field=default` or `+field`.
    fn place(&mut self, name: &str, within: Within) -> Result<String, Problem> {
        if name == "key" || name.starts_with("key.") {
            let part = name.strip_prefix("key.").unwrap_or_default();
            let key = parts(self.tool, self.cx)(part);
            let key = key.filter(|key| !key.is_empty());
            let told = || wrong(&self.tool.provider, "its key is missing, or lacks a part");
            return segments(&key.ok_or_else(told)?, within)
                .map_err(|_| wrong(&self.tool.provider, "its key cannot stand in an address"));
        }
        let (name, keeps_slashes) = match name.strip_prefix('+') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (name, default) = match name.split_once('=') {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        let value = self.fields.get(name).filter(|value| !value.is_null());
        let value = value.map(plain).or_else(|| default.map(str::to_owned));
        let value = value.ok_or_else(|| Problem::input(name, "it is missing"))?;
        self.used.insert(name.to_owned());
        let made = match (within, keeps_slashes) {
            (Within::Host, _) | (_, true) => segments(&value, within),
            (Within::Path, false) => segment(&value),
        };
        made.map_err(|why| Problem::input(name, why))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Host,
    Path,
}

/// Several segments, each checked; or a label of a host.
fn segments(value: &str, within: Within) -> Result<String, &'static str> {
    if within == Within::Host {
        let is_label = (1..=63).contains(&value.len())
            && value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !value.starts_with('-')
            && !value.ends_with('-');
        return if is_label {
            Ok(value.to_ascii_lowercase())
        } else {
            Err("it must be one label of a host name")
        };
    }
    let made: Result<Vec<String>, _> = value.split('/').map(segment).collect();
    made.map(|segments| segments.join("/"))
}

/// One segment. Colons are kept: they stand in bots' tokens.
fn segment(value: &str) -> Result<String, &'static str> {
    match value {
        "" => Err("it must not be empty, nor have empty parts"),
        "." | ".." => Err("it must not be . or .., nor have such parts"),
        _ => Ok(encoded(value).replace("%3A", ":")),
    }
}

/// The address at the server that stands for the provider's, if there is one.
pub(super) fn redirected(
    provider: &ToolProvider,
    url: String,
    var: &dyn Fn(&str) -> Option<String>,
) -> String {
    // What was imported is called where it says, and nowhere else.
    let Some((_, rest)) = url
        .split_once("://")
        .filter(|_| !provider.source.is_imported())
    else {
        return url;
    };
    let (host, path) = rest
        .split_at_checked(rest.find('/').unwrap_or(rest.len()))
        .unwrap_or_default();
    let own = format!("{}_BASE_URL", provider.slug.to_ascii_uppercase());
    if let Some(origin) = var(&own) {
        return format!("{}{path}", origin.trim_end_matches('/'));
    }
    match var(ORIGIN) {
        Some(origin) => format!("{}/{host}{path}", origin.trim_end_matches('/')),
        None => url,
    }
}
