//! What tests of a replay share.

use testkit::Engine;
use tokio::runtime::Runtime;
use vault::db::Location;

/// Both databases, that of the backup and the old one, on each engine.
pub(super) fn pairs(name: &str) -> Vec<(Engine, Engine, Runtime)> {
    let others = Engine::all(name);
    let both = Engine::all(name).into_iter().zip(others);
    both.map(|(one, other)| (one, other, Runtime::new().unwrap())).collect()
}

/// The texts in the first column.
pub(super) fn texts(at: &Location, sql: &'static str) -> Vec<String> {
    at.read(|reader| Ok(reader.query(sql, &[], |row| row.text(0))?)).unwrap()
}
