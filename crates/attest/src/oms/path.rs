//! Names of files in a manifest (section 6.1.2) and those that are left out of it (section 6.2).

/// A name is refused beyond this.
pub const PATH_BYTES_MAX: usize = 1024;
/// Left out by the specification, at the top of the model alone.
pub const GIT_NAMES: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Whether `path` is in the one canonical form: relative, `/` between parts, no empty part, no `.` or `..`. Also refused are
/// backslashes and control characters: they are parts and line ends elsewhere.
pub(super) fn is_canonical(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= PATH_BYTES_MAX
        && !path.chars().any(|letter| letter == '\\' || letter.is_control())
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether `path` is `above` or lies below it.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether the specification leaves `path` out.
pub(super) fn is_git(path: &str) -> bool {
    GIT_NAMES.iter().any(|name| is_below(path, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_names_pass() {
        for good in ["a", "a/b.bin", "..a", "a..", ".git/config", "ünï/ço dé", "a:0:7"] {
            assert!(is_canonical(good), "{good}");
        }
        let long = "a".repeat(PATH_BYTES_MAX + 1);
        for bad in ["", "/a", "a/", "a//b", "./a", "a/./b", "..", "../a", "a/../b", "a\\b", "a\nb", "a\0", &long] {
            assert!(!is_canonical(bad), "{bad:?}");
        }
    }

    #[test]
    fn only_the_top_is_left_out() {
        for out in [".git", ".git/config", ".gitignore"] {
            assert!(is_git(out), "{out}");
        }
        for kept in ["a/.git", ".gitx", "git", ".github2/x"] {
            assert!(!is_git(kept), "{kept}");
        }
    }
}
