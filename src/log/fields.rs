//! The fields of a JSON line: one table of names and meanings, from which the configuration, the writer and the
//! documents are made. Owns no value and writes nothing.

/// Makes the enum with the name and the meaning of each field.
macro_rules! fields {
    ($($variant:ident = $name:literal, $help:literal;)+) => {
        /// A field of a JSON line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Field {
            $(#[doc = $help] $variant),+
        }

        impl Field {
            /// Every field, in the order in which a line has them when nobody chooses.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every field by its name in the configuration.
            pub const NAMES: &'static [(&'static str, Self)] = &[$(($name, Self::$variant)),+];

            /// The name outside the program.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it means, without a full stop.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }

            /// What opens it in a line that has fields already.
            pub(super) const fn key(self) -> &'static [u8] {
                match self { $(Self::$variant => concat!(",\"", $name, "\":").as_bytes()),+ }
            }
        }
    };
}

fields! {
    Time = "time", "end of the exchange, UTC, RFC 3339 with milliseconds";
    Client = "client", "address of the peer, or whom the PROXY protocol names; X-Forwarded-For is not looked at";
    Method = "method", "of the request";
    Host = "host", "of the request";
    Path = "path", "the target as it came, with its query, secrets hidden";
    Version = "version", "of the request's protocol";
    Status = "status", "as sent; 499 when the client left";
    BytesSent = "bytes_sent", "of the response body, framing not counted";
    BytesReceived = "bytes_received", "of the request body, framing not counted";
    Duration = "duration_ms", "from the first byte of the request to the last of the response";
    Upstream = "upstream_ms", "from the choice of the upstream to the last byte of its response; `null` without one";
    FirstByte = "first_byte_ms", "from the first byte of the request to the first of the response; `null` without one";
    Route = "route", "its name in the configuration; empty where none took the request";
    UpstreamName = "upstream", "its name in the configuration; empty where none was chosen";
    Endpoint = "endpoint", "the address used; `null` where none was";
    RequestId = "request_id", "the value of X-Request-Id";
    Reason = "reason", "name of what went wrong; `null` when all went well";
    Caller = "caller", "name of the key that asked; only where there is one";
    Rule = "rule", "number of the firewall's rule that matched; only where one did";
    RuleMessage = "rule_message", "its message; only where one did";
    RuleVariable = "rule_variable", "name of the variable that it matched, never its value; only where one did";
    Cache = "cache", "how the cache answered; only on routes with a cache";
    CacheDetail = "cache_detail", "why: a pass, not storing or a failure; only on routes with a cache";
    Referer = "referer", "of the request, secrets hidden; only where there is one";
    UserAgent = "user_agent", "of the request, secrets hidden; `null` without one";
    User = "user", "of Basic credentials, never their password; only where there is one";
    Core = "core", "number of the CPU core";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_open_their_field() {
        let names: BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        assert_eq!(Field::FirstByte.key(), b",\"first_byte_ms\":");
        assert!(Field::NAMES.iter().all(|(name, field)| field.name() == *name && !field.help().is_empty()));
    }
}
