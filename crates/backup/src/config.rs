//! The section `[backup]` of the configuration.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// `[backup]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// Where backups go: a folder (`/mnt/backup`) or a bucket (`s3://bucket/prefix`). Without it there are none.
    pub to: Option<String>,
    /// Other places that `--to` may name.
    pub also: Vec<String>,
    /// How often one is made by itself; 0 for never.
    pub every_hours: u32,
    /// How many are kept; older ones are taken away after a new one is whole. 0 keeps all.
    pub keep: u32,
    /// How often a whole restore is tried in a sandbox; 0 for never.
    pub drill_every_days: u32,
    /// The bucket's region.
    pub region: String,
    /// The address of a store that is not AWS.
    pub endpoint: Option<String>,
    /// The authority (PEM) that signed that store's certificate, if it is none that the system trusts.
    pub ca: Option<PathBuf>,
    /// Whether that address may be plain HTTP. Backups are sealed; who reads and writes them then is not hidden.
    pub allow_insecure_http: bool,
    /// The folder with `pg_dump` and `pg_restore`; else they are looked for in `PATH`.
    pub postgres_programs: Option<PathBuf>,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            to: None,
            also: Vec::new(),
            every_hours: 0,
            keep: 0,
            drill_every_days: 0,
            region: "us-east-1".to_owned(),
            endpoint: None,
            ca: None,
            allow_insecure_http: false,
            postgres_programs: None,
        }
    }
}

/// A year: longer is no schedule.
const HOURS_MAX: u32 = 24 * 366;
const DAYS_MAX: u32 = 366;

impl BackupConfig {
    /// Refuses schedules without a place, and places that are none.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        if self.to.is_none() && (self.every_hours > 0 || self.drill_every_days > 0) {
            return Err(Problem::invalid("`backup.every_hours` and `backup.drill_every_days` need `backup.to`"));
        }
        if self.every_hours > HOURS_MAX {
            return Err(Problem::invalid(format!("`backup.every_hours` is at most {HOURS_MAX}")));
        }
        if self.drill_every_days > DAYS_MAX {
            return Err(Problem::invalid(format!("`backup.drill_every_days` is at most {DAYS_MAX}")));
        }
        for place in self.to.iter().chain(&self.also) {
            if !place.starts_with('/') && !place.starts_with("s3://") {
                let message = format!("`backup.to` names a folder by its whole path, or `s3://bucket/prefix`, not `{place}`");
                return Err(Problem::invalid(message));
            }
        }
        Ok(())
    }

    /// The place that is asked for, if the configuration names it. A client names no path that the operator did not.
    ///
    /// # Errors
    /// `Invalid` for another one, or if there is none.
    pub fn place(&self, asked: Option<&str>) -> Result<String, Problem> {
        let trimmed = |place: &str| place.trim_end_matches('/').to_owned();
        match asked {
            None => self.to.as_deref().map(trimmed).ok_or_else(|| {
                Problem::invalid(
                    "no place for backups is configured: set `to` in the section `[backup]`, and start the server again",
                )
            }),
            Some(asked) => {
                let known = self.to.iter().chain(&self.also).map(|place| trimmed(place)).find(|place| *place == trimmed(asked));
                known.ok_or_else(|| {
                    Problem::invalid(format!(
                        "`{asked}` is no place for backups of this server: name it in `to` or `also` of the section `[backup]`"
                    ))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_the_configuration_are_written_to() {
        let config = BackupConfig { to: Some("/a/".to_owned()), also: vec!["s3://b/c".to_owned()], ..BackupConfig::default() };
        config.check().unwrap();
        assert_eq!(config.place(None).unwrap(), "/a");
        assert_eq!(config.place(Some("/a")).unwrap(), "/a");
        assert_eq!(config.place(Some("s3://b/c/")).unwrap(), "s3://b/c");
        for other in ["/a/b", "/", "/etc", "../a", "s3://b"] {
            assert!(config.place(Some(other)).unwrap_err().message().contains("[backup]"), "{other}");
        }
        assert!(BackupConfig::default().place(None).is_err());
    }

    #[test]
    fn a_schedule_needs_a_place() {
        let bad = [
            BackupConfig { every_hours: 1, ..BackupConfig::default() },
            BackupConfig { drill_every_days: 1, ..BackupConfig::default() },
            BackupConfig { to: Some("relative".to_owned()), ..BackupConfig::default() },
            BackupConfig { to: Some("/a".to_owned()), every_hours: 1_000_000, ..BackupConfig::default() },
        ];
        for config in bad {
            assert!(config.check().is_err(), "{config:?}");
        }
    }
}
