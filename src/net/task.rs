//! The one way to start a task on a core: a panic inside it ends only that task.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Runs `task` beside the others. When it panics, `on_panic` is called with the panic's text and the core lives on
/// (monoio by itself would end the thread with all its connections).
pub fn spawn<F, P>(task: F, on_panic: P)
where
    F: Future<Output = ()> + 'static,
    P: FnOnce(&str) + 'static,
{
    // Detached: the task ends by itself or with the process.
    drop(monoio::spawn(Guarded { task, on_panic: Some(on_panic) }));
}

pin_project! {
    /// A task whose panics are caught. By hand, as in `ready`: a coroutine would hold the task twice.
    struct Guarded<F, P> {
        #[pin]
        task: F,
        on_panic: Option<P>,
    }
}

impl<F: Future<Output = ()>, P: FnOnce(&str)> Future for Guarded<F, P> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match catch_unwind(AssertUnwindSafe(|| this.task.poll(context))) {
            Ok(polled) => polled,
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().copied();
                let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
                this.on_panic.take().into_iter().for_each(|call| call(text));
                Poll::Ready(())
            }
        }
    }
}

/// Gives other tasks and the driver their turn for about a millisecond. (monoio starves everybody else when a task
/// wakes itself, so yielding goes through the timer.)
pub async fn pause(milliseconds: u64) {
    monoio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}
