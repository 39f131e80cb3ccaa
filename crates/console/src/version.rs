//! One version, of data or of a model: the verdict first, then the reasons, then what is known of it; and what can be decided.

use askama::Template;
use data::{Decision, DecisionKind, FoundFinding, InspectionState, Verdict};
use gate::{DataState, Operation, Visitor};
use inspection::Effect;
use kernel::{Kind, Micros, Problem, hex};
use wire::{Answer, Form, Inbound};

use crate::board::{Table, Tone};
use crate::findings::Shown;
use crate::model_report::ModelReport;
use crate::page::{look_again, moment, page_in, redirect_in};
use crate::promotion::Promotion;

/// Findings that a page shows; the report has all.
const FINDING_COUNT_MAX: usize = 100;
const DAY_S: i64 = 86_400;

/// What can be decided by whoever looks.
#[derive(Clone, Copy, Debug, Default)]
pub struct May {
    pub admit: bool,
    pub waive: bool,
    pub refuse: bool,
}

impl May {
    /// What a version's state and its last inspection leave open, for whoever may decide at all: what would be refused is not offered.
    #[must_use]
    pub fn open(state: DataState, judged: Option<Verdict>) -> Self {
        let waits = matches!(state, DataState::Quarantined | DataState::Refused);
        Self {
            admit: waits && judged == Some(Verdict::Pass),
            waive: waits && judged == Some(Verdict::Waiver),
            refuse: matches!(state, DataState::Quarantined | DataState::Inspecting | DataState::Admitted),
        }
    }

    /// Whether there is anything to decide.
    #[must_use]
    pub const fn any(self) -> bool {
        self.admit || self.waive || self.refuse
    }
}

/// Something that can be saved.
pub struct PaperLink {
    pub name: &'static str,
    /// How it is called once it is saved: papers of several versions lie side by side.
    pub file: String,
    pub href: String,
    /// What it is for.
    pub what: &'static str,
}

/// What is shown.
#[derive(Template)]
#[template(path = "version.html")]
pub struct VersionTemplate {
    /// Where the list is, and how it is called.
    pub back: (String, &'static str),
    /// What it is, such as `churn/3`.
    pub title: String,
    pub state: &'static str,
    pub tone: Tone,
    /// What its inspection does now; empty once it is over. Until then the page looks again by itself.
    pub progress: String,
    /// The state in a sentence, and what to do.
    pub verdict: String,
    pub findings: Vec<FoundFinding>,
    /// What else its report says.
    pub report: Option<Shown>,
    /// And of a model.
    pub model: Option<ModelReport>,
    /// What can be saved that vouches for it.
    pub papers: Vec<PaperLink>,
    /// Where all of that is checked; empty for who may not, and for data.
    pub verify: String,
    /// Findings that are not shown.
    pub more_count: usize,
    /// Names and values.
    pub facts: Vec<(&'static str, String)>,
    pub tables: Vec<Table>,
    /// Names and addresses of its documents.
    pub documents: Vec<(&'static str, String)>,
    /// Where its lineage is.
    pub lineage: String,
    /// Where decisions go.
    pub action: String,
    pub may: May,
    /// Of a model, what its aliases point at, and how one is moved here.
    pub promotion: Option<Promotion>,
    /// What was seen of it when the form was made: [`mark`].
    pub seen: String,
}

impl VersionTemplate {
    /// The finished page; the gravest findings first.
    ///
    /// # Errors
    /// `Internal` if the template cannot be filled in.
    pub fn finished(mut self, workspace: &str) -> Result<Answer, Problem> {
        self.findings.sort_by_key(|found| std::cmp::Reverse((weight(found.effect), found.finding.severity)));
        self.more_count = self.findings.len().saturating_sub(FINDING_COUNT_MAX);
        self.findings.truncate(FINDING_COUNT_MAX);
        let mut answer = page_in(workspace, &self)?;
        // What somebody types is not taken from under their hands.
        if !self.progress.is_empty() && !self.may.any() {
            look_again(&mut answer);
        }
        Ok(answer)
    }
}

/// What an inspection does now, in words; nothing once it is over.
#[must_use]
pub fn progress_words(state: InspectionState, stage: &str, done: (i64, Option<i64>)) -> String {
    match state {
        InspectionState::Queued => "Its inspection waits for its turn.".to_owned(),
        InspectionState::Running => format!("It is being inspected now: {}.", stage_words(stage, done)),
        _ => String::new(),
    }
}

/// A step of a job, and how far it is.
#[must_use]
pub fn stage_words(stage: &str, (done_count, total_count): (i64, Option<i64>)) -> String {
    let stage = if stage.is_empty() { "waits" } else { stage };
    match total_count {
        Some(total) if total > 0 => format!("{stage}, {done_count} of {total}"),
        _ if done_count > 0 => format!("{stage}, {done_count} done"),
        _ => stage.to_owned(),
    }
}

const fn weight(effect: Effect) -> u8 {
    match effect {
        Effect::Inform => 0,
        Effect::Waiver => 1,
        Effect::Refuse => 2,
    }
}

/// The class of a finding's effect.
#[must_use]
pub const fn tone_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::Inform => Tone::Plain.class(),
        Effect::Waiver => Tone::Wait.class(),
        Effect::Refuse => Tone::Bad.class(),
    }
}

/// What an effect means, in a word.
#[must_use]
pub const fn effect_words(effect: &Effect) -> &'static str {
    match effect {
        Effect::Inform => "note",
        Effect::Waiver => "needs a waiver",
        Effect::Refuse => "refuses",
    }
}

