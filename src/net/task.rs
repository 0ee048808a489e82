//! The one way to start a task on a core: a panic inside it ends only that task.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

/// Runs `task` beside the others. When it panics, `on_panic` is called with the panic's text and the core lives on
/// (monoio by itself would end the thread with all its connections).
pub fn spawn<F, P>(task: F, on_panic: P)
where
    F: Future<Output = ()> + 'static,
    P: FnOnce(&str) + 'static,
{
    let guarded = async move {
        let mut task = std::pin::pin!(task);
        let outcome =
            std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(())) => Poll::Ready(None),
                Err(payload) => Poll::Ready(Some(payload)),
            })
            .await;
        if let Some(payload) = outcome {
            let text = payload.downcast_ref::<&str>().copied();
            on_panic(text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text"));
        }
    };
    // Detached: the task ends by itself or with the process.
    drop(monoio::spawn(guarded));
}

/// Gives other tasks and the driver their turn for about a millisecond. (monoio starves everybody else when a task
/// wakes itself, so yielding goes through the timer.)
pub async fn pause(milliseconds: u64) {
    monoio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}
