//! A schema or a database of its own in the test's PostgreSQL, so that tests do not meet.

/// The address of a new, empty schema in the PostgreSQL that `STRONGROOM_TEST_POSTGRES` names; none where it names none.
#[must_use]
pub fn fresh_postgres(label: &str) -> Option<String> {
    let base = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
    let name = format!("{label}_{}_{}", std::process::id(), kernel::random_text(8).to_lowercase());
    let statement = format!("CREATE SCHEMA {name}");
    let address = base.clone();
    // The client blocks on a runtime of its own, which it may not do on a thread that already drives one.
    let making = std::thread::spawn(move || {
        ::postgres::Client::connect(&address, ::postgres::NoTls).and_then(|mut client| client.batch_execute(&statement))
    });
    #[expect(clippy::expect_used, reason = "a test cannot go on without its database")]
    making.join().expect("the thread lives").expect("PostgreSQL can make a schema");
    Some(if base.contains("://") {
        format!("{base}{}options=-csearch_path%3D{name}", if base.contains('?') { "&" } else { "?" })
    } else {
        format!("{base} options='-csearch_path={name}'")
    })
}

/// A new, empty database in the PostgreSQL that `STRONGROOM_TEST_POSTGRES` names. It goes with this.
pub struct FreshDatabase {
    /// Its address.
    pub url: String,
    base: String,
    name: String,
}

impl FreshDatabase {
    /// Makes one; none where `STRONGROOM_TEST_POSTGRES` names no PostgreSQL.
    #[must_use]
    pub fn make(label: &str) -> Option<Self> {
        let base = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        let name = format!("{label}_{}_{}", std::process::id(), kernel::random_text(8).to_lowercase());
        run(&base, format!("CREATE DATABASE {name}"));
        let (head, _) = base.rsplit_once('/')?;
        Some(Self { url: format!("{head}/{name}"), base, name })
    }

    /// Runs statements in it, as whoever may do anything there.
    pub fn run(&self, statements: &str) {
        run(&self.url, statements.to_owned());
    }
}

impl Drop for FreshDatabase {
    fn drop(&mut self) {
        run(&self.base, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

fn run(address: &str, statements: String) {
    let address = address.to_owned();
    let running = std::thread::spawn(move || {
        ::postgres::Client::connect(&address, ::postgres::NoTls).and_then(|mut client| client.batch_execute(&statements))
    });
    #[expect(clippy::expect_used, reason = "a test cannot go on without its database")]
    running.join().expect("the thread lives").expect("PostgreSQL does as it is told");
}
