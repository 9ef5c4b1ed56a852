//! The state of a chain as it is kept: what whoever goes on with it has to know.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    credits::ops::Confirm,
    tools::{
        envelope::{Envelope, ToolError, Warning},
        execute::Call,
    },
};

/// The longest answer of a chain that is kept with all its steps, in bytes; and the longest input.
const MAX_KEPT: usize = 500_000;

/// What is kept of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// Its state.
    pub kept: Kept,
    /// Another one carries it on, for so many milliseconds at the least.
    pub busy_ms: Option<i64>,
}

/// What was asked for, for whoever carries it on where nobody asks again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The chain.
    pub tool: String,
    /// Its input.
    pub input: Value,
    /// What is to be confirmed at the least.
    pub confirm: Confirm,
}

/// The state of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// Steps are carried out.
    Running {
        /// What was asked for: the same name must not mean something else.
        digest: String,
        /// The same whole, where it is short enough to be kept.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asked: Option<Box<Asked>>,
    },
    /// Steps are taken back.
    Undoing {
        /// What was asked for.
        digest: String,
        /// The chain.
        #[serde(default)]
        tool: String,
        /// The deeds.
        done: Vec<KeptDeed>,
        /// Why.
        error: Box<ToolError>,
    },
    /// It ended so.
    Over {
        /// What was asked for.
        digest: String,
        /// The answer.
        envelope: Box<Envelope>,
    },
}

/// A deed of a chain that is being undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptDeed {
    /// The step's name.
    pub index: String,
    /// What undoes it, and who did it: no data.
    pub envelope: Envelope,
}

impl Kept {
    pub(super) fn digest(&self) -> &str {
        match self {
            Self::Running { digest, .. }
            | Self::Undoing { digest, .. }
            | Self::Over { digest, .. } => digest,
        }
    }

    /// The same without the data of its steps, where it would be too long to be kept.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let mut kept = self.clone();
        if let Self::Over { envelope, .. } = &mut kept
            && envelope.to_value().to_string().len() > MAX_KEPT
        {
            envelope.steps = None;
            envelope.warnings.push(Warning::new(
                "steps_left_out",
                "What the steps answered was too long to be kept",
            ));
        }
        kept
    }

    /// Nothing more happens.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Over { .. })
    }

    /// What is to be carried on, with its digest; nothing where it is over, or only who asked for it can go on with it.
    pub fn left(self) -> Option<(Asked, String)> {
        match self {
            Self::Running { digest, asked } => Some((*asked?, digest)),
            Self::Undoing { digest, tool, .. } => {
                let asked = Asked {
                    tool,
                    input: Value::Null,
                    confirm: Confirm::default(),
                };
                Some((asked, digest))
            }
            Self::Over { .. } => None,
        }
    }
}

/// The state of a chain whose steps are carried out.
pub(super) fn begun(call: &Call, digest: &str) -> Kept {
    let asked = Asked {
        tool: call.tool.clone(),
        input: call.input.clone(),
        confirm: call.confirm,
    };
    let is_short = asked.input.to_string().len() <= MAX_KEPT;
    Kept::Running {
        digest: digest.to_owned(),
        // What would only be told is told to nobody.
        asked: (is_short && !call.dry_run).then(|| Box::new(asked)),
    }
}