/// `1 finding refuses`, `2 findings refuse`.
fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 { format!("1 finding {one}") } else { format!("{count} findings {many}") }
}

/// The verdict in a sentence.
#[must_use]
pub fn sentence(state: DataState, findings: &[FoundFinding], waiver_until: Option<String>, what_for: &str) -> String {
    let count = |wanted: Effect| findings.iter().filter(|found| found.effect == wanted).count();
    let (refuse, waiver) = (count(Effect::Refuse), count(Effect::Waiver));
    match (state, waiver_until) {
        (DataState::Admitted, Some(until)) => format!("Let in by a waiver until {until}. {what_for} until then."),
        (DataState::Admitted, None) => format!("Let in. {what_for}."),
        (DataState::Refused, _) if refuse == 0 => "Refused; another version can be brought.".to_owned(),
        (DataState::Refused, _) => {
            format!("Refused. {} it; a corrected version can be brought.", counted(refuse, "refuses", "refuse"))
        }
        (DataState::Quarantined, _) if refuse > 0 => format!("Held back: {} it.", counted(refuse, "refuses", "refuse")),
        (DataState::Quarantined, _) if waiver > 0 => {
            let counted = counted(waiver, "needs", "need");
            format!("Held back: {counted} a reviewer's waiver, by another person than the one who brought it.")
        }
        (DataState::Quarantined, _) => "Held back until its inspection has ended and somebody lets it in.".to_owned(),
        _ => "It is not finished yet.".to_owned(),
    }
}

/// A version that can be decided on, by the verbs of its room.
pub trait Decidable: Sync {
    /// Lets it in.
    type Admit: Operation + Sync;
    /// Lets it in although something was found.
    type Waive: Operation + Sync;
    /// Does not let it in.
    type Refuse: Operation + Sync;

    fn admit(&self, reason: String) -> Self::Admit;
    fn waive(&self, reason: String, until: Micros) -> Self::Waive;
    fn refuse(&self, reason: String) -> Self::Refuse;
    /// Where its page is.
    fn page(&self) -> String;
    /// How it stands now, as [`mark`] writes it.
    fn standing(&self, visitor: &Visitor) -> impl Future<Output = Result<String, Problem>> + Send;
}

/// Tells how a version stands from how it stood: its state, and the report that somebody decides on.
#[must_use]
pub fn mark(state: DataState, report_sha256: Option<[u8; 32]>) -> String {
    format!("{}.{}", state.word(), report_sha256.map(|digest| hex(&digest)).unwrap_or_default())
}

/// A person's decision, in a sentence behind the verdict; nothing where an inspection decided.
#[must_use]
pub fn person_words(decision: Option<&Decision>, decider: Option<&str>) -> String {
    let by_a_person = decision.filter(|decision| decision.kind != DecisionKind::Inspection);
    by_a_person.map_or_else(String::new, |decision| format!(" {} decided so: {}", decided_by(decision, decider), decision.why))
}

fn decided_by(decision: &Decision, decider: Option<&str>) -> String {
    match (decision.kind, decider) {
        (DecisionKind::Inspection, _) => "its inspection".to_owned(),
        (_, Some(name)) => name.to_owned(),
        (_, None) => decision.by.clone(),
    }
}

/// Who decided a version's state, when and why, as facts; nothing while nobody has.
#[must_use]
pub fn decision_facts(decision: Option<&Decision>, decider: Option<&str>) -> Vec<(&'static str, String)> {
    let Some(decision) = decision else { return Vec::new() };
    let by = decided_by(decision, decider);
    let how = if decision.kind == DecisionKind::Waiver { ", by a waiver" } else { "" };
    vec![("Decided", format!("{} by {by}{how}", moment(decision.at))), ("Why", decision.why.clone())]
}

impl May {
    /// What of this whoever looks may decide on a version.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    pub async fn of(self, visitor: &Visitor, version: &impl Decidable) -> Result<Self, Problem> {
        let why = String::new;
        Ok(Self {
            admit: self.admit && visitor.might(&version.admit(why())).await?,
            waive: self.waive && visitor.might(&version.waive(why(), Micros(i64::MAX))).await?,
            refuse: self.refuse && visitor.might(&version.refuse(why())).await?,
        })
    }
}

