//! The packages of an environment, from the files that name them: `requirements.txt`, conda's `environment.yml` and conda's
//! explicit lists.

use serde::{Deserialize, Serialize};

use crate::dsse::within;
use crate::error::AttestError;

/// An environment file is refused beyond this.
pub const ENVIRONMENT_BYTES_MAX: usize = 1024 * 1024;
/// Packages of one environment.
pub const PACKAGE_COUNT_MAX: usize = 10_000;

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ecosystem {
    /// The Python package index.
    Pypi,
    /// Conda.
    Conda,
}

/// A package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Where it comes from.
    pub ecosystem: Ecosystem,
    /// Its name.
    pub name: String,
    /// Its exact version; none if the file allows several.
    #[serde(default)]
    pub version: Option<String>,
    /// SHA-256 of the one file that the environment takes, in hex, if it says so.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl Package {
    /// Its package URL.
    #[must_use]
    pub fn purl(&self) -> String {
        let (kind, name) = match self.ecosystem {
            Ecosystem::Pypi => ("pypi", self.name.to_lowercase().replace(['_', '.'], "-")),
            Ecosystem::Conda => ("conda", self.name.to_lowercase()),
        };
        let version = self.version.as_ref().map_or_else(String::new, |version| format!("@{}", escape(version)));
        format!("pkg:{kind}/{}{version}", escape(&name))
    }
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.len() <= 128
        && text.bytes().all(inner)
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._+!".contains(&byte))
}

fn checked(mut packages: Vec<Package>) -> Result<Vec<Package>, AttestError> {
    within("the number of packages", packages.len(), PACKAGE_COUNT_MAX)?;
    packages.sort();
    packages.dedup();
    Ok(packages)
}

/// The packages of a `requirements.txt`. Options and addresses are passed over: they name no package of the index.
///
/// # Errors
/// `TooBig`.
pub fn from_requirements(text: &str) -> Result<Vec<Package>, AttestError> {
    within("the requirements file", text.len(), ENVIRONMENT_BYTES_MAX)?;
    // A line that ends in a backslash goes on, as pip's own hashes do.
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    checked(joined.lines().filter_map(requirement).collect())
}

fn requirement(line: &str) -> Option<Package> {
    let line = line.split(" #").next()?.trim();
    if line.is_empty() || line.starts_with(['#', '-']) || line.contains("://") {
        return None;
    }
    let mut words = line.split_whitespace();
    let specifier = words.by_ref().take_while(|word| !word.starts_with("--")).collect::<Vec<_>>().concat();
    let specifier = specifier.split(';').next()?;
    let end = specifier.find(['=', '<', '>', '!', '~', '[', '@', '(']).unwrap_or(specifier.len());
    let (name, rest) = specifier.split_at(end);
    let rest = rest.find(']').map_or(rest, |at| rest.get(at + 1..).unwrap_or_default());
    let version = rest.strip_prefix("===").or_else(|| rest.strip_prefix("==")).filter(|version| is_version(version));
    let hashes: Vec<&str> = line.split_whitespace().filter_map(|word| word.strip_prefix("--hash=sha256:")).collect();
    // Several hashes are several files: which one was taken is not known.
    let sha256 = match hashes.as_slice() {
        [one] if one.len() == 64 && one.bytes().all(|letter| letter.is_ascii_hexdigit()) => Some(one.to_lowercase()),
        _ => None,
    };
    is_name(name).then(|| Package {
        ecosystem: Ecosystem::Pypi,
        name: name.to_owned(),
        version: version.map(ToOwned::to_owned),
        sha256,
    })
}

