//! What a client calls itself, taken apart: browser, system, kind of device.
//!
//! Ours rather than the `woothee` crate: that knows neither the clients of this server (mlflow, boto3, curl with a version) nor
//! Client Hints' frozen strings, and had no release since 2021. A few plain searches in a bounded text are all it takes.

/// Longer ones are cut: what comes after says nothing of a browser.
pub const AGENT_BYTES_MAX: usize = 1_024;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// A computer with a browser.
    Desktop,
    /// A telephone.
    Mobile,
    /// A tablet.
    Tablet,
    /// A program without a person in front of it.
    Program,
    /// Something else.
    Unknown,
}

impl Device {
    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Mobile => "mobile",
            Self::Tablet => "tablet",
            Self::Program => "program",
            Self::Unknown => "unknown",
        }
    }
}

/// A client's name, taken apart. Borrowed from the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent<'a> {
    /// The browser's or program's name.
    pub browser: &'a str,
    /// Its version, down to the first dot: the rest is frozen in browsers, and changes too often in programs.
    pub browser_version: &'a str,
    /// The system's name.
    pub system: &'a str,
    /// Its version.
    pub system_version: &'a str,
    /// The kind of device.
    pub device: Device,
}

/// A token of the text, and the browser that it means. Those that others imitate come last.
const BROWSERS: [(&str, &str); 17] = [
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex"),
    ("Vivaldi/", "Vivaldi"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "HeadlessChrome"),
    ("Chrome/", "Chrome"),
    ("Version/", "Safari"),
];

/// A token, the system that it means, and where its version stands: behind it, up to one of `;)` or a space.
const SYSTEMS: [(&str, &str); 10] = [
    ("Windows NT ", "Windows"),
    ("Android ", "Android"),
    ("CPU iPhone OS ", "iOS"),
    ("CPU OS ", "iOS"),
    ("Mac OS X ", "macOS"),
    ("CrOS ", "ChromeOS"),
    ("Ubuntu", "Ubuntu"),
    ("Fedora", "Fedora"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
];

impl<'a> Agent<'a> {
    /// Takes it apart. What cannot be told is empty.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        let text = bounded(text);
        let (browser, browser_version) = browser(text);
        let (system, system_version) = system(text);
        Self { browser, browser_version, system, system_version, device: device(text, system) }
    }
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(AGENT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn browser(text: &str) -> (&str, &str) {
    if !text.starts_with("Mozilla/") {
        // A program: `name/1.2.3 more`.
        let first = text.split([' ', ';']).next().unwrap_or_default();
        let (name, version) = first.split_once('/').unwrap_or((first, ""));
        return (name, until(version, ['.', '(']));
    }
    for (token, name) in BROWSERS {
        if let Some((_, version)) = text.split_once(token) {
            return (name, until(version, ['.', ' ']));
        }
    }
    ("", "")
}

fn system(text: &str) -> (&str, &str) {
    for (token, name) in SYSTEMS {
        if let Some((_, rest)) = text.split_once(token) {
            let version = if token.ends_with(' ') { until(rest, [';', ')']) } else { "" };
            // `17_5_1 like Mac OS X`: the first word of it, and no more than major and minor.
            return (name, until(version, [' ', ' ']));
        }
    }
    ("", "")
}

fn device(text: &str, system: &str) -> Device {
    if text.is_empty() {
        return Device::Unknown;
    }
    if !text.starts_with("Mozilla/") || text.contains("bot") || text.contains("HeadlessChrome/") {
        return Device::Program;
    }
    if text.contains("iPad") || (system == "Android" && !text.contains("Mobile")) || text.contains("Tablet") {
        return Device::Tablet;
    }
    if text.contains("Mobile") || text.contains("iPhone") {
        return Device::Mobile;
    }
    if system.is_empty() { Device::Unknown } else { Device::Desktop }
}

fn until(text: &str, ends: [char; 2]) -> &str {
    text.split(ends).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, browser: (&str, &str), system: (&str, &str), device: Device) {
        let found = Agent::parse(text);
        assert_eq!((found.browser, found.browser_version), browser, "{text}");
        assert_eq!((found.system, found.system_version), system, "{text}");
        assert_eq!(found.device, device, "{text}");
    }

    #[test]
    fn browsers_systems_and_devices_are_told_apart() {
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            ("Chrome", "141"),
            ("Windows", "10.0"),
            Device::Desktop,
        );
        check(
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
            ("Edge", "141"),
            ("Windows", "10.0"),
            Device::Desktop,
        );
        check(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            ("Safari", "17"),
            ("iOS", "17_5_1"),
            Device::Mobile,
        );
        check(
            "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            ("Firefox", "128"),
            ("Ubuntu", ""),
            Device::Desktop,
        );
        check(
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            ("Chrome", "141"),
            ("Android", "10"),
            Device::Tablet,
        );
    }

    #[test]
    fn programs_are_programs_and_nonsense_is_unknown() {
        check("mlflow-python-client/3.1.0", ("mlflow-python-client", "3"), ("", ""), Device::Program);
        check("curl/8.9.1", ("curl", "8"), ("", ""), Device::Program);
        check("", ("", ""), ("", ""), Device::Unknown);
        check("Mozilla/", ("", ""), ("", ""), Device::Unknown);
        check(&"é".repeat(5_000), (&"é".repeat(512), ""), ("", ""), Device::Program);
    }
}
