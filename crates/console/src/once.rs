//! What is shown once. A form that makes a secret leads on to a page that shows it a single time: whoever loads that page again is told so, and makes
//! no second one by it. Until it is asked for, for a minute at most, what is shown is kept in memory and nowhere else. For as long a form that comes twice,
//! as by a double click, is done once: each has an id of its own, and the second time leads where the first did, whose answer a browser has thrown away.
//!
//! INVARIANT: it is shown to the session or token that made it, one time each time that its form is sent. Held by `tests::it_is_shown_to_who_made_it_one_time_and_not_for_long`.
//! INVARIANT: a form is done once, however often it comes. Held by `tests::a_form_that_comes_twice_has_one_turn_after_the_other`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::{Operation, Visitor};
use http::Method;
use identity::Identity;
use identity::ops::account::{ACCOUNT_ME, GetMe};
use kernel::{Micros, Problem, random_text};
use tokio::sync::{Mutex as Turns, OwnedMutexGuard};
use wire::{Answer, Chosen, Door, Inbound};

use crate::page::redirect;

/// Where the pages are.
pub const PAGE: &str = "/account/once";
/// Where a form leads that made nothing to be shown.
const ACCOUNT: &str = "/account";
/// How long a page waits to be asked for.
const KEPT_SECONDS: u32 = 60;
/// Pages that wait at once. Beyond it the form's own answer shows what it made.
const WAITING_COUNT_MAX: usize = 1_000;
/// Letters and digits of a page's name, which nobody guesses, and of a form's id.
const NAME_CHARS: usize = 32;
/// The field of a form that has its id.
const ID: &str = "once";

/// An id for the forms of one page, which tells one that comes twice from two that say the same.
pub fn form_id() -> String {
    random_text(NAME_CHARS)
}

/// Makes the page. It holds the secret.
pub type Make = Arc<dyn Fn() -> Result<Answer, Problem> + Send + Sync>;

struct Waiting {
    /// The session or token that it is for.
    of: String,
    until: Micros,
    is_shown: bool,
    make: Make,
}

/// A form that came a while ago.
struct Sent {
    until: Micros,
    /// Where it led; nothing until it was done.
    led_to: Arc<Turns<Option<String>>>,
}

/// A form's turn: while one of an id has it, the others wait. A form without an id waits for nobody.
pub struct Turn(Option<OwnedMutexGuard<Option<String>>>);

impl Turn {
    /// Where the same form led before.
    fn led_to(&self) -> Option<&str> {
        self.0.as_ref().and_then(|led_to| led_to.as_deref())
    }

    fn lead_to(&mut self, address: String) {
        if let Some(led_to) = &mut self.0 {
            **led_to = Some(address);
        }
    }
}

#[derive(Default)]
struct Shelf {
    /// By the page's name.
    waiting: BTreeMap<String, Waiting>,
    /// By whose they are, where they went, and their ids.
    sent: BTreeMap<(String, String, String), Sent>,
}

/// The pages that wait to be asked for, and the forms that led to them. Cheap to clone.
#[derive(Clone, Default)]
pub struct Once(Arc<Mutex<Shelf>>);

impl Once {
    /// Adds the route on which they are shown.
    pub fn routes(&self, door: &mut Door, identity: &Identity) {
        let (once, room) = (self.clone(), identity.clone());
        door.choice(Method::GET, &format!("{PAGE}/{{page}}"), &[ACCOUNT_ME], move |inbound| {
            let (once, room, name) = (once.clone(), room.clone(), inbound.path("page").to_owned());
            Ok(Chosen::verbs(move |visitor| {
                Box::pin(async move {
                    visitor.call(GetMe { room }).await?;
                    let make = once.take(&credential(visitor), &name, visitor.at()).ok_or_else(was_shown)?;
                    make()
                })
            }))
        });
    }

