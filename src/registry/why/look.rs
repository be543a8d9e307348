//! What each rule has to do with a metric.

use super::Unmade;
use crate::kinds::GroupResource;
use crate::promql::SeriesSelector;
use crate::registry::{Binding, Disabled, Known, Snapshot};
use crate::rules::{List, Rule};

/// What one rule has to do with a metric.
#[derive(Clone, Debug)]
pub struct Look<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What is known of its series.
    pub known: Option<&'a Known>,
    /// What it has to do with it.
    pub seen: Seen,
}

/// What a rule has to do with a metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// It makes it.
    Makes {
        /// Of these series.
        series: String,
        /// For objects of these kinds; none for an external one.
        kinds: Vec<GroupResource>,
    },
    /// It would, but another rule that makes the same answers.
    Shadowed {
        /// The series.
        series: String,
        /// The other rule.
        by: String,
    },
    /// Prometheus has the series, and none of its labels names a kind of object.
    Unassociated {
        /// The series.
        series: String,
        /// Its labels, as far as is known.
        labels: Vec<String>,
    },
    /// Its `seriesFilters` leave the series out.
    FilteredOut {
        /// The series.
        series: String,
        /// Whether Prometheus has it.
        is_there: bool,
    },
    /// Its `name.matches` does not match the series.
    Unmatched {
        /// The series.
        series: String,
        /// Whether Prometheus has it.
        is_there: bool,
    },
    /// It calls the series otherwise.
    Renames {
        /// The series.
        series: String,
        /// The name.
        name: String,
        /// Whether Prometheus has it.
        is_there: bool,
    },
    /// It would make it of series that Prometheus does not have.
    NoSeries {
        /// What they would be called.
        series: String,
        /// Whether its selector says anything about names.
        names_series: bool,
    },
    /// It is off, and might make it.
    Off(Disabled),
    /// It could not be listed, or not yet, and might make it.
    Unlisted {
        /// Why, once that is known.
        cause: Option<String>,
    },
    /// Nothing.
    Nothing,
}

