//! The words that counters, metrics and log lines share: one table per vocabulary.
//!
//! A row is a variant, its name outside the program and its help text; enum, metric and documentation are made from
//! the same row. Names are stable: they are what dashboards and alerts are written against.

/// Makes an enum with the name and the help text of each variant.
macro_rules! vocabulary {
    ($(#[$meta:meta])* $kind:ident { $($variant:ident = $name:literal, $help:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $kind {
            $(#[doc = $help] $variant),+
        }

        impl $kind {
            /// Every variant, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name outside the program.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it means, as one sentence without a full stop.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }
        }
    };
}

vocabulary! {
    /// What only grows. The name is that of the metric.
    Counter {
        ConnectionsAccepted = "ringway_connections_accepted_total", "Client connections accepted";
        ConnectionsRefused = "ringway_connections_refused_total", "Client connections closed at once because a bound was reached";
        Requests = "ringway_requests_total", "Requests whose head was read or refused";
        BytesReceived = "ringway_bytes_received_total", "Bytes of request bodies read from clients, framing not counted";
        BytesSent = "ringway_bytes_sent_total", "Bytes of response bodies sent to clients, framing not counted";
        UpstreamBytesReceived = "ringway_upstream_bytes_received_total", "Bytes of response bodies read from upstreams and passed on";
        UpstreamBytesSent = "ringway_upstream_bytes_sent_total", "Bytes of requests sent to upstreams, before TLS";
        UpstreamConnects = "ringway_upstream_connects_total", "Connections opened to upstreams, failed attempts included";
        UpstreamConnectFailures = "ringway_upstream_connect_failures_total", "Connections to upstreams that could not be opened";
        UpstreamReuses = "ringway_upstream_reuses_total", "Exchanges that took an idle upstream connection";
        UpstreamRetries = "ringway_upstream_retries_total", "Requests sent again on another upstream connection";
        TlsHandshakes = "ringway_tls_handshakes_total", "TLS handshakes with clients that completed";
        TlsResumptions = "ringway_tls_resumptions_total", "Completed TLS handshakes with clients that resumed a session";
        Http2Connections = "ringway_http2_connections_total", "Client connections that speak HTTP/2";
        Http2StreamsRefused = "ringway_http2_streams_refused_total", "Streams of clients refused because too many were open";
        UpstreamHttp2Connections = "ringway_upstream_http2_connections_total", "Upstream connections that speak HTTP/2";
        Tunnels = "ringway_tunnels_total", "Exchanges that became a byte tunnel after 101";
        LogLinesDropped = "ringway_log_lines_dropped_total", "Log lines dropped because the writer was behind";
        LogLinesSampledOut = "ringway_log_lines_sampled_out_total", "Access lines left out because the configuration asks for a share of them";
        Panics = "ringway_panics_total", "Panics caught, each of which ended one connection";
        OrdersHandled = "ringway_orders_handled_total", "Orders from the control plane that a core carried out";
    }
}

vocabulary! {
    /// What goes up and down. The name is that of the metric.
    Gauge {
        ConnectionsOpen = "ringway_connections_open", "Client connections open now";
        ConnectionsIdle = "ringway_connections_idle", "Client connections open now without an exchange";
        ExchangesActive = "ringway_exchanges_active", "Exchanges in progress now";
        HandshakesActive = "ringway_handshakes_active", "TLS handshakes with clients in progress now";
        Http2StreamsOpen = "ringway_http2_streams_open", "Streams of HTTP/2 clients open now";
        TunnelsOpen = "ringway_tunnels_open", "Byte tunnels open now";
        FlightsActive = "ringway_flights_active", "Fetches on behalf of the cache in progress now";
        FollowersActive = "ringway_followers_active", "Exchanges that follow such a fetch now";
        CoresShedding = "ringway_cores_shedding", "Cores that refuse requests now because their turns come too late";
        InFlightBytes = "ringway_in_flight_bytes", "Bytes of request bodies held now";
        UpstreamConnectionsIdle = "ringway_upstream_connections_idle", "Upstream connections waiting in a pool now";
    }
}

vocabulary! {
    /// Durations, handed over in microseconds and shown in seconds. The name is that of the metric.
    Histogram {
        ExchangeTotal = "ringway_exchange_seconds", "From the first byte of the request to the last byte of the response";
        UpstreamTime = "ringway_upstream_seconds", "From the choice of the upstream to the last byte of its response";
        QueueDelay = "ringway_queue_delay_seconds", "How late the turn of a core comes, measured 40 times a second";
        TimeToFirstByte = "ringway_first_byte_seconds", "From the first byte of the request to the first byte of the response";
    }
}

vocabulary! {
    /// Why an exchange or a connection ended badly: label of `ringway_failures_total` and `reason` of a log line.
    Reason {
        BadRequest = "bad_request", "The request line or a field line breaks RFC 9112";
        TransferCodingUnknown = "transfer_coding_unknown", "The request has a transfer coding other than chunked";
        BadFraming = "bad_framing", "The length of the request body is ambiguous or malformed";
        BadHost = "bad_host", "Host is missing, malformed or given twice";
        TargetTooLong = "target_too_long", "The request line is longer than its bound";
        HeadTooLarge = "head_too_large", "The request head is larger than its bound";
        TooManyFields = "too_many_fields", "The request head has more fields than its bound";
        BodyTooLarge = "body_too_large", "The request body is larger than its bound";
        HeadTimeout = "head_timeout", "The request head did not arrive in time";
        BodyTimeout = "body_timeout", "The request body stalled for too long";
        SendTimeout = "send_timeout", "The client did not take the response in time";
        IdleTimeout = "idle_timeout", "A connection was silent for too long between two requests";
        ClientGone = "client_gone", "The client closed before the response was complete";
        ClientReset = "client_reset", "The client reset the connection";
        ClientTruncated = "client_truncated", "The client ended the connection inside a request body";
        NoRoute = "no_route", "No route takes the request";
        MethodNotAllowed = "method_not_allowed", "The method is not served (TRACE)";
        ConnectRefused = "connect_refused", "CONNECT was asked for, which the gateway never serves";
        VersionUnsupported = "version_unsupported", "The protocol version is not served";
        UpstreamConnectRefused = "upstream_connect_refused", "The upstream refused the connection";
        UpstreamConnectTimeout = "upstream_connect_timeout", "The upstream did not accept a connection in time";
        UpstreamUnreachable = "upstream_unreachable", "The upstream could not be reached";
        UpstreamTls = "upstream_tls", "TLS with the upstream failed";
        UpstreamReset = "upstream_reset", "The upstream reset the connection";
        UpstreamClosedEarly = "upstream_closed_early", "The upstream closed before a complete response head";
        UpstreamBadResponse = "upstream_bad_response", "The upstream's response breaks RFC 9112";
        UpstreamReadTimeout = "upstream_read_timeout", "The upstream was silent for too long";
        UpstreamWriteTimeout = "upstream_write_timeout", "The upstream did not take the request in time";
        UpstreamTruncated = "upstream_truncated", "The upstream closed inside a response body";
        UpstreamStatus = "upstream_status", "The upstream answered with an error where a stored answer may stand in";
        OnlyIfCached = "only_if_cached", "The request wants a stored answer or none, and there is none";
        NoEndpoint = "no_endpoint", "The upstream has no endpoint that may be tried";
        HandshakeFailed = "handshake_failed", "TLS with the client failed";
        HandshakeTimeout = "handshake_timeout", "The client did not complete the TLS handshake in time";
        HandshakeOverload = "handshake_overload", "Too many TLS handshakes were in progress";
        ConnectionLimit = "connection_limit", "Too many connections were open";
        ConnectionRate = "connection_rate", "An address opened connections faster than it may";
        ProxyProtocolBad = "proxy_protocol_bad", "The PROXY protocol header is missing or malformed";
        Panic = "panic", "A panic ended the connection";
        Http2Protocol = "h2_protocol", "The peer broke the rules of HTTP/2 (RFC 9113)";
        Http2Stream = "h2_stream", "A stream of a client was reset for what came on it";
        Http2Compression = "h2_compression", "A field block could not be decoded (RFC 7541)";
        Http2RapidReset = "h2_rapid_reset", "A client opened and reset streams faster than its budget";
        Http2MadeYouReset = "h2_made_you_reset", "A client made the gateway reset streams faster than its budget";
        Http2Continuation = "h2_continuation_flood", "A field block came in more frames than its budget";
        Http2Empty = "h2_empty_frames", "Frames without content came faster than their budget";
        Http2Settings = "h2_settings_flood", "SETTINGS came faster than their budget";
        Http2Ping = "h2_ping_flood", "PING came faster than its budget";
        Http2Priority = "h2_priority_flood", "PRIORITY came faster than its budget";
        Http2Window = "h2_window_flood", "WINDOW_UPDATE came faster than its budget";
        Http2Headers = "h2_header_bomb", "A field block decoded to far more than a head may have";
        Http2Settling = "h2_settings_timeout", "SETTINGS were not sent or not acknowledged in time";
        Http2Stalled = "h2_stalled", "The peer did not take what the connection had to send in time";
        AccessDenied = "access_denied", "The client's address is not allowed on the route";
        CallerMissing = "caller_missing", "The route wants a key and the request has none";
        CallerUnknown = "caller_unknown", "The key of the request is unknown, revoked or expired";
        CallerDenied = "caller_denied", "The key of the request is not for this route or model";
        RateLimited = "rate_limited", "A rate limit of the route is used up";
        InFlightLimited = "in_flight_limited", "Too many requests with the same key were in flight";
        UpstreamBusy = "upstream_busy", "Too many requests were in flight to the upstream";
        WafDenied = "waf_denied", "A rule of the firewall denied the request";
        WafDropped = "waf_dropped", "A rule of the firewall closed the connection";
        WafBodyTooLarge = "waf_body_too_large", "The request body is larger than what the firewall inspects, and the route lets none such pass";
        Overload = "overload", "The core was behind with its work";
        InFlightBytes = "in_flight_bytes", "Too many bytes of request bodies were held";
        Draining = "draining", "The drain deadline came before the exchange ended";
        Internal = "internal", "The gateway failed in a way that has no better name";
    }
}

vocabulary! {
    /// How a route with a cache answered a request: label of `ringway_cache_requests_total`.
    CacheOutcome {
        Hit = "hit", "Answered from a fresh stored answer";
        Stale = "stale", "Answered from a stale stored answer, as RFC 5861 or a soft purge allow";
        Revalidated = "revalidated", "Answered from a stored answer that the upstream has just confirmed";
        Merged = "merged", "Answered from what another request was already fetching";
        Miss = "miss", "Fetched from the upstream to be stored";
        Pass = "pass", "Sent to the upstream past the cache, for a reason that is counted apart";
        Failed = "failed", "No answer could be had";
    }
}

vocabulary! {
    /// Why a request went past the cache: label of `ringway_cache_pass_total` and `detail` of Cache-Status.
    Pass {
        MethodUnsafe = "method_unsafe", "The method is not one that the route caches";
        RequestNoStore = "request_no_store", "The request says no-store";
        Bypassed = "bypass", "The route's bypass names a field or a query parameter of the request";
        ConnectionFields = "connection_fields", "Connection names fields that are part of what tells answers apart, but do not reach the upstream";
        Arriving = "arriving", "An answer is arriving that this request may not use without asking";
        Range = "range", "A part was asked for and nothing is stored to take it from";
        Precondition = "precondition", "If-Match or If-Unmodified-Since, and no stored answer to judge it by may be used without asking";
        HeadMiss = "head_miss", "HEAD, and no stored answer to GET may be used without asking";
        RequestBody = "request_body", "The request has a body that is no part of the key";
        BodyTooLarge = "key_body_too_large", "The request body is larger than one that may be part of a key";
        Upgrade = "upgrade", "The request asks for another protocol";
        HitForMiss = "hit_for_miss", "The last answer could not be stored, so requests go side by side for a while";
        WaiterLimit = "waiter_limit", "Too many requests wait for the same answer already";
        WaiterTimeout = "waiter_timeout", "The awaited answer did not begin in time";
        MergeOff = "merge_off", "Another request fetches the same, and the route does not merge";
    }
}

vocabulary! {
    /// Why a fetched answer was not stored: label of `ringway_cache_not_stored_total` and `detail` of Cache-Status.
    NotStored {
        Status = "status", "The status is not cacheable, or 206 with a part only";
        NoStore = "no_store", "The response says no-store";
        Private = "private", "The response says private";
        Authorization = "authorization", "The request carries credentials and the response does not allow sharing (RFC 9111 §3.5)";
        VaryStar = "vary_star", "The response varies on more than fields";
        NoFreshness = "no_freshness", "Neither the response nor the route gives it a lifetime, and it has no validator";
        SetCookie = "set_cookie", "The response sets a cookie";
        NoLength = "no_length", "The body ends with the connection, so nobody can tell whether it is whole";
        TooLarge = "too_large", "The body is larger than an object of this route may be";
        NoRoom = "no_room", "The cache's memory is taken by answers that are still being read";
        Truncated = "truncated", "The body ended early";
        StreamUnfinished = "stream_unfinished", "The event stream ended without its protocol's own end";
        StreamError = "stream_error", "The event stream carried an error";
        Trailers = "trailers", "The response has trailer fields";
        MinUses = "min_uses", "The key was not asked for often enough yet";
        Purged = "purged", "It was purged while it arrived";
        Unwanted = "unwanted", "Everybody who waited for it has left";
        UpstreamFailed = "upstream_failed", "The upstream failed before the body was whole, or confirmed another answer than the stored one";
        FieldsTooLarge = "fields_too_large", "The response head is larger than a stored one may be";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_rules_of_prometheus() {
        let mut names: Vec<&str> = Vec::new();
        for counter in Counter::ALL {
            assert!(counter.name().starts_with("ringway_") && counter.name().ends_with("_total"));
            names.push(counter.name());
        }
        names.extend(Gauge::ALL.iter().map(|gauge| gauge.name()));
        for histogram in Histogram::ALL {
            assert!(histogram.name().ends_with("_seconds"));
            names.push(histogram.name());
        }
        names.extend(Reason::ALL.iter().map(|reason| reason.name()));
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn the_order_of_the_table_is_the_index() {
        assert!(Counter::ALL.iter().enumerate().all(|(index, counter)| *counter as usize == index));
        assert!(Gauge::ALL.iter().enumerate().all(|(index, gauge)| *gauge as usize == index));
        assert!(Histogram::ALL.iter().enumerate().all(|(index, histogram)| *histogram as usize == index));
        assert!(Reason::ALL.iter().enumerate().all(|(index, reason)| *reason as usize == index));
    }

    #[test]
    fn help_texts_fit_one_line_of_the_exposition() {
        let all = Counter::ALL.iter().map(|c| c.help()).chain(Reason::ALL.iter().map(|r| r.help()));
        for help in all {
            assert!(!help.contains(['\n', '\\']) && !help.ends_with('.') && !help.is_empty(), "{help}");
        }
    }
}
