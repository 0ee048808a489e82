//! The only wrapper of monoio's I/O: sockets, TLS streams, listeners, dialling, deadlines, spawning.
//!
//! The rule of this folder: wait for readiness, then make a non-blocking call on our own buffer. A readiness operation
//! carries no data, so every future here may be dropped at any moment and no byte or connection is lost.

pub mod deadline;
pub mod dial;
pub mod input;
pub mod listen;
pub mod mailbox;
pub mod ready;
pub mod session;
pub mod socket;
pub mod stream;
pub mod task;
pub mod turns;

pub use deadline::{Deadlines, Timer};
pub use input::{Filled, Input, ReadError, Until, Wait};
pub use session::Session;
pub use socket::Socket;
pub use stream::{Read, Stream};