/// The packages of conda's `environment.yml`, those of its `pip` list among them.
///
/// # Errors
/// `TooBig`; `Malformed` if it is not YAML of that shape.
pub fn from_conda(text: &str) -> Result<Vec<Package>, AttestError> {
    #[derive(Deserialize)]
    struct Environment {
        #[serde(default)]
        dependencies: Vec<Dependency>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Dependency {
        Conda(String),
        Pip {
            #[serde(default)]
            pip: Vec<String>,
        },
    }
    within("the conda file", text.len(), ENVIRONMENT_BYTES_MAX)?;
    let read: Environment = serde_saphyr::from_str(text)
        .map_err(|error| AttestError::malformed(format!("this is not a conda environment: {error}")))?;
    let mut packages = Vec::new();
    for dependency in read.dependencies {
        match dependency {
            Dependency::Conda(text) => packages.extend(conda_package(&text)),
            Dependency::Pip { pip } => packages.extend(pip.iter().filter_map(|line| requirement(line))),
        }
    }
    checked(packages)
}

/// `name=version=build`, `channel::name==version`, `name>=1`
fn conda_package(text: &str) -> Option<Package> {
    let text = text.rsplit("::").next()?.trim();
    let end = text.find(['=', '<', '>', '!', '~', ' ', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let exact = rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).and_then(|rest| rest.split('=').next());
    let version = exact.filter(|version| is_version(version)).map(ToOwned::to_owned);
    is_name(name).then(|| Package { ecosystem: Ecosystem::Conda, name: name.to_owned(), version, sha256: None })
}

/// The packages of conda's explicit list (`conda list --explicit`): an address a line, each of one file.
///
/// # Errors
/// `TooBig`; `Malformed` if it is no such list.
pub fn from_conda_explicit(text: &str) -> Result<Vec<Package>, AttestError> {
    within("the conda list", text.len(), ENVIRONMENT_BYTES_MAX)?;
    if !text.lines().any(|line| line.trim() == "@EXPLICIT") {
        return Err(AttestError::malformed("this is not an explicit list of conda: it has no line `@EXPLICIT`"));
    }
    let package = |line: &str| {
        let file = line.trim().split('#').next()?.rsplit('/').next()?;
        let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"))?;
        // name-version-build: the name may have hyphens of its own.
        let mut parts = stem.rsplitn(3, '-');
        let (_build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
        let known = is_name(name) && is_version(version);
        known.then(|| Package {
            ecosystem: Ecosystem::Conda,
            name: name.to_owned(),
            version: Some(version.to_owned()),
            sha256: None,
        })
    };
    checked(text.lines().filter_map(package).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(packages: &[Package], expected: &[&str]) {
        let purls: Vec<String> = packages.iter().map(Package::purl).collect();
        assert_eq!(purls, expected);
    }

    #[test]
    fn requirements_are_read_as_far_as_they_name_packages() {
        let digest = "a".repeat(64);
        let text = format!(
            "# c\nmlflow==3.1.0\nScikit_Learn[extra]==1.5.0 ; python_version > '3'  # why\nnumpy>=1,<3\n-r other.txt\n--index-url x\n\
             git+https://example.org/x\npandas==2.2.2 \\\n    --hash=sha256:{digest}\nx @ https://example.org/x.whl\n$(evil)\n"
        );
        let packages = from_requirements(&text).unwrap();
        check(&packages, &["pkg:pypi/scikit-learn@1.5.0", "pkg:pypi/mlflow@3.1.0", "pkg:pypi/numpy", "pkg:pypi/pandas@2.2.2"]);
        assert_eq!(packages[3].sha256.as_deref(), Some(digest.as_str()));
        assert!(from_requirements(&"a\n".repeat(ENVIRONMENT_BYTES_MAX)).is_err());
    }

    #[test]
    fn conda_files_are_read() {
        let text = "channels: [conda-forge]\ndependencies:\n- python=3.11.7\n- conda-forge::numpy==1.26.4=py311_0\n- scipy>=1\n\
                    - pip<=24\n- pip:\n  - mlflow==3.1.0\nname: env\n";
        let expected =
            ["pkg:pypi/mlflow@3.1.0", "pkg:conda/numpy@1.26.4", "pkg:conda/pip", "pkg:conda/python@3.11.7", "pkg:conda/scipy"];
        check(&from_conda(text).unwrap(), &expected);
        assert!(from_conda("dependencies: 7").is_err());
        let list = "# platform: linux-64\n@EXPLICIT\nhttps://conda.example.org/linux-64/numpy-base-1.26.4-py311_0.conda#abc\nhttps://x/bad\n";
        check(&from_conda_explicit(list).unwrap(), &["pkg:conda/numpy-base@1.26.4"]);
        assert!(from_conda_explicit("numpy").is_err());
    }
}
