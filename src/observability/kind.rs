//! The types of destinations, as data: what their configuration has, where traces go, how a sender proves itself, and how
//! receivers call what they show.
//!
//! Names and defaults of fields are OpenRouter's (its OpenAPI document, `Observability*Destination`). Addresses, headers and
//! attributes are from each receiver's own pages: OpenTelemetry's GenAI conventions
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/>), Langfuse (`/integrations/native/opentelemetry`), Arize AX
//! (`/docs/ax/integrations/opentelemetry`), Braintrust (`/docs/integrations/opentelemetry`), Datadog
//! (`/llm_observability/instrumentation/otel_instrumentation`), LangSmith (`/langsmith/trace-with-opentelemetry`), New Relic
//! (`/docs/opentelemetry/best-practices/opentelemetry-otlp`), Sentry (`/concepts/otlp/direct/traces`), Grafana Cloud
//! (`/docs/grafana-cloud/send-data/otlp`), W&B Weave (`/weave/guides/tracking/otel`), Opik (`/docs/opik/tracing/opentelemetry`).
//! Ramp publishes no wire of its own: OpenRouter's page says OTLP to a base URL with an API key, and that is what it gets.

/// What a field of a configuration holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text that may be shown.
    Text,
    /// Text that is sealed and shown masked.
    Secret,
    /// An address without credentials, where the sender goes.
    Address,
    /// Sentry's DSN: an address with a public key in it, sealed and shown masked.
    Dsn,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Headers: names and sealed values.
    Headers,
    /// A name of databases, schemas, tables and the like.
    Identifier,
    /// Snowflake's account identifier.
    Account,
    /// A PKCS#8 key in PEM, sealed and not shown.
    PrivateKey,
}

/// A field of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
    /// Whether it has to be there.
    pub required: bool,
    /// What stands for it where it is absent.
    pub default: Option<&'static str>,
}

/// How OTLP goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// The JSON mapping.
    Json,
    /// Binary protobuf.
    Protobuf,
}

/// What of a generation an attribute tells, where a receiver has its own name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tells {
    /// This word.
    Word(&'static str),
    /// The messages sent, as JSON text.
    Input,
    /// The message received, as JSON text.
    Output,
    /// The model.
    Model,
    /// The session.
    Session,
    /// The end user.
    User,
    /// The client's name for the trace.
    TraceName,
    /// The cost as `{"total": …}`, as JSON text.
    Cost,
    /// The cost as a number.
    Total,
    /// Prompt tokens.
    PromptTokens,
    /// Completion tokens.
    CompletionTokens,
    /// All tokens.
    TotalTokens,
    /// When the first token came, RFC 3339.
    FirstToken,
    /// The rest of the client's `trace` object, as JSON text.
    Metadata,
    /// A key of the client's `trace` object.
    Key(&'static str),
    /// The severity.
    Level,
}

/// Where a receiver listens.
#[derive(Debug, Clone, Copy)]
pub enum Base {
    /// At the address in this field.
    Field(&'static str),
    /// There too, with another first label of its host.
    Sibling {
        /// The field.
        field: &'static str,
        /// The label that is configured.
        from: &'static str,
        /// The one that listens.
        to: &'static str,
    },
    /// At the address in the first field, or where that is absent, at the one for the word in the second.
    Region(
        &'static str,
        &'static str,
        &'static [(&'static str, &'static str)],
    ),
}

/// A header's value.
#[derive(Debug, Clone, Copy)]
pub enum Sent {
    /// A text in which names in braces stand for fields; left out where one is absent.
    Text(&'static str),
    /// `Basic` (RFC 7617): the fields with user and password.
    Basic(&'static str, &'static str),
    /// A text, then the public key in the DSN of this field.
    DsnKey(&'static str, &'static str),
}

/// OTLP at one receiver.
#[derive(Debug, Clone, Copy)]
pub struct Otlp {
    /// Where it listens.
    pub base: Base,
    /// What follows the base, unless it ends so already.
    pub path: &'static str,
    /// How a sender proves itself and names the project.
    pub headers: &'static [(&'static str, Sent)],
    /// JSON, where the receiver takes it.
    pub encoding: Encoding,
    /// Attributes of the resource, as texts with fields.
    pub resource: &'static [(&'static str, &'static str)],
    /// Attributes of the generation's span.
    pub span: &'static [(&'static str, Tells)],
    /// Stands before each key of the client's `trace` object.
    pub metadata: &'static str,
}

