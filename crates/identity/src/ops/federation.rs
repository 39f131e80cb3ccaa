//! Those whom others vouch for: people of a provider, programs of a platform.

use std::sync::Arc;

use gate::{Action, CallerKind, Operation, Outcome, Permit, Spend, Target};
use kernel::{Kind, Problem};

use super::command_line::COMMAND_LINE_TOKEN_SECONDS;
use super::lasting::may_link;
use super::remaining::{Left, leave_group};
use super::tokens::{Minting, mint_in};
use crate::types::{Exchanged, Name, Principal, PrincipalKind, ScopePattern, TokenWish};
use crate::{Identity, store};

/// The verb of [`SettlePerson`].
pub const FEDERATION_SETTLE: Action = Action::write("federation.settle");
/// The verb of [`LinkUser`].
pub const USERS_LINK: Action = Action::write("users.link");
/// The verb of [`ExchangeToken`].
pub const TOKENS_EXCHANGE: Action = Action::write("tokens.exchange");

/// How long a program's token lives that it got for its platform's.
pub const EXCHANGED_SECONDS: i64 = 900;
/// What a provider calls itself and its people.
const WORD_BYTES_MAX: usize = 512;

/// A person whom a provider vouched for a moment ago: gives their account, makes one where rules allow it, and sets the memberships that the
/// rules are about; but the last administrator stays in the group by which they are one. A job does this, with what it read of a signed token; nobody else can.
pub struct SettlePerson {
    /// The room.
    pub room: Identity,
    /// The provider.
    pub issuer: String,
    /// Who they are there.
    pub subject: String,
    /// What to call them, if they are new and rules let them have an account.
    pub name: Option<String>,
    /// The address that the provider vouches for. By it that provider may speak of them, until they log in with another one, or none.
    pub address: Option<String>,
    /// Groups, by name, whose membership the rules decide.
    pub ruled: Vec<String>,
    /// Those of them that this person is in.
    pub member: Vec<String>,
}

impl Operation for SettlePerson {
    const ACTION: Action = FEDERATION_SETTLE;
    type Output = String;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<String, Problem> {
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let Self { room, issuer, subject, name, address, ruled, member } = self;
        check_words(&issuer, &subject)?;
        let offices = room.inner.offices.get().map(Arc::clone);
        let mark = address.and_then(|address| room.inner.address_mark(&issuer, &address));
        let write = room.db.write(&permit, move |tx| {
            let linked = store::linked(tx, &issuer, &subject)?;
            let is_new = linked.is_none();
            let id = match (linked, name) {
                (Some(id), _) => id,
                (None, Some(name)) => {
                    let made = store::create_principal(tx, PrincipalKind::User, &Name::parse(&name)?, &by, at)?;
                    store::link(tx, (&issuer, &subject), &made.id, &by, at)?;
                    made.id
                }
                (None, None) => return Err(Problem::not_found("nobody here is linked with this log-in")),
            };
            store::set_address_mark(tx, (&issuer, &subject), mark.as_ref())?;
            // A rule may name a group that is not there yet.
            let found = |name: &String| Some((member.contains(name), store::principal(tx, PrincipalKind::Group, name).ok()?));
            let (into, out_of): (Vec<_>, Vec<_>) = ruled.iter().filter_map(found).partition(|(is_member, _)| *is_member);
            let (mut changed, mut kept) = (0_usize, Vec::new());
            // Into groups first: who goes from one that administers to another does so all the time.
            for (_, group) in into {
                changed += usize::from(store::add_member(tx, &group.id, &id, &by, at)?);
            }
            for (_, group) in out_of {
                match leave_group(tx, offices.as_deref(), (&group.id, &id), at)? {
                    Left::WasNotIn => {}
                    Left::Ended => changed += 1,
                    Left::Kept => kept.push(group.id),
                }
            }
            let mut outcome =
                Outcome::done().resource(id.clone()).with("new", usize::from(is_new)).with("memberships_changed", changed);
            if !kept.is_empty() {
                // Else whoever writes groups at the provider could leave this server to nobody.
                outcome = outcome.with("last_administrator_kept_in", kept.clone());
            }
            Ok(((id, kept), outcome))
        });
        let (id, kept) = write.await?;
        for group in kept {
            tracing::warn!(
                principal.id = id,
                group.id = group,
                "a provider's rules would have taken the last administrator out of a group; the membership stays"
            );
        }
        room.inner.memory.forget();
        Ok(id)
    }
}

