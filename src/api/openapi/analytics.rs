//! Operations of usage: activity, analytics, feedback, rankings.

use serde_json::json;

use super::document::{
    Operation,
    Who::{AnyKey, Anyone, Manager},
    operation,
};

pub fn operations() -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, Manager, "Usage", summary);
    let period = "{period?: 'day' | 'week' | 'month'}";
    vec![
        of("GET", "/activity", "Show the usage of the last 30 completed days, by day and endpoint")
            .query("{date?: date, group_by?: 'workspace', workspace_id?: 'default', user_id?: string, api_key_hash?: string, format?: 'json' | 'csv'}")
            .answers(200, "{data: Activity[]}")
            .answers_as(200, "text/csv", "string")
            .fails(&[404]),
        of("POST", "/analytics/query", "Ask for usage by whatever the account wants to know")
            .query("{format?: 'json' | 'csv'}")
            .takes("AnalyticsQuery")
            .example(json!({"metrics": ["request_count"], "dimensions": ["model"], "granularity": "day"}))
            .answers(200, "{data: AnalyticsAnswer}")
            .answers_as(200, "text/csv", "string")
            .fails(&[404, 422]),
        of("GET", "/analytics/meta", "Show what can be asked for").answers(200, "{data: AnalyticsMeta}"),
        operation("POST", "/generation/feedback", AnyKey, "Usage", "Say what was wrong with an answer")
            .takes("{generation_id: string, category: 'latency' | 'incoherence' | 'incorrect_response' | 'formatting' | 'billing' | 'api_error' | 'other', comment?: string(..2000) | null}!")
            .answers(200, "{data: {success: true}}")
            .fails(&[404, 409]),
        operation("GET", "/rankings", Anyone, "Rankings", "Rank models and apps").query(period).answers(200, "{data: {models: RankedModel[], apps: RankedApp[]}, meta: RankingMeta}"),
        operation("GET", "/rankings/models", Anyone, "Rankings", "Rank models").query(period).answers(200, "{data: RankedModel[], meta: RankingMeta}"),
        operation("GET", "/rankings/apps", Anyone, "Rankings", "Rank apps").query(period).answers(200, "{data: RankedApp[], meta: RankingMeta}"),
        operation("GET", "/datasets/rankings-daily", AnyKey, "Rankings", "List the models of each day")
            .query("{start_date?: date, end_date?: date}")
            .answers(200, "{data: {date: date, model_permaslug: string, total_tokens: string}[], meta: RankingMeta}"),
        operation("GET", "/datasets/app-rankings", AnyKey, "Rankings", "List the apps of the last 30 days")
            .query("{start_date?: date, end_date?: date, sort?: 'popular', limit?: int(1..100), offset?: int(0..100)}")
            .answers(200, "{data: RankedApp[], meta: RankingMeta}"),
    ]
}
