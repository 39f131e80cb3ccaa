//! One's own account: what opens it, where it is open, and its tokens.

use std::sync::Arc;

use askama::Template;
use gate::{Method as Shown, Operation};
use http::{Method, StatusCode};
use identity::ops::account::{ACCOUNT_ME, GetMe};
use identity::ops::command_line::{AgreeToDevice, DenyDevice};
use identity::ops::factors::{AddPasskey, ConfirmTotp, FACTORS_LIST, ListFactors, OfferTotp, RemoveFactor, RenewRecoveryCodes};
use identity::ops::passwords::ChangeOwnPassword;
use identity::ops::sessions::{DeleteSession, ListSessions, SESSIONS_LIST};
use identity::ops::tokens::{CreateToken, ListTokens, RevokeToken, TOKENS_LIST};
use identity::{Ceremony, Factors, Identity, Me, PageWish, Session, Token, TokenWish, TotpOffer};
use kernel::{Kind, Micros, Problem, Secret};
use qrcode::QrCode;
use qrcode::render::svg;
use wire::{Answer, Chosen, Door, Inbound};

use crate::board::part;
use crate::clients::{Clients, Settings};
use crate::listing::asked;
use crate::once::{self, Make, Once};
use crate::page::{moment, page, redirect};

/// Where the page is.
const PAGE: &str = "/account";
/// Where one-time codes are confirmed.
const CONFIRM: &str = "/account/totp/confirm";
/// What a token is made for where the form names no time.
const TOKEN_DAYS_DEFAULT: i64 = 30;
/// Tokens that are looked through at once.
const TOKEN_ROWS: usize = 1_000;

/// All live tokens of an account: fewer may be made than fit a page. Those that ended within a month are shown too, so there may be more.
pub fn own_tokens() -> PageWish {
    PageWish { after: None, rows: Some(TOKEN_ROWS) }
}

/// How a way to log in is called.
const fn method_words(method: &Shown) -> &'static str {
    match method {
        Shown::Password => "password",
        Shown::Token => "token",
        Shown::Totp => "password and one-time code",
        Shown::RecoveryCode => "password and recovery code",
        Shown::Passkey => "passkey",
        Shown::Federated => "your organisation's log-in",
        Shown::FederatedPhishingResistant => "your organisation's log-in, which let nobody in between",
        Shown::Device => "command line",
    }
}

/// A moment, as a template has it.
fn shown(at: &Micros) -> String {
    moment(*at)
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountTemplate<'a> {
    me: &'a Me,
    factors: &'a Factors,
    sessions: &'a [Session],
    tokens: &'a [Token],
    /// Where the next page of them is; empty for none.
    next_tokens: String,
    challenge: &'a str,
    ceremony: &'a str,
    user_handle: &'a str,
    algorithms: &'a str,
    /// Of its forms.
    once: String,
}

#[derive(Template)]
#[template(path = "device.html")]
struct DeviceTemplate<'a> {
    name: &'a str,
    code: &'a str,
    /// `agreed` or `denied`; empty while nobody has decided.
    decided: &'a str,
}

#[derive(Template)]
#[template(path = "totp.html")]
struct TotpTemplate<'a> {
    typed: &'a str,
    uri: &'a str,
    qr: &'a str,
    /// Of its form.
    once: String,
}

#[derive(Template)]
#[template(path = "totp_again.html")]
struct TotpAgainTemplate<'a> {
    fault: &'a str,
    /// Of its form.
    once: String,
}

#[derive(Template)]
#[template(path = "codes.html")]
struct CodesTemplate<'a> {
    what: &'a str,
    codes: Vec<&'a str>,
}

#[derive(Template)]
#[template(path = "token.html")]
struct TokenTemplate<'a> {
    label: &'a str,
    secret: &'a str,
    settings: Vec<Settings>,
    ends: String,
}

/// Adds the pages.
pub fn routes(door: &mut Door, identity: &Identity, clients: &Clients, once: &Once) {
    overview(door, identity);
    codes(door, identity, once);
    passkeys(door, identity, once);
    tokens(door, identity, clients, once);
    rest(door, identity);
    device(door, identity);
}

