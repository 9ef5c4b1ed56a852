//! Where does an account's log go? Destinations that get a trace of each generation, behind the answer, by the cron.
//!
//! | module | what |
//! |---|---|
//! | [`kind`] | the types of destinations as data: fields, addresses, headers, attributes |
//! | [`config`] | what an account says of one, checked, masked, sealed |
//! | [`rules`], [`sample`] | which generations go there |
//! | [`trace`], [`messages`], [`ids`], [`otlp`] | a generation as spans with GenAI attributes, and OTLP/HTTP in JSON and protobuf |
//! | [`flat`], [`forms`] | the wires that are not OTLP |
//! | [`address`] | which addresses may be sent to |
//! | [`answer`] | what a receiver's answer means, and when to try again |
//! | [`store`], [`deliver`] | D1, and one run of the cron |
//!
//! Spec: OpenRouter's broadcast destinations. Out of scope: the routes that manage them (`api`), and sending (`edge`).

pub mod address;
pub mod answer;
pub mod config;
pub mod deliver;
pub mod flat;
pub mod forms;
pub mod ids;
pub mod kind;
pub mod messages;
pub mod otlp;
pub mod port;
pub mod rules;
pub mod sample;
pub mod store;
#[cfg(test)]
pub(crate) mod test_world;
pub mod trace;

/// The word that binds sealed configurations, where provider keys have their provider's slug.
pub const SEALED_AS: &str = "destination";
