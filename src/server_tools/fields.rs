//! Reading the parameters of a tool or plugin, each wrong one told with its path.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The most names in a list of domains.
const MAX_NAMES: usize = 100;

/// An object of parameters and where it stands in the client's body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(map: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { map, path }
    }

    /// The first of these names that is there, `null` being absent.
    fn get(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| {
            let value = self.map.get(*name).filter(|value| !value.is_null())?;
            Some((*name, value))
        })
    }

    /// Where a field stands in the client's body.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// A 400 for this field.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>) -> Error {
        Error::invalid(self.path(name), message)
    }

    pub(super) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<u32>> {
        let Some((name, value)) = self.get(&[name]) else {
            return Ok(None);
        };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let number = number.filter(|number| range.contains(number));
        let told = || {
            format!(
                "expected a whole number from {} to {}",
                range.start(),
                range.end()
            )
        };
        number.map(Some).ok_or_else(|| self.wrong(name, told()))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<&'a str>> {
        let Some((name, value)) = self.get(&[name]) else {
            return Ok(None);
        };
        let text = value.as_str().map(Some);
        text.ok_or_else(|| self.wrong(name, "expected a string"))
    }

    /// A list of strings under any of these names.
    pub(super) fn list(&self, names: &[&'static str]) -> Result<Vec<&'a str>> {
        let Some((name, value)) = self.get(names) else {
            return Ok(Vec::new());
        };
        let list = value.as_array().filter(|list| list.len() <= MAX_NAMES);
        let told = || format!("expected a list of at most {MAX_NAMES} strings");
        let list = list.ok_or_else(|| self.wrong(name, told()))?;
        let texts = list.iter().enumerate().map(|(at, value)| {
            let told = || self.wrong(&format!("{name}[{at}]"), "expected a string");
            value.as_str().ok_or_else(told)
        });
        texts.collect()
    }

    pub(super) fn object(&self, name: &'static str) -> Result<Option<&'a Map<String, Value>>> {
        let Some((name, value)) = self.get(&[name]) else {
            return Ok(None);
        };
        let object = value.as_object().map(Some);
        object.ok_or_else(|| self.wrong(name, "expected an object"))
    }

    /// Refuses a field that this gateway cannot honour.
    pub(super) fn refuse(&self, name: &'static str, why: &str) -> Result<()> {
        match self.get(&[name]) {
            Some((name, _)) => Err(self.wrong(name, why)),
            None => Ok(()),
        }
    }
}
