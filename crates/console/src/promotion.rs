//! An alias of a model is moved to a version: what the version's page says of that, a page that shows what would change, and the move. Rolling
//! back is the same, towards an older version.

use admission::Standing;
use admission::ops::{ListStandings, ShowStanding};
use data::{Verdict, Which};
use gate::{DataState, Operation, Visitor};
use http::Method;
use kernel::Problem;
use registry::RegisteredModel;
use registry::ops::{GetModel, SetAlias};
use serving::ops::SearchEndpoints;
use serving::{Choice, Endpoint};
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, first_of, if_allowed, part};
use crate::models::{PAGE, address};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Sections};
use crate::version::May;

/// Aliases that a version's page shows.
const ALIAS_ROWS: usize = 50;
/// Endpoints of a model that are looked through for those that follow an alias.
const ENDPOINT_COUNT_MAX: usize = 200;
/// Versions before one that are looked through for the one to go back to, and those of them that are read at once: mostly it is the first.
const EARLIER_COUNT_MAX: usize = 1_000;
const EARLIER_ROWS: usize = 20;

/// What a version's page says of aliases.
pub struct Promotion {
    /// What keeps the version from being promoted; empty if nothing does.
    pub obstacle: String,
    /// Who does what about that.
    pub advice: &'static str,
    /// Where the form asks what another alias would change; empty for who may not move one, or while something stands against it.
    pub ask: String,
    pub aliases: Table,
}

/// Where it is shown what moving an alias to a version would change, and where the move is asked for.
fn place(name: &str, number: i64) -> String {
    format!("{}/promote", address(name, number))
}

fn preview_address(name: &str, number: i64, alias: &str) -> String {
    format!("{}?alias={}", place(name, number), part(alias))
}

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{model}}/{{version}}/promote");
    let own = rooms.clone();
    let verbs = [ShowStanding::ACTION, GetModel::ACTION, SearchEndpoints::ACTION];
    door.choice(Method::GET, &path, &verbs, move |inbound| {
        let (rooms, alias) = (own.clone(), Query::of(inbound)?.text("alias"));
        let alias = alias.ok_or_else(|| Problem::invalid("name an alias, such as `champion`"))?;
        let (name, version) = (inbound.path("model").to_owned(), inbound.path("version").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { preview(visitor, &rooms, (name, version), alias).await })))
    });
    let room = rooms.registry.clone();
    let set = move |inbound: &Inbound| {
        let (form, name, version) = (inbound.form()?, inbound.path("model").to_owned(), inbound.path("version").to_owned());
        form.sure()?;
        let alias = form.need("alias")?.trim().to_owned();
        let back = format!("{PAGE}/{}/{}#promote", part(&name), part(&version));
        let seen = form.get("seen").map(str::to_owned);
        Ok((SetAlias { room: room.clone(), name, alias, version, seen }, (inbound.workspace().to_owned(), back)))
    };
    door.route_with(Method::POST, &path, set, |(), (workspace, back)| Ok(redirect_in(&workspace, &back)));
}

impl Promotion {
    /// What there is to say of a version, with what may be decided on it.
    ///
    /// # Errors
    /// The verbs' own.
    pub async fn of(
        visitor: &Visitor,
        rooms: &Rooms,
        standing: &Standing,
        (obstacle, judged, may): (Option<String>, Option<Verdict>, May),
    ) -> Result<Option<Self>, Problem> {
        let (name, number) = (standing.name.as_str(), standing.subject.number);
        let Some(model) = if_allowed(visitor, GetModel { room: rooms.registry.clone(), name: name.to_owned() }).await? else {
            return Ok(None);
        };
        let may_move = visitor.might(&set_alias(rooms, name, number)).await?;
        let followers = followers(visitor, rooms, name).await?;
        let points_here = model.aliases.iter().any(|alias| alias.version == number);
        let earlier = if may_move && points_here { earlier(visitor, rooms, standing).await? } else { None };
        let may_promote = may_move && obstacle.is_none();
        let row = |alias: &registry::Alias| {
            let act = match (alias.version == number, earlier) {
                (true, Some(earlier)) => {
                    let words = format!("Roll {} back to version {earlier}", alias.alias);
                    Cell::link(words, preview_address(name, earlier, &alias.alias))
                }
                (true, None) => Cell::text("points here"),
                (false, _) if may_promote => {
                    let words = format!("Move {} to version {number}", alias.alias);
                    Cell::link(words, preview_address(name, number, &alias.alias))
                }
                (false, _) => Cell::text(""),
            };
            let version = Cell::link(alias.version.to_string(), address(name, alias.version));
            vec![Cell::text(alias.alias.clone()), version, Cell::text(followers.words(&alias.alias)), act]
        };
        let mut aliases: Vec<&registry::Alias> = model.aliases.iter().collect();
        aliases.sort_by_key(|alias| alias.version != number);
        let rows = aliases.iter().take(ALIAS_ROWS).map(|alias| row(alias)).collect();
        let title = first_of("Aliases of this model", aliases.len(), ALIAS_ROWS);
        let columns = ["Alias", "Points at", "Endpoints that follow it", "What you can do"];
        let advice = if obstacle.is_some() { advice(standing.state_at(visitor.at()), judged, may) } else { "" };
        Ok(Some(Self {
            obstacle: obstacle.unwrap_or_default(),
            advice,
            ask: if may_promote { place(name, number) } else { String::new() },
            aliases: Table::whole("aliases", title, &columns, rows, "It has none yet."),
        }))
    }
}

