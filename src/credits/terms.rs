//! What a deployment says about limits: pace, free models, holds in flight, the allowance for own provider keys.
//!
//! In scope: the values, their defaults, how variables name them. Out of scope: what decides by them ([`super::ledger`]).

use super::{
    money::{MoneyError, Nanos},
    ops::Limits,
    share::Share,
};

/// The deployment's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Limits of pace of an account for which none are set.
    pub account: Limits,
    /// Limits of pace of a key for which none are set.
    pub key: Limits,
    /// Free models.
    pub free: FreeModels,
    /// How much requests in flight may hold together.
    pub in_flight: InFlight,
    /// How much inference per UTC month, at list price, an account's own provider keys serve without the operator's fee.
    pub byok_allowance: Nanos,
}

/// Limits of free models, of an account as a whole. Zero is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeModels {
    /// Requests in any 60 seconds.
    pub per_minute: i64,
    /// Requests per UTC day.
    pub per_day: i64,
    /// The same for an account that has bought credits of [`Self::paid_from`].
    pub per_day_paid: i64,
    /// The credits, bought or granted, that make the difference.
    pub paid_from: Nanos,
}

/// How much requests in flight may hold together, of the balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlight {
    /// The part of the balance. The whole of it needs no rule: no hold is granted beyond the balance.
    pub share: Share,
    /// The most, whatever the balance.
    pub ceiling: Option<Nanos>,
    /// From this balance on there is no such rule.
    pub off_from: Option<Nanos>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            account: Limits::default(),
            key: Limits::default(),
            free: FreeModels {
                per_minute: 20,
                per_day: 50,
                per_day_paid: 1_000,
                paid_from: Nanos::from_dollars("10").unwrap_or_default(),
            },
            in_flight: InFlight {
                share: Share::ALL,
                ceiling: None,
                off_from: None,
            },
            byok_allowance: Nanos::ZERO,
        }
    }
}

impl InFlight {
    /// The most that requests in flight may hold of this balance, where that is less than all of it.
    ///
    /// # Errors
    /// Never for a balance within range.
    pub fn budget(&self, balance: Nanos) -> Result<Option<Nanos>, MoneyError> {
        let is_off = self.off_from.is_some_and(|from| balance >= from);
        if is_off || balance <= Nanos::ZERO {
            return Ok(None);
        }
        let part = self.share.of(balance)?;
        let budget = self.ceiling.map_or(part, |ceiling| part.min(ceiling));
        Ok(Some(budget).filter(|budget| *budget < balance))
    }
}

impl Terms {
    /// Reads the deployment's variables. What cannot be read is reported, and its default is in force.
    pub fn of(var: &dyn Fn(&str) -> Option<String>, report: &dyn Fn(&str)) -> Self {
        let mut terms = Self::default();
        let read = |name: &str, what: &str| {
            let text = var(name)?;
            let text = text.trim().to_owned();
            (!text.is_empty()).then_some((
                text,
                format!("the variable {name} is ignored: it is no {what}"),
            ))
        };
        let count = |name: &str| {
            let (text, problem) = read(name, "whole number from 0 to 1000000000000")?;
            let number = text.parse().ok();
            let number = number.filter(|n| (0..=1_000_000_000_000).contains(n));
            if number.is_none() {
                report(&problem);
            }
            number
        };
        let dollars = |name: &str| {
            let (text, problem) = read(name, "amount in dollars")?;
            let amount = Nanos::from_dollars(&text).ok();
            if amount.is_none() {
                report(&problem);
            }
            amount
        };
        terms.account = Limits {
            requests: count("ACCOUNT_REQUESTS_PER_MINUTE"),
            tokens: count("ACCOUNT_TOKENS_PER_MINUTE"),
            concurrent: count("ACCOUNT_CONCURRENT_REQUESTS"),
        };
        terms.key = Limits {
            requests: count("KEY_REQUESTS_PER_MINUTE"),
            tokens: count("KEY_TOKENS_PER_MINUTE"),
            concurrent: count("KEY_CONCURRENT_REQUESTS"),
        };
        let free = &mut terms.free;
        let set = |field: &mut i64, name| *field = count(name).unwrap_or(*field);
        set(&mut free.per_minute, "FREE_REQUESTS_PER_MINUTE");
        set(&mut free.per_day, "FREE_REQUESTS_PER_DAY");
        set(&mut free.per_day_paid, "FREE_REQUESTS_PER_DAY_PAID");
        free.paid_from = dollars("FREE_PAID_FROM_USD").unwrap_or(free.paid_from);
        if let Some((text, problem)) = read("IN_FLIGHT_PERCENT", "percentage above 0, up to 100") {
            match Share::from_percent(&text) {
                Ok(share) if share != Share::NONE => terms.in_flight.share = share,
                _ => report(&problem),
            }
        }
        terms.in_flight.ceiling = dollars("IN_FLIGHT_CEILING_USD");
        terms.in_flight.off_from = dollars("IN_FLIGHT_OFF_FROM_USD");
        terms.byok_allowance = dollars("BYOK_FREE_USD_PER_MONTH").unwrap_or_default();
        terms
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn variables_are_read_and_what_is_wrong_is_reported() {
        let vars = [
            ("KEY_REQUESTS_PER_MINUTE", "60"),
            ("ACCOUNT_TOKENS_PER_MINUTE", "-1"),
            ("FREE_REQUESTS_PER_DAY", "0"),
            ("IN_FLIGHT_PERCENT", "50"),
            ("IN_FLIGHT_CEILING_USD", "2.5"),
            ("BYOK_FREE_USD_PER_MONTH", "lots"),
        ];
        let var = |name: &str| {
            let found = vars.iter().find(|(known, _)| *known == name)?;
            Some(found.1.to_owned())
        };
        let problems = RefCell::new(Vec::new());
        let terms = Terms::of(&var, &|problem| {
            problems.borrow_mut().push(problem.to_owned())
        });
        assert_eq!(terms.key.requests, Some(60));
        assert_eq!(terms.account, Limits::default());
        assert_eq!((terms.free.per_minute, terms.free.per_day), (20, 0));
        assert_eq!(terms.byok_allowance, Nanos::ZERO);
        let problems = problems.into_inner();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("ACCOUNT_TOKENS_PER_MINUTE"));
        assert!(problems[1].contains("BYOK_FREE_USD_PER_MONTH"));
    }

    #[test]
    fn requests_in_flight_may_hold_a_part_up_to_a_ceiling_below_a_balance() {
        let rule = |percent, ceiling: Option<i64>, off: Option<i64>| InFlight {
            share: Share::from_percent(percent).unwrap(),
            ceiling: ceiling.map(|n| Nanos::new(n).unwrap()),
            off_from: off.map(|n| Nanos::new(n).unwrap()),
        };
        for (rule, balance, budget) in [
            (rule("100", None, None), 1_000, None),
            (rule("50", None, None), 1_000, Some(500)),
            (rule("50", Some(300), None), 1_000, Some(300)),
            (rule("100", Some(300), None), 1_000, Some(300)),
            (rule("50", None, Some(1_000)), 1_000, None),
            (rule("50", None, Some(1_001)), 1_000, Some(500)),
            (rule("50", None, None), 0, None),
            (rule("50", None, None), -5, None),
        ] {
            let told = rule.budget(Nanos::new(balance).unwrap()).unwrap();
            assert_eq!(told.map(Nanos::get), budget, "{rule:?} of {balance}");
        }
    }
}
