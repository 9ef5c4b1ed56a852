//! S3 and what speaks like it: an object of JSON lines per batch, each line one generation's spans as OTLP JSON.
//!
//! Keys are `<pathTemplate>/<id of the first trace>-<time>-<id of the batch>.jsonl`; the batch's id and the time of its first
//! generation make the key the same when a batch is sent again, so that the object is written over, not doubled. `{apiKeyName}`
//! makes objects of one key each: the delivery cuts batches there. Buckets of AWS are addressed by host unless their name has a dot, endpoints by
//! path unless `addressing` says otherwise. Spec: `PutObject`, AWS Signature Version 4
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>): S3's paths are encoded once, and the digest
//! of the body is a signed header.

use super::{Target, batch_id, lines};
use crate::{
    error::{Error, Result},
    identity::keys::hex,
    observability::{
        otlp::{to_json, traces},
        port::Outgoing,
        trace::Record,
    },
    signing::sigv4::{self, Keys, PathForm, Scope, Signable, path_segment},
    time::rfc3339,
};

/// The region of endpoints that have none.
const NO_REGION: &str = "auto";

pub(super) fn request(target: &Target<'_>, records: &[&Record], now: i64) -> Result<Outgoing> {
    let (kind, config) = (target.kind, target.config);
    let body = lines(records.iter().filter_map(|record| {
        let text = to_json(&traces(&[record], None, Vec::new(), target.switches));
        crate::json::from_slice(&text).ok()
    }));
    let key = object_key(target, records, now);
    let bucket = config.word(kind, "bucketName");
    let region = config.text(kind, "region").unwrap_or(NO_REGION);
    let endpoint = config.text(kind, "endpoint");
    let (scheme, host, base) = match endpoint {
        Some(endpoint) => {
            let (scheme, rest) = endpoint
                .split_once("://")
                .ok_or_else(|| Error::internal("an endpoint has no scheme"))?;
            let (host, base) = rest.split_once('/').unwrap_or((rest, ""));
            (scheme, host.to_owned(), base.trim_end_matches('/'))
        }
        None => ("https", format!("s3.{region}.amazonaws.com"), ""),
    };
    let by_host = match config.word(kind, "addressing") {
        "virtual" => true,
        "path" => false,
        _ => endpoint.is_none() && !bucket.contains('.'),
    };
    let host = if by_host {
        format!("{bucket}.{host}")
    } else {
        host
    };
    let mut segments: Vec<String> = base
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    if !by_host {
        segments.push(path_segment(bucket));
    }
    segments.extend(key.split('/').map(path_segment));
    let path = format!("/{}", segments.join("/"));
    let mut signed: Vec<(&str, &str)> = vec![("content-type", "application/x-ndjson")];
    signed.extend(
        config
            .headers()
            .filter(|(name, _)| name.starts_with("x-amz-")),
    );
    let digest = sigv4::digest(&body);
    signed.push(("x-amz-content-sha256", &digest));
    let signable = Signable {
        method: "PUT",
        host: &host,
        path: &path,
        query: "",
        headers: &signed,
        body: &body,
    };
    let keys = Keys {
        access_key_id: config.word(kind, "accessKeyId"),
        secret_access_key: config.word(kind, "secretAccessKey"),
        session_token: config.text(kind, "sessionToken"),
    };
    let scope = Scope {
        region,
        service: "s3",
    };
    let signature = sigv4::sign_as(&signable, scope, keys, now, PathForm::Once);
    let mut headers: Vec<(std::borrow::Cow<'static, str>, String)> = signature
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect();
    for (name, value) in &signed {
        headers.push(((*name).to_owned().into(), (*value).to_owned()));
    }
    let unsigned = config
        .headers()
        .filter(|(name, _)| !name.starts_with("x-amz-"));
    headers.extend(unsigned.map(|(name, value)| (name.to_owned().into(), value.to_owned())));
    Ok(Outgoing {
        method: "PUT",
        url: format!("{scheme}://{host}{path}"),
        headers,
        body,
        gzip: false,
    })
}

fn object_key(target: &Target<'_>, records: &[&Record], now: i64) -> String {
    let (kind, config) = (target.kind, target.config);
    let first = records.first();
    let at = first.map_or(now, |record| record.times().0);
    let time = rfc3339(at);
    let date = time.get(..10).unwrap_or_default();
    let part = |from: usize, to: usize| date.get(from..to).unwrap_or_default();
    let key_name = first
        .map_or("test", |record| record.key_name.as_str())
        .replace('/', "_");
    let prefix = config.word(kind, "prefix");
    let folder = config
        .word(kind, "pathTemplate")
        .replace("{prefix}", prefix.trim_matches('/'))
        .replace("{date}", date)
        .replace("{year}", part(0, 4))
        .replace("{month}", part(5, 7))
        .replace("{day}", part(8, 10))
        .replace("{apiKeyName}", &key_name);
    let folder: Vec<&str> = folder
        .split('/')
        .filter(|segment| !matches!(*segment, "" | "." | ".."))
        .collect();
    let name = match first {
        Some(record) => {
            let batch = hex(&batch_id(target, records));
            let batch = batch.get(..8).unwrap_or_default();
            format!("{}-{at}-{batch}.jsonl", hex(&record.trace_id()))
        }
        None => "test-connection.jsonl".to_owned(),
    };
    format!("{}/{name}", folder.join("/"))
        .trim_start_matches('/')
        .to_owned()
}