fn overview(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let verbs = [ACCOUNT_ME, FACTORS_LIST, SESSIONS_LIST, TOKENS_LIST];
    door.choice(Method::GET, PAGE, &verbs, move |inbound| {
        let (room, after) = (room.clone(), asked(inbound, "tokens")?);
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let me = visitor.call(GetMe { room: room.clone() }).await?;
                let (factors, ceremony) = visitor.call(ListFactors { room: room.clone() }).await?;
                let sessions = visitor.call(ListSessions { room: room.clone(), of: None }).await?;
                let tokens = visitor.call(ListTokens { room, of: None, page: PageWish { after, rows: None } }).await?;
                let algorithms = identity::PASSKEY_ALGORITHMS.map(|number| number.to_string()).join(",");
                let Ceremony { challenge, sealed } = ceremony;
                page(&AccountTemplate {
                    me: &me,
                    factors: &factors,
                    sessions: &sessions,
                    tokens: &tokens.rows,
                    next_tokens: tokens.next.map(|next| format!("{PAGE}?tokens={}#tokens", part(&next))).unwrap_or_default(),
                    challenge: &challenge,
                    ceremony: sealed.expose_text().unwrap_or_default(),
                    user_handle: &wire::base64url_text(me.id.as_bytes()),
                    algorithms: &algorithms,
                    once: once::form_id(),
                })
            })
        }))
    });
}

fn codes(door: &mut Door, identity: &Identity, once: &Once) {
    let room = identity.clone();
    let offer = move |inbound: &Inbound| {
        // The host names the account in the app: no character of it needs to be escaped in an address.
        Ok((OfferTotp { room: room.clone(), issuer: inbound.host().replace(['[', ']', ':'], "") }, ()))
    };
    once.form(door, identity, "/account/totp", offer, |offer, ()| Some(Arc::new(move || shown_offer(&offer))));
    confirm_code(door, identity, once);
    let room = identity.clone();
    let renew = move |inbound: &Inbound| {
        inbound.form()?.sure()?;
        Ok((RenewRecoveryCodes { room: room.clone() }, ()))
    };
    once.form(door, identity, "/account/recovery-codes", renew, |codes, ()| {
        shown_codes("Your old recovery codes are void.", codes)
    });
}

/// A wrong code is asked for again: what the app was given stands, and is shown nowhere any more.
fn confirm_code(door: &mut Door, identity: &Identity, once: &Once) {
    let (room, once) = (identity.clone(), once.clone());
    door.choice(Method::POST, CONFIRM, &[ConfirmTotp::ACTION, ACCOUNT_ME], move |inbound| {
        let confirm = ConfirmTotp { room: room.clone(), code: Secret::from(inbound.form()?.need("code")?.to_owned()) };
        let (once, room, id) = (once.clone(), room.clone(), once::id_of(inbound)?);
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let turn = once.turn(&once::credential(visitor), CONFIRM, id, visitor.at()).await;
                if let Some(answer) = once.again(visitor, &turn, room).await? {
                    return Ok(answer);
                }
                match visitor.call(confirm).await {
                    Ok(codes) => once.lead_on(visitor, turn, shown_codes("One-time codes are set up.", codes)),
                    Err(problem) if problem.kind() == Kind::Invalid => {
                        let mut answer = page(&TotpAgainTemplate { fault: problem.message(), once: once::form_id() })?;
                        *answer.status_mut() = StatusCode::BAD_REQUEST;
                        Ok(answer)
                    }
                    Err(problem) => Err(problem),
                }
            })
        }))
    });
}

fn shown_offer(offer: &TotpOffer) -> Result<Answer, Problem> {
    let uri = offer.uri.expose_text().unwrap_or_default();
    let code = QrCode::new(uri).map_err(|error| Problem::internal("the QR code could not be made", error))?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(220, 220).build();
    let qr = format!("data:image/svg+xml;base64,{}", wire::base64_text(drawn.as_bytes()));
    page(&TotpTemplate { typed: offer.typed.expose_text().unwrap_or_default(), uri, qr: &qr, once: once::form_id() })
}

/// Recovery codes are shown once; without new ones there is nothing to show.
fn shown_codes(what: &'static str, codes: Vec<Secret>) -> Option<Make> {
    if codes.is_empty() {
        return None;
    }
    Some(Arc::new(move || page(&CodesTemplate { what, codes: codes.iter().filter_map(Secret::expose_text).collect() })))
}