/// Links an account with whom its holder is at a provider.
pub struct LinkUser {
    /// The room.
    pub room: Identity,
    /// The person's id or name.
    pub user: String,
    /// The provider's issuer.
    pub issuer: String,
    /// Who they are there: `sub`.
    pub subject: String,
}

impl Operation for LinkUser {
    const ACTION: Action = USERS_LINK;
    type Output = Principal;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Principal, Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let Self { room, user, issuer, subject } = self;
        check_words(&issuer, &subject)?;
        let offices = room.inner.offices.get().map(Arc::clone);
        let write = room.db.write(&permit, move |tx| {
            let found = store::principal(tx, PrincipalKind::User, &user)?;
            if found.id == caller.id {
                // Else whoever manages accounts could come in by another door, as strong as that is.
                return Err(Problem::invalid("this is your own account; another administrator links it"));
            }
            may_link(tx, offices.as_deref(), (&caller, &found.id), at)?;
            store::link(tx, (&issuer, &subject), &found.id, &caller.id, at)?;
            let outcome = Outcome::done().resource(found.id.clone());
            Ok((found, outcome))
        });
        write.await
    }
}

/// Mints a short token for a program that came with its platform's, or for a command line that a person agreed to. A code that a browser
/// brought and that was used before ends what was made of it (RFC 6749, section 4.1.2): somebody else has it too.
pub struct ExchangeToken {
    /// The room.
    pub room: Identity,
    /// What it is narrowed to; empty for all that the account may do.
    pub scopes: Vec<ScopePattern>,
}

impl Operation for ExchangeToken {
    const ACTION: Action = TOKENS_EXCHANGE;
    type Output = Exchanged;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<Exchanged, Problem> {
        let (at, caller) = (permit.entry().at, permit.caller().clone());
        let once = caller.proof.as_ref().and_then(|proof| proof.once.clone());
        let (label, seconds) = match (caller.kind, &once) {
            // A token of ours gets no other: it would never end.
            _ if caller.token.is_some() => return Err(Problem::invalid("a token of this server is not exchanged")),
            (CallerKind::Service, _) => ("exchanged", EXCHANGED_SECONDS),
            (CallerKind::User, Some(Spend::Device(_) | Spend::Code(_))) => ("strongroom login", COMMAND_LINE_TOKEN_SECONDS),
            _ => return Err(Problem::new(Kind::Invalid, "only a token of a trusted platform is exchanged, as `subject_token`")),
        };
        // Who logs in from a device of theirs gets a token that is worth nothing elsewhere.
        let only_this_device = caller.device.is_some();
        let (label, scopes) = (label.to_owned(), self.scopes);
        let wish = TokenWish { label, scopes, lifetime_s: Some(seconds), only_this_device, ..TokenWish::default() };
        let code = match once {
            Some(Spend::Code(digest)) => Some(digest),
            _ => None,
        };
        let config = self.room.inner.config.clone();
        let write = self.room.db.write(&permit, move |tx| {
            if let Some(digest) = &code
                && let Some(token) = store::token_of_code(tx, digest)?
            {
                let revoked = store::revoke_token(tx, &token, Some(&caller.id), at)?.unwrap_or(0);
                let revoked = i64::try_from(revoked).unwrap_or(i64::MAX);
                return Ok((Exchanged::UsedBefore, Outcome::done().resource(token).with("revoked", revoked)));
            }
            let minting = Minting { principal: caller.id.clone(), parent: None, wish, until: None, at };
            let (minted, outcome) = mint_in(tx, &config, &caller, minting, |_, _| Ok(()))?;
            if let Some(digest) = &code {
                store::keep_token_of_code(tx, digest, &minted.token.id, minted.token.expires_at)?;
            }
            Ok((Exchanged::Minted(Box::new(minted)), outcome))
        });
        let exchanged = write.await?;
        if matches!(exchanged, Exchanged::UsedBefore) {
            self.room.inner.memory.forget();
            tracing::warn!("the code of a command line's log-in was shown twice: the token that was made of it is revoked");
        }
        Ok(exchanged)
    }
}

fn check_words(issuer: &str, subject: &str) -> Result<(), Problem> {
    let fits = |word: &str| !word.is_empty() && word.len() <= WORD_BYTES_MAX && !word.chars().any(char::is_control);
    if fits(issuer) && fits(subject) { Ok(()) } else { Err(Problem::invalid("an issuer and a subject have 1 to 512 bytes")) }
}