/// Who does what, so that a version that cannot be promoted can be.
const fn advice(state: DataState, judged: Option<Verdict>, may: May) -> &'static str {
    let waits = matches!(state, DataState::Quarantined | DataState::Refused);
    match judged {
        Some(Verdict::Waiver) if waits && may.waive => "Waive what was found, above; then it can be promoted.",
        Some(Verdict::Waiver) if waits => {
            "It takes a second person: somebody who may waive, and who did not bring the version, decides on this page. Send them its address."
        }
        Some(Verdict::Pass) if waits && may.admit => "Let it in, above; then it can be promoted.",
        Some(Verdict::Pass) if waits => {
            "It takes a second person: a reviewer who did not bring the version lets it in on this page. Send them its address."
        }
        _ => "",
    }
}

fn set_alias(rooms: &Rooms, name: &str, number: i64) -> SetAlias {
    let (name, version) = (name.to_owned(), number.to_string());
    SetAlias { room: rooms.registry.clone(), name, alias: String::new(), version, seen: None }
}

/// The newest version before one that is let in.
async fn earlier(visitor: &Visitor, rooms: &Rooms, standing: &Standing) -> Result<Option<i64>, Problem> {
    let admitted = |one: &&Standing| one.state_at(visitor.at()) == DataState::Admitted;
    let mut after = Some(format!("{}/{}", standing.name, standing.subject.number));
    for _ in 0..EARLIER_COUNT_MAX / EARLIER_ROWS {
        let list = ListStandings {
            room: rooms.admission.clone(),
            name: Some(standing.name.clone()),
            part: None,
            which: Which::All,
            after,
            rows: Some(EARLIER_ROWS),
        };
        let Some(page) = if_allowed(visitor, list).await? else { break };
        if let Some(found) = page.rows.iter().find(admitted) {
            return Ok(Some(found.subject.number));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(None)
}

/// The endpoints of a model, as far as the visitor may know of them.
struct Followers {
    /// None where they may not be known.
    endpoints: Option<Vec<Endpoint>>,
    is_whole: bool,
}

async fn followers(visitor: &Visitor, rooms: &Rooms, name: &str) -> Result<Followers, Problem> {
    let (room, model) = (rooms.serving.clone(), Some(name.to_owned()));
    let found = if_allowed(visitor, SearchEndpoints { room, model, after: None, rows: Some(ENDPOINT_COUNT_MAX) }).await?;
    let is_whole = found.as_ref().is_some_and(|found| found.next.is_none());
    Ok(Followers { endpoints: found.map(|found| found.rows), is_whole })
}

/// How an endpoint follows an alias, if it does.
fn follows(endpoint: &Endpoint, alias: &str) -> Option<String> {
    let is_it = |choice: &Choice| matches!(choice, Choice::Alias(named) if named == alias);
    let running = endpoint.rollout.as_ref().filter(|rollout| rollout.halted.is_none() && is_it(&rollout.choice));
    match running {
        _ if is_it(&endpoint.choice) => Some("it answers with the version that the alias points at".to_owned()),
        Some(rollout) => {
            let share = f64::from(rollout.share_permille) / 10.0;
            Some(format!("the version is on trial as a {} in {share} % of the requests", rollout.mode.as_str()))
        }
        None => None,
    }
}

impl Followers {
    fn of(&self, alias: &str) -> Vec<(&Endpoint, String)> {
        let all = self.endpoints.as_deref().unwrap_or_default();
        all.iter().filter_map(|endpoint| Some((endpoint, follows(endpoint, alias)?))).collect()
    }

    fn words(&self, alias: &str) -> String {
        if self.endpoints.is_none() {
            return "not shown to you".to_owned();
        }
        let names: Vec<&str> = self.of(alias).iter().map(|(endpoint, _)| endpoint.name.as_str()).collect();
        let more = if self.is_whole { "" } else { ", and perhaps more" };
        if names.is_empty() { format!("none{more}") } else { format!("{}{more}", names.join(", ")) }
    }

    fn table(&self, alias: &str) -> Table {
        let row = |(endpoint, how): &(&Endpoint, String)| {
            let name = Cell::link(endpoint.name.clone(), format!("/console/endpoints/{}", part(&endpoint.name)));
            vec![name, Cell::text(how.clone())]
        };
        let rows = self.of(alias).iter().map(row).collect();
        let empty = match (&self.endpoints, self.is_whole) {
            (None, _) => "Which endpoints follow it is not shown to you: some may answer otherwise at once.".to_owned(),
            (_, true) => {
                "No endpoint follows this alias. Whoever loads the model by it gets the other version from then on.".to_owned()
            }
            (_, false) => format!("None of the first {ENDPOINT_COUNT_MAX} endpoints of this model follows this alias."),
        };
        Table::whole("followers", "What answers otherwise from then on", &["Endpoint", "How it follows the alias"], rows, empty)
    }
}

fn number_of(model: &RegisteredModel, alias: &str) -> Option<i64> {
    model.aliases.iter().find(|one| one.alias == alias).map(|one| one.version)
}

/// What moving an alias would change, and the button that does.
async fn preview(visitor: &Visitor, rooms: &Rooms, (name, version): (String, String), alias: String) -> Result<Answer, Problem> {
    let show = |version: String| ShowStanding { room: rooms.admission.clone(), name: name.clone(), version };
    let wanted = visitor.call(show(version)).await?;
    let model = visitor.call(GetModel { room: rooms.registry.clone(), name: name.clone() }).await?;
    let (number, now) = (wanted.standing.subject.number, number_of(&model, &alias));
    let followers = followers(visitor, rooms, &name).await?;
    let is_back = now.is_some_and(|now| now > number);
    let mut page = Sections::new(format!("{name}@{alias}"));
    page.back = ("The version", address(&name, number));
    let points = now.map_or_else(|| "There is no such alias yet.".to_owned(), |now| format!("It points at version {now} now."));
    if now == Some(number) {
        page.state = Cell::state("points at this version", Tone::Good);
        page.words.push("There is nothing to move.".to_owned());
    } else if let Some(obstacle) = &wanted.obstacle {
        page.state = Cell::state("cannot be promoted", Tone::Bad);
        page.words.push(format!("{points} Version {number} cannot be promoted: {obstacle}."));
    } else if visitor.might(&set_alias(rooms, &name, number)).await? {
        page.state = Cell::state(if is_back { "not rolled back yet" } else { "not promoted yet" }, Tone::Wait);
        page.words.push(format!("{points} Version {number} stands in for it once you move the alias."));
        page.acts.push(Deed {
            action: place(&name, number),
            words: if is_back { "Roll back" } else { "Promote" },
            what: format!("{alias} points at version {number} from then on."),
            hidden: vec![("alias", alias.clone()), ("seen", now.map(|now| now.to_string()).unwrap_or_default())],
            is_plain: false,
            is_grave: true,
        });
    } else {
        page.words.push(format!("{points} A deployer, a reviewer or an owner moves it: you may not."));
    }
    let row = |when: &str, one: &Standing| {
        let (state, number) = (one.state_at(visitor.at()), one.subject.number);
        vec![
            Cell::text(when),
            Cell::link(format!("{name}/{number}"), address(&name, number)),
            Cell::state(state.word(), Tone::of_state(state)),
            Cell::text(moment(one.submitted_at)),
        ]
    };
    let mut rows = Vec::new();
    if let Some(now) = now.filter(|now| *now != number) {
        // It was deleted while its alias was read.
        let shown = match if_allowed(visitor, show(now.to_string())).await {
            Err(problem) if problem.kind() == kernel::Kind::NotFound => None,
            shown => shown?,
        };
        rows.extend(shown.map(|shown| row("now", &shown.standing)));
        let pair = format!("{}&version={}", part(&format!("{name}/{now}")), part(&format!("{name}/{number}")));
        page.links.push(("Both versions side by side".to_owned(), format!("/console/compare/models?version={pair}")));
    }
    rows.push(row(if now == Some(number) { "now" } else { "afterwards" }, &wanted.standing));
    let columns = ["When", "Version", "State", "Registered"];
    page.sections.push(Table::whole("versions", "What the alias points at", &columns, rows, ""));
    if now != Some(number) {
        page.sections.push(followers.table(&alias));
    }
    page_in(visitor.workspace(), &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_to_act_first_is_told() {
        let (nobody, reviewer) = (May::default(), May { admit: true, waive: true, refuse: true });
        let say = |state, judged, may| advice(state, judged, may);
        assert!(say(DataState::Quarantined, Some(Verdict::Waiver), nobody).contains("second person"));
        assert!(say(DataState::Quarantined, Some(Verdict::Waiver), reviewer).contains("Waive what was found"));
        assert!(say(DataState::Refused, Some(Verdict::Pass), nobody).contains("a reviewer who did not bring"));
        assert_eq!(say(DataState::Refused, Some(Verdict::Refuse), reviewer), "");
        assert_eq!(
            say(DataState::Admitted, Some(Verdict::Waiver), reviewer),
            "",
            "its files changed, or its waiver was not the matter"
        );
    }
}
