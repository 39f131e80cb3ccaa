use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

fn attempt(what: &str) -> ExitStatus {
    let mut command = Command::new(super::PROGRAM);
    command.args(["self-test", what]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap()
}

#[test]
fn the_locks_let_honest_work_through() {
    for what in ["nothing", "thread"] {
        assert_eq!(attempt(what).code(), Some(0), "`{what}` was not let through");
    }
}

#[test]
fn files_network_and_programs_are_out_of_reach() {
    for what in ["open", "create", "list", "paths-open", "paths-connect"] {
        assert_eq!(attempt(what).code(), Some(0), "`{what}` was not refused");
    }
    for what in ["connect", "listen", "exec", "fork", "kill-parent", "run-memory"] {
        assert_eq!(attempt(what).signal(), Some(libc::SIGSYS), "`{what}` was not fatal");
    }
}
