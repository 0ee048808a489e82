//! Messages between field blocks and the text of HTTP/1.1 (RFC 9113 §8).
