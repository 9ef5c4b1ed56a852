//! Bodies of requests to Stripe: names with brackets, values percent-encoded.

use crate::signing::sigv4::path_segment;

/// A form, written as it goes on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(String);

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&path_segment(name));
        self.0.push('=');
        self.0.push_str(&path_segment(value.as_ref()));
        self
    }

    /// Adds a whole number.
    #[must_use]
    pub fn number(self, name: &str, value: i64) -> Self {
        self.with(name, value.to_string())
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_encoded_so_that_nothing_can_add_a_field() {
        let form = Form::new()
            .number("line_items[0][quantity]", 1)
            .with("success_url", "https://a.example/?x=1&y={Z}")
            .with("name", "Zoë + co=&");
        assert_eq!(
            form.text(),
            "line_items%5B0%5D%5Bquantity%5D=1&success_url=https%3A%2F%2Fa.example%2F%3Fx%3D1%26y%3D%7BZ%7D&name=Zo%C3%AB%20%2B%20co%3D%26"
        );
    }
}
