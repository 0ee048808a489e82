//! How the mock behaves: what the command line says for all requests, and what `x-mock-…` headers say for one.
//!
//! Owns both vocabularies and their errors. Never waits, answers or counts.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};

use super::failure::Refusal;
use crate::base::rand::Random;
use crate::base::units;

/// The most tokens of one answer: a stream of them takes hours, not memory.
pub const TOKENS_MAX: usize = 1_000_000;
/// Chances are drawn out of this many.
const CHANCES: u64 = 1_000_000;

/// An upstream to try a gateway on, shaped like the APIs of OpenAI and Anthropic.
///
/// Serves /v1/models, /v1/chat/completions, /v1/completions, /v1/messages, /v1/embeddings and /health; GET /__stats
/// tells what arrived, POST /__stats/reset forgets it. A request may override the flags by headers: x-mock-latency,
/// x-mock-chunk-delay, x-mock-tokens, x-mock-status (400 to 599), x-mock-retry-after, x-mock-abort-after (events of a
/// stream) and x-mock-timestamps (1: each event of a stream carries its send time as a comment, `: t=<unix us>`).
/// Speaks HTTP/1.1, and HTTP/2 in clear with whoever begins with its preface (`protocol = "h2c"` of an upstream).
// The text above is also the help of the command.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct MockOptions {
    /// Time until the answer begins, such as 50ms or 1.5s
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = units::parse_duration)]
    pub latency: Duration,

    /// Adds a random time between zero and this to the latency of each request
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = units::parse_duration)]
    pub jitter: Duration,

    /// Time between two tokens of a stream
    #[arg(long, value_name = "DURATION", default_value = "20ms", value_parser = units::parse_duration)]
    pub chunk_delay: Duration,

    /// Tokens (words) of each answer; a request's max_tokens makes it shorter
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = parse_tokens)]
    pub tokens: usize,

    /// Share of requests answered with 500, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub error_rate: f64,

    /// Share of requests answered with 429 and Retry-After, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub limit_rate: f64,

    /// Share of streams that are cut part-way, without a proper end, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub abort_rate: f64,

    /// Seconds that Retry-After names in a 429
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub retry_after: u32,

    /// Makes jitter and failures repeat from run to run
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,

    /// Refuses requests without `Authorization: Bearer …` or `x-api-key` with 401
    #[arg(long)]
    pub require_key: bool,

    /// Model identifiers that /v1/models lists, separated by commas; other names work in requests too
    #[arg(
        long,
        value_name = "ID,…",
        value_delimiter = ',',
        default_values = ["gpt-mock", "gpt-mock-mini", "claude-mock", "embedding-mock"]
    )]
    pub models: Vec<String>,
}

impl Default for MockOptions {
    /// The defaults of the command line.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(50),
            jitter: Duration::ZERO,
            chunk_delay: Duration::from_millis(20),
            tokens: 32,
            error_rate: 0.0,
            limit_rate: 0.0,
            abort_rate: 0.0,
            retry_after: 1,
            seed: None,
            require_key: false,
            models: ["gpt-mock", "gpt-mock-mini", "claude-mock", "embedding-mock"].map(str::to_owned).to_vec(),
        }
    }
}

/// How one request is treated: the options, the dice, then the request's own `x-mock-…` headers, which win.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Time until the answer begins. `x-mock-latency: 50ms`; a header excludes jitter.
    pub latency: Duration,
    /// Time between two tokens of a stream. `x-mock-chunk-delay: 5ms`.
    pub chunk_delay: Duration,
    /// Tokens of the answer. `x-mock-tokens: 100`.
    pub tokens: usize,
    /// Answer with this error instead. `x-mock-status: 429`, from 400 to 599.
    pub status: Option<StatusCode>,
    /// Retry-After of a 429, or of any error when the header is given. `x-mock-retry-after: 2`, passed on verbatim.
    pub retry_after: Option<String>,
    /// Where a stream is cut.
    pub cut: Cut,
    /// Whether each event of a stream carries its send time as a comment. `x-mock-timestamps: 1`.
    pub timestamps: bool,
}

/// Where a stream is cut without a proper end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It is sent whole.
    Never,
    /// After this many events. `x-mock-abort-after: 3`.
    After(usize),
    /// Anywhere before its last event: this number modulo their count.
    Anywhere(u64),
}

