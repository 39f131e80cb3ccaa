//! The ways of the search: what somebody reaches in one step, and whom somebody can act as.

use super::{Edge, Goal, NAMED_COUNT_MAX, Search, Step};
use crate::review::{EndpointRow, Someone, Spot, TokenRow};
use crate::types::{PrincipalKind, Resource};

/// The role whose office it is to give others what it does not hold itself.
const OFFICE: &str = "administrator";
/// Who may do this makes accounts, whoever's they are.
const MAKES_ACCOUNTS: [&str; 2] = ["users.create", "users.set_password"];
/// Who may do this makes accounts whose holders come by a provider, and fills groups with them.
const PROVISIONS: [&str; 1] = ["provisioning.create_user"];
const PROVISIONED: &str = "role_for_an_account_of_ones_own_provisioner";

/// An account that somebody acts as: how they come to that, and the grants by which it may do its half.
struct Hand<'a> {
    who: &'a Someone,
    steps: &'a [Step],
    grants: Vec<String>,
}

/// The way to both hands, and what they do together.
fn joined(one: &Hand<'_>, other: &Hand<'_>, last: Step) -> Vec<Step> {
    let mut steps = one.steps.to_vec();
    for step in other.steps {
        if !steps.contains(step) {
            steps.push(step.clone());
        }
    }
    let mut evidence = [one.grants.as_slice(), other.grants.as_slice(), last.evidence.as_slice()].concat();
    evidence.dedup();
    steps.push(Step { evidence, ..last });
    steps
}

