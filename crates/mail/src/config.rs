//! The section `[mail]` of the configuration.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::Address;
use crate::limits::ADMINISTRATOR_COUNT_MAX;

/// `[mail]`: through which server notices leave, and what they say. Without `server` no mail is sent.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// The name of the server that takes mail of ours; its certificate must be for it.
    pub server: Option<String>,
    /// Its port, if it is not 465 (`implicit`) or 587 (`starttls`).
    pub port: Option<u16>,
    /// How the connection is encrypted. There is no way without.
    pub tls: MailTls,
    /// The authority (PEM) that signed its certificate; those of the system without it.
    pub ca: Option<PathBuf>,
    /// Who we are there.
    pub user: Option<String>,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// From which address notices come.
    pub from: Option<String>,
    /// The console's address, such as `https://strongroom.example`, for links. They lead to pages behind the log-in.
    pub link: Option<String>,
    /// How much a notice says.
    pub content: Content,
    /// At most one mail in so many minutes goes to one recipient; what comes in between is gathered. 0: each at once.
    pub digest_minutes: u32,
    /// After how many hours a notice is given up that cannot be sent.
    pub give_up_hours: u32,
    /// Addresses that are told what concerns administrators, besides accounts that administer the server and have an address.
    pub administrators: Vec<String>,
    /// How mail is signed.
    pub dkim: Option<DkimKey>,
}

/// How the connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// TLS from the first byte.
    #[default]
    Implicit,
    /// By STARTTLS, without which nothing is said.
    Starttls,
}

/// How much a notice says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// What kind of event, when, and by which id it is found.
    #[default]
    Minimal,
    /// With what it was about.
    Full,
}

/// `[mail.dkim]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DkimKey {
    /// The domain that signs.
    pub domain: String,
    /// Which of its keys: `SELECTOR._domainkey.DOMAIN` holds the public one.
    pub selector: String,
    /// The private key (PEM): RSA of 2048 bits or more, or Ed25519.
    pub key_file: PathBuf,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            server: None,
            port: None,
            tls: MailTls::default(),
            ca: None,
            user: None,
            password_file: None,
            from: None,
            link: None,
            content: Content::default(),
            digest_minutes: 15,
            give_up_hours: 72,
            administrators: Vec::new(),
            dkim: None,
        }
    }
}

impl MailConfig {
    /// Refuses what could not be sent, or would be where nobody expects it. Files are read when the room is opened.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let wrong = |message: &str| Err(Problem::invalid(message));
        if self.server.is_none() {
            let more = self.from.is_some() || self.user.is_some() || self.dkim.is_some() || !self.administrators.is_empty();
            return if more { wrong("`[mail]` names no `server` through which mail could leave") } else { Ok(()) };
        }
        if !self.server.as_deref().is_some_and(is_name) {
            return wrong("`mail.server` is a name such as smtp.example.com; the port has a key of its own");
        }
        let from = self.from.as_deref().map(Address::parse);
        if !matches!(from, Some(Ok(_))) {
            return wrong("`mail.from` is the address that notices come from, such as strongroom@example.com");
        }
        if self.user.is_some() != self.password_file.is_some() {
            return wrong("`mail.user` and `mail.password_file` must be given together");
        }
        if self.port == Some(0) {
            return wrong("`mail.port` is from 1 to 65535");
        }
        if self.link.as_deref().is_some_and(|link| !is_link(link)) {
            return wrong("`mail.link` is the console's address, such as https://strongroom.example, without a path");
        }
        if self.digest_minutes > 1_440 {
            return wrong("`mail.digest_minutes` is from 0 to 1440");
        }
        if !(1..=720).contains(&self.give_up_hours) {
            return wrong("`mail.give_up_hours` is from 1 to 720");
        }
        if self.administrators.len() > ADMINISTRATOR_COUNT_MAX
            || self.administrators.iter().any(|one| Address::parse(one).is_err())
        {
            return wrong("`mail.administrators` is a list of at most 32 addresses such as security@example.com");
        }
        if self.dkim.as_ref().is_some_and(|dkim| !is_name(&dkim.domain) || !is_name(&dkim.selector)) {
            return wrong("`mail.dkim.domain` and `mail.dkim.selector` are names as DNS has them");
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('.')
}

fn is_link(text: &str) -> bool {
    let host = text.strip_prefix("https://").unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    (1..=253).contains(&host.len()) && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_sent_is_refused_at_the_start() {
        let check = |text: &str| toml_like(text).check();
        check("{}").unwrap();
        let good = r#"{"server": "smtp.example.com", "from": "s@example.com", "#;
        check(&format!(r#"{good} "link": "https://s.example:8443"}}"#)).unwrap();
        for bad in [
            r#"{"from": "s@example.com"}"#,
            r#"{"server": "smtp.example.com"}"#,
            r#"{"server": "smtp.example.com:25", "from": "s@example.com"}"#,
            r#"{"server": "smtp://smtp.example.com", "from": "s@example.com"}"#,
            r#"{"server": "smtp.example.com", "from": "s@example.com\r\nBcc: x@example.com"}"#,
            &format!(r#"{good} "user": "u"}}"#),
            &format!(r#"{good} "link": "http://s.example"}}"#),
            &format!(r#"{good} "link": "https://s.example/x"}}"#),
            &format!(r#"{good} "digest_minutes": 2000}}"#),
            &format!(r#"{good} "give_up_hours": 0}}"#),
            &format!(r#"{good} "administrators": ["nobody"]}}"#),
            &format!(r#"{good} "dkim": {{"domain": "a b", "selector": "s", "key_file": "k"}}}}"#),
        ] {
            check(bad).expect_err(bad);
        }
    }

    #[test]
    fn there_is_no_way_without_tls() {
        for word in ["none", "opportunistic", "plain", "start_tls_if_offered"] {
            serde_json::from_str::<MailConfig>(&format!(r#"{{"tls": "{word}"}}"#)).expect_err(word);
        }
    }

    fn toml_like(text: &str) -> MailConfig {
        serde_json::from_str(text).unwrap()
    }
}
