//! What the tests of pages need: a real browser, and packages that run on Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell;

/// Debian's packages, and the program of each.
const PACKAGES: [(&str, &str); 3] =
    [("chromium", "/usr/bin/chromium"), ("chromium-driver", "/usr/bin/chromedriver"), ("nodejs", "/usr/bin/node")];

/// Makes sure that there is a browser with its driver.
///
/// # Errors
/// If one is missing and cannot be installed.
pub fn ready() -> Result<(), String> {
    for (package, program) in PACKAGES {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !Path::new(program).exists() && !shell::has(name) {
            shell::need_package(package, "pages are tested in a real browser")?;
        }
    }
    Ok(())
}

/// Installs (or reuses) in `.work/NAME` what `manifest` (a `package.json`) lists; gives the folder of the packages.
///
/// # Errors
/// If npm is missing or a package cannot be installed.
pub fn node_modules(name: &str, manifest: &Path) -> Result<PathBuf, String> {
    let folder = shell::work()?.join(name);
    let modules = folder.join("node_modules");
    let read = |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()));
    let wanted = read(manifest)?;
    let stamp = folder.join("installed.json");
    if modules.exists() && read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(modules);
    }
    if !shell::has("npm") {
        shell::need_package("npm", "a provider of log-ins for the tests runs on Node.js")?;
    }
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    let write =
        |path: &Path| std::fs::write(path, &wanted).map_err(|error| format!("cannot write `{}`: {error}", path.display()));
    write(&folder.join("package.json"))?;
    shell::say(&format!("installing the packages of .work/{name} (once)"));
    let words = ["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"];
    shell::quiet(Command::new("npm").args(words).current_dir(&folder))?;
    write(&stamp)?;
    Ok(modules)
}
