//! `detections.list`, `detections.get` and `detections.rules`.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::rules::Level;
use crate::store::{self, Wish};
use crate::types::Detection;
use crate::{Detect, Rung};

/// Detections of one page.
pub const PAGE_COUNT_MAX: i64 = 500;
const PAGE_COUNT: i64 = 100;

/// Lists detections, the newest first or the gravest.
pub struct ListDetections {
    /// The room.
    pub room: Detect,
    /// Only those that are at least so bad.
    pub level: Option<Level>,
    /// Only those that nobody is on.
    pub open_only: bool,
    /// Whether the gravest come first, and only of equals the newest.
    pub gravest_first: bool,
    /// Where the page before ended, as a page in the same order gave it.
    pub after: Option<String>,
    /// How many at most.
    pub rows: Option<i64>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectionPage {
    /// In the order that was asked for.
    pub rows: Vec<Detection>,
    /// Where the next page begins; none behind the last.
    pub next: Option<String>,
}

impl Operation for ListDetections {
    const ACTION: Action = super::LIST;
    type Output = DetectionPage;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<DetectionPage, Problem> {
        let count = self.rows.unwrap_or(PAGE_COUNT).clamp(1, PAGE_COUNT_MAX);
        let (behind, before) = match self.after.as_deref() {
            Some(after) if self.gravest_first => {
                let (level, after) = after.split_once(':').ok_or_else(no_place)?;
                (Some(Level::parse(level).ok_or_else(no_place)?), Some(parse_after(after)?))
            }
            after => (None, after.map(parse_after).transpose()?),
        };
        let wish = Wish { level: self.level, open_only: self.open_only, exactly: None, before, count: count + 1 };
        let gravest_first = self.gravest_first;
        let read = move |reader: &mut vault::db::Reader<'_>| {
            Ok(if gravest_first { store::gravest(reader, &wish, behind)? } else { store::page(reader, &wish)? })
        };
        let mut rows = self.room.db.read(&permit, read).await?;
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let place = |last: &Detection| {
            let after = format!("{}.{}", last.first_at.0, last.id);
            if gravest_first { format!("{}:{after}", last.level.word()) } else { after }
        };
        let next = rows.last().filter(|_| has_more).map(place);
        Ok(DetectionPage { rows, next })
    }
}

fn parse_after(text: &str) -> Result<(i64, String), Problem> {
    let parts = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, id.to_owned())));
    parts.filter(|(_, id)| id.len() <= 64).ok_or_else(no_place)
}

fn no_place() -> Problem {
    Problem::invalid("`after` is the `next` of the page before")
}

/// Shows a detection.
pub struct GetDetection {
    /// The room.
    pub room: Detect,
    /// Its id.
    pub id: String,
}

impl Operation for GetDetection {
    const ACTION: Action = super::GET;
    type Output = Detection;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Detection, Problem> {
        let found = self.room.db.read(&permit, move |reader| Ok(store::get(reader, &self.id)?)).await?;
        found.ok_or_else(super::no_detection)
    }
}

/// Lists the rules.
pub struct ListRules {
    /// The room.
    pub room: Detect,
}

/// A rule, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleView {
    /// Its UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it finds.
    pub description: String,
    /// How bad that is.
    pub level: Level,
    /// `sigma`, `correlation` or `detector`.
    pub kind: &'static str,
    /// What is done about it at most, as the configuration lets it.
    pub response: Rung,
    /// Whether it came with this program.
    pub built_in: bool,
}

/// A rule as it is shown, where responses go as far as `most`.
pub(super) fn view(rule: &crate::rules::Rule, most: Rung) -> RuleView {
    RuleView {
        id: rule.id.clone(),
        name: rule.name.clone(),
        title: rule.title.clone(),
        description: rule.description.clone(),
        level: rule.level,
        kind: rule.looks.word(),
        response: rule.response.min(most),
        built_in: rule.built_in,
    }
}

impl Operation for ListRules {
    const ACTION: Action = super::RULES;
    type Output = Vec<RuleView>;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Vec<RuleView>, Problem> {
        let (set, most) = (self.room.current().await?, self.room.config.respond_up_to);
        let mut rules: Vec<RuleView> = set.rules().iter().map(|rule| view(rule, most)).collect();
        rules.sort_by(|one, other| (other.level, &one.name).cmp(&(one.level, &other.name)));
        Ok(rules)
    }
}
