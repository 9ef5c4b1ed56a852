//! Requests of every wire, out of a destination's configuration and generations.

mod clickhouse;
mod posthog;
mod s3;
mod snowflake;
mod webhook;

use serde_json::Value;

use super::{
    config::Config,
    kind::{Form, Kind},
    otlp,
    port::{Outgoing, Port},
    trace::{Record, Switches},
};
use crate::{error::Result, identity::keys::hex};

/// A destination as far as a request needs it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its type.
    pub kind: &'static Kind,
    /// Its configuration.
    pub config: &'a Config,
    /// What it is told beside the generation itself.
    pub switches: Switches,
}

/// The request that carries these generations; with none of them, one that tests the connection.
///
/// # Errors
/// When the configuration cannot be used. The message quotes no secret.
pub async fn request<P: Port>(
    port: &P,
    target: &Target<'_>,
    records: &[&Record],
) -> Result<Outgoing> {
    let now = i64::try_from(port.now_ms()).unwrap_or(i64::MAX);
    let (kind, config) = (target.kind, target.config);
    let mut outgoing = match &kind.form {
        Form::Otlp(otlp) => otlp::request(kind, otlp, config, records, target.switches)?,
        Form::Webhook => webhook::request(target, records, now),
        Form::S3 => s3::request(target, records, now)?,
        Form::Clickhouse => clickhouse::request(target, records),
        Form::Posthog => posthog::request(target, records),
        Form::Snowflake => snowflake::request(port, target, records, now).await?,
    };
    let agent = concat!("patchbay/", env!("CARGO_PKG_VERSION"));
    outgoing.headers.push(("user-agent".into(), agent.into()));
    // S3 signs its headers, the account's own among them.
    if !matches!(kind.form, Form::S3) {
        for (name, value) in config.headers() {
            let own = |known: &(std::borrow::Cow<'static, str>, String)| known.0 == name;
            outgoing.headers.retain(|known| !own(known));
            outgoing
                .headers
                .push((name.to_owned().into(), value.to_owned()));
        }
    }
    if records.is_empty() {
        let mark = ("x-test-connection".into(), "true".to_owned());
        outgoing.headers.push(mark);
    }
    Ok(outgoing)
}

/// The statements that make the table, for the types that need one.
pub fn setup(kind: &Kind, config: &Config) -> Option<String> {
    match kind.form {
        Form::Clickhouse => Some(clickhouse::setup(kind, config)),
        Form::Snowflake => Some(snowflake::setup(kind, config)),
        _ => None,
    }
}

/// Rows as JSON, one to a line.
fn lines(rows: impl Iterator<Item = Value>) -> Vec<u8> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&row.to_string());
        text.push('\n');
    }
    text.into_bytes()
}

/// A name for these generations at this destination that stays the same when they are sent again.
fn batch_id(target: &Target<'_>, records: &[&Record]) -> [u8; 16] {
    let mut parts = vec!["batch", target.id];
    parts.extend(records.iter().map(|record| record.generation.id.as_str()));
    super::ids::digest(&parts)
}

/// A UUID out of 16 bytes (version 8, RFC 9562).
fn uuid(mut bytes: [u8; 16]) -> String {
    for (at, mark) in [(6, 0x80), (8, 0x80)] {
        let kept = if at == 6 { 0x0f } else { 0x3f };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *byte & kept | mark;
        }
    }
    let digits = hex(&bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )
}

#[cfg(test)]
#[path = "../forms_tests.rs"]
mod tests;
