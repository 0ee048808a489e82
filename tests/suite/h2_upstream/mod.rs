//! HTTP/2 towards upstreams: the real executable in front of an HTTP/2 origin that is scripted frame by frame, asked by
//! clients of either version.

mod caller;
pub mod origin;

mod bodies;
mod cached;
mod endings;
mod goaway;
mod messages;
mod protocols;
mod responses;
mod sharing;
mod violations;
mod websocket;