    /// A form of the account whose answer is shown once: `show` makes the page of what came of it, or nothing where there is nothing to show.
    /// Its page gives it an id: [`form_id`], in the field `once`.
    pub fn form<O, C, P, R>(&self, door: &mut Door, identity: &Identity, path: &'static str, parse: P, show: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Option<Make> + Send + Sync + 'static,
    {
        let (once, room, show) = (self.clone(), identity.clone(), Arc::new(show));
        door.choice(Method::POST, path, &[O::ACTION, ACCOUNT_ME], move |inbound| {
            let ((operation, context), id) = (parse(inbound)?, id_of(inbound)?);
            let (once, room, show) = (once.clone(), room.clone(), Arc::clone(&show));
            Ok(Chosen::verbs(move |visitor| {
                Box::pin(async move {
                    let turn = once.turn(&credential(visitor), path, id, visitor.at()).await;
                    if let Some(answer) = once.again(visitor, &turn, room).await? {
                        return Ok(answer);
                    }
                    let output = visitor.call(operation).await?;
                    once.lead_on(visitor, turn, show(output, context))
                })
            }))
        });
    }

    /// The turn of a form that was sent to `path`; the same form waits until it is over.
    pub async fn turn(&self, of: &str, path: &str, id: Option<String>, at: Micros) -> Turn {
        let Some(led_to) = id.and_then(|id| self.begun((of.to_owned(), path.to_owned(), id), at)) else { return Turn(None) };
        Turn(Some(led_to.lock_owned().await))
    }

    /// Where the same form led before, if it came before: who sent it has not seen what the first answer led to.
    ///
    /// # Errors
    /// As those of [`GetMe`].
    pub async fn again(&self, visitor: &Visitor, turn: &Turn, room: Identity) -> Result<Option<Answer>, Problem> {
        let Some(address) = turn.led_to() else { return Ok(None) };
        visitor.call(GetMe { room }).await?;
        self.show_again(address);
        Ok(Some(redirect(address)))
    }

    /// Leads to the page that `make` makes.
    ///
    /// # Errors
    /// The page's own, where it is shown at once.
    pub fn lead_on(&self, visitor: &Visitor, mut turn: Turn, make: Option<Make>) -> Result<Answer, Problem> {
        let Some(make) = make else {
            turn.lead_to(ACCOUNT.to_owned());
            return Ok(redirect(ACCOUNT));
        };
        match self.keep(&credential(visitor), visitor.at(), make) {
            Ok(name) => {
                self.forget_in_time(name.clone());
                let address = format!("{PAGE}/{name}");
                let answer = redirect(&address);
                turn.lead_to(address);
                Ok(answer)
            }
            Err(make) => {
                turn.lead_to(ACCOUNT.to_owned());
                make()
            }
        }
    }

    /// What is known of a form; nothing where too many are known already.
    fn begun(&self, form: (String, String, String), at: Micros) -> Option<Arc<Turns<Option<String>>>> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.sent.retain(|_, one| one.until > at);
        if shelf.sent.len() >= WAITING_COUNT_MAX && !shelf.sent.contains_key(&form) {
            return None;
        }
        let until = at.plus_secs(i64::from(KEPT_SECONDS));
        let sent = shelf.sent.entry(form).or_insert_with(|| Sent { until, led_to: Arc::default() });
        Some(Arc::clone(&sent.led_to))
    }

    /// Keeps a page, and says under which name; gives it back where too many wait.
    fn keep(&self, of: &str, at: Micros, make: Make) -> Result<String, Make> {
        let waiting = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting;
        waiting.retain(|_, one| one.until > at);
        if waiting.len() >= WAITING_COUNT_MAX {
            return Err(make);
        }
        let name = random_text(NAME_CHARS);
        let until = at.plus_secs(i64::from(KEPT_SECONDS));
        waiting.insert(name.clone(), Waiting { of: of.to_owned(), until, is_shown: false, make });
        Ok(name)
    }

    /// The form that led to this address came again.
    fn show_again(&self, address: &str) {
        let waiting = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting;
        let name = address.strip_prefix(PAGE).and_then(|rest| rest.strip_prefix('/'));
        if let Some(one) = name.and_then(|name| waiting.get_mut(name)) {
            one.is_shown = false;
        }
    }

    /// The page of a name, where it waits for this session or token: from then on it does not.
    fn take(&self, of: &str, name: &str, at: Micros) -> Option<Make> {
        let waiting = &mut self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting;
        waiting.retain(|_, one| one.until > at);
        let one = waiting.get_mut(name).filter(|one| one.of == of && !one.is_shown)?;
        one.is_shown = true;
        Some(Arc::clone(&one.make))
    }

    /// What nobody asks for does not stay in memory.
    fn forget_in_time(&self, name: String) {
        let once = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(KEPT_SECONDS))).await;
            once.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&name);
        });
    }
}

/// The id of a form; none of one that a program sends without. What is no id of ours tells nothing apart.
///
/// # Errors
/// `Invalid` for a form that cannot be read.
pub fn id_of(inbound: &Inbound) -> Result<Option<String>, Problem> {
    let is_id = |id: &&str| id.len() == NAME_CHARS && id.bytes().all(|letter| letter.is_ascii_alphanumeric());
    Ok(inbound.form()?.get(ID).filter(is_id).map(str::to_owned))
}

