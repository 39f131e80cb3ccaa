//! Tries at start whether the bucket really enforces what it promises, with small objects that nobody needs: stores are known that take
//! locks and drop them, lose them in multipart uploads, or read far dates as past ones.

use http::Method;
use kernel::{Clock, Micros, Problem, SystemClock};

use super::seal::SealMode;
use super::worm::{StoredVersion, Worm};
use super::xml;

/// For how long the probes stay, by the wall clocks of two machines.
const PROBE_SECONDS: i64 = 120;
/// Behind the end of 32-bit seconds without a sign (1 January 2107): some stores read it as 1970.
const FAR: Micros = Micros(4_323_369_600_000_000);
const BODY: &str = "a probe of Strongroom's: it can be deleted when its retention is over";

impl Worm {
    /// Whether the bucket has Object Lock, keeps versions, and enforces both.
    pub(super) async fn probe(&self, prefix: &str) -> Result<(), Problem> {
        let config = self.ask(Method::GET, "/?object-lock", &[], "").await?;
        if !config.status.is_success() || xml::text(&config.body, "ObjectLockEnabled") != Some("Enabled") {
            return Err(no_worm("it has no Object Lock: make one with Object Lock, which cannot always be switched on later"));
        }
        let versioning = self.ask(Method::GET, "/?versioning", &[], "").await?;
        if xml::text(&versioning.body, "Status") != Some("Enabled") {
            return Err(no_worm("it keeps no versions"));
        }
        self.clear(prefix).await?;
        self.try_versioning().await?;
        let until = Micros(SystemClock.now().plus_secs(PROBE_SECONDS).as_secs().saturating_mul(1_000_000));
        let name = kernel::random_id();
        self.try_put(&format!("{prefix}/{name}-put"), until).await?;
        self.try_later(&format!("{prefix}/{name}-later"), until).await?;
        self.try_parts(&format!("{prefix}/{name}-parts"), until).await?;
        self.try_far(&format!("{prefix}/{name}-far")).await
    }

    /// What earlier starts left, whose time is over.
    async fn clear(&self, prefix: &str) -> Result<(), Problem> {
        for StoredVersion { key, id } in self.versions(&format!("{prefix}/")).await? {
            self.delete_version(&key, &id, false).await?;
        }
        Ok(())
    }

    async fn try_versioning(&self) -> Result<(), Problem> {
        let status = |word: &str| {
            format!(
                "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Status>{word}</Status></VersioningConfiguration>"
            )
        };
        let suspended = self.ask(Method::PUT, "/?versioning", &[], status("Suspended")).await?;
        if suspended.status.is_success() {
            // What was tried is undone, whatever becomes of it.
            self.ask(Method::PUT, "/?versioning", &[], status("Enabled")).await?;
            return Err(no_worm("it lets its versioning be suspended"));
        }
        Ok(())
    }

    /// A lock that comes with the bytes.
    async fn try_put(&self, key: &str, until: Micros) -> Result<(), Problem> {
        let date = until.rfc3339_seconds();
        let headers = [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", date.as_str())];
        let put = self.ask(Method::PUT, &format!("/{key}"), &headers, BODY).await?;
        let version = put.version().filter(|_| put.status.is_success()).ok_or_else(|| put.refused())?;
        self.must_hold(key, &version, until, "of a put").await
    }

    /// A lock that comes behind the bytes, as this server sets it.
    async fn try_later(&self, key: &str, until: Micros) -> Result<(), Problem> {
        let put = self.ask(Method::PUT, &format!("/{key}"), &[], BODY).await?;
        let version = put.version().filter(|_| put.status.is_success()).ok_or_else(|| put.refused())?;
        self.retain(key, &version, (SealMode::Compliance, until), false).await?;
        self.must_hold(key, &version, until, "set afterwards").await?;
        let sooner = until.plus_secs(-PROBE_SECONDS / 2);
        let shortened = self.retain(key, &version, (SealMode::Compliance, sooner), true).await;
        if shortened.is_ok() {
            return Err(no_worm("it lets a compliance retention be shortened"));
        }
        Ok(())
    }

    /// A lock that was asked for when a multipart upload began.
    async fn try_parts(&self, key: &str, until: Micros) -> Result<(), Problem> {
        let date = until.rfc3339_seconds();
        let headers = [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-retain-until-date", date.as_str())];
        let begun = self.ask(Method::POST, &format!("/{key}?uploads"), &headers, "").await?;
        let upload = xml::text(&begun.body, "UploadId").filter(|id| xml::is_plain(id)).ok_or_else(|| begun.refused())?.to_owned();
        let part = self.ask(Method::PUT, &format!("/{key}?partNumber=1&uploadId={upload}"), &[], BODY).await?;
        let tag = part.headers.get("etag").and_then(|tag| tag.to_str().ok()).ok_or_else(|| part.refused())?.trim_matches('"');
        let list = format!(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><PartNumber>1</PartNumber><ETag>\"{tag}\"</ETag></Part></CompleteMultipartUpload>"
        );
        let done = self.ask(Method::POST, &format!("/{key}?uploadId={upload}"), &[], list).await?;
        let version = done.version().filter(|_| done.status.is_success()).ok_or_else(|| done.refused())?;
        self.must_hold(key, &version, until, "of a multipart upload").await
    }

    /// A date behind the end of 32-bit seconds, under governance, so that the probe can go again.
    async fn try_far(&self, key: &str) -> Result<(), Problem> {
        let put = self.ask(Method::PUT, &format!("/{key}"), &[], BODY).await?;
        let version = put.version().filter(|_| put.status.is_success()).ok_or_else(|| put.refused())?;
        self.retain(key, &version, (SealMode::Governance, FAR), false).await?;
        let kept = self.retention(key, &version).await?;
        let went = self.delete_version(key, &version, false).await?;
        if !went && !self.delete_version(key, &version, true).await? {
            tracing::warn!(
                "the credentials of the object store may not bypass governance: what is released here before its time stays there until it is over"
            );
        }
        if kept != Some((SealMode::Governance, FAR)) || went {
            return Err(no_worm("it does not keep a date in the year 2107"));
        }
        Ok(())
    }

    async fn must_hold(&self, key: &str, version: &str, until: Micros, which: &str) -> Result<(), Problem> {
        if self.retention(key, version).await? != Some((SealMode::Compliance, until)) {
            return Err(no_worm(&format!("it does not keep the retention {which}")));
        }
        for bypass in [false, true] {
            if self.delete_version(key, version, bypass).await? {
                return Err(no_worm(&format!("it deletes a version in spite of the retention {which}")));
            }
        }
        Ok(())
    }
}

fn no_worm(why: &str) -> Problem {
    Problem::invalid(format!(
        "the bucket of `vault.objects` does not enforce Object Lock: {why}. Take another store, or `object_lock = false`, and retention is enforced by this server alone"
    ))
}
