use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

fn attempt(what: &str) -> ExitStatus {
    let mut command = Command::new(super::PROGRAM);
    command.args(["self-test", what]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().unwrap()
}

#[track_caller]
fn check_refused(what: &str) {
    assert_eq!(attempt(what).code(), Some(0), "`{what}` was not refused");
}

#[track_caller]
fn check_killed(what: &str) {
    assert_eq!(attempt(what).signal(), Some(libc::SIGSYS), "`{what}` was not fatal");
}

#[test]
fn the_locks_let_honest_work_through() {
    check_refused("nothing");
    check_refused("thread");
}

#[test]
fn no_file_can_be_reached() {
    for what in ["open", "create", "list"] {
        check_refused(what);
    }
}

#[test]
fn network_programs_and_tracing_are_fatal() {
    for what in ["connect", "listen", "exec", "fork", "kill-parent", "run-memory"] {
        check_killed(what);
    }
}

#[test]
fn landlock_alone_refuses_too() {
    for what in ["paths-open", "paths-create", "paths-list", "paths-connect", "paths-exec"] {
        check_refused(what);
    }
}

#[test]
fn memory_is_limited() {
    assert_eq!(attempt("memory").signal(), Some(libc::SIGABRT));
}
