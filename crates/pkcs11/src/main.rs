//! `strongroom-pkcs11`: stands between the server and a PKCS#11 module, so that the server itself loads no foreign library.
//!
//! It does what frames on its standard input ask ([`hsm`]) and ends with it. It is no way to a module for anybody else: it opens no
//! socket, and holds no key longer than one answer takes.
//!
//! INVARIANT: the root key is made in the token, cannot be read from it, and is only used through `C_Encrypt` and `C_Decrypt`.
//! Held by `tests/softhsm.rs`.

mod token;

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hsm::{Answer, Request};
use zeroize::Zeroizing;

use token::{Closed, Iv, Token, Wanted};

/// What the server says when it starts this.
#[derive(Parser)]
#[command(name = "strongroom-pkcs11", about = "Started by the server: asks a PKCS#11 module to wrap and unwrap keys", version)]
struct Arguments {
    /// The module: a shared library.
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The label of the token.
    #[arg(long, value_name = "LABEL")]
    token: String,
    /// The label of the key.
    #[arg(long, value_name = "LABEL")]
    key: String,
    /// The environment variable that holds the user's PIN.
    #[arg(long, value_name = "NAME")]
    pin_variable: String,
    /// The module chooses the initialization vector of AES-GCM by itself.
    #[arg(long)]
    module_iv: bool,
}

fn main() -> ExitCode {
    match shut_in().and_then(|()| serve(&Arguments::parse())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("strongroom-pkcs11: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Whoever may look into this process reads keys, and it must not outlive its server, not even inside a module that hangs.
fn shut_in() -> Result<(), String> {
    use rustix::process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal};
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .and_then(|()| set_parent_process_death_signal(Some(Signal::KILL)))
        .map_err(|error| format!("the kernel does not keep this process to itself: {error}"))
}

/// The token is opened at the first request, and anew after it failed: a module that was unplugged may come back. A PIN that was refused is
/// never tried again.
fn serve(arguments: &Arguments) -> Result<(), String> {
    let variable = &arguments.pin_variable;
    let pin = std::env::var(variable).map_err(|_| format!("the variable `{variable}` with the PIN is not set"))?;
    let iv = if arguments.module_iv { Iv::OfModule } else { Iv::Random };
    let wanted = Wanted {
        module: arguments.module.clone(),
        token: arguments.token.clone(),
        key: arguments.key.clone(),
        pin: Zeroizing::new(pin),
        iv,
    };
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let broken = |error: std::io::Error| format!("the server is gone: {error}");
    let mut open = None;
    let mut refused: Option<String> = None;
    while let Some(body) = hsm::read(&mut input).map_err(broken)? {
        let request = Request::decode(&body).ok_or("the server talks nonsense")?;
        let answer = match refused.clone() {
            Some(why) => Answer::PinRefused(why),
            None => match opened(&mut open, &wanted) {
                Ok(token) => token.answer(request),
                Err(Closed::Unavailable(why)) => Answer::Unavailable(why),
                Err(Closed::Pin(why)) => Answer::PinRefused(refused.insert(why).clone()),
            },
        };
        if matches!(answer, Answer::Unavailable(_)) {
            open = None;
        }
        hsm::write(&mut output, &answer.encode()).map_err(broken)?;
    }
    Ok(())
}

fn opened<'a>(open: &'a mut Option<Token>, wanted: &Wanted) -> Result<&'a Token, Closed> {
    match open {
        Some(token) => Ok(token),
        None => Ok(open.insert(Token::open(wanted)?)),
    }
}
