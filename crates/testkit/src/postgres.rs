//! A schema of its own in the test's PostgreSQL, so that tests do not meet.

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
