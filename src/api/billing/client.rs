//! Calls of Stripe's API.
//!
//! Each changing call bears an idempotency key, so that repeating it after a connection that failed changes nothing. A failure is
//! either an answer (what was asked for did not and will not happen) or unclear (it may have happened: ask again with the same key).

use serde::de::DeserializeOwned;

use super::{super::World, unconfigured};
use crate::{
    credits::stripe::{
        URL, VERSION,
        form::Form,
        objects::{ApiError, ErrorBody, Named},
    },
    error::{Error, ErrorType, Next, Result, Source},
    relay::ask,
    server_tools::WebRequest,
};

/// The longest answer that is read.
const MAX_ANSWER: usize = 1024 * 1024;

/// Why a call led to nothing that can be used.
#[derive(Debug)]
pub(super) enum Failed {
    /// Stripe said no.
    Refused(ApiError),
    /// It may have happened.
    Unclear(String),
}

impl Failed {
    /// What a client is told.
    pub(super) fn explain(self) -> Error {
        match self {
            Self::Refused(error) => {
                let message = format!(
                    "The payment provider refused: {}",
                    error.message.as_deref().unwrap_or(error.word())
                );
                let kind = ErrorType::ProviderUnavailable;
                let mut told = Error::new(Source::Upstream, Next::Final, kind, message);
                told.provider_code = Some(error.word().to_owned());
                told
            }
            Self::Unclear(why) => Error::new(
                Source::Upstream,
                Next::SameAgain,
                ErrorType::ProviderOverloaded,
                format!("The payment provider could not be asked ({why}): try again"),
            ),
        }
    }
}

/// Stripe, as this deployment may call it.
pub(super) struct Stripe<'a, W> {
    world: &'a W,
    key: String,
    base: String,
}

impl<'a, W: World> Stripe<'a, W> {
    /// The client.
    ///
    /// # Errors
    /// 501 that names what is not set.
    pub(super) fn new(world: &'a W) -> Result<Self> {
        let key = world
            .var("STRIPE_SECRET_KEY")
            .ok_or_else(|| unconfigured("sells no credits", "the secret STRIPE_SECRET_KEY"))?;
        let base = world.var("STRIPE_API_URL");
        let base = base.as_deref().unwrap_or(URL).trim_end_matches('/');
        Ok(Self {
            world,
            key,
            base: base.to_owned(),
        })
    }

    /// Whether its key moves real money.
    pub(super) fn is_live(&self) -> bool {
        self.key.contains("_live_")
    }

    /// Changes something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &Form,
        idempotency_key: &str,
    ) -> std::result::Result<T, Failed> {
        let headers = vec![
            (
                "content-type",
                "application/x-www-form-urlencoded".to_owned(),
            ),
            ("idempotency-key", idempotency_key.to_owned()),
        ];
        self.call(path, headers, Some(form.text().as_bytes().to_vec()))
            .await
    }

    /// Asks for something.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> std::result::Result<T, Failed> {
        self.call(path, Vec::new(), None).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        path: &str,
        mut headers: Vec<(&'static str, String)>,
        body: Option<Vec<u8>>,
    ) -> std::result::Result<T, Failed> {
        headers.push(("authorization", format!("Bearer {}", self.key)));
        headers.push(("stripe-version", VERSION.to_owned()));
        let request = WebRequest {
            url: format!("{}/v1/{path}", self.base),
            headers,
            body,
            max_bytes: MAX_ANSWER,
        };
        let answer = ask(self.world, request).await.map_err(Failed::Unclear)?;
        let status = answer.status;
        if (200..300).contains(&status) {
            return crate::json::from_slice(&answer.body)
                .map_err(|error| Failed::Unclear(format!("an answer that is none: {error}")));
        }
        // A conflict is a call with the same key that is still under way.
        if matches!(status, 409 | 429) || !(400..500).contains(&status) {
            return Err(Failed::Unclear(format!("status {status}")));
        }
        let error = crate::json::from_slice(&answer.body).map(|body: ErrorBody| body.error);
        Err(Failed::Refused(error.unwrap_or_else(|_| ApiError {
            code: Some(format!("status_{status}")),
            ..ApiError::default()
        })))
    }

    /// The customer that stands for an account: made once, whoever asks first.
    pub(super) async fn customer(&self, account: &str) -> Result<String> {
        let sql = "SELECT customer FROM billing_customers WHERE account = ?1";
        let rows = self.world.query(sql, &[account.into()]).await?;
        if let Some(known) = rows.first().and_then(|row| row.get("customer")?.as_str()) {
            return Ok(known.to_owned());
        }
        let form = Form::new().with(
            &format!("metadata[{}]", crate::credits::stripe::objects::ACCOUNT),
            account,
        );
        let key = format!("customer-{account}");
        let made: Named = self
            .post("customers", &form, &key)
            .await
            .map_err(Failed::explain)?;
        let sql =
            "INSERT INTO billing_customers (account, customer) VALUES (?1, ?2) ON CONFLICT (account) DO UPDATE SET account = excluded.account
             RETURNING customer";
        let params = [account.into(), made.id.as_str().into()];
        let rows = self.world.query(sql, &params).await?;
        let kept = rows.first().and_then(|row| row.get("customer")?.as_str());
        Ok(kept.map_or(made.id, str::to_owned))
    }
}