/// What the visitor came with.
pub fn credential(visitor: &Visitor) -> String {
    let caller = visitor.caller();
    caller.token.as_ref().map_or_else(|| caller.id.clone(), |token| token.id.clone())
}

/// The same whether it was shown, took too long, is somebody else's, or never was.
fn was_shown() -> Problem {
    Problem::not_found(
        "What stood here is shown one time, to who made it, within a minute, and is kept nowhere. If you did not keep it, make a new one: \
         revoke a token or device of which you lost the secret; new recovery codes make the old ones void; one-time codes are set up again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Make {
        Arc::new(|| Ok(redirect("/shown")))
    }

    #[test]
    fn it_is_shown_to_who_made_it_one_time_and_not_for_long() {
        let (once, at) = (Once::default(), Micros(0));
        let keep = || once.keep("s_1", at, page()).ok().unwrap();
        let name = keep();
        assert_eq!(name.len(), NAME_CHARS);
        assert!(once.take("s_2", &name, at).is_none(), "another session is not shown it, and does not take it away");
        assert!(once.take("s_1", "another", at).is_none());
        assert!(once.take("s_1", &name, at).is_some());
        assert!(once.take("s_1", &name, at).is_none(), "loaded again");
        once.show_again(&format!("{PAGE}/{name}"));
        assert!(once.take("s_2", &name, at).is_none());
        assert!(once.take("s_1", &name, at).is_some(), "its form was sent again");
        assert!(once.take("s_1", &name, at).is_none());
        let (late, other) = (keep(), keep());
        assert_ne!(late, other);
        assert!(once.take("s_1", &late, at.plus_secs(60)).is_none(), "too late");
        assert!(once.0.lock().unwrap().waiting.is_empty(), "and forgotten");
    }

    #[tokio::test]
    async fn a_form_that_comes_twice_has_one_turn_after_the_other() {
        let (once, at, id) = (Once::default(), Micros(0), form_id());
        let turn = async |of: &str, path: &str, id: &str, at: Micros| once.turn(of, path, Some(id.to_owned()), at).await;
        let mut first = turn("s_1", "/a", &id, at).await;
        assert!(first.led_to().is_none());
        let waits = tokio::time::timeout(Duration::from_millis(10), turn("s_1", "/a", &id, at)).await;
        assert!(waits.is_err(), "the second waits for the first");
        // Another's, another form of the same page, another page of the same form, and what has no id wait for nobody.
        for (of, path, id) in [("s_2", "/a", id.clone()), ("s_1", "/b", id.clone()), ("s_1", "/a", form_id())] {
            assert!(turn(of, path, &id, at).await.led_to().is_none());
        }
        assert!(once.turn("s_1", "/a", None, at).await.led_to().is_none());
        first.lead_to("/there".to_owned());
        drop(first);
        assert_eq!(turn("s_1", "/a", &id, at).await.led_to(), Some("/there"));
        assert!(turn("s_1", "/a", &id, at.plus_secs(60)).await.led_to().is_none(), "and is forgotten in time");
        // What failed may be tried again.
        drop(turn("s_1", "/c", &id, at).await);
        assert!(turn("s_1", "/c", &id, at).await.led_to().is_none());
    }

    #[tokio::test]
    async fn beyond_what_is_known_a_form_has_its_turn_at_once() {
        let (once, at) = (Once::default(), Micros(0));
        let mut held = Vec::new();
        for number in 0..=WAITING_COUNT_MAX {
            held.push(once.turn("s_1", "/a", Some(number.to_string()), at).await);
        }
        assert_eq!(once.0.lock().unwrap().sent.len(), WAITING_COUNT_MAX);
        assert!(held.last().is_some_and(|turn| turn.0.is_none()) && held.first().is_some_and(|turn| turn.0.is_some()));
    }

    #[test]
    fn beyond_what_can_wait_it_is_given_back() {
        let (once, at) = (Once::default(), Micros(0));
        for _ in 0..WAITING_COUNT_MAX {
            assert!(once.keep("s_1", at, page()).is_ok());
        }
        assert!(once.keep("s_2", at, page()).is_err());
        assert!(once.keep("s_2", at.plus_secs(60), page()).is_ok(), "there is room again once those before were not asked for");
    }
}
