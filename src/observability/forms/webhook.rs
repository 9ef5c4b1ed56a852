//! Any address: OTLP in JSON by POST or PUT, with a signature where the account gives a secret.
//!
//! The signature is that of Standard Webhooks (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>):
//! `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64 of HMAC-SHA256 over id.timestamp.body>`. A secret that
//! begins with `whsec_` is base64 after it, any other is taken as it stands. The id stays the same when a batch is sent again.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::{Target, batch_id};
use crate::{
    identity::keys::hex,
    observability::{
        otlp::{to_json, traces},
        port::Outgoing,
        trace::Record,
    },
    signing::hmac::hmac,
};

pub(super) fn request(target: &Target<'_>, records: &[&Record], now: i64) -> Outgoing {
    let (kind, config) = (target.kind, target.config);
    let body = to_json(&traces(records, None, Vec::new(), target.switches));
    let mut headers = vec![("content-type".into(), "application/json".to_owned())];
    if let Some(secret) = config.text(kind, "secret") {
        let id = format!("msg_{}", hex(&batch_id(target, records)));
        let seconds = now / 1_000;
        let mut signed = format!("{id}.{seconds}.").into_bytes();
        signed.extend_from_slice(&body);
        let encoded = secret.strip_prefix("whsec_");
        let key = encoded
            .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
            .unwrap_or_else(|| secret.as_bytes().to_vec());
        let signature = BASE64_STANDARD.encode(hmac(&key, &signed));
        headers.push(("webhook-id".into(), id));
        headers.push(("webhook-timestamp".into(), seconds.to_string()));
        headers.push(("webhook-signature".into(), format!("v1,{signature}")));
    }
    let method = if config.word(kind, "method") == "PUT" {
        "PUT"
    } else {
        "POST"
    };
    Outgoing {
        method,
        url: config.word(kind, "url").to_owned(),
        headers,
        body,
        gzip: config.text(kind, "compression") == Some("gzip"),
    }
}
