//! Tokens: mint, list, revoke.

use std::sync::Arc;

use gate::{Action, Caller, Operation, Outcome, Permit, Target, TokenFacts};
use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};

use super::lasting::office_end;
use super::{is_job, own_account};
use crate::config::IdentityConfig;
use crate::secret_text::mint;
use crate::store::{NewToken, SESSION_ID_PREFIX};
use crate::types::{MintedToken, Name, Page, PageWish, Principal, PrincipalKind, ScopePattern, Token, TokenWish};
use crate::{Identity, Offices, store};

/// The verb of [`CreateToken`].
pub const TOKENS_CREATE: Action = Action::write("tokens.create");
/// The verb of [`CreateTokenFor`].
pub const TOKENS_CREATE_FOR: Action = Action::write("tokens.create_for");
/// The verb of [`ListTokens`].
pub const TOKENS_LIST: Action = Action::read("tokens.list");
/// The verb of [`RevokeToken`].
pub const TOKENS_REVOKE: Action = Action::write("tokens.revoke");
/// The verb of [`RevokeAnyToken`].
pub const TOKENS_REVOKE_ANY: Action = Action::write("tokens.revoke_any");

const DAY_S: i64 = 86_400;

/// Mints a token for the caller's own account.
pub struct CreateToken {
    /// The room.
    pub room: Identity,
    /// What it shall be.
    pub wish: TokenWish,
}

impl Operation for CreateToken {
    const ACTION: Action = TOKENS_CREATE;
    type Output = MintedToken;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<MintedToken, Problem> {
        let caller = permit.caller().clone();
        own_account(&caller)?;
        let asked = (caller.id, None, self.wish);
        mint_for(&self.room, &permit, asked, None, |_, _| Ok(())).await
    }
}

/// Mints a token for a service account that the caller owns. A job mints for anybody: the first administrator's token is one.
pub struct CreateTokenFor {
    /// The room.
    pub room: Identity,
    /// The account's id or name.
    pub principal: String,
    /// For a job that does what somebody asked for: the token that it was asked with. The new one ends with it.
    pub parent: Option<String>,
    /// What the token shall be.
    pub wish: TokenWish,
}

impl Operation for CreateTokenFor {
    const ACTION: Action = TOKENS_CREATE_FOR;
    type Output = MintedToken;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<MintedToken, Problem> {
        // What somebody mints by their office ends with it: it would open the account's roles to them afterwards.
        let offices = self.room.inner.offices.get().map(Arc::clone);
        mint_for(&self.room, &permit, (self.principal, self.parent, self.wish), offices, may_mint_for).await
    }
}

fn may_mint_for(caller: &Caller, principal: &Principal) -> Result<(), Problem> {
    match principal.kind {
        PrincipalKind::User | PrincipalKind::Service if is_job(caller) => Ok(()),
        PrincipalKind::Service if principal.owner == caller.id => Ok(()),
        PrincipalKind::Service => Err(Problem::forbidden(
            "only the owner of a service account mints its tokens; ask the owner, or make a service account of your own",
        )),
        PrincipalKind::User => Err(Problem::forbidden("people mint their tokens themselves; give the person a password instead")),
        PrincipalKind::Group => Err(Problem::invalid("a group has no tokens; mint one for a member")),
    }
}

async fn mint_for<O>(
    room: &Identity,
    permit: &Permit<O>,
    (principal, parent, wish): (String, Option<String>, TokenWish),
    offices: Option<Arc<dyn Offices>>,
    check: fn(&Caller, &Principal) -> Result<(), Problem>,
) -> Result<MintedToken, Problem> {
    let (config, caller, at) = (room.inner.config.clone(), permit.caller().clone(), permit.entry().at);
    let write = room.db.write(permit, move |tx| {
        let until = office_end(tx, offices.as_deref(), &caller, at)?;
        mint_in(tx, &config, &caller, Minting { principal, parent, wish, until, at }, check)
    });
    write.await
}

/// A token that is to be minted.
pub(super) struct Minting {
    /// For whom, by id or name.
    pub(super) principal: String,
    pub(super) parent: Option<String>,
    pub(super) wish: TokenWish,
    /// When what it is minted by ends, beside the credential.
    pub(super) until: Option<Micros>,
    pub(super) at: Micros,
}