impl Snapshot {
    /// What each rule of `list` has to do with `metric`, in the order of the file.
    pub fn looks(&self, list: List, metric: &str) -> Vec<Look<'_>> {
        let (rules, known) = match list {
            List::Custom => (&self.rules.custom, &self.listings.custom),
            List::External => (&self.rules.external, &self.listings.external),
        };
        let listings = known.iter().filter_map(|known| known.listing.as_ref());
        let is_series = listings.into_iter().any(|it| it.contains_key(metric));
        let selectors = self.kept.selectors(&self.rules, list);
        let rules = rules.iter().zip(selectors).enumerate();
        rules
            .map(|(at, (rule, selector))| {
                let known = known.get(at);
                let of = (rule.as_ref(), selector.as_ref());
                Look {
                    rule,
                    known,
                    seen: self.seen(of, known, metric, is_series),
                }
            })
            .collect()
    }

    /// `is_series`: whether there are series of this very name.
    fn seen(
        &self,
        (rule, selector): (&Rule, Option<&SeriesSelector>),
        known: Option<&Known>,
        metric: &str,
        is_series: bool,
    ) -> Seen {
        if let Some(made) = self.makes(rule, metric) {
            return made;
        }
        let literal = selector.and_then(SeriesSelector::literal_name);
        let may_be = |name: &str| match (&rule.metric, selector) {
            (Some(own), _) => own == metric,
            (None, Some(selector)) => selector.admits(name),
            (None, None) => false,
        };
        let mut candidates = rule.naming.sources(metric);
        candidates.push(metric.to_owned());
        candidates.extend(literal.map(str::to_owned));
        let listing = known.and_then(|known| known.listing.as_ref());
        let is_there = |name: &str| listing.is_some_and(|it| it.contains_key(name));
        candidates.retain(|name| is_there(name) || may_be(name));
        // What Prometheus has tells more than what it might.
        candidates.sort_by_key(|name| (!is_there(name), !(is_series && name == metric)));
        let is_its = |name: &String| rule.naming.api_name(name).as_deref() == Some(metric);
        let is_candidate = rule.metric.as_deref() == Some(metric) || candidates.iter().any(is_its);
        if let (true, Err(disabled)) = (is_candidate, Binding::new(rule, &self.kinds)) {
            return Seen::Off(disabled);
        }
        let is_unlisted =
            |it: &&Known| it.listing.is_none() && (it.failure.is_some() || !it.answered);
        let unlisted = known.filter(is_unlisted);
        if let (true, Some(known)) = (is_candidate, unlisted) {
            let cause = known.failure.clone();
            return Seen::Unlisted { cause };
        }
        let names_series = selector.is_some_and(SeriesSelector::names_series);
        let mut found = candidates.iter().map(|series| {
            let there = is_there(series);
            match there || names_series || is_its(series) {
                true => self.of_series(rule, series, metric, there, names_series),
                false => Seen::Nothing,
            }
        });
        found
            .find(|it| *it != Seen::Nothing)
            .unwrap_or(Seen::Nothing)
    }

    /// Whether it answers for the metric.
    fn makes(&self, rule: &Rule, metric: &str) -> Option<Seen> {
        if rule.id.list == List::External {
            let made = self.external(metric).filter(|it| it.rule.id == rule.id)?;
            let (series, kinds) = (made.series.clone(), Vec::new());
            return Some(Seen::Makes { series, kinds });
        }
        let made = self.custom.iter().filter_map(|(resource, metrics)| {
            let made = metrics.get(metric).filter(|it| it.rule.id == rule.id)?;
            Some((resource.clone(), made.series.clone()))
        });
        let (kinds, series): (Vec<GroupResource>, Vec<String>) = made.unzip();
        let series = series.into_iter().next()?;
        Some(Seen::Makes { series, kinds })
    }

    /// What becomes of one series in a rule that does not answer for `metric`.
    fn of_series(
        &self,
        rule: &Rule,
        series: &str,
        metric: &str,
        is_there: bool,
        names_series: bool,
    ) -> Seen {
        let series = series.to_owned();
        let name = rule.naming.api_name(&series);
        let is_asked = series == metric || name.as_deref() == Some(metric);
        match name {
            _ if !is_asked => Seen::Nothing,
            None => Seen::Unmatched { series, is_there },
            Some(_) if !rule.naming.lets_in(&series) => Seen::FilteredOut { series, is_there },
            Some(name) if name != metric => Seen::Renames {
                series,
                name,
                is_there,
            },
            Some(_) if is_there => self.beaten_or_alone(rule, series, metric),
            Some(_) => Seen::NoSeries {
                series,
                names_series,
            },
        }
    }

    /// A series that is there, passes and is called so, and still does not make the metric.
    fn beaten_or_alone(&self, rule: &Rule, series: String, metric: &str) -> Seen {
        let winner = match rule.id.list {
            List::External => self.external(metric).map(|it| it.rule.origin()),
            List::Custom => {
                let mut all = self.custom.values().filter_map(|it| it.get(metric));
                all.next().map(|it| it.rule.origin())
            }
        };
        let labels = self.labels(rule, &series);
        let names_kind = |binding: &Binding<'_>| {
            let mut named = labels.iter().filter_map(|label| binding.resource_of(label));
            rule.id.list == List::External || named.next().is_some()
        };
        let binding = Binding::new(rule, &self.kinds);
        match (winner, binding.is_ok_and(|it| names_kind(&it))) {
            (Some(winner), true) => Seen::Shadowed {
                series,
                by: winner.to_string(),
            },
            _ => Seen::Unassociated { series, labels },
        }
    }

    /// The labels of a series, as far as its rule's listing has them.
    pub(super) fn labels(&self, rule: &Rule, series: &str) -> Vec<String> {
        let (rules, known) = match rule.id.list {
            List::Custom => (&self.rules.custom, &self.listings.custom),
            List::External => (&self.rules.external, &self.listings.external),
        };
        let place = rules.iter().position(|it| it.id == rule.id);
        let known = place.and_then(|place| known.get(place));
        let listing = known.and_then(|it| it.listing.as_ref());
        let labels = listing.and_then(|it| it.get(series));
        let labels = labels.into_iter().flatten();
        labels.filter(|it| *it != "__name__").cloned().collect()
    }
}

impl Look<'_> {
    /// What it says about why the metric is not there, and how much: the least says most.
    pub(super) fn unmade(
        &self,
        snapshot: &Snapshot,
        resource: Option<&GroupResource>,
    ) -> Option<(u8, Unmade)> {
        let rule = self.rule.origin();
        let of_kind = |resource: &GroupResource| snapshot.label_for(self.rule, resource);
        let unless = |is_there: bool| if is_there { 0 } else { 5 };
        Some(match &self.seen {
            Seen::Off(disabled) => (1, Unmade::Off(disabled.clone())),
            Seen::Renames {
                series,
                name,
                is_there,
            } => {
                let (series, name) = (series.clone(), name.clone());
                (
                    2 + unless(*is_there),
                    Unmade::Renamed { rule, series, name },
                )
            }
            Seen::FilteredOut { series, is_there } => {
                let series = series.clone();
                (3 + unless(*is_there), Unmade::FilteredOut { rule, series })
            }
            Seen::Unassociated { series, labels } => {
                let kind = resource?.clone();
                let (series, present) = (series.clone(), labels.clone());
                let label = of_kind(&kind)?;
                (
                    0,
                    Unmade::NoLabel {
                        rule,
                        series,
                        kind,
                        label,
                        present,
                    },
                )
            }
            Seen::Unmatched { series, is_there } => {
                let series = series.clone();
                (4 + unless(*is_there), Unmade::Unmatched { rule, series })
            }
            Seen::NoSeries {
                series,
                names_series,
            } => {
                let by = resource.and_then(of_kind).and_then(Result::ok);
                let reason = Unmade::NoSeries {
                    rule,
                    series: series.clone(),
                    selector: self.rule.series_query.text.clone(),
                    label: by,
                };
                (if *names_series { 6 } else { 10 }, reason)
            }
            Seen::Makes { .. } | Seen::Shadowed { .. } | Seen::Unlisted { .. } | Seen::Nothing => {
                return None;
            }
        })
    }
}
