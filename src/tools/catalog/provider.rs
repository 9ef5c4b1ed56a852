//! A provider of tools: where it is, how it is authenticated, how it says that something failed.

use std::{collections::BTreeMap, rc::Rc};

use serde_json::Value;

use super::{Operation, row, words};

words! {
    /// Where a provider expects its key.
    AuthKind {
        /// Nowhere: everybody may call.
        None "none",
        /// `Authorization: Bearer <key>`.
        Bearer "bearer",
        /// In a header.
        Header "header",
        /// In the query.
        Query "query",
        /// In a field of the body.
        Body "body",
        /// `Authorization: Basic`.
        Basic "basic",
        /// Only where a template says so.
        Path "path",
        /// A bearer token for a refresh token.
        OauthRefresh "oauth_refresh",
        /// A bearer token for a client's id and secret.
        OauthClientCredentials "oauth_client_credentials",
        /// A bearer token for a JWT that a service account signs.
        SignedJwt "signed_jwt",
        /// AWS Signature Version 4.
        SigV4 "sig_v4",
    }
}

impl AuthKind {
    /// Whether calls are made with a token that is asked for first.
    pub fn has_token(self) -> bool {
        matches!(
            self,
            Self::OauthRefresh | Self::OauthClientCredentials | Self::SignedJwt
        )
    }
}

row! {
    /// How a provider is authenticated.
    Auth {
        /// Where the key goes.
        kind: AuthKind,
        /// Name of the header, parameter or field.
        name: Option<String>,
        /// What stands before the key in the header.
        prefix: Option<String>,
        /// Template of the user's name, where the key is not the whole pair.
        user: Option<String>,
        /// Template of the password.
        password: Option<String>,
        /// Where tokens are issued.
        token_url: Option<String>,
        /// What tokens are for.
        scope: Option<String>,
        /// The service's name in signatures.
        service: Option<String>,
        /// The variable with the region.
        region: Option<String>,
    }
}

row! {
    /// How a provider is called without a key of one's own.
    Keyless {
        /// Headers that such calls have.
        headers: BTreeMap<String, String>,
        /// Parameters that such calls have.
        query: BTreeMap<String, String>,
        /// A public key that stands for one.
        key: Option<String>,
        /// The operations that work so; all where absent.
        operations: Option<Vec<String>>,
    }
}

words! {
    /// Whether one key may serve many accounts.
    Pooling {
        /// It may.
        Allowed "allowed",
        /// Everybody brings an own key.
        Forbidden "forbidden",
    }
}

words! {
    /// What kind of failure it is. It decides who is told, what is tried next, and whether the provider is to blame.
    Class {
        /// The provider's own fault.
        Provider "provider",
        /// The caller's arguments.
        Invalid "invalid",
        /// The key is wrong.
        Auth "auth",
        /// The key may not do this.
        Permission "permission",
        /// There is no such thing, or the key does not see it.
        NotFound "not_found",
        /// Something else has changed it, or it is there already.
        Conflict "conflict",
        /// Too many calls.
        RateLimited "rate_limited",
        /// The provider's plan is used up.
        Quota "quota",
        /// It took too long.
        Timeout "timeout",
        /// Not now.
        Unavailable "unavailable",
        /// The provider does not want to do this.
        Refused "refused",
        /// No failure: nothing was found.
        Empty "empty",
    }
}

row! {
    /// What an answer, or an input, must be like; all that stands here must hold.
    Condition {
        /// One of these statuses.
        status: Vec<u16>,
        /// Where a value is looked for in the body.
        pointer: Option<String>,
        /// The header in which it is looked for.
        header: Option<String>,
        /// It is this; numbers and texts of the same digits are equal.
        equals: Option<Value>,
        /// It is one of these.
        r#in: Vec<Value>,
        /// It is a text with this in it, in any case.
        contains: Option<String>,
        /// Whether it is there at all.
        exists: Option<bool>,
    }
}

