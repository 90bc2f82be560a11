//! The shipped engine's side: its own scanners with a client and a backend of their own, on a thread of
//! their own, as `ff-engine`'s `Engine` builds them.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use claimlab_valkey::Address;
use ff_core::backend::ScannerFilter;
use ff_core::engine_backend::EngineBackend;
use ff_engine::scanner::Scanner;
use ff_engine::scanner::attempt_timeout::AttemptTimeoutScanner;
use ff_engine::scanner::budget_reconciler::BudgetReconciler;
use ff_engine::scanner::budget_reset::BudgetResetScanner;
use ff_engine::scanner::cancel_reconciler::CancelReconciler;
use ff_engine::scanner::delayed_promoter::DelayedPromoter;
use ff_engine::scanner::dependency_reconciler::DependencyReconciler;
use ff_engine::scanner::edge_cancel_dispatcher::EdgeCancelDispatcher;
use ff_engine::scanner::edge_cancel_reconciler::EdgeCancelReconciler;
use ff_engine::scanner::execution_deadline::ExecutionDeadlineScanner;
use ff_engine::scanner::flow_projector::FlowProjector;
use ff_engine::scanner::index_reconciler::IndexReconciler;
use ff_engine::scanner::lease_expiry::LeaseExpiryScanner;
use ff_engine::scanner::pending_wp_expiry::PendingWaitpointExpiryScanner;
use ff_engine::scanner::quota_reconciler::QuotaReconciler;
use ff_engine::scanner::retention_trimmer::RetentionTrimmer;
use ff_engine::scanner::suspension_timeout::SuspensionTimeoutScanner;
use ff_engine::scanner::unblock::UnblockScanner;
use ff_observability::Metrics;

use crate::engine::Counts;
use crate::live::client::{self, Deployment, Error};
use crate::scanner::ScannerKind;

/// The interval that the scanners are built with. Nobody waits for it here, and the union of
/// capabilities, which is kept for as long, is read anew each time.
const INTERVAL: Duration = Duration::ZERO;

enum Request {
    /// Forgets what the scanners remember.
    Fresh,
    Pass(ScannerKind, mpsc::SyncSender<Counts>),
}

/// The shipped scanners, ready for single passes.
#[derive(Debug)]
pub struct Engine {
    requests: mpsc::Sender<Request>,
    address: Address,
}

impl Engine {
    /// Connects to a server that is initialised already.
    ///
    /// # Errors
    /// [`Error::SetUp`] with what the shipped client said.
    pub fn start(address: &Address, deployment: &Deployment) -> Result<Self, Error> {
        let (requests, inbox) = mpsc::channel();
        let (started, outcome) = mpsc::sync_channel(1);
        let (at, deployment) = (address.clone(), deployment.clone());
        // This thread is no part of any run.
        #[allow(clippy::disallowed_methods)]
        thread::spawn(move || serve(&at, &deployment, &inbox, &started));
        let engine = Self { requests, address: address.clone() };
        let outcome = outcome.recv().map_err(|_| engine.gone())?;
        outcome.map_err(|why| Error::SetUp { address: address.clone(), why })?;
        Ok(engine)
    }

    /// Has the scanners forget their failures.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn forget(&self) -> Result<(), Error> {
        self.requests.send(Request::Fresh).map_err(|_| self.gone())
    }

    /// One pass of a scanner over every partition.
    ///
    /// # Errors
    /// [`Error::Gone`].
    pub fn pass(&self, kind: ScannerKind) -> Result<Counts, Error> {
        let (reply, counts) = mpsc::sync_channel(1);
        self.requests.send(Request::Pass(kind, reply)).map_err(|_| self.gone())?;
        counts.recv().map_err(|_| self.gone())
    }

    fn gone(&self) -> Error {
        Error::Gone { address: self.address.clone() }
    }
}

/// The thread: sets up, then passes until the last sender is gone.
fn serve(
    address: &Address,
    deployment: &Deployment,
    inbox: &mpsc::Receiver<Request>,
    started: &mpsc::SyncSender<Result<(), String>>,
) {
    let set_up = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let client = runtime
            .block_on(client::connect(address, client::REQUEST_TIMEOUT))
            .map_err(|error| client::said(&error))?;
        let backend = client::backend(&client, deployment.partitions).map_err(|error| client::said(&error))?;
        Ok((runtime, client, backend))
    };
    let (runtime, client, backend) = match set_up() {
        Ok(ready) => ready,
        Err(why) => {
            let _ = started.send(Err(why));
            return;
        }
    };
    // Who started this thread may have given up meanwhile; then the inbox is closed too.
    let _ = started.send(Ok(()));
    let backend: Arc<dyn EngineBackend> = backend;
    let mut scanners = Scanners::new(&backend, deployment);
    for request in inbox {
        match request {
            Request::Fresh => scanners = Scanners::new(&backend, deployment),
            Request::Pass(kind, reply) => {
                let partitions = kind.partitions(&deployment.partitions);
                let _ = reply.send(runtime.block_on(scanners.pass(kind, &client, partitions)));
            }
        }
    }
}

