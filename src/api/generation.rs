//! One generation: `/generation` with how its cost came about, and what its user says of it.
//!
//! What belongs to another account is not there. Spec: OpenRouter's `/generation`; `charge`, `cost_explained`, `corrections`
//! and the parts of `provider_responses` are ours. Out of scope: what was said (`content`).

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    World,
    account::json_data,
    any_key,
    caller::manager,
    http::{Request, Response},
    not_on_record,
};
use crate::{
    catalog::ServiceTier,
    credits::{
        decimal,
        discount::{self, Discount},
        money::{Nanos, dollars},
        pricing::{Charge, Line, Part},
        share::WHOLE,
    },
    error::{Error, ErrorType, Next, Result, Source},
    identity::{Actor, Role},
    time::rfc3339,
    usage::{
        Generation,
        d1::{SELECT_GENERATION, read_generation},
    },
};

/// Decimals in which arithmetic is told: a price for a million, after a discount in millionths, is exact in them.
const DECIMALS: u32 = 24;
/// Of a nano-dollar, in the same decimals.
const NANO: i128 = 1_000_000_000_000_000;
/// The longest comment, in characters.
const MAX_COMMENT: usize = 2_000;
/// What feedback may be about.
const CATEGORIES: [&str; 7] = [
    "latency",
    "incoherence",
    "incorrect_response",
    "formatting",
    "billing",
    "api_error",
    "other",
];

/// Who asks: the account, and who it is.
async fn asker<W: World>(world: &W, request: &Request) -> Result<(String, Actor)> {
    let bears_key =
        request.header("authorization").is_some() || request.header("x-api-key").is_some();
    if bears_key {
        let key = any_key(world, request).await?;
        return Ok((key.account, Actor::Key(key.hash)));
    }
    let manager = manager(world, request, Role::Member).await?;
    Ok((manager.account, manager.actor))
}

/// The generation of this id, where it is the account's.
async fn find<W: World>(world: &W, account: &str, id: &str) -> Result<Generation> {
    let rows = world
        .query(SELECT_GENERATION, &[id.into(), account.into()])
        .await?;
    let text = rows.first().and_then(|row| row.get("generation")?.as_str());
    let text = text.ok_or_else(|| not_on_record("generation", id))?;
    read_generation(text).map_err(|error| Error::internal(format!("usage row {id}: {error}")))
}

