//! What goes into the outbox, and who is behind a recipient.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};
use vault::db::{Reader, Writer};

use crate::derive::Concerns;
use crate::notice::{Kind, Notice, Recipient, detail};
use crate::openpgp::RecipientKey;
use crate::store::{self, FORMER, NoticeRow, RecipientRow};
use crate::{Address, Mail};

/// What is sealed of a notice.
#[derive(Serialize, Deserialize)]
struct Sealed {
    detail: String,
    address: Option<String>,
    /// In base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// What a notice says, and where it goes if that is not to where its account's notices go now.
pub(crate) struct Unsealed {
    pub(crate) detail: String,
    pub(crate) address: Option<Address>,
    pub(crate) key: Option<Vec<u8>>,
}

/// Where an account's notices go, and the key that they are encrypted to.
pub(crate) struct Destination {
    address: Address,
    key: Option<Vec<u8>>,
}

/// Where an address is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// An administrator set it.
    Administrator,
    /// The directory that looks after the account (SCIM) gave it.
    Directory,
    /// A provider vouched for it at a log-in (`email_verified`).
    Provider,
}

impl AddressSource {
    /// The word for answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Directory => "directory",
            Self::Provider => "provider",
        }
    }
}

impl Mail {
    /// Tells an account of something that stands in no record of the log by itself, if it has an address.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub async fn tell_account(&self, account: &str, (kind, event): (Kind, &str), at: Micros) -> Result<(), Problem> {
        if !self.is_configured() {
            return Ok(());
        }
        let (room, account, event) = (self.clone(), account.to_owned(), event.to_owned());
        let write = move |writer: &mut Writer<'_>| {
            let concerns = Concerns::Account(account);
            room.put_for(writer, &concerns, &Seed { of: &event, kind, event: &event, at, detail: "" })
        };
        self.0.system.write(write).await
    }

    /// Tells an address of the configuration. `of` is what the same news has in common with itself, however often it is brought.
    ///
    /// # Errors
    /// If it cannot be written down, or no server is configured.
    pub async fn tell_address(
        &self,
        to: &Address,
        of: &str,
        (kind, event, about): (Kind, &str, &str),
        at: Micros,
    ) -> Result<(), Problem> {
        self.way()?;
        let seed = Seed { of, kind, event, at, detail: about };
        let notice = self.notice(Recipient::Address(to.clone()), &seed);
        let room = self.clone();
        self.0.system.write(move |writer| room.put(writer, &notice)).await
    }

    /// Notes the address that a provider vouched for. One that an administrator set stays.
    ///
    /// # Errors
    /// If it cannot be written down. What is no address is not noted.
    pub async fn learn_address(&self, account: &str, address: &str, at: Micros) -> Result<(), Problem> {
        let Ok(address) = Address::parse(address) else { return Ok(()) };
        let sealed = self.sealed_address(account, &address)?;
        let (room, account) = (self.clone(), account.to_owned());
        let write = move |writer: &mut Writer<'_>| {
            let before = room.destination(writer, &account)?;
            store::learn_address(writer, &account, &sealed, at)?;
            let of = format!("{account} {}", at.0);
            let seed = Seed { of: &of, kind: Kind::AddressReplaced, event: &account, at, detail: "" };
            room.tell_former(writer, (&account, before), &seed)
        };
        self.0.system.write(write).await
    }

    pub(crate) fn seal(&self, place: &str, plain: &[u8]) -> Result<Vec<u8>, Problem> {
        vault::keys::seal(&self.0.key, plain, place.as_bytes())
    }

    fn open_sealed(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
        vault::keys::open(&self.0.key, sealed, place.as_bytes())
    }

    pub(crate) fn sealed_address(&self, account: &str, address: &Address) -> Result<Vec<u8>, Problem> {
        self.seal(&place_of_address(account), address.text().as_bytes())
    }

    pub(crate) fn way(&self) -> Result<&crate::Way, Problem> {
        let none = || Problem::invalid("no mail leaves this server: `[mail]` of its configuration names no `server`");
        self.0.way.as_ref().ok_or_else(none)
    }

    /// Where an account gets mail: by its administrators' word, its directory's, or its provider's.
    pub(crate) fn address_of(&self, reader: &mut Reader<'_>, account: &str) -> Result<Option<(Address, AddressSource)>, Problem> {
        let set = store::address(reader, account)?;
        let opened = |sealed: &[u8]| -> Result<Option<Address>, Problem> {
            let bytes = self.open_sealed(&place_of_address(account), sealed)?;
            Ok(String::from_utf8(bytes).ok().and_then(|text| Address::parse(&text).ok()))
        };
        if let Some((sealed, source)) = &set
            && source == AddressSource::Administrator.word()
        {
            return Ok(opened(sealed)?.map(|address| (address, AddressSource::Administrator)));
        }
        let directory = self.0.accounts.directory_address(reader, account)?;
        if let Some(address) = directory.and_then(|text| Address::parse(&text).ok()) {
            return Ok(Some((address, AddressSource::Directory)));
        }
        match set {
            Some((sealed, _)) => Ok(opened(&sealed)?.map(|address| (address, AddressSource::Provider))),
            None => Ok(None),
        }
    }

    pub(crate) fn destination(&self, reader: &mut Reader<'_>, account: &str) -> Result<Option<Destination>, Problem> {
        let Some((address, _)) = self.address_of(reader, account)? else { return Ok(None) };
        Ok(Some(Destination { address, key: store::key(reader, account)?.map(|(bytes, _)| bytes) }))
    }

    /// Puts a notice to where an account's notices went before a change, unless what is told of it can be read there as it is.
    pub(crate) fn tell_former(
        &self,
        writer: &mut Writer<'_>,
        (account, before): (&str, Option<Destination>),
        seed: &Seed<'_>,
    ) -> Result<(), Problem> {
        let Some(Destination { address, key }) = before.filter(|_| self.is_configured()) else { return Ok(()) };
        let now = self.destination(writer, account)?;
        let is_told = now.is_some_and(|now| now.address == address && (now.key.is_none() || now.key == key));
        // To a key that has expired nothing can be sent, and nothing is sent in the open instead.
        let is_over = key.as_ref().is_some_and(|key| RecipientKey::parse(key, seed.at).is_err());
        if is_told || is_over {
            return Ok(());
        }
        self.put(writer, &self.notice(Recipient::Former { account: account.to_owned(), address, key }, seed))
    }

    /// Puts a notice to everybody whom something concerns, as far as they have an address.
    pub(crate) fn put_for(&self, writer: &mut Writer<'_>, concerns: &Concerns, seed: &Seed<'_>) -> Result<(), Problem> {
        let mut accounts = match concerns {
            Concerns::Account(account) => vec![account.clone()],
            Concerns::Administrators => self.0.accounts.administrators(writer, seed.at)?,
        };
        accounts.truncate(crate::limits::ADMINISTRATOR_COUNT_MAX);
        let mut told = Vec::new();
        for account in accounts {
            if let Some((address, _)) = self.address_of(writer, &account)? {
                self.put(writer, &self.notice(Recipient::Account(account), seed))?;
                told.push(address);
            }
        }
        if *concerns == Concerns::Administrators {
            for address in self.way()?.administrators.iter().filter(|one| !told.contains(one)) {
                self.put(writer, &self.notice(Recipient::Address(address.clone()), seed))?;
            }
        }
        Ok(())
    }

    pub(crate) fn notice(&self, to: Recipient, seed: &Seed<'_>) -> Notice {
        let recipient = self.recipient(&to).name;
        let id = kernel::hex(&kernel::sha256(format!("{} {} {recipient}", seed.kind.word(), seed.of).as_bytes()));
        Notice { id, to, kind: seed.kind, event: detail(seed.event), at: seed.at, detail: detail(seed.detail) }
    }

    pub(crate) fn recipient(&self, to: &Recipient) -> RecipientRow {
        match to {
            Recipient::Account(account) => RecipientRow { name: format!("account/{account}"), account: Some(account.clone()) },
            Recipient::Address(address) => {
                // Keyed: who reads the table cannot try whose it is.
                let bytes = [self.0.key.expose(), address.text().to_ascii_lowercase().as_bytes()].concat();
                let digest = kernel::hex(&kernel::sha256(&bytes));
                RecipientRow { name: format!("address/{}", digest.chars().take(32).collect::<String>()), account: None }
            }
            Recipient::Former { account, address, key } => {
                let key = key.as_deref().unwrap_or_default();
                let bytes = [self.0.key.expose(), account.as_bytes(), address.text().as_bytes(), key].join(&0_u8);
                let digest = kernel::hex(&kernel::sha256(&bytes));
                RecipientRow {
                    name: format!("{FORMER}{}", digest.chars().take(32).collect::<String>()),
                    account: Some(account.clone()),
                }
            }
        }
    }

    pub(crate) fn put(&self, writer: &mut Writer<'_>, notice: &Notice) -> Result<(), Problem> {
        let (address, key) = match &notice.to {
            Recipient::Address(address) => (Some(address.text()), None),
            Recipient::Former { address, key, .. } => (Some(address.text()), key.as_ref().map(|key| STANDARD.encode(key))),
            Recipient::Account(_) => (None, None),
        };
        let sealed = serde_json::to_vec(&Sealed { detail: notice.detail.clone(), address, key });
        let sealed = sealed.map_err(|error| Problem::internal("a notice could not be written down", error))?;
        let row = NoticeRow {
            id: notice.id.clone(),
            kind: notice.kind,
            event: notice.event.clone(),
            at: notice.at,
            sealed: self.seal(&notice.id, &sealed)?,
        };
        Ok(store::put(writer, &self.recipient(&notice.to), &row)?)
    }

    pub(crate) fn opened(&self, row: &NoticeRow) -> Result<Unsealed, Problem> {
        let bytes = self.open_sealed(&row.id, &row.sealed)?;
        let Sealed { detail, address, key } =
            serde_json::from_slice(&bytes).map_err(|error| Problem::internal("a notice could not be read", error))?;
        let key = key.map(|text| STANDARD.decode(text)).transpose();
        let key = key.map_err(|error| Problem::internal("a notice could not be read", error))?;
        Ok(Unsealed { detail, address: address.and_then(|text| Address::parse(&text).ok()), key })
    }
}

/// What notices are made of.
pub(crate) struct Seed<'a> {
    pub(crate) of: &'a str,
    pub(crate) kind: Kind,
    pub(crate) event: &'a str,
    pub(crate) at: Micros,
    pub(crate) detail: &'a str,
}

fn place_of_address(account: &str) -> String {
    format!("address of {account}")
}
