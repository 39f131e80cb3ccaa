//! The databases that a room's tests run on: SQLite always, PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.

use kernel::Secret;
use tempfile::TempDir;
use vault::db::Location;

use crate::fresh_postgres;

/// One engine under test: a new, empty database, and a folder of the test's own that is gone with it.
pub struct Engine {
    /// `sqlite` or `postgres`.
    pub name: &'static str,
    /// The database.
    pub location: Location,
    /// The folder. A SQLite database lies in it.
    pub folder: TempDir,
}

impl Engine {
    /// A SQLite database in a folder of its own.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = folder();
        Self { name: "sqlite", location: Location::Sqlite(folder.path().join("test.db")), folder }
    }

    /// Every engine there is. `label` begins the names of the schemas that PostgreSQL gets.
    #[must_use]
    pub fn all(label: &str) -> Vec<Self> {
        let postgres = fresh_postgres(label).map(|url| {
            let location = Location::Postgres { url: Secret::from(url), ca: None };
            Self { name: "postgres", location, folder: folder() }
        });
        std::iter::once(Self::sqlite()).chain(postgres).collect()
    }
}

/// Runs `body` on every engine, one after the other, each on a runtime that it shares with nothing else.
pub fn on_both_engines(label: &str, body: impl AsyncFn(Engine)) {
    for engine in Engine::all(label) {
        #[expect(clippy::expect_used, reason = "a test cannot go on without its runtime")]
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads start");
        runtime.block_on(body(engine));
    }
}

fn folder() -> TempDir {
    #[expect(clippy::expect_used, reason = "a test cannot go on without its folder")]
    tempfile::tempdir().expect("a folder can be made")
}
