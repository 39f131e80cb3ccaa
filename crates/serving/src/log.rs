//! The port to whoever keeps what was asked and said: the room `predictions`.

use gate::{BoxFuture, Permit};
use kernel::{Kind, Micros, Problem, timed_id};
use runtime::{Batch, Outputs};
use vault::db::Reader;

use crate::load::version_of;
use crate::ops::endpoint_of;
use crate::{Loaded, Serving, store};

/// Keeps predictions.
pub trait PredictionLog: Send + Sync + 'static {
    /// What is known before the model is asked. None where nothing is kept of this endpoint's predictions.
    ///
    /// # Errors
    /// `Unavailable` if what is said could not be kept: then nothing is to be said.
    fn begin<'a>(&'a self, asked: Asked<'a>) -> BoxFuture<'a, Result<Option<Box<dyn Draft>>, Problem>>;
}

/// A request whose prediction will be kept.
pub trait Draft: Send {
    /// Keeps it, safe from the end of this process before it answers. Gives the digest of what was kept, for the record.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be kept: then it must not be said.
    fn keep(self: Box<Self>, made: &Made<'_>) -> Result<[u8; 32], Problem>;
}

/// A request, as far as it is known before the model is asked.
pub struct Asked<'a> {
    /// The workspace's id.
    pub workspace: &'a str,
    /// The endpoint's id.
    pub endpoint_id: &'a str,
    /// Its name.
    pub endpoint: &'a str,
    /// The model that will answer.
    pub model: &'a Loaded,
    /// What is asked.
    pub batch: &'a Batch,
    /// Whom it concerns, if the client said so.
    pub subject: Option<&'a str>,
    /// Who asks, by id.
    pub caller: &'a str,
    /// The audit entry of the request.
    pub entry: &'a str,
    /// When the door was passed.
    pub at: Micros,
}

/// What was said.
pub struct Made<'a> {
    /// The prediction's id.
    pub id: &'a str,
    /// When.
    pub at: Micros,
    /// What the model gave.
    pub outputs: &'a Outputs,
    /// What the guard found, as stable words.
    pub verdicts: &'a [&'a str],
}

impl Serving {
    /// Begins to log a prediction. None where predictions of this endpoint are not kept.
    pub(crate) async fn draft<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        endpoint: &str,
        model: &Loaded,
        batch: &Batch,
        subject: Option<&str>,
    ) -> Result<Option<Box<dyn Draft>>, Problem> {
        let Some(log) = &self.0.log else { return Ok(None) };
        let entry = permit.entry();
        let asked = Asked {
            workspace: permit.workspace()?,
            endpoint_id: &endpoint_of(permit)?,
            endpoint,
            model,
            batch,
            subject,
            caller: &permit.caller().id,
            entry: &entry.id,
            at: entry.at,
        };
        log.begin(asked).await
    }

    /// Gives a prediction its id, and keeps it where it was begun to be kept.
    pub(crate) fn keep(
        &self,
        draft: Option<Box<dyn Draft>>,
        outputs: &Outputs,
        verdicts: &[&str],
    ) -> Result<(String, Option<[u8; 32]>), Problem> {
        let at = self.0.clock.now();
        let id = timed_id(at);
        let row = draft.map(|draft| draft.keep(&Made { id: &id, at, outputs, verdicts })).transpose()?;
        Ok((id, row))
    }
}

/// The version that an endpoint answers with now: the model's internal id and the number. None where there is none.
///
/// # Errors
/// Of the database.
pub fn version_now(reader: &mut Reader<'_>, endpoint_id: &str) -> Result<Option<String>, Problem> {
    let Some(endpoint) = store::get(reader, endpoint_id)? else { return Ok(None) };
    match version_of(reader, &endpoint, &endpoint.choice) {
        Ok(version) => Ok(Some(version)),
        Err(problem) if problem.kind() == Kind::Conflict => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// When a prediction of this id was made, to the millisecond. None for what is no id of one.
#[must_use]
pub fn made_at(id: &str) -> Option<Micros> {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let milliseconds = id.get(..12).filter(|_| id.len() == 32 && digits).map(|text| i64::from_str_radix(text, 16));
    Some(Micros(milliseconds?.ok()?.checked_mul(1_000)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_given() {
        let at = Micros(1_795_659_784_123_456);
        let (one, other) = (timed_id(at), timed_id(at));
        assert_ne!(one, other);
        assert_eq!((one.len(), made_at(&one)), (32, Some(Micros(1_795_659_784_123_000))));
        assert_eq!((one.get(12..13), made_at("x"), made_at(&"z".repeat(32))), (Some("7"), None, None));
    }
}