/// The same within a transaction that does more.
pub(super) fn mint_in(
    tx: &mut Writer<'_>,
    config: &IdentityConfig,
    caller: &Caller,
    Minting { principal, parent, wish, until, at }: Minting,
    check: fn(&Caller, &Principal) -> Result<(), Problem>,
) -> Result<(MintedToken, Outcome), Problem> {
    let principal = store::any_principal(tx, &principal)?;
    let principal = principal.ok_or_else(|| Problem::not_found("there is no account of this id or name"))?;
    check(caller, &principal)?;
    if let Some(once) = caller.proof.as_ref().and_then(|proof| proof.once.as_ref())
        && !store::spend(tx, &caller.id, once, at)?
    {
        return Err(Problem::new(Kind::Unauthenticated, "You are not authenticated. What was shown counts once, and was used."));
    }
    let workspace = wish.workspace.as_ref().map(|name| workspace_id(tx, name)).transpose()?;
    let mut bounds = bounds_of(tx, caller, at)?;
    if let Some(parent) = parent.filter(|_| is_job(caller)) {
        // A job was asked for something: what it mints for that ends no later than what it was asked with.
        let ends_at = store::hold_token(tx, &parent, at)?.ok_or_else(ended)?;
        (bounds.ends_at, bounds.parent_id) = (Some(ends_at), Some(parent));
    }
    bounds.ends_at = bounds.ends_at.into_iter().chain(until).min();
    let wish = match bounds.ends_at.filter(|_| is_job(caller)) {
        Some(ends_at) => wish.within(at, ends_at),
        None => wish,
    };
    narrower(&bounds, &wish.scopes, workspace.as_deref())?;
    let workspace = workspace.or_else(|| bounds.workspace.clone());
    let expires_at = ends_at(config, wish.lifetime_s, at, bounds.ends_at)?;
    let device = match (&bounds.device, &caller.device) {
        (Some(bound), _) => Some(bound.clone()),
        (None, Some(device)) if wish.only_this_device => Some(device.id.clone()),
        (None, None) if wish.only_this_device => return Err(no_device()),
        (None, _) => None,
    };
    let secret = mint(principal.kind.secret_kind());
    let token = store::create_token(
        tx,
        &NewToken {
            principal_id: &principal.id,
            kind: principal.kind.secret_kind(),
            secret: &secret,
            label: &wish.label,
            scopes: if wish.scopes.is_empty() { &bounds.scopes } else { &wish.scopes },
            workspace_id: workspace.as_deref(),
            parent_id: bounds.parent_id.as_deref(),
            device_id: device.as_deref(),
            created_by: &caller.id,
            expires_at,
            at,
        },
    )?;
    let outcome = Outcome::done().resource(token.id.clone()).with("principal", principal.id).with("expires_at", expires_at.0);
    Ok((MintedToken { token, secret }, outcome))
}

fn workspace_id(reader: &mut Reader<'_>, name: &Name) -> Result<String, Problem> {
    let found = store::workspace_by_name(reader, name.as_str())?;
    found.ok_or_else(|| Problem::not_found(format!("there is no workspace `{}`", name.as_str())))
}

/// What a caller's own credential is narrowed to: what it mints must be within.
#[derive(Default)]
struct Bounds {
    scopes: Vec<ScopePattern>,
    workspace: Option<String>,
    ends_at: Option<Micros>,
    parent_id: Option<String>,
    /// The device that the caller's own credential is bound to: what it mints is bound to it too.
    device: Option<String>,
}

fn bounds_of(tx: &mut Writer<'_>, caller: &Caller, at: Micros) -> Result<Bounds, Problem> {
    let Some(TokenFacts { id, scopes, workspace, device }) = &caller.token else {
        return Ok(Bounds::default());
    };
    let parent_id =
        if id.starts_with(SESSION_ID_PREFIX) { store::token_of_session(tx, id)?.ok_or_else(ended)? } else { Some(id.clone()) };
    let ends_at = match &parent_id {
        Some(parent_id) => Some(store::hold_token(tx, parent_id, at)?.ok_or_else(ended)?),
        None => None,
    };
    let scopes = scopes.iter().cloned().map(ScopePattern::trusted).collect();
    Ok(Bounds { scopes, workspace: workspace.clone(), ends_at, parent_id, device: device.clone() })
}

fn no_device() -> Problem {
    Problem::invalid(
        "this request came from no device of yours; enrol it with `strongroom agent enroll` and send its certificate",
    )
}

fn ended() -> Problem {
    Problem::new(Kind::Unauthenticated, "You are not authenticated. The token or session has ended in this moment.")
}

/// An empty wish takes over the caller's own bounds; anything else must lie within them.
fn narrower(bounds: &Bounds, scopes: &[ScopePattern], workspace: Option<&str>) -> Result<(), Problem> {
    let covered = |wanted: &ScopePattern| bounds.scopes.is_empty() || bounds.scopes.iter().any(|held| held.covers(wanted));
    if let Some(wider) = scopes.iter().find(|wanted| !covered(wanted)) {
        return Err(Problem::forbidden(format!(
            "the scope `{}` is wider than those of the token that asks; a token mints only what it may do itself",
            wider.as_str()
        )));
    }
    match (&bounds.workspace, workspace) {
        (Some(held), Some(wanted)) if held != wanted => Err(Problem::forbidden(
            "the token that asks is narrowed to another workspace; a token mints only what it may do itself",
        )),
        _ => Ok(()),
    }
}

