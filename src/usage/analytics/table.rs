//! Rows of an answer, as JSON and as CSV (RFC 4180).
//!
//! A spreadsheet runs what begins as a formula, and an end user's name may: such a text begins with an apostrophe in CSV.

use serde_json::Value;

use crate::credits::decimal;

/// What is in a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A text, or nothing.
    Text(Option<String>),
    /// A whole number.
    Number(i64),
    /// Nano-dollars, told as dollars in full.
    Dollars(i64),
    /// A fraction, or nothing.
    Real(Option<f64>),
    /// Yes or no.
    Flag(bool),
}

/// Rows with the names of their columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    /// The names.
    pub columns: Vec<&'static str>,
    /// The rows, each with a cell for every name.
    pub rows: Vec<Vec<Cell>>,
}

/// Decimals of a dollar.
const DECIMALS: u32 = 9;

impl Cell {
    /// As JSON text: amounts are exact numbers.
    fn json(&self) -> String {
        match self {
            Self::Text(text) => Value::from(text.clone()).to_string(),
            Self::Number(number) => number.to_string(),
            Self::Dollars(nanos) => decimal::format(i128::from(*nanos), DECIMALS),
            Self::Real(number) => Value::from(*number).to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }

    fn csv(&self) -> String {
        match self {
            Self::Text(None) | Self::Real(None) => String::new(),
            Self::Text(Some(text)) => quoted(text),
            other => other.json(),
        }
    }
}

/// A text that no spreadsheet takes for a formula, in quotes where it needs them.
fn quoted(text: &str) -> String {
    let is_formula = text.starts_with([
        '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
    ]);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r', ';', '\t']) || is_formula {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

impl Table {
    /// A list of objects as JSON text.
    pub fn json(&self) -> String {
        let row = |cells: &Vec<Cell>| {
            let named = self.columns.iter().zip(cells);
            let fields = named.map(|(name, cell)| format!("\"{name}\":{}", cell.json()));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("[{}]", rows.join(","))
    }

    /// A head line and a line per row.
    pub fn csv(&self) -> String {
        let mut text = self.columns.join(",");
        text.push_str("\r\n");
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(Cell::csv).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_of_a_csv_is_a_formula() {
        for (text, cell) in [
            ("plain", "plain"),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("a,\"b\"", "\"a,\"\"b\"\"\""),
            ("a\r\nb", "\"a\r\nb\""),
            ("=cmd|' /C calc'!A0", "\"'=cmd|' /C calc'!A0\""),
        ] {
            assert_eq!(Cell::Text(Some(text.into())).csv(), cell, "{text:?}");
        }
        // A number below zero is a number.
        assert_eq!(Cell::Dollars(-1_500_000_000).csv(), "-1.5");
    }

    #[test]
    fn amounts_are_exact_in_both_forms() {
        let table = Table {
            columns: vec!["model", "usage", "rate", "streamed"],
            rows: vec![vec![
                Cell::Text(None),
                Cell::Dollars(9_007_199_254_740_993),
                Cell::Real(None),
                Cell::Flag(true),
            ]],
        };
        let json = r#"[{"model":null,"usage":9007199.254740993,"rate":null,"streamed":true}]"#;
        assert_eq!(table.json(), json);
        assert_eq!(
            table.csv(),
            "model,usage,rate,streamed\r\n,9007199.254740993,,true\r\n"
        );
    }
}
