//! KV as the stores of what may be lost: sticky hints, cached answers, copies of presets and intents, beliefs.

use super::world::{Edge, KV_CACHE_SECONDS, store_failed};
use crate::{
    api::{AnswerStore, World},
    error::Result,
    presets::PresetStore,
    routing::sticky::HintStore,
    tools::{
        beliefs::gather::{BeliefStore, SNAPSHOT_KEY},
        intent::memory::{COPY_SECONDS, IntentCopies},
    },
    usage::rankings::{RANKINGS_KEY, RankingStore},
};

/// How long the copy of a preset lives in KV, in seconds.
const PRESET_COPY_SECONDS: u64 = 3_600;

impl Edge {
    /// The text under a key of KV.
    async fn kv_text(&self, key: &str) -> Result<Option<String>> {
        let text = self.kv()?.get(key).cache_ttl(KV_CACHE_SECONDS).text().await;
        text.map_err(|error| store_failed("KV", &error))
    }

    /// Writes a text that vanishes after so many seconds; the platform takes no less than 60.
    async fn put_kv_text(&self, key: &str, text: &str, lifetime_s: u64) -> Result<()> {
        let put = self.kv()?.put(key, text);
        let put = put.map_err(|error| store_failed("KV", &error))?;
        let put = put.expiration_ttl(lifetime_s.max(60)).execute().await;
        put.map_err(|error| store_failed("KV", &error))
    }
}

impl HintStore for Edge {
    async fn hint(&self, key: &str) -> Result<Option<String>> {
        self.kv_text(key).await
    }

    async fn put_hint(&self, key: &str, text: &str, lifetime_s: u64) -> Result<()> {
        self.put_kv_text(key, text, lifetime_s).await
    }
}

impl PresetStore for Edge {
    async fn preset_copy(&self, key: &str) -> Result<Option<String>> {
        self.kv_text(key).await
    }

    async fn copy_preset(&self, key: &str, text: &str) -> Result<()> {
        self.put_kv_text(key, text, PRESET_COPY_SECONDS).await
    }
}

impl AnswerStore for Edge {
    async fn answer(&self, key: &str) -> Result<Option<String>> {
        self.kv_text(key).await
    }

    async fn put_answer(&self, key: &str, text: &str, lifetime_s: u64) -> Result<()> {
        self.put_kv_text(key, text, lifetime_s).await
    }
}

impl RankingStore for Edge {
    async fn rankings(&self) -> Result<Option<String>> {
        self.kv_text(RANKINGS_KEY).await
    }

    async fn keep_rankings(&self, text: &str) -> Result<()> {
        self.put_kv(&[(RANKINGS_KEY.to_owned(), text.to_owned())])
            .await
    }
}

impl BeliefStore for Edge {
    async fn beliefs_text(&self) -> Result<Option<String>> {
        self.kv_text(SNAPSHOT_KEY).await
    }

    async fn keep_beliefs(&self, text: &str) -> Result<()> {
        self.put_kv(&[(SNAPSHOT_KEY.to_owned(), text.to_owned())])
            .await
    }
}

impl IntentCopies for Edge {
    async fn intents_copy(&self, key: &str) -> Result<Option<String>> {
        self.kv_text(key).await
    }

    async fn copy_intents(&self, key: &str, text: &str) -> Result<()> {
        self.put_kv_text(key, text, COPY_SECONDS).await
    }
}
