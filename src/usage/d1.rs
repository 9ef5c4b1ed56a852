//! The `usage` table of D1: the statement that writes outbox rows and the one that reads a generation.
//!
//! In scope: SQL text and the JSON on both sides of it. Out of scope: running it (`edge`), the outbox (`credits::ledger`).
//!
//! One statement with one parameter carries up to 500 rows (D1 allows 100 parameters per statement). Writing is idempotent
//! and independent of order: a row whose id is there already is ignored, except that one of status *expired* gives way to
//! any other of the same account and moves to the end, where the statistics find it. That is what makes a late settlement leave exactly one row; the argument is at the top
//! of `credits::ledger`.

use crate::credits::ops::OutboxRow;

use super::Generation;

/// Writes the rows of [`flush_param`], its only parameter.
///
/// The last `seq` is looked up with the row's own, or SQLite would look it up once for all rows of the statement.
pub const FLUSH: &str = "
    INSERT INTO usage (
        id, account, key_hash, status, cost, finished_at, request_id, created_at, api_type, model, provider,
        endpoint, streamed, cancelled, upstream_id, finish_reason, native_finish_reason, latency_ms,
        generation_ms, error, prompt_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
        completion_tokens, reasoning_tokens, audio_in_tokens, audio_out_tokens, image_out_tokens, upstream_cost,
        estimated, http_referer, app_title, user_agent, session_id, external_user, attempts, charge,
        response_cache_source_id, own_key, list_cost, member, app, preset, router, service_tier, data_region,
        surface, media, web_search_engine, trace, guardrails
    )
    SELECT
        value ->> '$.id', value ->> '$.account', value ->> '$.key_hash', value ->> '$.status',
        value ->> '$.cost', value ->> '$.finished_at', COALESCE(value ->> '$.row.request_id', ''),
        COALESCE(value ->> '$.row.created_at', 0), COALESCE(value ->> '$.row.api_type', ''),
        COALESCE(value ->> '$.row.model', ''), value ->> '$.row.provider', value ->> '$.row.endpoint',
        COALESCE(value ->> '$.row.streamed', 0), COALESCE(value ->> '$.row.cancelled', 0),
        value ->> '$.row.upstream_id', value ->> '$.row.finish_reason', value ->> '$.row.native_finish_reason',
        value ->> '$.row.latency_ms', value ->> '$.row.generation_ms', value ->> '$.row.error',
        COALESCE(value ->> '$.row.usage.prompt', 0), COALESCE(value ->> '$.row.usage.cache_read', 0),
        COALESCE(value ->> '$.row.usage.cache_write_5m', 0),
        COALESCE(value ->> '$.row.usage.cache_write_1h', 0), COALESCE(value ->> '$.row.usage.completion', 0),
        COALESCE(value ->> '$.row.usage.reasoning', 0), COALESCE(value ->> '$.row.usage.audio_in', 0),
        COALESCE(value ->> '$.row.usage.audio_out', 0), COALESCE(value ->> '$.row.usage.image_out', 0),
        value ->> '$.row.usage.upstream_cost', COALESCE(value ->> '$.row.usage.estimated', 0),
        value ->> '$.row.origin.http_referer', value ->> '$.row.origin.app_title',
        value ->> '$.row.origin.user_agent', value ->> '$.row.origin.session_id',
        value ->> '$.row.origin.external_user', value ->> '$.row.attempts', value ->> '$.row.charge',
        value ->> '$.row.response_cache_source_id', value ->> '$.row.own_key', value ->> '$.row.list_cost',
        value ->> '$.row.member', value ->> '$.row.app', value ->> '$.row.preset', value ->> '$.row.router',
        value ->> '$.row.service_tier', value ->> '$.row.data_region', value ->> '$.row.surface',
        value ->> '$.row.media', value ->> '$.row.web_search_engine',
        value ->> '$.row.origin.trace', value ->> '$.row.guardrails'
    FROM json_each(?1)
    WHERE true
    ON CONFLICT (id) DO UPDATE SET
        seq = (SELECT 1 + last.seq FROM usage AS last WHERE last.seq >= usage.seq ORDER BY last.seq DESC LIMIT 1),
        key_hash = excluded.key_hash, status = excluded.status, cost = excluded.cost,
        finished_at = excluded.finished_at, request_id = excluded.request_id, created_at = excluded.created_at,
        api_type = excluded.api_type, model = excluded.model, provider = excluded.provider,
        endpoint = excluded.endpoint, streamed = excluded.streamed, cancelled = excluded.cancelled,
        upstream_id = excluded.upstream_id, finish_reason = excluded.finish_reason,
        native_finish_reason = excluded.native_finish_reason, latency_ms = excluded.latency_ms,
        generation_ms = excluded.generation_ms, error = excluded.error, prompt_tokens = excluded.prompt_tokens,
        cache_read_tokens = excluded.cache_read_tokens, cache_write_5m_tokens = excluded.cache_write_5m_tokens,
        cache_write_1h_tokens = excluded.cache_write_1h_tokens, completion_tokens = excluded.completion_tokens,
        reasoning_tokens = excluded.reasoning_tokens, audio_in_tokens = excluded.audio_in_tokens,
        audio_out_tokens = excluded.audio_out_tokens, image_out_tokens = excluded.image_out_tokens,
        upstream_cost = excluded.upstream_cost, estimated = excluded.estimated,
        http_referer = excluded.http_referer, app_title = excluded.app_title, user_agent = excluded.user_agent,
        session_id = excluded.session_id, external_user = excluded.external_user, attempts = excluded.attempts,
        charge = excluded.charge, response_cache_source_id = excluded.response_cache_source_id,
        own_key = excluded.own_key, list_cost = excluded.list_cost, member = excluded.member, app = excluded.app,
        preset = excluded.preset, router = excluded.router, service_tier = excluded.service_tier,
        data_region = excluded.data_region, surface = excluded.surface, media = excluded.media,
        web_search_engine = excluded.web_search_engine, trace = excluded.trace, guardrails = excluded.guardrails
    WHERE usage.status = 'expired' AND excluded.status <> 'expired' AND usage.account = excluded.account";

