//! Which I/O driver the cores use: found out at start by building the real thing, not by asking for a version.
//!
//! io_uring with cooperative task running (5.19) is as fast as epoll; without it small requests cost half as much again;
//! where io_uring is refused (seccomp, sysctl, old kernel) epoll serves just as well.

use std::io;

use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::plan::DriverChoice;

/// Submission entries of a core's ring; the completion queue is sized for a burst of all time-outs.
const RING_ENTRIES: u32 = 1024;
const COMPLETION_ENTRIES: u32 = 16 * 1024;

/// A driver that was built once and so can be built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// `coop` = IORING_SETUP_COOP_TASKRUN.
    IoUring {
        coop: bool,
    },
    Epoll,
}

impl Driver {
    /// Its name, as the command line takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoUring { .. } => "io_uring",
            Self::Epoll => "epoll",
        }
    }

    /// The flags in force; `none` where there are none.
    pub const fn flags(self) -> &'static str {
        match self {
            Self::IoUring { coop: true } => "coop_taskrun",
            Self::IoUring { coop: false } | Self::Epoll => "none",
        }
    }
}

/// Finds the best driver that this machine allows, and why a better one is not used.
///
/// `auto` takes epoll rather than a ring without COOP_TASKRUN, which is the slower of the two (docs/measurements.md).
///
/// # Errors
/// The driver that was asked for cannot be built.
pub fn probe(choice: DriverChoice) -> Result<(Driver, Option<String>), String> {
    if choice == DriverChoice::Epoll {
        return Ok((Driver::Epoll, None));
    }
    let Err(coop) = build_ring(true) else { return Ok((Driver::IoUring { coop: true }, None)) };
    match (choice, build_ring(false)) {
        (DriverChoice::IoUring, Ok(())) => {
            let why = format!(
                "the kernel refuses COOP_TASKRUN ({coop}): small requests cost more than on epoll; 5.19 has it"
            );
            Ok((Driver::IoUring { coop: false }, Some(why)))
        }
        (_, Ok(())) => {
            Ok((Driver::Epoll, Some(format!("the kernel refuses COOP_TASKRUN ({coop}), without it epoll is faster"))))
        }
        (DriverChoice::IoUring, Err(plain)) => Err(format!("{}; allow it or use --driver epoll", refused(&plain))),
        (_, Err(plain)) => Ok((Driver::Epoll, Some(refused(&plain)))),
    }
}

fn refused(error: &io::Error) -> String {
    format!(
        "io_uring cannot be used: {error} (blocked by seccomp or kernel.io_uring_disabled, or the kernel is too old)"
    )
}

fn build_ring(coop: bool) -> io::Result<()> {
    ring_builder(coop).build().map(drop)
}

fn ring_builder(coop: bool) -> RuntimeBuilder<IoUringDriver> {
    let mut ring = io_uring::IoUring::builder();
    ring.setup_cqsize(COMPLETION_ENTRIES);
    if coop {
        ring.setup_coop_taskrun();
    }
    RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring).with_entries(RING_ENTRIES)
}

/// Runs a future to its end on this thread, on the driver.
///
/// # Errors
/// The driver cannot be built on this thread (descriptors or locked memory ran out since the probe).
pub fn run<F: Future>(driver: Driver, work: F) -> io::Result<F::Output> {
    Ok(match driver {
        Driver::IoUring { coop } => ring_builder(coop).enable_timer().build()?.block_on(work),
        Driver::Epoll => RuntimeBuilder::<LegacyDriver>::new().enable_timer().build()?.block_on(work),
    })
}