impl Condition {
    /// Whether it looks at anything but the status.
    pub fn looks_inside(&self) -> bool {
        self.pointer.is_some() || self.header.is_some()
    }
}

row! {
    /// How a failure is told.
    ErrorRule {
        /// Which answers it is about.
        when: Condition,
        /// What they are.
        class: Option<Class>,
        /// What they are by their code.
        classes: BTreeMap<String, Class>,
        /// Where the message is.
        message: Vec<String>,
        /// Where the code is.
        code: Vec<String>,
        /// Where the name of the wrong argument is.
        param: Vec<String>,
        /// Seconds to wait: a number, a pointer or `header:name`.
        retry_after: Option<Value>,
        /// Whether the thing may have been done all the same.
        acted: Option<bool>,
    }
}

row! {
    /// Another address for some keys.
    BaseUrl {
        /// How these keys end.
        key_suffix: String,
        /// The address.
        url: String,
    }
}

words! {
    /// Where a provider's rows come from.
    Source {
        /// The catalog that is published.
        Shipped "shipped",
        /// An OpenAPI document that somebody imported.
        Openapi "openapi",
        /// An MCP server that somebody imported.
        Mcp "mcp",
    }
}

impl Source {
    /// Whether somebody else wrote the rows' texts and addresses: neither is trusted.
    pub fn is_imported(self) -> bool {
        self != Self::Shipped
    }
}

row! {
    /// An MCP server whose tools the operations are.
    Remote {
        /// The address of its endpoint.
        url: String,
        /// The revision of the protocol that it spoke when it was imported.
        protocol: Option<String>,
    }
}

row! {
    /// A provider with its operations.
    ToolProvider {
        /// Its id.
        slug: String,
        /// As people know it.
        name: String,
        /// Its home page.
        website: Option<String>,
        /// Where its API is described.
        docs: Option<String>,
        /// Where its rows come from.
        source: Source,
        /// The account that imported it; the operator where absent.
        owner: Option<String>,
        /// The MCP server that it is; operations have no request then.
        remote: Option<Remote>,
        /// What it is for.
        category: String,
        /// Everything before the operation's path.
        base_url: String,
        /// Another address for some keys.
        base_urls: Vec<BaseUrl>,
        /// Name of the secret with the operator's key.
        secret: Option<String>,
        /// Where the key goes.
        auth: Auth,
        /// The parts of a key, joined by colons.
        key_fields: Vec<String>,
        /// How it is called without a key.
        keyless: Option<Keyless>,
        /// Headers of every call: templates.
        headers: BTreeMap<String, String>,
        /// Parameters of every call: templates.
        query: BTreeMap<String, String>,
        /// Whether one key may serve many accounts.
        pooling: Pooling,
        /// How long a call may take.
        timeout_ms: u64,
        /// How much of an answer is read.
        max_bytes: u64,
        /// What its data's licence asks to be shown.
        attribution: Option<String>,
        /// How it tells failures.
        errors: Vec<ErrorRule>,
        /// What it can do.
        operation: Vec<Rc<Operation>>,
    }
}

impl ToolProvider {
    /// Whether an operation can be called with no key of one's own.
    pub fn is_keyless(&self, operation: &str) -> bool {
        match &self.keyless {
            Some(Keyless {
                operations: Some(these),
                ..
            }) => these.iter().any(|one| one == operation),
            Some(_) => true,
            None => self.auth.kind == AuthKind::None,
        }
    }

    /// The deployment's variables in its addresses.
    pub fn variables<'a>(&'a self, operation: &'a Operation) -> impl Iterator<Item = &'a str> {
        let base_url = operation.base_url.as_deref().unwrap_or(&self.base_url);
        let region = self.auth.region.as_deref();
        let names = [base_url, self.auth.token_url.as_deref().unwrap_or_default()];
        let inside = names.into_iter().flat_map(|template| {
            let parts = template.split("${").skip(1);
            parts.filter_map(|part| part.split_once('}').map(|(name, _)| name))
        });
        inside.chain(region)
    }
}
