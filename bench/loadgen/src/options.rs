//! The command line.

use std::time::Duration;

/// What to do, to whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// The work's name.
    pub work: String,
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub url: String,
    /// A bearer token.
    pub token: Option<String>,
    /// A file with the server's certificate authority.
    pub ca: Option<String>,
    /// Connections kept open.
    pub connections: usize,
    /// How long to measure.
    pub duration: Duration,
    /// How many, for works that count.
    pub count: usize,
    /// How large, for works with artifacts.
    pub bytes: usize,
    /// An experiment or run made earlier; the path that `predict` posts to.
    pub on: Option<String>,
    /// A file whose content is posted.
    pub body: Option<String>,
    /// The content's type.
    pub kind: String,
    /// A file with an access key, as `strongroom token access-key --json` prints it.
    pub access_key_file: Option<String>,
    /// How many objects each client of an object store writes in turn; without end if 0.
    pub set: usize,
    /// Lists: keys begin so, are cut there, and come behind this one.
    pub prefix: String,
    /// The text that ends a common prefix.
    pub delimiter: String,
    /// The key before the page.
    pub after: String,
}

/// Reads the command line.
///
/// # Errors
/// With the word that was not understood.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        work: words.next().ok_or("which work?")?,
        url: String::new(),
        token: None,
        ca: None,
        connections: 16,
        duration: Duration::from_secs(5),
        count: 5_000,
        bytes: 200_000_000,
        on: None,
        body: None,
        kind: "application/json".to_owned(),
        access_key_file: None,
        set: 1,
        prefix: String::new(),
        delimiter: String::new(),
        after: String::new(),
    };
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        match name.as_str() {
            "--url" => options.url = value.trim_end_matches('/').to_owned(),
            "--token-file" => {
                let text = std::fs::read_to_string(&value).map_err(|error| format!("cannot read `{value}`: {error}"))?;
                options.token = Some(text.trim().to_owned());
            }
            "--ca" => options.ca = Some(value),
            "--connections" => options.connections = number(&name, &value)?.max(1),
            "--seconds" => options.duration = Duration::from_secs(number(&name, &value)? as u64),
            "--count" => options.count = number(&name, &value)?,
            "--bytes" => options.bytes = number(&name, &value)?,
            "--on" => options.on = Some(value),
            "--body" => options.body = Some(value),
            "--kind" => options.kind = value,
            "--access-key-file" => options.access_key_file = Some(value),
            "--set" => options.set = number(&name, &value)?,
            "--prefix" => options.prefix = value,
            "--delimiter" => options.delimiter = value,
            "--after" => options.after = value,
            _ => return Err(format!("`{name}` is not an option")),
        }
    }
    if options.url.is_empty() && options.work != "limits" {
        return Err("`--url` is missing".to_owned());
    }
    Ok(options)
}

fn number(name: &str, value: &str) -> Result<usize, String> {
    value.parse().map_err(|_| format!("`{name}` needs a number, not `{value}`"))
}