/// The wire of a destination.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// OTLP/HTTP.
    Otlp(Otlp),
    /// OTLP in JSON to any address, signed.
    Webhook,
    /// An object per batch.
    S3,
    /// Rows over HTTP.
    Clickhouse,
    /// Events.
    Posthog,
    /// Rows by a statement.
    Snowflake,
}

/// A type of destinations.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// The word on the wire.
    pub name: &'static str,
    /// What is configured, beside `headers`, which all take.
    pub fields: &'static [Field],
    /// The wire.
    pub form: Form,
    /// The most bytes of one request: what the receiver takes, or what is polite.
    pub max_bytes: usize,
}

const MB: usize = 1_000_000;

const fn needed(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        holds,
        required: true,
        default: None,
    }
}

const fn optional(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        holds,
        required: false,
        default: None,
    }
}

const fn defaulted(name: &'static str, holds: Holds, default: &'static str) -> Field {
    Field {
        name,
        holds,
        required: false,
        default: Some(default),
    }
}

/// What all types take.
pub const HEADERS: Field = optional("headers", Holds::Headers);

const OPEN_INFERENCE: &[(&str, Tells)] = &[
    ("openinference.span.kind", Tells::Word("LLM")),
    ("input.value", Tells::Input),
    ("input.mime_type", Tells::Word("application/json")),
    ("output.value", Tells::Output),
    ("output.mime_type", Tells::Word("application/json")),
    ("llm.model_name", Tells::Model),
    ("llm.token_count.prompt", Tells::PromptTokens),
    ("llm.token_count.completion", Tells::CompletionTokens),
    ("llm.token_count.total", Tells::TotalTokens),
    ("llm.cost.total", Tells::Total),
    ("metadata", Tells::Metadata),
];

const PLAIN: Otlp = Otlp {
    base: Base::Field("baseUrl"),
    path: "/v1/traces",
    headers: &[],
    encoding: Encoding::Json,
    resource: &[],
    span: &[],
    metadata: "trace.metadata.",
};

