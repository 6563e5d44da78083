//! The three things a request may spawn, and the enum of them. Each lifts a child of the requesting task, and only
//! once: a second `apply` finds nothing left to do.

use super::dial::ResolveTask;
use super::task::HttpRequestTask;
use super::upgrade::TlsUpgradeTask;
use crate::net::Net;
use crate::synca::Entry;
use crate::valtron::{BoxedExecutionEngine, DoNext, ExecutionAction, GenericResult, TaskIterator, Wait};

/// What an [`HttpRequestTask`] spawns.
pub enum HttpClientAction<N: Net> {
    /// Nothing.
    None,
    /// The request that follows a redirect.
    Redirect(RedirectAction<N>),
    /// A TLS handshake.
    TlsUpgrade(TlsUpgradeAction<N>),
    /// A name look-up, and the connection to what it finds.
    Resolve(ResolveAction<N>),
}

impl<N: Net> ExecutionAction for HttpClientAction<N> {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        match self {
            HttpClientAction::None => Ok(()),
            HttpClientAction::Redirect(action) => action.apply(parent, engine),
            HttpClientAction::TlsUpgrade(action) => action.apply(parent, engine),
            HttpClientAction::Resolve(action) => action.apply(parent, engine),
        }
    }
}

/// Lifts the request that follows a redirect. The host, if it wants to be asked, is asked by the child before it does
/// anything.
pub struct RedirectAction<N: Net>(Option<Box<HttpRequestTask<N>>>);

impl<N: Net> RedirectAction<N> {
    /// Around a child request.
    pub fn new(child: HttpRequestTask<N>) -> Self {
        Self(Some(Box::new(child)))
    }
}

impl<N: Net> ExecutionAction for RedirectAction<N> {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        lift_once(self.0.take(), parent, &engine)
    }
}

/// Lifts a TLS handshake.
pub struct TlsUpgradeAction<N: Net>(Option<Box<TlsUpgradeTask<N>>>);

impl<N: Net> TlsUpgradeAction<N> {
    /// Around a handshake that has not begun.
    pub fn new(task: TlsUpgradeTask<N>) -> Self {
        Self(Some(Box::new(task)))
    }
}

impl<N: Net> ExecutionAction for TlsUpgradeAction<N> {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        lift_once(self.0.take(), parent, &engine)
    }
}

/// Lifts a name look-up.
pub struct ResolveAction<N: Net>(Option<Box<ResolveTask<N>>>);

impl<N: Net> ResolveAction<N> {
    /// Around a look-up that has not begun.
    pub fn new(task: ResolveTask<N>) -> Self {
        Self(Some(Box::new(task)))
    }
}

impl<N: Net> ExecutionAction for ResolveAction<N> {
    fn apply(&mut self, parent: Entry, engine: BoxedExecutionEngine) -> GenericResult<()> {
        lift_once(self.0.take(), parent, &engine)
    }
}

fn lift_once<T>(task: Option<Box<T>>, parent: Entry, engine: &BoxedExecutionEngine) -> GenericResult<()>
where
    T: TaskIterator<Ready = ()> + Send + 'static,
    T::Pending: Into<Wait>,
{
    if let Some(task) = task {
        engine.lift(DoNext::boxed(*task, |()| {}), Some(parent))?;
    }
    Ok(())
}
