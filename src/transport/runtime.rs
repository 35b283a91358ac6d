//! One background thread that drives all requests of a client.

use std::future::Future;
use std::thread::{self, JoinHandle};
#[cfg(test)]
use std::{panic::resume_unwind, sync::mpsc};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::TransportError;

/// A current-thread tokio runtime on a thread of its own, so that callers need no runtime and may have one.
///
/// It does not survive a `fork`: the child has no such thread, and whatever is handed to it there waits forever.
/// Compare [`Runtime::created_in_pid`] first.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    /// Dropped or used to stop the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    pid: u32,
}

impl Runtime {
    /// Starts the thread.
    pub(crate) fn new() -> Result<Self, TransportError> {
        let failed = |error: std::io::Error| TransportError::Thread { reason: error.to_string() };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("questframe-io".into())
            .spawn(move || {
                // Both a message and a dropped sender mean the end.
                let _ = runtime.block_on(stopped);
                // A name look-up is a blocking call that nothing can cut short: leave it behind.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread), pid: std::process::id() })
    }

    /// The process that has the thread.
    pub(crate) fn created_in_pid(&self) -> u32 {
        self.pid
    }

    /// Runs a future in the background. Dropping the handle lets it run on.
    pub(crate) fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a future in the background and waits for its result. A panic of the future goes on in the caller.
    ///
    /// Any thread may call it, also one that drives another runtime, except the background thread itself.
    #[cfg(test)]
    pub(crate) fn block_on<F>(&self, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.handle.spawn(future);
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // The receiver waits below for as long as this task lives.
            let _ = sender.send(task.await);
        });
        match receiver.recv() {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            // Only `drop` stops the runtime, and it cannot run while `self` is borrowed.
            Ok(Err(_)) | Err(_) => resume_unwind(Box::new("the background thread stopped while it was in use")),
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) else {
            return;
        };
        if self.pid != std::process::id() {
            // In a forked child there is no thread to join, and waking it would write to the parent's pipe.
            std::mem::forget((stop, thread));
            return;
        }
        drop(stop);
        // A task that holds the last reference must not wait for the thread it runs on.
        if thread::current().id() != thread.thread().id() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn futures_run_on_the_named_thread() {
        let runtime = Runtime::new().expect("a thread");
        let name = runtime.block_on(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.as_deref(), Some("questframe-io"));
        assert_eq!(runtime.created_in_pid(), std::process::id());
        let task = runtime.spawn(async { 42 });
        assert_eq!(runtime.block_on(task).ok(), Some(42));
    }

    #[test]
    fn several_threads_may_wait_at_once() {
        let runtime = Runtime::new().expect("a thread");
        let (sender, receiver) = oneshot::channel();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| runtime.block_on(receiver));
            let sent = runtime.block_on(async move { sender.send(7) });
            assert_eq!(sent, Ok(()));
            assert_eq!(waiting.join().ok(), Some(Ok(7)));
        });
    }

    #[test]
    fn a_caller_may_have_a_runtime_of_its_own() {
        let ours = Runtime::new().expect("a thread");
        let theirs = Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(theirs.block_on(async { ours.block_on(async { 1 }) }), 1);
    }

    #[test]
    fn a_panic_goes_on_in_the_caller_and_leaves_the_thread_usable() {
        let runtime = Runtime::new().expect("a thread");
        let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { resume_unwind(Box::new("oh")) })));
        let message = caught.map(|()| "none").unwrap_or_else(|panic| panic.downcast_ref::<&str>().unwrap_or(&"other"));
        assert_eq!(message, "oh");
        assert_eq!(runtime.block_on(async { 2 }), 2);
    }

    #[test]
    fn drop_ends_running_tasks() {
        let runtime = Runtime::new().expect("a thread");
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let endless = runtime.spawn(async move {
            let _held = held;
            tokio::time::sleep(Duration::from_secs(3600)).await;
        });
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        assert!(endless.is_finished());
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn drop_inside_a_task_does_not_wait_for_itself() {
        let runtime = Arc::new(Runtime::new().expect("a thread"));
        let (go, gone) = oneshot::channel::<()>();
        let held = Arc::clone(&runtime);
        let (dropped, receiver) = mpsc::channel();
        runtime.spawn(async move {
            let _ = gone.await;
            drop(held);
            let _ = dropped.send(());
        });
        let last = Arc::downgrade(&runtime);
        drop(runtime);
        assert!(last.upgrade().is_some());
        let _ = go.send(());
        assert_eq!(receiver.recv_timeout(Duration::from_secs(5)), Ok(()));
    }
}