/// Every type.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "otel-collector",
        fields: &[
            needed("endpoint", Holds::Address),
            defaulted("encoding", Holds::Choice(&["json", "protobuf"]), "json"),
            defaulted("compression", Holds::Choice(&["none", "gzip"]), "none"),
        ],
        form: Form::Otlp(Otlp {
            base: Base::Field("endpoint"),
            path: "",
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "langfuse",
        fields: &[
            needed("secretKey", Holds::Secret),
            needed("publicKey", Holds::Secret),
            defaulted("baseUrl", Holds::Address, "https://us.cloud.langfuse.com"),
        ],
        form: Form::Otlp(Otlp {
            path: "/api/public/otel/v1/traces",
            headers: &[
                ("authorization", Sent::Basic("publicKey", "secretKey")),
                ("x-langfuse-ingestion-version", Sent::Text("4")),
            ],
            span: &[
                ("langfuse.observation.type", Tells::Word("generation")),
                ("langfuse.observation.model.name", Tells::Model),
                ("langfuse.observation.input", Tells::Input),
                ("langfuse.observation.output", Tells::Output),
                ("langfuse.observation.cost_details", Tells::Cost),
                (
                    "langfuse.observation.completion_start_time",
                    Tells::FirstToken,
                ),
                ("langfuse.observation.level", Tells::Level),
                ("langfuse.trace.name", Tells::TraceName),
                ("langfuse.session.id", Tells::Session),
                ("langfuse.user.id", Tells::User),
                ("langfuse.environment", Tells::Key("environment")),
                ("langfuse.release", Tells::Key("release")),
            ],
            metadata: "langfuse.trace.metadata.",
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "arize",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("spaceKey", Holds::Secret),
            needed("modelId", Holds::Text),
            defaulted("baseUrl", Holds::Address, "https://otlp.arize.com"),
        ],
        form: Form::Otlp(Otlp {
            headers: &[
                ("space_id", Sent::Text("{spaceKey}")),
                ("api_key", Sent::Text("{apiKey}")),
                ("arize-space-id", Sent::Text("{spaceKey}")),
                ("arize-api-key", Sent::Text("{apiKey}")),
            ],
            encoding: Encoding::Protobuf,
            resource: &[
                ("openinference.project.name", "{modelId}"),
                ("model_id", "{modelId}"),
            ],
            span: OPEN_INFERENCE,
            metadata: "metadata.",
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "braintrust",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("projectId", Holds::Text),
            defaulted("baseUrl", Holds::Address, "https://api.braintrust.dev"),
        ],
        form: Form::Otlp(Otlp {
            path: "/otel/v1/traces",
            headers: &[
                ("authorization", Sent::Text("Bearer {apiKey}")),
                ("x-bt-parent", Sent::Text("project_id:{projectId}")),
            ],
            span: &[
                ("braintrust.span_attributes.type", Tells::Word("llm")),
                ("braintrust.input_json", Tells::Input),
                ("braintrust.output_json", Tells::Output),
                ("braintrust.metadata.session_id", Tells::Session),
                ("braintrust.metadata.user_id", Tells::User),
            ],
            metadata: "braintrust.metadata.",
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "datadog",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("mlApp", Holds::Text),
            defaulted("url", Holds::Address, "https://api.us5.datadoghq.com"),
        ],
        form: Form::Otlp(Otlp {
            // `api.<site>` is what is configured, `otlp.<site>` listens.
            base: Base::Sibling {
                field: "url",
                from: "api.",
                to: "otlp.",
            },
            headers: &[
                ("dd-api-key", Sent::Text("{apiKey}")),
                ("dd-otlp-source", Sent::Text("llmobs")),
            ],
            encoding: Encoding::Protobuf,
            resource: &[("service.name", "{mlApp}"), ("ml_app", "{mlApp}")],
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "langsmith",
        fields: &[
            needed("apiKey", Holds::Secret),
            defaulted("project", Holds::Text, "main"),
            optional("workspaceId", Holds::Text),
            defaulted(
                "endpoint",
                Holds::Address,
                "https://api.smith.langchain.com",
            ),
        ],
        form: Form::Otlp(Otlp {
            base: Base::Field("endpoint"),
            path: "/otel/v1/traces",
            headers: &[
                ("x-api-key", Sent::Text("{apiKey}")),
                ("langsmith-project", Sent::Text("{project}")),
                ("x-tenant-id", Sent::Text("{workspaceId}")),
            ],
            span: &[
                ("langsmith.span.kind", Tells::Word("llm")),
                ("langsmith.trace.name", Tells::TraceName),
                ("langsmith.metadata.session_id", Tells::Session),
                ("langsmith.metadata.user_id", Tells::User),
                ("gen_ai.prompt", Tells::Input),
                ("gen_ai.completion", Tells::Output),
            ],
            metadata: "langsmith.metadata.",
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "newrelic",
        fields: &[
            needed("licenseKey", Holds::Secret),
            defaulted("region", Holds::Choice(&["us", "eu"]), "us"),
            optional("baseUrl", Holds::Address),
        ],
        form: Form::Otlp(Otlp {
            base: Base::Region(
                "baseUrl",
                "region",
                &[
                    ("us", "https://otlp.nr-data.net"),
                    ("eu", "https://otlp.eu01.nr-data.net"),
                ],
            ),
            headers: &[("api-key", Sent::Text("{licenseKey}"))],
            ..PLAIN
        }),
        // It takes a megabyte.
        max_bytes: 900_000,
    },
    Kind {
        name: "sentry",
        fields: &[
            needed("otlpEndpoint", Holds::Address),
            needed("dsn", Holds::Dsn),
        ],
        form: Form::Otlp(Otlp {
            base: Base::Field("otlpEndpoint"),
            path: "",
            headers: &[("x-sentry-auth", Sent::DsnKey("sentry sentry_key=", "dsn"))],
            ..PLAIN
        }),
        max_bytes: MB,
    },
    Kind {
        name: "grafana",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("instanceId", Holds::Text),
            defaulted(
                "baseUrl",
                Holds::Address,
                "https://otlp-gateway-prod-us-west-0.grafana.net",
            ),
        ],
        form: Form::Otlp(Otlp {
            path: "/otlp/v1/traces",
            headers: &[("authorization", Sent::Basic("instanceId", "apiKey"))],
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "weave",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("entity", Holds::Text),
            needed("project", Holds::Text),
            defaulted("baseUrl", Holds::Address, "https://trace.wandb.ai"),
        ],
        form: Form::Otlp(Otlp {
            path: "/otel/v1/traces",
            headers: &[
                ("wandb-api-key", Sent::Text("{apiKey}")),
                ("project_id", Sent::Text("{entity}/{project}")),
            ],
            encoding: Encoding::Protobuf,
            resource: &[("wandb.entity", "{entity}"), ("wandb.project", "{project}")],
            span: &[
                ("input.value", Tells::Input),
                ("output.value", Tells::Output),
                ("wandb.display_name", Tells::TraceName),
                ("wandb.thread_id", Tells::Session),
            ],
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "opik",
        fields: &[
            needed("apiKey", Holds::Secret),
            needed("workspace", Holds::Text),
            needed("projectName", Holds::Text),
            defaulted("baseUrl", Holds::Address, "https://www.comet.com/opik/api"),
        ],
        form: Form::Otlp(Otlp {
            path: "/v1/private/otel/v1/traces",
            headers: &[
                ("authorization", Sent::Text("{apiKey}")),
                ("comet-workspace", Sent::Text("{workspace}")),
                ("projectname", Sent::Text("{projectName}")),
            ],
            span: &[
                ("input", Tells::Input),
                ("output", Tells::Output),
                ("thread_id", Tells::Session),
            ],
            ..PLAIN
        }),
        max_bytes: 4 * MB,
    },
    Kind {
        name: "ramp",
        fields: &[
            needed("apiKey", Holds::Secret),
            defaulted(
                "baseUrl",
                Holds::Address,
                "https://api.ramp.com/developer/v1/ai-usage/openrouter",
            ),
        ],
        form: Form::Otlp(Otlp {
            path: "",
            headers: &[("authorization", Sent::Text("Bearer {apiKey}"))],
            ..PLAIN
        }),
        max_bytes: MB,
    },
    Kind {
        name: "webhook",
        fields: &[
            needed("url", Holds::Address),
            defaulted("method", Holds::Choice(&["POST", "PUT"]), "POST"),
            optional("secret", Holds::Secret),
            defaulted("compression", Holds::Choice(&["none", "gzip"]), "none"),
        ],
        form: Form::Webhook,
        max_bytes: 2 * MB,
    },
    Kind {
        name: "s3",
        fields: &[
            needed("bucketName", Holds::Text),
            needed("accessKeyId", Holds::Text),
            needed("secretAccessKey", Holds::Secret),
            optional("sessionToken", Holds::Secret),
            optional("region", Holds::Text),
            optional("endpoint", Holds::Address),
            defaulted(
                "addressing",
                Holds::Choice(&["auto", "path", "virtual"]),
                "auto",
            ),
            defaulted("prefix", Holds::Text, "openrouter-traces"),
            defaulted("pathTemplate", Holds::Text, "{prefix}/{date}"),
        ],
        form: Form::S3,
        max_bytes: 8 * MB,
    },
    Kind {
        name: "clickhouse",
        fields: &[
            needed("host", Holds::Address),
            needed("database", Holds::Identifier),
            defaulted("table", Holds::Identifier, "OPENROUTER_TRACES"),
            needed("username", Holds::Text),
            needed("password", Holds::Secret),
        ],
        form: Form::Clickhouse,
        max_bytes: 8 * MB,
    },
    Kind {
        name: "posthog",
        fields: &[
            needed("apiKey", Holds::Secret),
            defaulted("endpoint", Holds::Address, "https://us.i.posthog.com"),
        ],
        form: Form::Posthog,
        max_bytes: 8 * MB,
    },
    Kind {
        name: "snowflake",
        fields: &[
            needed("account", Holds::Account),
            optional("token", Holds::Secret),
            optional("user", Holds::Identifier),
            optional("privateKey", Holds::PrivateKey),
            optional("role", Holds::Identifier),
            optional("baseUrl", Holds::Address),
            defaulted("database", Holds::Identifier, "SNOWFLAKE_LEARNING_DB"),
            defaulted("schema", Holds::Identifier, "PUBLIC"),
            defaulted("table", Holds::Identifier, "OPENROUTER_TRACES"),
            defaulted("warehouse", Holds::Identifier, "COMPUTE_WH"),
        ],
        form: Form::Snowflake,
        max_bytes: 4 * MB,
    },
];

impl Kind {
    /// The type of this name.
    pub fn of(name: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.name == name)
    }

    /// Its fields, with those that all types have.
    pub fn all_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain([&HEADERS])
    }
}
