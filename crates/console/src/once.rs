//! What is shown once. A form that makes a secret leads on to a page that shows it a single time: whoever loads that page again is told so, and makes
//! no second one by it. Until it is asked for, for a minute at most, what is shown is kept in memory and nowhere else.
//!
//! INVARIANT: it is shown to the session or token that made it, one time. Held by `tests::it_is_shown_to_who_made_it_one_time_and_not_for_long`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gate::{Operation, Visitor};
use http::Method;
use identity::Identity;
use identity::ops::account::{ACCOUNT_ME, GetMe};
use kernel::{Micros, Problem, random_text};
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
/// Letters and digits of a page's name, which nobody guesses.
const NAME_CHARS: usize = 32;

/// Makes the page. It holds the secret.
pub type Make = Box<dyn FnOnce() -> Result<Answer, Problem> + Send>;

struct Waiting {
    /// The session or token that it is for.
    of: String,
    until: Micros,
    make: Make,
}

/// The pages that wait to be asked for. Cheap to clone.
#[derive(Clone, Default)]
pub struct Once(Arc<Mutex<BTreeMap<String, Waiting>>>);

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
    pub fn form<O, C, P, R>(&self, door: &mut Door, path: &str, parse: P, show: R)
    where
        O: Operation,
        C: Send + 'static,
        P: Fn(&Inbound) -> Result<(O, C), Problem> + Send + Sync + 'static,
        R: Fn(O::Output, C) -> Option<Make> + Send + Sync + 'static,
    {
        let (once, show) = (self.clone(), Arc::new(show));
        door.choice(Method::POST, path, &[O::ACTION], move |inbound| {
            let (operation, context) = parse(inbound)?;
            let (once, show) = (once.clone(), Arc::clone(&show));
            Ok(Chosen::verbs(move |visitor| {
                Box::pin(async move {
                    let output = visitor.call(operation).await?;
                    once.lead_on(visitor, show(output, context))
                })
            }))
        });
    }

    /// Leads to the page that `make` makes.
    ///
    /// # Errors
    /// The page's own, where it is shown at once.
    pub fn lead_on(&self, visitor: &Visitor, make: Option<Make>) -> Result<Answer, Problem> {
        let Some(make) = make else { return Ok(redirect(ACCOUNT)) };
        match self.keep(&credential(visitor), visitor.at(), make) {
            Ok(name) => {
                self.forget_in_time(name.clone());
                Ok(redirect(&format!("{PAGE}/{name}")))
            }
            Err(make) => make(),
        }
    }

    /// Keeps a page, and says under which name; gives it back where too many wait.
    fn keep(&self, of: &str, at: Micros, make: Make) -> Result<String, Make> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| one.until > at);
        if waiting.len() >= WAITING_COUNT_MAX {
            return Err(make);
        }
        let name = random_text(NAME_CHARS);
        let until = at.plus_secs(i64::from(KEPT_SECONDS));
        waiting.insert(name.clone(), Waiting { of: of.to_owned(), until, make });
        Ok(name)
    }

    /// The page of a name, where it waits for this session or token: from then on it does not.
    fn take(&self, of: &str, name: &str, at: Micros) -> Option<Make> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, one| one.until > at);
        waiting.get(name).filter(|one| one.of == of)?;
        waiting.remove(name).map(|one| one.make)
    }

    /// What nobody asks for does not stay in memory.
    fn forget_in_time(&self, name: String) {
        let once = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(u64::from(KEPT_SECONDS))).await;
            once.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        });
    }
}

/// What the visitor came with.
fn credential(visitor: &Visitor) -> String {
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
        Box::new(|| Ok(redirect("/shown")))
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
        let (late, other) = (keep(), keep());
        assert_ne!(late, other);
        assert!(once.take("s_1", &late, at.plus_secs(60)).is_none(), "too late");
        assert!(once.0.lock().unwrap().is_empty(), "and forgotten");
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
