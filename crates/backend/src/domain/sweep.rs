//! The sweep: removes what no request can remove, because nothing refers to it any more.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use serde::Serialize;
use tracing::{error, info};

use super::{Error, Items, freed::freed};
use crate::{
    config::Attachments as Limits,
    models::{
        Timestamp,
        attachment::{Attachment, AttachmentId},
        item::ItemId,
        owner::Owner,
    },
    services::{dynamodb::Store, s3::Bucket},
};

/// How much longer than its upload can take a file without a record is left alone: longer than one owner's sweep takes.
const MARGIN: Duration = Duration::from_secs(60 * 60);

/// How many owners may fail before a sweep gives up.
const MAX_FAILURES: u64 = 5;

/// Removes files without an attachment, attachments that were never uploaded and the rest of items that were removed, and
/// corrects what each owner keeps.
///
/// It goes from owner to owner and holds one owner's records in memory, which the quota bounds. It can be stopped at any
/// time, and the next one goes on from there. Several may run at once.
#[derive(Clone)]
pub struct Sweep {
    store: Store,
    bucket: Option<Bucket>,
    items: Items,
    limits: Limits,
}

/// How to sweep.
#[derive(Debug, Clone, Default)]
pub struct SweepOptions {
    /// Only counts, from the first owner on.
    pub dry_run: bool,
    /// How old a file without an attachment must be. By default, older than its upload can take, and an hour.
    pub min_age: Option<Duration>,
    /// When to stop.
    pub stop_at: Option<Instant>,
}

/// What a sweep removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Owners whose attachments were looked at.
    pub owners: u64,
    /// Files without an attachment.
    pub files: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// Attachments that were never uploaded.
    pub abandoned: u64,
    /// Items whose removal had stopped half-way.
    pub removals: u64,
    /// Owners whose sums were wrong.
    pub corrected: u64,
    /// Owners who could not be swept.
    pub failures: u64,
    /// Whether it came to the last owner.
    pub is_complete: bool,
}

type Records = HashMap<(ItemId, AttachmentId), Attachment>;

impl Sweep {
    pub(crate) fn new(store: Store, bucket: Option<Bucket>, items: Items, limits: Limits) -> Self {
        Self { store, bucket, items, limits }
    }

    /// Sweeps from where the last sweep stopped to the last owner.
    ///
    /// # Errors
    ///
    /// [`Error::AttachmentsNotConfigured`] without a bucket; [`Error::Store`] or [`Error::Bucket`] if several owners could
    /// not be swept. The position is kept in any case.
    pub async fn run(&self, options: &SweepOptions) -> Result<SweepReport, Error> {
        let bucket = self.bucket.as_ref().ok_or(Error::AttachmentsNotConfigured)?;
        let mut report = SweepReport::default();
        let mut position = if options.dry_run { None } else { self.store.sweep_position().await? };
        let mut outcome = Ok(());
        while outcome.is_ok() && !report.is_complete {
            let owners = self.store.owners_after(position.as_deref()).await?;
            report.is_complete = owners.is_empty();
            for (digest, owner) in owners {
                let is_over = options.stop_at.is_some_and(|stop| Instant::now() >= stop);
                if is_over || outcome.is_err() {
                    return self.stop(position, options, report, outcome).await;
                }
                outcome = self.try_owner(bucket, &owner, options, &mut report).await;
                position = Some(digest);
            }
            if !options.dry_run && !report.is_complete {
                self.store.put_sweep_position(position.as_deref()).await?;
            }
        }
        let position = position.filter(|_| !report.is_complete);
        self.stop(position, options, report, outcome).await
    }

    async fn stop(
        &self,
        position: Option<String>,
        options: &SweepOptions,
        report: SweepReport,
        outcome: Result<(), Error>,
    ) -> Result<SweepReport, Error> {
        if !options.dry_run {
            self.store.put_sweep_position(position.as_deref()).await?;
        }
        let SweepReport { owners, files, bytes, abandoned, removals, corrected, failures, is_complete } =
            report;
        let dry_run = options.dry_run;
        info!(dry_run, owners, files, bytes, abandoned, removals, corrected, failures, is_complete, "swept");
        outcome.map(|()| report)
    }

