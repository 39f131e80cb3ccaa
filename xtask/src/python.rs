//! Python environments inside the project's folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// Makes (or reuses) the environment `.work/NAME` with what `requirements` lists.
///
/// # Errors
/// If Python is missing or a package cannot be installed.
pub fn environment(name: &str, requirements: &Path) -> Result<PathBuf, String> {
    environment_of(Path::new("python3"), name, requirements)
}

/// The same with this Python.
///
/// # Errors
/// If Python is missing or a package cannot be installed.
pub fn environment_of(program: &Path, name: &str, requirements: &Path) -> Result<PathBuf, String> {
    let folder = shell::work()?.join(name);
    let python = folder.join("bin").join("python");
    let wanted =
        std::fs::read_to_string(requirements).map_err(|error| format!("cannot read `{}`: {error}", requirements.display()))?;
    let stamp = folder.join("requirements.installed");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !shell::has("python3") {
        shell::need_package("python3", "the real MLflow client is a Python program")?;
    }
    shell::say(&format!("making the Python environment .work/{name} (once; some minutes)"));
    if !python.exists() {
        make(program, &folder)?;
    }
    shell::quiet(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "-r"])
            .arg(requirements),
    )?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("cannot write `{}`: {error}", stamp.display()))?;
    Ok(python)
}

fn make(program: &Path, folder: &Path) -> Result<(), String> {
    let attempt = || shell::quiet(Command::new(program).args(["-m", "venv"]).arg(folder));
    if attempt().is_ok() {
        return Ok(());
    }
    // Debian splits the module that venv needs into a package of its own.
    shell::need_package("python3-venv", "`python3 -m venv` does not work without it")?;
    attempt().map(|_| ())
}

/// The version of an installed package.
pub fn version(python: &Path, package: &str) -> String {
    let script = format!("import importlib.metadata as m; print(m.version('{package}'))");
    shell::quiet(Command::new(python).args(["-c", &script])).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}
