//! The port to whoever looks into the files: the worker in another address space, or a stand-in in tests.

use bytes::Bytes;
use gate::BoxFuture;
use inspection::{
    CleanCount, ContractJob, ContractReading, InspectionError, InspectionReport, JobSpec, Progress, ReadRequest, Taken, Worker,
};
use kernel::Problem;

/// Gives bytes of one of the job's files.
pub type ReadBytes<'a> = dyn Fn(ReadRequest) -> BoxFuture<'a, Result<Bytes, Problem>> + Send + Sync + 'a;

/// Takes what comes of leaving rows out.
pub type TakeFiles<'a> = dyn Fn(Taken) -> BoxFuture<'a, Result<(), Problem>> + Send + Sync + 'a;

/// Looks into a version's files.
pub trait Inspect: Send + Sync + 'static {
    /// The digest of the rules by which it judges models' files; none where it has no rules.
    ///
    /// # Errors
    /// If it does not say.
    fn rules(&self) -> BoxFuture<'_, Result<Option<String>, InspectionError>> {
        Box::pin(async { Ok(None) })
    }

    /// Reads a contract, without data.
    ///
    /// # Errors
    /// If there is no answer, for whatever reason.
    fn contract<'a>(&'a self, _job: &'a ContractJob) -> BoxFuture<'a, Result<ContractReading, InspectionError>> {
        Box::pin(async { Err(InspectionError::Start("it reads no contracts".to_owned())) })
    }

    /// Does a job. When `cancelled` is ready, or the future is dropped, it stops.
    ///
    /// # Errors
    /// If there is no whole report, for whatever reason.
    fn inspect<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<InspectionReport, InspectionError>>;

    /// Writes a version's files again without the rows that the job names.
    ///
    /// # Errors
    /// If not all of it was written, for whatever reason.
    fn clean<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        take: &'a TakeFiles<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<CleanCount, InspectionError>>;
}

impl Inspect for Worker {
    fn rules(&self) -> BoxFuture<'_, Result<Option<String>, InspectionError>> {
        Box::pin(async { self.scan_rules().await.map(Some) })
    }

    fn contract<'a>(&'a self, job: &'a ContractJob) -> BoxFuture<'a, Result<ContractReading, InspectionError>> {
        Box::pin(self.contract(job))
    }

    fn inspect<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<InspectionReport, InspectionError>> {
        Box::pin(self.run(job, read, progress, cancelled))
    }

    fn clean<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        take: &'a TakeFiles<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<CleanCount, InspectionError>> {
        Box::pin(self.clean(job, read, take, progress, cancelled))
    }
}