/// Decides as the form says, and leads back to the version's page.
///
/// # Errors
/// The verb's own.
pub async fn decide(
    visitor: &Visitor,
    version: &impl Decidable,
    Word { decision, reason, seen }: Word,
) -> Result<Answer, Problem> {
    if let Some(seen) = seen
        && seen != version.standing(visitor).await?
    {
        let message = "the version has changed since you looked at it: another state, or another report. Nothing was decided; look at it again";
        return Err(Problem::new(Kind::Conflict, message));
    }
    match decision {
        Decided::Admit => drop(visitor.call(version.admit(reason)).await?),
        Decided::Refuse => drop(visitor.call(version.refuse(reason)).await?),
        Decided::Waive(days) => drop(visitor.call(version.waive(reason, until(visitor.at(), days))).await?),
    }
    Ok(redirect_in(visitor.workspace(), &version.page()))
}

/// The documents that an inspection left, by name and address.
#[must_use]
pub fn documents(page: &str, has_report: bool) -> Vec<(&'static str, String)> {
    let all = [
        ("The whole report", "report.html"),
        ("Report as JSON", "report.json"),
        ("Signed statement", "attestation.json"),
        ("Croissant", "croissant.json"),
    ];
    all.into_iter().filter(|_| has_report).map(|(name, file)| (name, format!("{page}/documents/{file}"))).collect()
}

/// A decision as the form brings it.
pub enum Decided {
    Admit,
    Waive(i64),
    Refuse,
}

/// What the form says.
pub struct Word {
    decision: Decided,
    reason: String,
    /// What was seen of the version; none in a form that a program made.
    seen: Option<String>,
}

/// Reads the form: what is decided, and why.
///
/// # Errors
/// `Invalid`, saying what is missing.
pub fn decided(inbound: &Inbound) -> Result<Word, Problem> {
    let form: Form = inbound.form()?;
    let reason = form.get("reason").unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        return Err(Problem::invalid("say why: the reason stands in the log"));
    }
    let days = |text: Option<&str>| {
        text.and_then(|text| text.trim().parse::<i64>().ok())
            .filter(|days| (1..=365).contains(days))
            .ok_or_else(|| Problem::invalid("a waiver takes a number of days, from 1 to 365"))
    };
    let decision = match form.get("decision") {
        Some("admit") => Decided::Admit,
        Some("waive") => Decided::Waive(days(form.get("days"))?),
        Some("refuse") => Decided::Refuse,
        _ => return Err(Problem::invalid("choose a decision: admit, waive or refuse; nothing was decided")),
    };
    Ok(Word { decision, reason, seen: form.get("seen").map(str::to_owned) })
}

/// When a waiver ends that is given now.
const fn until(now: Micros, days: i64) -> Micros {
    now.plus_secs(days * DAY_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_done_is_offered() {
        let open = |state, judged| {
            let May { admit, waive, refuse } = May::open(state, judged);
            (admit, waive, refuse)
        };
        assert_eq!(open(DataState::Quarantined, Some(Verdict::Waiver)), (false, true, true));
        assert_eq!(open(DataState::Quarantined, Some(Verdict::Refuse)), (false, false, true));
        assert_eq!(open(DataState::Quarantined, None), (false, false, true));
        assert_eq!(open(DataState::Refused, Some(Verdict::Pass)), (true, false, false));
        assert_eq!(open(DataState::Admitted, Some(Verdict::Waiver)), (false, false, true));
    }

    #[test]
    fn the_step_of_an_inspection_is_told_while_it_runs() {
        let running = |done| progress_words(InspectionState::Running, "reading", done);
        assert_eq!(running((3, Some(9))), "It is being inspected now: reading, 3 of 9.");
        assert_eq!(running((3, None)), "It is being inspected now: reading, 3 done.");
        assert_eq!(running((0, None)), "It is being inspected now: reading.");
        assert!(progress_words(InspectionState::Queued, "", (0, None)).contains("waits for its turn"));
        assert_eq!(progress_words(InspectionState::Done, "done", (9, Some(9))), "");
    }

    #[test]
    fn who_decided_is_told_with_why() {
        let of = |kind| Decision { kind, by: "u_1".to_owned(), at: Micros(0), why: "looked at it".to_owned() };
        let told = decision_facts(Some(&of(DecisionKind::Waiver)), Some("ann"));
        assert!(told[0].1.ends_with(" by ann, by a waiver") && told[1].1 == "looked at it", "{told:?}");
        assert!(decision_facts(Some(&of(DecisionKind::Inspection)), None)[0].1.ends_with("by its inspection"));
        assert!(decision_facts(None, None).is_empty());
        assert_eq!(person_words(Some(&of(DecisionKind::Reviewer)), Some("ann")), " ann decided so: looked at it");
        assert_eq!(person_words(Some(&of(DecisionKind::Inspection)), None), "");
    }
}