    /// An owner with a row that cannot be read must not keep the sweep from the others.
    async fn try_owner(
        &self,
        bucket: &Bucket,
        owner: &Owner,
        options: &SweepOptions,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        report.owners += 1;
        match self.sweep_owner(bucket, owner, options, report).await {
            Ok(()) => Ok(()),
            Err(error) => {
                report.failures += 1;
                error!(error = &error as &dyn std::error::Error, "an owner could not be swept");
                if report.failures < MAX_FAILURES { Ok(()) } else { Err(error) }
            }
        }
    }

    async fn sweep_owner(
        &self,
        bucket: &Bucket,
        owner: &Owner,
        options: &SweepOptions,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let started = Timestamp::now();
        // Read first: with every change from here on, the correction below fails.
        let usage = self.store.usage(owner).await?;
        let mut records = Records::new();
        let add = |item, attachment: Attachment| drop(records.insert((item, attachment.id), attachment));
        self.store.all_attachments(owner, add).await?;
        let kept = (
            i64::try_from(records.len()).unwrap_or(i64::MAX),
            records.values().map(Attachment::bytes).sum::<i64>(),
        );
        let uploaded = self.remove_strays(bucket, owner, &records, started, options, report).await?;
        self.finish_removals(owner, &mut records, options, report).await?;
        records.retain(|key, _| !uploaded.contains(key));
        self.release_abandoned(bucket, owner, &records, options, report).await?;
        let is_held = usage.held_until.is_some_and(|until| until >= Timestamp::now().unix());
        if !options.dry_run && !is_held && kept != (usage.files, usage.bytes) {
            report.corrected += u64::from(self.store.correct_usage(owner, &usage, kept).await?);
        }
        Ok(())
    }

    /// Removes the files without a record. Returns the keys of the others. `started` is before the records were read: a file
    /// that is younger may have a record that is not among them.
    async fn remove_strays(
        &self,
        bucket: &Bucket,
        owner: &Owner,
        records: &Records,
        started: Timestamp,
        options: &SweepOptions,
        report: &mut SweepReport,
    ) -> Result<HashSet<(ItemId, AttachmentId)>, Error> {
        let min_age = options.min_age.unwrap_or(self.limits.upload_time(self.limits.max_bytes) + MARGIN);
        let newest = started.instant() - min_age;
        let (mut uploaded, mut next) = (HashSet::new(), None);
        loop {
            let page = bucket.files(owner, next).await?;
            let mut strays = Vec::new();
            for file in page.files {
                let key = (file.item, file.attachment);
                if records.contains_key(&key) {
                    uploaded.insert(key);
                } else if file.uploaded_at <= newest {
                    strays.push(key);
                    report.bytes += file.size;
                }
            }
            if !options.dry_run {
                bucket.delete(owner, &strays).await?;
            }
            report.files += strays.len() as u64;
            next = page.next;
            if next.is_none() {
                return Ok(uploaded);
            }
        }
    }

    /// Finishes the removal of items that are gone although attachments are left, and takes those from `records`.
    async fn finish_removals(
        &self,
        owner: &Owner,
        records: &mut Records,
        options: &SweepOptions,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let items: HashSet<ItemId> = records.keys().map(|(item, _)| *item).collect();
        for item in items {
            if self.store.item(owner, item).await?.is_none() {
                report.removals += 1;
                records.retain(|(of, _), _| *of != item);
                if !options.dry_run {
                    self.items.remove_attachments(owner, item).await?;
                }
            }
        }
        Ok(())
    }

    /// Releases attachments whose upload can no longer arrive.
    async fn release_abandoned(
        &self,
        bucket: &Bucket,
        owner: &Owner,
        missing: &Records,
        options: &SweepOptions,
        report: &mut SweepReport,
    ) -> Result<(), Error> {
        let now = Timestamp::now().instant();
        for ((item, id), attachment) in missing {
            let deadline = self.limits.upload_deadline(attachment.created_at.instant(), attachment.size);
            let has_expired = deadline < now;
            if !has_expired || bucket.is_uploaded(owner, *item, *id).await? {
                continue;
            }
            report.abandoned += 1;
            if !options.dry_run {
                let freed = freed(std::slice::from_ref(attachment), &self.limits);
                self.store.release_attachment(owner, *item, *id, freed).await?;
            }
        }
        Ok(())
    }
}