fn passkeys(door: &mut Door, identity: &Identity, once: &Once) {
    let room = identity.clone();
    let add = move |inbound: &Inbound| {
        let form = inbound.form()?;
        let bytes = |name: &str| wire::from_base64url(form.need(name)?);
        let add = AddPasskey {
            room: room.clone(),
            label: form.need("label")?.to_owned(),
            ceremony: Secret::from(form.need("ceremony")?.to_owned()),
            origin: inbound.origin(),
            host: inbound.host().to_owned(),
            client_data: bytes("client_data")?,
            attestation_object: bytes("attestation_object")?,
        };
        Ok((add, ()))
    };
    once.form(door, identity, "/account/passkeys", add, |(_, codes), ()| shown_codes("The passkey is registered.", codes));
    let room = identity.clone();
    let remove = move |inbound: &Inbound| {
        let form = inbound.form()?;
        form.sure()?;
        Ok(RemoveFactor { room: room.clone(), factor: form.need("factor")?.to_owned() })
    };
    door.route(Method::POST, "/account/factors/remove", remove, |()| Ok(redirect(PAGE)));
}

fn tokens(door: &mut Door, identity: &Identity, clients: &Clients, once: &Once) {
    let room = identity.clone();
    let create = move |inbound: &Inbound| {
        let form = inbound.form()?;
        let days = match form.get("days").filter(|days| !days.is_empty()) {
            None => TOKEN_DAYS_DEFAULT,
            Some(days) => days
                .parse()
                .ok()
                .filter(|days| (1..=365).contains(days))
                .ok_or_else(|| Problem::invalid("a token lives for 1 to 365 days"))?,
        };
        let label = identity::parse_label(form.need("label")?)?;
        let wish = TokenWish { label, lifetime_s: Some(days * 86_400), ..TokenWish::default() };
        Ok((CreateToken { room: room.clone(), wish }, inbound.origin()))
    };
    let clients = clients.clone();
    once.form(door, identity, "/account/tokens", create, move |minted, url: String| {
        let clients = clients.clone();
        Some(Arc::new(move || {
            let secret = minted.secret.expose_text().unwrap_or_default();
            page(&TokenTemplate {
                label: &minted.token.label,
                secret,
                settings: clients.settings(&url, secret),
                ends: moment(minted.token.expires_at),
            })
        }))
    });
    let room = identity.clone();
    let revoke = move |inbound: &Inbound| {
        let form = inbound.form()?;
        form.sure()?;
        Ok(RevokeToken { room: room.clone(), token: Some(form.need("token")?.to_owned()) })
    };
    door.route(Method::POST, "/account/tokens/revoke", revoke, |_| Ok(redirect(PAGE)));
}

fn device(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let ask = move |inbound: &Inbound| {
        let code = inbound.query()?.into_iter().find(|(name, _)| name == "code").map(|(_, code)| code);
        Ok((GetMe { room: room.clone() }, code.unwrap_or_default()))
    };
    door.route_with(Method::GET, "/device", ask, |me, code| page(&DeviceTemplate { name: &me.name, code: &code, decided: "" }));
    let room = identity.clone();
    let agree = move |inbound: &Inbound| Ok(AgreeToDevice { room: room.clone(), code: inbound.form()?.need("code")?.to_owned() });
    door.route(Method::POST, "/device", agree, |()| page(&DeviceTemplate { name: "", code: "", decided: "agreed" }));
    let room = identity.clone();
    let deny = move |inbound: &Inbound| Ok(DenyDevice { room: room.clone(), code: inbound.form()?.need("code")?.to_owned() });
    door.route(Method::POST, "/device/deny", deny, |()| page(&DeviceTemplate { name: "", code: "", decided: "denied" }));
}

fn rest(door: &mut Door, identity: &Identity) {
    let room = identity.clone();
    let end = move |inbound: &Inbound| {
        Ok(DeleteSession { room: room.clone(), session: Some(inbound.form()?.need("session")?.to_owned()) })
    };
    door.route(Method::POST, "/account/sessions/end", end, |()| Ok(redirect(PAGE)));
    let room = identity.clone();
    let password = move |inbound: &Inbound| {
        let form = inbound.form()?;
        let current = form.get("current").filter(|current| !current.is_empty()).map(|current| Secret::from(current.to_owned()));
        let (new, again) = (form.need("new")?, form.need("again")?);
        if new != again {
            return Err(Problem::invalid("the two new passwords are not the same"));
        }
        Ok(ChangeOwnPassword { room: room.clone(), current, new: Secret::from(new.to_owned()) })
    };
    door.route(Method::POST, "/account/password", password, |()| Ok(redirect(PAGE)));
}
