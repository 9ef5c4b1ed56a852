//! Calls about tasks: what a protocol with tasks remembers of an execution beside its record.
//!
//! In scope: the types on the wire. Out of scope: what is in a task (`tools::a2a`).

use serde::{Deserialize, Serialize};

/// Keeps a task, unless the one that is kept is over: what ended stays as it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPut {
    /// Its id.
    pub id: String,
    /// The key that began it, by its hash: nobody else sees it.
    pub key_hash: String,
    /// The conversation.
    pub context: String,
    /// How it stands, in a word.
    pub state: String,
    /// Nothing more happens to it.
    pub is_over: bool,
    /// Since when it stands so: unix milliseconds.
    pub at: i64,
    /// Only where there is none of this id.
    #[serde(default)]
    pub is_new: bool,
    /// Who carries it on: nobody else does meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The task.
    pub text: String,
}

/// Who carries a task on, and for how long unless that is said again. A task that is new to somebody is theirs where nobody else's lease runs;
/// what changes its state has to be its holder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whose: a name that nobody else uses.
    pub holder: String,
    /// So long, milliseconds; 0 gives it up.
    pub ms: i64,
}

/// A task whose holder left it: it is the asker's now, under this name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskLeft {
    /// Its id.
    pub id: String,
    /// The key that began it, by its hash.
    pub key_hash: String,
    /// The new holder.
    pub holder: String,
    /// The task.
    pub text: String,
}

/// What is kept after a [`TaskPut`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskKept {
    /// Another one carries it on, for so long at the least, milliseconds: nothing was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy_ms: Option<i64>,
    /// Whether it is what was put.
    pub is_put: bool,
    /// The task.
    pub text: String,
}

/// Asks for a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskGet {
    /// Its id.
    pub id: String,
    /// The key that began it, by its hash.
    pub key_hash: String,
}

/// Asks for the tasks of a key, those that changed last first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskList {
    /// The key, by its hash.
    pub key_hash: String,
    /// Of this conversation.
    #[serde(default)]
    pub context: Option<String>,
    /// That stand so.
    #[serde(default)]
    pub state: Option<String>,
    /// That changed at this time or after it.
    #[serde(default)]
    pub after: Option<i64>,
    /// That come behind this one: its time and id.
    #[serde(default)]
    pub behind: Option<(i64, String)>,
    /// So many at the most.
    pub limit: i64,
}

/// Tasks of a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskPage {
    /// The tasks.
    pub texts: Vec<String>,
    /// How many there are in all.
    pub total: i64,
    /// There are more behind them: the time and id of the last one.
    pub last: Option<(i64, String)>,
}