struct Scanners {
    lease_expiry: LeaseExpiryScanner,
    delayed_promoter: DelayedPromoter,
    attempt_timeout: AttemptTimeoutScanner,
    execution_deadline: ExecutionDeadlineScanner,
    suspension_timeout: SuspensionTimeoutScanner,
    pending_waitpoint_expiry: PendingWaitpointExpiryScanner,
    unblock: UnblockScanner,
    index_reconciler: IndexReconciler,
    quota_reconciler: QuotaReconciler,
    budget_reconciler: BudgetReconciler,
    budget_reset: BudgetResetScanner,
    dependency_reconciler: DependencyReconciler,
    cancel_reconciler: CancelReconciler,
    edge_cancel_dispatcher: EdgeCancelDispatcher,
    edge_cancel_reconciler: EdgeCancelReconciler,
    flow_projector: FlowProjector,
    retention_trimmer: RetentionTrimmer,
}

impl Scanners {
    fn new(backend: &Arc<dyn EngineBackend>, deployment: &Deployment) -> Self {
        let backend = || Arc::clone(backend);
        let (lanes, partitions) = (|| deployment.lanes.clone(), deployment.partitions);
        let filter = ScannerFilter::default;
        let metrics = Arc::new(Metrics::new());
        Self {
            lease_expiry: LeaseExpiryScanner::with_filter_and_backend(INTERVAL, filter(), backend()),
            delayed_promoter: DelayedPromoter::with_filter_and_backend(INTERVAL, lanes(), filter(), backend()),
            attempt_timeout: AttemptTimeoutScanner::with_filter_and_backend(INTERVAL, lanes(), filter(), backend()),
            execution_deadline: ExecutionDeadlineScanner::with_filter_and_backend(
                INTERVAL,
                lanes(),
                filter(),
                backend(),
            ),
            suspension_timeout: SuspensionTimeoutScanner::with_filter_and_backend(INTERVAL, filter(), backend()),
            pending_waitpoint_expiry: PendingWaitpointExpiryScanner::with_filter_and_backend(
                INTERVAL,
                filter(),
                backend(),
            ),
            unblock: UnblockScanner::with_filter_and_backend(INTERVAL, lanes(), partitions, filter(), backend()),
            index_reconciler: IndexReconciler::with_filter_and_backend(INTERVAL, lanes(), filter(), backend()),
            quota_reconciler: QuotaReconciler::with_filter_and_backend(INTERVAL, filter(), backend()),
            budget_reconciler: BudgetReconciler::with_filter_and_backend(INTERVAL, filter(), backend()),
            budget_reset: BudgetResetScanner::with_filter_and_backend(INTERVAL, filter(), backend()),
            dependency_reconciler: DependencyReconciler::with_filter_and_backend(
                INTERVAL,
                lanes(),
                partitions,
                filter(),
                backend(),
            ),
            cancel_reconciler: CancelReconciler::with_filter_and_backend(INTERVAL, partitions, filter(), backend()),
            edge_cancel_dispatcher: EdgeCancelDispatcher::with_filter_metrics_and_backend(
                INTERVAL,
                partitions,
                filter(),
                Arc::clone(&metrics),
                backend(),
            ),
            flow_projector: FlowProjector::with_filter_and_backend(INTERVAL, partitions, filter(), backend()),
            retention_trimmer: RetentionTrimmer::with_filter_and_backend(INTERVAL, lanes(), filter(), backend()),
            edge_cancel_reconciler: EdgeCancelReconciler::with_filter_metrics_and_backend(
                INTERVAL,
                filter(),
                metrics,
                backend(),
            ),
        }
    }

    async fn pass(&self, kind: ScannerKind, client: &ferriskey::Client, partitions: u16) -> Counts {
        match kind {
            ScannerKind::LeaseExpiry => pass(&self.lease_expiry, client, partitions).await,
            ScannerKind::DelayedPromoter => pass(&self.delayed_promoter, client, partitions).await,
            ScannerKind::AttemptTimeout => pass(&self.attempt_timeout, client, partitions).await,
            ScannerKind::ExecutionDeadline => pass(&self.execution_deadline, client, partitions).await,
            ScannerKind::SuspensionTimeout => pass(&self.suspension_timeout, client, partitions).await,
            ScannerKind::PendingWaitpointExpiry => pass(&self.pending_waitpoint_expiry, client, partitions).await,
            ScannerKind::Unblock => pass(&self.unblock, client, partitions).await,
            ScannerKind::IndexReconciler => pass(&self.index_reconciler, client, partitions).await,
            ScannerKind::QuotaReconciler => pass(&self.quota_reconciler, client, partitions).await,
            ScannerKind::BudgetReconciler => pass(&self.budget_reconciler, client, partitions).await,
            ScannerKind::BudgetReset => pass(&self.budget_reset, client, partitions).await,
            ScannerKind::DependencyReconciler => pass(&self.dependency_reconciler, client, partitions).await,
            ScannerKind::CancelReconciler => pass(&self.cancel_reconciler, client, partitions).await,
            ScannerKind::EdgeCancelDispatcher => pass(&self.edge_cancel_dispatcher, client, partitions).await,
            ScannerKind::EdgeCancelReconciler => pass(&self.edge_cancel_reconciler, client, partitions).await,
            ScannerKind::FlowProjector => pass(&self.flow_projector, client, partitions).await,
            ScannerKind::RetentionTrimmer => pass(&self.retention_trimmer, client, partitions).await,
        }
    }
}

/// What `ScannerRunner` does between two sleeps.
async fn pass<S: Scanner>(scanner: &S, client: &ferriskey::Client, partitions: u16) -> Counts {
    let mut counts = Counts::default();
    for partition in 0..partitions {
        let found = scanner.scan_partition(client, partition).await;
        counts += Counts { processed: found.processed, errors: found.errors };
    }
    counts
}