/// `GET /generation?id=`. The row arrives a moment after its answer; until then it is 404.
pub(super) async fn show<W: World>(world: &W, request: &Request) -> Result<Response> {
    let (account, _) = asker(world, request).await?;
    let id = request
        .query("id")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| Error::invalid("id", "The query parameter id is missing"))?;
    let generation = find(world, &account, id).await?;
    Ok(Response::json(200, &json_data(&render(&generation)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feedback {
    generation_id: String,
    category: String,
    comment: Option<String>,
}

/// `POST /generation/feedback`: once per generation.
pub(super) async fn feedback<W: World>(world: &W, request: Request) -> Result<Response> {
    let (account, actor) = asker(world, &request).await?;
    let Feedback {
        generation_id: id,
        category,
        comment,
    } = request.json().await?;
    if !CATEGORIES.contains(&category.as_str()) {
        let message = format!("One of {}", CATEGORIES.join(", "));
        return Err(Error::invalid("category", message));
    }
    if comment
        .as_ref()
        .is_some_and(|text| text.chars().count() > MAX_COMMENT)
    {
        let message = format!("At most {MAX_COMMENT} characters");
        return Err(Error::invalid("comment", message));
    }
    find(world, &account, &id).await?;
    let now = i64::try_from(world.now_ms()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO generation_feedback (account, generation, category, comment, actor, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING RETURNING at";
    let params = [
        account.as_str().into(),
        id.as_str().into(),
        category.as_str().into(),
        comment.as_deref().into(),
        actor.name().as_str().into(),
        now.into(),
    ];
    if world.query(sql, &params).await?.is_empty() {
        let message = format!("There is feedback on {id} already");
        let mut error = Error::new(
            Source::Client,
            Next::Final,
            ErrorType::InvalidRequest,
            message,
        );
        error.status = 409;
        return Err(error);
    }
    Ok(Response::json(200, &json_data(&json!({"success": true}))))
}

#[derive(Serialize)]
struct Record {
    #[serde(flatten)]
    facts: Value,
    #[serde(with = "dollars")]
    total_cost: Nanos,
    #[serde(with = "dollars")]
    usage: Nanos,
    #[serde(with = "dollars::option")]
    cache_discount: Option<Nanos>,
    /// With an own provider key: the list price.
    #[serde(with = "dollars::option")]
    upstream_inference_cost: Option<Nanos>,
}

/// The reference's word for a kind of request.
fn api_type(own: &str) -> &str {
    match own {
        "images" => "image",
        "speech" => "tts",
        "transcriptions" => "stt",
        other => other,
    }
}

/// The attempts, as `provider_responses` tells them.
fn responses(generation: &Generation) -> Vec<Value> {
    let attempts = generation.row.attempts.iter();
    let told = attempts.map(|attempt| {
        json!({
            "provider_name": attempt.provider, "endpoint_id": attempt.endpoint,
            "model_permaslug": attempt.model, "status": attempt.status,
            "latency": attempt.latency_ms, "id": attempt.upstream_id, "error": attempt.error,
            "is_byok": attempt.own_key.is_some(),
            "routed_service_tier": ServiceTier::of_tag(&attempt.endpoint).map(ServiceTier::as_str),
            "service_tier": attempt.service_tier,
            "hedge_cost": attempt.hedge_cost.map(|cost| cost.to_string()),
            "part": attempt.part.map(|part| json!({
                "tokens_prompt": part.usage.prompt, "tokens_completion": part.usage.completion,
                "cost": part.cost.to_string(),
            })),
        })
    });
    told.collect()
}

fn render(generation: &Generation) -> Result<Record> {
    let row = &generation.row;
    let count = |what| row.charge.as_ref().map(|charge| charge.count(what));
    let corrections: Vec<_> = generation
        .corrections
        .iter()
        .map(|each| json!({"change": each.change.to_string(), "reason": each.reason, "at": rfc3339(each.at)}))
        .collect();
    let cost = cost(generation)?;
    let serving = row.attempts.last();
    let tier = serving.and_then(|attempt| attempt.service_tier.clone());
    let mut facts = json!({
        "id": generation.id,
        "request_id": row.request_id,
        "upstream_id": row.upstream_id,
        "created_at": rfc3339(row.created_at),
        "model": row.model,
        "provider_name": row.provider,
        "router": row.router,
        "preset_id": row.preset,
        "session_id": row.origin.session_id,
        "external_user": row.origin.external_user,
        "app_id": row.app,
        "origin": row.origin.http_referer.as_deref().unwrap_or_default(),
        "http_referer": row.origin.http_referer,
        "app_title": row.origin.app_title,
        "user_agent": row.origin.user_agent,
        "api_key_id": generation.key_hash,
        "creator_user_id": row.member,
        "workspace_id": "default",
        "api_type": api_type(&row.api_type),
        "surface": row.surface,
        "streamed": row.streamed,
        "cancelled": row.cancelled,
        "status": generation.status,
        "finish_reason": row.finish_reason,
        "native_finish_reason": row.native_finish_reason,
        "service_tier": row.service_tier.clone().or(tier),
        "data_region": row.data_region.as_deref().unwrap_or("global"),
        "latency": row.latency_ms,
        "generation_time": row.generation_ms,
        "moderation_latency": null,
        "is_byok": row.own_key.is_some(),
        "error": row.error,
        "charge": row.charge,
        "cost_explained": row.charge.as_ref().map(|charge| explain(charge, cost)),
        "corrections": corrections,
    });
    let more = json!({
        "tokens_prompt": row.usage.prompt,
        "tokens_completion": row.usage.completion,
        "native_tokens_prompt": row.usage.prompt,
        "native_tokens_completion": row.usage.completion,
        "native_tokens_reasoning": row.usage.reasoning,
        "native_tokens_cached": row.usage.cache_read,
        "native_tokens_cache_write": row.usage.cache_write(),
        "native_tokens_completion_images": row.usage.image_out,
        "usage_estimated": row.usage.estimated,
        "num_media_prompt": row.media.prompt,
        "num_media_completion": row.media.completion,
        "num_input_audio_prompt": row.media.audio_prompt,
        "num_search_results": count(Part::WebSearchResult),
        "num_web_searches": count(Part::WebSearch),
        "num_fetches": count(Part::WebFetch),
        "web_search_engine": row.web_search_engine,
        "response_cache_source_id": row.response_cache_source_id,
        "guardrails": row.guardrails.as_object().cloned().unwrap_or_default(),
        "provider_responses": responses(generation),
    });
    if let (Some(facts), Value::Object(more)) = (facts.as_object_mut(), more) {
        facts.extend(more);
    }
    Ok(Record {
        facts,
        total_cost: cost,
        usage: cost,
        cache_discount: row.charge.as_ref().and_then(|charge| charge.cache_discount),
        upstream_inference_cost: row.list_cost,
    })
}

/// What was charged, with every correction since.
fn cost(generation: &Generation) -> Result<Nanos> {
    generation
        .corrections
        .iter()
        .try_fold(generation.cost, |sum, each| sum.checked_add(each.change))
        .map_err(|error| Error::internal(format!("corrections of {}: {error}", generation.id)))
}

/// A line as a fraction of dollars in [`DECIMALS`]: what it comes to, and whether that is all of it.
fn amount(line: &Line) -> Option<(i128, bool)> {
    let parts = line.share.map_or(WHOLE, |share| share.parts());
    let kept = discount::kept(line.discount_ppm);
    let product = i128::from(line.quantity).checked_mul(i128::from(line.price))?;
    let product = product.checked_mul(i128::from(parts))?.checked_mul(kept)?;
    let divisor = i128::from(line.per) * i128::from(WHOLE) * i128::from(discount::WHOLE);
    let nanos = product.checked_div(divisor)?;
    let rest = product.checked_rem(divisor)?.checked_mul(NANO)?;
    let amount = nanos.checked_mul(NANO)?.checked_add(rest / divisor)?;
    Some((amount, rest % divisor == 0))
}

/// A charge as arithmetic that anybody can do again: each line, their sum, the rounding, and what was corrected since. A line
/// that has more decimals than are told is cut there, and says so.
fn explain(charge: &Charge, cost: Nanos) -> Value {
    let exact = |nanos: Nanos| decimal::format(i128::from(nanos.get()), 9);
    let mut sum = Some(0i128);
    let mut is_exact = true;
    let lines = charge.lines.iter().map(|line| {
        let amount = amount(line);
        sum = sum
            .zip(amount)
            .and_then(|(sum, (one, _))| sum.checked_add(one));
        is_exact &= amount.is_none_or(|(_, exact)| exact);
        let price = decimal::format(i128::from(line.price), 9);
        let told = amount.map(|(amount, _)| decimal::format(amount, DECIMALS));
        let share = line
            .share
            .map(|share| decimal::format(i128::from(share.parts()), 6));
        let of_share = share
            .as_ref()
            .map(|share| format!(" × {share} %"))
            .unwrap_or_default();
        let discount = line.discount_ppm.map(Discount::fraction);
        let off = discount
            .as_ref()
            .map(|discount| format!(" × (1 − {discount})"))
            .unwrap_or_default();
        let per = if line.per == 1 {
            String::new()
        } else {
            format!(" / {}", line.per)
        };
        json!({
            "what": line.what, "quantity": line.quantity, "price_usd": price, "per": line.per,
            "discount": discount, "share_percent": share, "amount_usd": told,
            "text": format!(
                "{} × ${price}{per}{off}{of_share} = ${}",
                line.quantity,
                told.as_deref().unwrap_or("?")
            ),
        })
    });
    let lines: Vec<Value> = lines.collect();
    let total = i128::from(charge.total.get());
    let rounding = sum.and_then(|sum| total.checked_mul(NANO)?.checked_sub(sum));
    let corrected = cost.checked_sub(charge.total).ok();
    json!({
        "lines": lines,
        "sum_usd": sum.map(|sum| decimal::format(sum, DECIMALS)),
        "is_exact": is_exact,
        "rounding_usd": rounding.map(|rounding| decimal::format(rounding, DECIMALS)),
        "total_usd": exact(charge.total),
        "corrections_usd": corrected.map(exact),
        "cost_usd": exact(cost),
        "long_context_above_tokens": charge.tier,
        "cache_discount_usd": charge.cache_discount.map(exact),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Usage, credits::pricing::PriceTable, credits::share::Share};

    #[test]
    fn a_charge_is_explained_to_the_last_fraction() {
        let prices: PriceTable = serde_json::from_value(json!({
            "prompt": 37_500_001, "completion": 2_000_000_000, "request": 7,
        }))
        .unwrap();
        let usage = Usage {
            prompt: 3,
            completion: 5,
            ..Usage::default()
        };
        let charge = prices.cost(&usage).unwrap();
        let told = explain(&charge, charge.total);
        // 3 × 37.500001 + 5 × 2,000 + 7 nano-dollars.
        assert_eq!(told["sum_usd"], "0.000010119500003");
        assert_eq!(told["total_usd"], "0.00001012");
        assert_eq!(told["rounding_usd"], "0.000000000499997");
        assert_eq!(told["is_exact"], true);
        assert_eq!(told["corrections_usd"], "0");
        let text = "3 × $0.037500001 / 1000000 = $0.000000112500003";
        assert_eq!(told["lines"][0]["text"], text);
        assert_eq!(told["lines"][2]["text"], "1 × $0.000000007 = $0.000000007");
        let share = Share::from_percent("5").unwrap();
        let shared = explain(&charge.at_share(share).unwrap(), Nanos::ZERO);
        assert_eq!(shared["sum_usd"], "0.00000050597500015");
        assert_eq!(shared["lines"][0]["share_percent"], "5");
        assert_eq!(shared["corrections_usd"], "-0.000000506");
    }

    #[test]
    fn thirds_of_a_nano_dollar_say_that_they_are_cut() {
        let line = Line {
            per: 3_600_000,
            ..Line::each(Part::AudioInMs, 1, 40_000_000)
        };
        assert_eq!(amount(&line), Some((11_111_111_111_111_111, false)));
    }

    #[test]
    fn a_discount_is_a_factor_of_each_line_and_dear_lines_are_told_too() {
        let prices: PriceTable = serde_json::from_value(json!({
            "prompt": 3_000_000_000_i64, "completion": 0, "discount_ppm": 333_333,
        }))
        .unwrap();
        let usage = Usage {
            prompt: 1_000_000_001,
            ..Usage::default()
        };
        let charge = prices.cost(&usage).unwrap();
        let share = Share::from_percent("5.123457").unwrap();
        let told = explain(&charge, charge.total);
        let text = "1000000001 × $3 / 1000000 × (1 − 0.333333) = $2000.001002000001";
        assert_eq!(told["lines"][0]["text"], text);
        assert_eq!(told["lines"][0]["discount"], "0.333333");
        assert_eq!(told["rounding_usd"], "0.000000000999");
        let shared = explain(&charge.at_share(share).unwrap(), Nanos::ZERO);
        let text = "1000000001 × $3 / 1000000 × (1 − 0.333333) × 5.123457 % = $102.469191337039";
        let line = shared["lines"][0]["text"].as_str().unwrap();
        assert!(line.starts_with(text), "{line}");
    }
}
