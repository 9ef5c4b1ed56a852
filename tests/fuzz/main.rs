//! Bytes that no provider and no client should send: readers and translators neither panic nor disagree with themselves.
//!
//! Mutated exchanges (recorded ones where they are, our own everywhere) go through every dialect: whole and in pieces with the same
//! events, to errors that say whose they are, through the writers of every surface. Seeded: a failure names its round and
//! leaves its input in the target folder. Beside the dialects: framings, forms, operations, documents, pages, broken JSON and schemas
//! (`documents.rs`), answers and inputs of tools (`tools.rs`). `FUZZ_ROUNDS` (rounds per target) makes it longer: `npm run fuzz`. A dialect joins
//! with a line in `targets.rs`.

#[cfg(test)]
mod answers;
#[cfg(test)]
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "only the exchanges are of use here")]
mod common;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod mutate;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod tools;