fn ends_at(config: &IdentityConfig, lifetime_s: Option<i64>, at: Micros, bound: Option<Micros>) -> Result<Micros, Problem> {
    let lifetime_max_s = i64::from(config.token_days_max) * DAY_S;
    match lifetime_s {
        Some(wanted_s) => {
            if wanted_s < 1 || wanted_s > lifetime_max_s {
                let days = config.token_days_max;
                return Err(Problem::invalid(format!("a token lives from 1 s to {days} days ({lifetime_max_s} s)")));
            }
            let wanted = at.plus_secs(wanted_s);
            if bound.is_some_and(|bound| wanted > bound) {
                return Err(Problem::forbidden(
                    "the new token would live longer than the token that asks, or than your office; ask for a shorter life",
                ));
            }
            Ok(wanted)
        }
        None => {
            let usual = at.plus_secs(i64::from(config.token_days_default) * DAY_S);
            Ok(bound.map_or(usual, |bound| usual.min(bound)))
        }
    }
}

/// Lists live tokens: the caller's own, or those of another account.
pub struct ListTokens {
    /// The room.
    pub room: Identity,
    /// Whose, by id or name; the caller's own if none.
    pub of: Option<String>,
    /// Which page.
    pub page: PageWish,
}

impl Operation for ListTokens {
    const ACTION: Action = TOKENS_LIST;
    type Output = Page<Token>;

    fn target(&self) -> Target {
        if self.of.is_some() { Target::Server } else { Target::Myself }
    }

    async fn run(self, permit: Permit<Self>) -> Result<Page<Token>, Problem> {
        let at = permit.entry().at;
        let wanted = match &self.of {
            Some(other) => other.clone(),
            None => own_account(permit.caller())?.to_owned(),
        };
        let read = self.room.db.read(&permit, move |reader| {
            let principal = store::any_principal(reader, &wanted)?;
            let principal = principal.ok_or_else(|| Problem::not_found("there is no account of this id or name"))?;
            Ok(store::list_tokens(reader, &principal.id, &self.page, at)?)
        });
        read.await
    }
}

/// Revokes a token of the caller's own, and all that were minted from it.
pub struct RevokeToken {
    /// The room.
    pub room: Identity,
    /// The token's id; the one that the caller came with if none.
    pub token: Option<String>,
}

impl Operation for RevokeToken {
    const ACTION: Action = TOKENS_REVOKE;
    type Output = u64;

    fn target(&self) -> Target {
        Target::Myself
    }

    async fn run(self, permit: Permit<Self>) -> Result<u64, Problem> {
        let own = own_account(permit.caller())?.to_owned();
        let used = permit.caller().token.as_ref().map(|token| token.id.clone());
        let id = self.token.or(used).ok_or_else(|| Problem::invalid("name the token to revoke"))?;
        revoke(&self.room, &permit, id, Some(own)).await
    }
}

/// Revokes anybody's token, and all that were minted from it.
pub struct RevokeAnyToken {
    /// The room.
    pub room: Identity,
    /// The token's id, or a session's.
    pub token: String,
}

impl Operation for RevokeAnyToken {
    const ACTION: Action = TOKENS_REVOKE_ANY;
    type Output = u64;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<u64, Problem> {
        if self.token.starts_with(SESSION_ID_PREFIX) {
            return end_session(&self.room, &permit, self.token).await;
        }
        revoke(&self.room, &permit, self.token, None).await
    }
}

/// The session of whoever it is.
async fn end_session<O>(room: &Identity, permit: &Permit<O>, id: String) -> Result<u64, Problem> {
    let at = permit.entry().at;
    let write = room.db.write(permit, move |tx| {
        if !store::revoke_any_session(tx, &id, at)? {
            return Err(Problem::not_found("there is no such session, or it has ended"));
        }
        Ok((1, Outcome::done().resource(id).with("revoked", 1_usize)))
    });
    let revoked = write.await?;
    room.inner.memory.forget();
    Ok(revoked)
}

async fn revoke<O>(room: &Identity, permit: &Permit<O>, id: String, principal_id: Option<String>) -> Result<u64, Problem> {
    let at = permit.entry().at;
    let write = room.db.write(permit, move |tx| {
        let revoked = store::revoke_token(tx, &id, principal_id.as_deref(), at)?;
        let revoked = revoked.ok_or_else(|| Problem::not_found("there is no such token; list them to see their ids"))?;
        let count = i64::try_from(revoked).unwrap_or(i64::MAX);
        Ok((revoked, Outcome::done().resource(id).with("revoked", count)))
    });
    let revoked = write.await?;
    room.inner.memory.forget();
    Ok(revoked)
}
