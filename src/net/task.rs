//! The one way to start a task on a core: a panic inside it ends only that task.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
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
            // The text was kept by the hook.
            Err(_) => {
                let text = take_panic();
                this.on_panic.take().into_iter().for_each(|call| call(&text));
                Poll::Ready(())
            }
        }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of this thread are kept instead of printed: printing could block the core on a full pipe. Who catches a panic
/// asks [`take_panic`] and says it through the log.
pub fn keep_panics() {
    static HOOK: Once = Once::new();
    thread_local! {
        static KEPT: Cell<bool> = const { Cell::new(false) };
    }
    KEPT.set(true);
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if KEPT.get() {
                let place = info.location().map_or_else(String::new, |l| format!(" at {}:{}", l.file(), l.line()));
                let text = info.payload_as_str().unwrap_or("no text");
                LAST_PANIC.with(|last| last.replace(format!("{text}{place}")));
            } else {
                former(info);
            }
        }));
    });
}

/// The text and place of the last panic of this thread.
pub fn take_panic() -> String {
    LAST_PANIC.take()
}

/// Gives other tasks and the driver their turn for about a millisecond. (monoio starves everybody else when a task
/// wakes itself, so yielding goes through the timer.)
pub async fn pause(milliseconds: u64) {
    monoio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
}
