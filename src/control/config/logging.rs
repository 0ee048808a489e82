//! The log's part of the plan: what `[log]` means, and what only several of its keys together get wrong.

use super::problems::At;
use super::raw_log::{Access, RawLog};
use super::resolve::{Context, items, or, refuse_twice};
use crate::log::{AccessFormat, Field, LogOptions, SHARE_WHOLE, Sampling};
use crate::plan::AccessLog;

/// `access`
pub(super) fn access(raw: &RawLog, context: &Context<'_>) -> AccessLog {
    raw.access.as_ref().map_or(AccessLog::Stdout, |at| match &at.value {
        Access::Stdout => AccessLog::Stdout,
        Access::Off => AccessLog::Off,
        Access::File(path) => AccessLog::File(context.path(path)),
        Access::SyslogSocket(path) => AccessLog::SyslogSocket(path.into()),
        Access::SyslogUdp(server) => AccessLog::SyslogUdp(server.clone()),
    })
}

/// Everything that a line is made by.
pub(super) fn options(raw: &RawLog, context: &Context<'_>) -> LogOptions {
    let format = or(&raw.format, AccessFormat::Json);
    refuse_repetitions(raw, context);
    warn_without_effect(raw, format, context);
    let default = Sampling::default();
    LogOptions {
        format,
        fields: match &raw.fields {
            None => Field::ALL.to_vec(),
            Some(fields) => fields.iter().map(|field| field.value).collect(),
        },
        request_headers: names(&raw.headers),
        response_headers: names(&raw.response_headers),
        sampling: Sampling {
            share: or(&raw.sample, SHARE_WHOLE),
            slow_us: raw.slow.as_ref().map_or(default.slow_us, |slow| slow.value.saturating_mul(1_000)),
            always: match &raw.always {
                None => default.always,
                Some(always) => always.iter().map(|range| range.value.clone()).collect(),
            },
        },
    }
}

/// Names that are hidden beside those known anyway.
pub(super) fn hidden(raw: &RawLog) -> Vec<Box<str>> {
    [names(&raw.redact.headers), names(&raw.redact.query)].concat()
}

fn names(list: &Option<At<Vec<At<String>>>>) -> Vec<Box<str>> {
    items(list).iter().map(|name| name.as_str().into()).collect()
}

fn refuse_repetitions(raw: &RawLog, context: &Context<'_>) {
    let fields = items(&raw.fields).iter().map(|field| (field.value.name(), &field.place));
    refuse_twice("field", fields, context.problems);
    for list in [&raw.headers, &raw.response_headers] {
        let headers = items(list).iter().map(|name| (name.as_str(), &name.place));
        refuse_twice("header", headers, context.problems);
    }
}

fn warn_without_effect(raw: &RawLog, format: AccessFormat, context: &Context<'_>) {
    let lists = [
        raw.fields.as_ref().map(|at| &at.place),
        raw.headers.as_ref().map(|at| &at.place),
        raw.response_headers.as_ref().map(|at| &at.place),
    ];
    if format != AccessFormat::Json {
        for place in lists.into_iter().flatten() {
            let what = "has no effect: only JSON lines have chosen fields";
            context.problems.warn(place, what, "set format = \"json\"");
        }
    }
    if or(&raw.sample, SHARE_WHOLE) == SHARE_WHOLE {
        let rules = [raw.slow.as_ref().map(|at| &at.place), raw.always.as_ref().map(|at| &at.place)];
        for place in rules.into_iter().flatten() {
            context.problems.warn(place, "has no effect: every line is written", "set sample = 0.01");
        }
    }
}