impl Search<'_> {
    /// Goals that somebody reaches from here in one step.
    pub(super) fn direct(&self, who: &Someone) -> Vec<(Goal, Step, bool)> {
        let mut found = Vec::new();
        self.by_new_account(who, &mut found);
        self.by_provisioned_account(who, &mut found);
        self.by_code(who, &mut found);
        self.by_restore(who, &mut found);
        if let Some(evidence) = self.may(who, &["elevations.break_glass"], &Spot::server()) {
            let words = format!("`{}` may make themself administrator in an emergency; that alarms", who.name);
            found.push((Goal::Administrator, Step { how: "break_glass", words, evidence }, true));
        }
        for endpoint in &self.world.endpoints {
            found.extend(self.by_endpoint(who, endpoint));
        }
        for id in self.world.workspaces.keys() {
            let takes_away = ["retention.bypass", "buckets.bypass", "buckets.remove"];
            if let Some(evidence) = self.may(who, &takes_away, &self.spot_of(id)) {
                let words = format!("`{}` may both bypass retention and delete what it held", who.name);
                found.push((Goal::Evidence(id.clone()), Step { how: "retention_settings", words, evidence }, false));
            }
        }
        found
    }

    /// A new account, and a role for it.
    fn by_new_account(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        let Some(evidence) = self.may(who, &MAKES_ACCOUNTS, &Spot::server()) else { return };
        for id in self.world.workspaces.keys() {
            if self.gives_roles(who, id).is_some() {
                let words = format!("`{}` makes an account, sets its password and gives it a role on the workspace", who.name);
                found.push((Goal::Data(id.clone()), Step { how: "new_account", words, evidence: evidence.clone() }, true));
            }
        }
    }

    /// The grants by which it is somebody's office to give roles on a workspace.
    fn gives_roles(&self, who: &Someone, workspace: &str) -> Option<Vec<String>> {
        if !self.grants_of(who).any(|grant| grant.role == OFFICE) {
            return None;
        }
        let grants = self.decider.grants(&who.caller(), "grants.create", &self.spot_of(workspace))?;
        let of_office: Vec<String> = grants.iter().filter(|grant| grant.role == OFFICE).map(|grant| grant.id.clone()).collect();
        (!of_office.is_empty()).then_some(of_office)
    }

    /// The same, of somebody who does not make accounts by office anyway.
    fn only_gives_roles(&self, who: &Someone, workspace: &str) -> Option<Vec<String>> {
        self.gives_roles(who, workspace).filter(|_| self.may(who, &MAKES_ACCOUNTS, &Spot::server()).is_none())
    }

    /// An account that somebody makes as a directory does, and a role for it.
    fn by_provisioned_account(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        let Some(makes) = self.may(who, &PROVISIONS, &Spot::server()) else { return };
        for id in self.world.workspaces.keys() {
            let Some(gives) = self.only_gives_roles(who, id) else { continue };
            let words = format!(
                "`{}` makes an account as a directory does, and gives it, or a group that it is put into, a role on the workspace",
                who.name
            );
            let evidence = [makes.as_slice(), gives.as_slice()].concat();
            found.push((Goal::Data(id.clone()), Step { how: PROVISIONED, words, evidence }, false));
        }
    }

    /// Old grants come back with an old backup.
    fn by_restore(&self, who: &Someone, found: &mut Vec<(Goal, Step, bool)>) {
        let Some(grants) = self.may(who, &["backups.request_restore"], &Spot::server()) else { return };
        let mine = |principal: &String| *principal == who.id || who.groups.contains(principal);
        for old in self.world.revoked.iter().filter(|old| mine(&old.principal)) {
            for goal in self.given_by(old) {
                let words =
                    format!("`{}` asks for a restore, a second person agrees, and the role `{}` is back", who.name, old.role);
                let evidence = grants.iter().cloned().chain([old.id.clone()]).collect();
                found.push((goal, Step { how: "restore_of_an_old_backup", words, evidence }, false));
            }
        }
    }

    /// A model of one's own that an endpoint answers with, and nobody else was asked.
    fn by_endpoint(&self, who: &Someone, endpoint: &EndpointRow) -> Option<(Goal, Step, bool)> {
        let model = Resource::RegisteredModel(endpoint.model.clone());
        let spot = Spot::of(&model, Some(&endpoint.workspace));
        let mut evidence = self.may(who, &["versions.create"], &spot)?;
        let follows = endpoint.choice.starts_with('@');
        let (how, words) = if let (true, Some(grants)) = (follows, self.may(who, &["models.alias"], &spot)) {
            evidence.extend(grants);
            let way = format!("`{}` makes versions and moves `{}`, which the endpoint follows", who.name, endpoint.choice);
            ("alias_that_an_endpoint_follows", way)
        } else if let Some(grants) = self.may(who, &["endpoints.update"], &spot) {
            evidence.extend(grants);
            let way = format!(
                "`{}` makes versions and puts them to work: what inspection finds nothing in, nobody else is asked about",
                who.name
            );
            ("own_version_put_to_work", way)
        } else {
            return None;
        };
        evidence.push(format!("endpoint {} answers with {}", endpoint.name, endpoint.choice));
        evidence.dedup();
        Some((Goal::Answers(endpoint.name.clone()), Step { how, words, evidence }, false))
    }

    /// What two accounts come to together, one of which may do the one half and another the other, if somebody acts as both. The nearest come first.
    pub(super) fn by_several_hands(&self, hands: &[(&Someone, Vec<Step>)]) -> Vec<(Goal, Vec<Step>)> {
        let mut found = Vec::new();
        if hands.len() < 2 {
            return found;
        }
        let first = |verbs: &[&str], spot: &Spot| {
            hands.iter().find_map(|(who, steps)| Some(Hand { who, steps, grants: self.may(who, verbs, spot)? }))
        };
        for endpoint in &self.world.endpoints {
            let spot = Spot::of(&Resource::RegisteredModel(endpoint.model.clone()), Some(&endpoint.workspace));
            let Some(makes) = first(&["versions.create"], &spot) else { continue };
            let moves = first(&["models.alias"], &spot).filter(|_| endpoint.choice.starts_with('@'));
            let (how, decides) = match moves {
                Some(moves) => ("alias_that_an_endpoint_follows", Some(moves)),
                None => ("own_version_put_to_work", first(&["endpoints.update"], &spot)),
            };
            let Some(decides) = decides.filter(|decides| decides.who.node() != makes.who.node()) else { continue };
            let words =
                format!("`{}` makes versions, and `{}` has the endpoint answer with them", makes.who.name, decides.who.name);
            let evidence = vec![format!("endpoint {} answers with {}", endpoint.name, endpoint.choice)];
            found.push((Goal::Answers(endpoint.name.clone()), joined(&makes, &decides, Step { how, words, evidence })));
        }
        for id in self.world.workspaces.keys() {
            let spot = self.spot_of(id);
            let Some(frees) = first(&["retention.bypass", "buckets.bypass"], &spot) else { continue };
            let Some(removes) = first(&["buckets.remove"], &spot) else { continue };
            if frees.who.node() == removes.who.node() {
                continue;
            }
            let words = format!("`{}` bypasses retention, and `{}` deletes what it held", frees.who.name, removes.who.name);
            let step = Step { how: "retention_settings", words, evidence: Vec::new() };
            found.push((Goal::Evidence(id.clone()), joined(&frees, &removes, step)));
        }
        let Some(makes) = first(&PROVISIONS, &Spot::server()) else { return found };
        for id in self.world.workspaces.keys() {
            let gives = hands.iter().find_map(|(who, steps)| Some(Hand { who, steps, grants: self.only_gives_roles(who, id)? }));
            let Some(gives) = gives.filter(|gives| gives.who.node() != makes.who.node()) else { continue };
            let words = format!(
                "`{}` makes an account, and `{}` gives it, or a group that it is put into, a role on the workspace",
                makes.who.name, gives.who.name
            );
            let step = Step { how: PROVISIONED, words, evidence: Vec::new() };
            found.push((Goal::Data(id.clone()), joined(&makes, &gives, step)));
        }
        found
    }

    /// A directory elsewhere says who is in a group that it looks after: whoever holds its token puts a person of theirs there. Groups that
    /// hold an office are out of its reach.
    fn by_provisioning(&self, who: &Someone) -> Vec<Edge> {
        let verbs = ["provisioning.create_user", "provisioning.change_group"];
        let Some(grants) = self.may(who, &verbs, &Spot::server()) else { return Vec::new() };
        let own = self.world.looked_after.iter().filter(|(_, by)| **by == who.id);
        let groups = own.filter_map(|(id, _)| self.world.people.get(id)).filter(|group| !self.holds_office(group));
        let edge = |group: &Someone| {
            let words =
                format!("`{}` makes an account and puts it into the group `{}`, which it looks after", who.name, group.name);
            let evidence = grants.iter().cloned().chain([format!("looks after {}", group.id)]).collect();
            Edge { to: group.id.clone(), step: Step { how: "account_by_provisioning", words, evidence }, by_office: true }
        };
        groups.map(edge).collect()
    }

    /// Tokens of service accounts that somebody made and so has, whether they may still make any or not.
    fn by_live_tokens(&self, who: &Someone) -> Vec<Edge> {
        let service =
            |id: &String| self.world.people.get(id).filter(|one| one.kind == PrincipalKind::Service && one.id != who.id);
        // Who has one token of an account has not those that the account made.
        let own = self.world.tokens.iter().filter(|token| token.created_by == who.id && who.token.is_none());
        let edge = |token: &TokenRow| {
            let service = service(&token.principal)?;
            let (until, only) = (token.expires_at.rfc3339(), self.only(token));
            let words = format!(
                "`{}` made a token of the service account `{}`, which counts until {until}{only}",
                who.name, service.name
            );
            let evidence = vec![format!("token {}", token.id)];
            let to = if token.is_narrowed() { &token.id } else { &service.id };
            Some(Edge { to: to.clone(), step: Step { how: "live_token_of_a_service", words, evidence }, by_office: false })
        };
        own.filter_map(edge).collect()
    }

    /// What a token is narrowed to, as the end of a sentence.
    fn only(&self, token: &TokenRow) -> String {
        let mut words = String::new();
        if !token.scopes.is_empty() {
            let scopes: Vec<String> = token.scopes.iter().take(NAMED_COUNT_MAX).map(|scope| format!("`{scope}`")).collect();
            let more = if token.scopes.len() > scopes.len() { " and more" } else { "" };
            words = format!(", only for {}{more}", scopes.join(", "));
        }
        if let Some(id) = &token.workspace {
            words.push_str(&format!(", only in the workspace `{}`", self.world.workspaces.get(id).unwrap_or(id)));
        }
        words
    }

    fn holds_office(&self, group: &Someone) -> bool {
        let mine = |principal: &String| *principal == group.id || group.groups.contains(principal);
        let mut own = self.world.grants.iter().filter(|grant| mine(&grant.principal));
        own.any(|grant| self.decider.is_office(&grant.role))
    }

    /// Whom somebody can act as.
    pub(super) fn edges(&self, who: &Someone) -> Vec<Edge> {
        let mut edges = Vec::new();
        let server = Spot::server();
        if let Some(grants) = self.may(who, &["tokens.create_for"], &server) {
            let own = self.world.people.values().filter(|one| one.kind == PrincipalKind::Service && one.owner == who.id);
            for service in own {
                let words = format!("`{}` made the service account `{}` and mints its tokens", who.name, service.name);
                let evidence = grants.iter().cloned().chain([format!("owner of {}", service.id)]).collect();
                edges.push(Edge {
                    to: service.id.clone(),
                    step: Step { how: "token_of_own_service", words, evidence },
                    by_office: false,
                });
            }
        }
        edges.extend(self.by_live_tokens(who));
        if let Some(evidence) = self.may(who, &["users.set_password"], &server) {
            for other in self.world.people.values().filter(|one| one.kind == PrincipalKind::User && one.id != who.id) {
                let words = format!("`{}` sets the password of `{}`", who.name, other.name);
                edges.push(Edge {
                    to: other.id.clone(),
                    step: Step { how: "password_of_another", words, evidence: evidence.clone() },
                    by_office: true,
                });
            }
        }
        edges.extend(self.by_provisioning(who));
        if let Some(evidence) = self.may(who, &["users.create", "users.set_password", "groups.add_member"], &server) {
            for group in self.world.people.values().filter(|one| one.kind == PrincipalKind::Group) {
                let words = format!("`{}` makes an account and puts it into the group `{}`", who.name, group.name);
                edges.push(Edge {
                    to: group.id.clone(),
                    step: Step { how: "account_into_a_group", words, evidence: evidence.clone() },
                    by_office: true,
                });
            }
        }
        edges
    }
}
