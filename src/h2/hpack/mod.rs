//! Compression of field blocks (RFC 7541).