/// Keeps a correction that the ledger has entered. Parameters: account, generation, reason, change of the cost, time. A repeat changes nothing.
pub const SAVE_CORRECTION: &str = "
    INSERT INTO corrections (account, generation, reason, change, at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";

/// Generations as a JSON column `generation` for [`read_generation`], and their places in the order.
///
/// JSON text keeps integers exact on the way through JavaScript; D1 allows 32 arguments per function, hence the two halves.
macro_rules! select_generations {
    ($of:literal) => {
        concat!("
    SELECT seq, json_object(
        'id', id, 'account', account, 'key_hash', key_hash, 'status', status, 'cost', cost,
        'finished_at', finished_at,
        'corrections', (
            SELECT json_group_array(json_object('change', change, 'reason', reason, 'at', at))
            FROM (SELECT * FROM corrections WHERE generation = usage.id AND account = usage.account ORDER BY seq)
        ),
        'row', json_patch(
            json_object(
                'request_id', request_id, 'created_at', created_at, 'api_type', api_type, 'model', model,
                'provider', provider, 'endpoint', endpoint, 'streamed', json(IIF(streamed, 'true', 'false')),
                'cancelled', json(IIF(cancelled, 'true', 'false')), 'upstream_id', upstream_id,
                'finish_reason', finish_reason, 'native_finish_reason', native_finish_reason,
                'latency_ms', latency_ms, 'generation_ms', generation_ms, 'error', error, 'guardrails', json(guardrails)
            ),
            json_object(
                'usage', json_object(
                    'prompt', prompt_tokens, 'cache_read', cache_read_tokens,
                    'cache_write_5m', cache_write_5m_tokens, 'cache_write_1h', cache_write_1h_tokens,
                    'completion', completion_tokens, 'reasoning', reasoning_tokens, 'audio_in', audio_in_tokens,
                    'audio_out', audio_out_tokens, 'image_out', image_out_tokens,
                    'upstream_cost', upstream_cost, 'estimated', json(IIF(estimated, 'true', 'false'))
                ),
                'origin', json_object(
                    'http_referer', http_referer, 'app_title', app_title, 'user_agent', user_agent,
                    'session_id', session_id, 'external_user', external_user, 'trace', trace
                ),
                'attempts', json(COALESCE(attempts, '[]')),
                'charge', json(charge), 'response_cache_source_id', response_cache_source_id,
                'own_key', own_key, 'list_cost', list_cost, 'member', member, 'app', app, 'preset', preset,
                'router', router, 'service_tier', service_tier, 'data_region', data_region, 'surface', surface,
                'media', json(COALESCE(media, '{}')), 'web_search_engine', web_search_engine
            )
        )
    ) AS generation
    FROM usage WHERE ", $of)
    };
}

/// Reads one generation of one account. Parameters: the id, the account.
pub const SELECT_GENERATION: &str = select_generations!("id = ?1 AND account = ?2");

/// Reads an account's generations in the order in which D1 took them. Parameters: the account, the place after which and the
/// one up to which, how many.
pub const SELECT_SINCE: &str =
    select_generations!("account = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4");

/// Reads these generations of an account. Parameters: the account, their ids as a JSON list.
pub const SELECT_BY_IDS: &str =
    select_generations!("account = ?1 AND id IN (SELECT value FROM json_each(?2)) ORDER BY seq");

/// The parameter of [`FLUSH`].
///
/// # Errors
/// Never for these types; serde's signature.
pub fn flush_param(rows: &[OutboxRow]) -> serde_json::Result<String> {
    serde_json::to_string(rows)
}

/// Reads the column of [`SELECT_GENERATION`].
///
/// # Errors
/// When the text is not what that statement writes.
pub fn read_generation(json: &str) -> serde_json::Result<Generation> {
    crate::json::from_str(json)
}