impl Behaviour {
    /// Combines options, dice and the request's headers.
    ///
    /// # Errors
    /// A 400 that names the `x-mock-…` header which could not be read.
    pub fn of(options: &MockOptions, random: &Random, headers: &HeaderMap) -> Result<Self, Refusal> {
        let jitter_us = u64::try_from(options.jitter.as_micros()).unwrap_or(u64::MAX);
        let mut behaviour = Self {
            latency: options.latency + Duration::from_micros(random.below(jitter_us.saturating_add(1))),
            chunk_delay: options.chunk_delay,
            tokens: options.tokens,
            status: None,
            retry_after: None,
            cut: Cut::Never,
            timestamps: false,
        };
        if drawn(random, options.error_rate) {
            behaviour.status = Some(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if drawn(random, options.limit_rate) {
            behaviour.status = Some(StatusCode::TOO_MANY_REQUESTS);
        }
        if drawn(random, options.abort_rate) {
            behaviour.cut = Cut::Anywhere(random.next_u64());
        }
        behaviour.override_by(headers)?;
        if behaviour.status == Some(StatusCode::TOO_MANY_REQUESTS) && behaviour.retry_after.is_none() {
            behaviour.retry_after = Some(options.retry_after.to_string());
        }
        Ok(behaviour)
    }

    fn override_by(&mut self, headers: &HeaderMap) -> Result<(), Refusal> {
        for (name, value) in headers {
            let Some(knob) = name.as_str().strip_prefix("x-mock-") else { continue };
            let text = value.to_str().unwrap_or("");
            let refused = |why: String| Refusal::bad_request(format!("{name}: {why}"), None);
            match knob {
                "latency" => self.latency = units::parse_duration(text).map_err(|e| refused(e.to_string()))?,
                "chunk-delay" => self.chunk_delay = units::parse_duration(text).map_err(|e| refused(e.to_string()))?,
                "tokens" => self.tokens = parse_tokens(text).map_err(refused)?,
                "status" => self.status = Some(parse_status(text).map_err(refused)?),
                "retry-after" => self.retry_after = Some(text.to_owned()),
                "abort-after" => {
                    let events = text.parse().map_err(|_| refused(format!("{text:?} is not a number of events")))?;
                    self.cut = Cut::After(events);
                }
                "timestamps" => self.timestamps = text == "1",
                _ => {
                    let known = "latency, chunk-delay, tokens, status, retry-after, abort-after, timestamps";
                    return Err(refused(format!("unknown; after x-mock- one of {known} may stand")));
                }
            }
        }
        Ok(())
    }
}

fn drawn(random: &Random, share: f64) -> bool {
    // A draw is made at any share, so that one flag does not shift the sequence of another.
    (random.below(CHANCES) as f64) < share * CHANCES as f64
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err(format!("{text:?} is not a share: write a number from 0 to 1, such as 0.05")),
    }
}

fn parse_tokens(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(tokens) if tokens <= TOKENS_MAX => Ok(tokens),
        _ => Err(format!("{text:?} is not a number of tokens: write a whole number from 0 to {TOKENS_MAX}")),
    }
}

fn parse_status(text: &str) -> Result<StatusCode, String> {
    match text.parse::<u16>().map(StatusCode::from_u16) {
        Ok(Ok(status)) if (400..600).contains(&status.as_u16()) => Ok(status),
        _ => Err(format!("{text:?} is not an error status: write a number from 400 to 599")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: MockOptions,
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn an_empty_command_line_is_the_default() {
        assert_eq!(Line::try_parse_from(["mock"]).ok().unwrap().options, MockOptions::default());
    }

    #[test]
    fn flags_are_read_and_bad_ones_are_named() {
        let line =
            ["mock", "--latency", "1.5s", "--tokens", "3", "--abort-rate", "0.25", "--seed", "7", "--models", "a,b"];
        let options = Line::try_parse_from(line).ok().unwrap().options;
        assert_eq!((options.latency, options.tokens), (Duration::from_millis(1_500), 3));
        assert_eq!((options.abort_rate, options.seed, options.models.len()), (0.25, Some(7), 2));
        for bad in [["--error-rate", "1.1"], ["--error-rate", "NaN"], ["--latency", "5"], ["--tokens", "1e9"]] {
            let error = Line::try_parse_from(["mock", bad[0], bad[1]]).err().unwrap().to_string();
            assert!(error.contains(bad[0]) && error.contains(bad[1]), "{error}");
        }
    }

    #[test]
    fn headers_win_over_options_and_dice() {
        let options = MockOptions { error_rate: 1.0, jitter: Duration::from_secs(9), ..MockOptions::default() };
        let random = Random::seeded(1);
        let plain = Behaviour::of(&options, &random, &HeaderMap::new()).unwrap();
        assert_eq!(plain.status, Some(StatusCode::INTERNAL_SERVER_ERROR));
        let headers = headers(&[
            ("x-mock-latency", "3ms"),
            ("x-mock-chunk-delay", "1ms"),
            ("x-mock-tokens", "5"),
            ("x-mock-status", "429"),
            ("x-mock-abort-after", "2"),
            ("x-mock-timestamps", "1"),
        ]);
        let told = Behaviour::of(&options, &random, &headers).unwrap();
        let expected = Behaviour {
            latency: Duration::from_millis(3),
            chunk_delay: Duration::from_millis(1),
            tokens: 5,
            status: Some(StatusCode::TOO_MANY_REQUESTS),
            retry_after: Some("1".to_owned()),
            cut: Cut::After(2),
            timestamps: true,
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn a_bad_header_is_a_400_that_names_it() {
        let random = Random::seeded(1);
        for (name, value) in [
            ("x-mock-latency", "5"),
            ("x-mock-status", "200"),
            ("x-mock-tokens", "1e9"),
            ("x-mock-abort-after", "soon"),
            ("x-mock-colour", "red"),
        ] {
            let refusal = Behaviour::of(&MockOptions::default(), &random, &headers(&[(name, value)])).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
            assert!(refusal.message.starts_with(name), "{}", refusal.message);
        }
    }

    #[test]
    fn a_seed_repeats_the_failures() {
        let options = MockOptions { error_rate: 0.2, limit_rate: 0.1, abort_rate: 0.3, ..MockOptions::default() };
        let run = |seed| {
            let random = Random::seeded(seed);
            (0..200).map(|_| Behaviour::of(&options, &random, &HeaderMap::new()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(run(5), run(5));
        let failed = run(5).iter().filter(|b| b.status.is_some()).count();
        assert!((30..90).contains(&failed), "about 28 % of 200: {failed}");
    }
}
