//! The agent: what runs on a device of somebody's, enrols it, keeps its certificate fresh and reports how it is. It shares this program with the
//! server and nothing else: it comes over TLS, by the routes that anybody uses.

pub mod collect;
pub mod disks;
pub mod key;
pub mod state;
pub mod tools;
