//! Cedar, with what this program has built in: schema, role templates, and the policies that need no grant.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Effect, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, RestrictedExpression, Schema, SchemaFragment, SlotId, Template,
};
use gate::{Caller, CallerKind, DataClasses, Facts};
use kernel::{Micros, hex, sha256};
use parking_lot::RwLock;

use crate::place::{Place, target_of};
use crate::review::written;
use crate::roles::{ROLES_TEXT, Role, TO_A_VERSION, read_roles};
use crate::types::{Grant, PolicyError, PrincipalKind};

const SCHEMA_TEXT: &str = include_str!("../../../policies/strongroom.cedarschema");
const ROLE_TEMPLATES_TEXT: &str = include_str!("../../../policies/roles.cedar");
const EVERYONE_TEXT: &str = include_str!("../../../policies/everyone.cedar");
const JOBS_TEXT: &str = include_str!("../../../policies/jobs.cedar");
const FORBIDS_TEXT: &str = include_str!("../../../policies/forbids.cedar");

/// The action groups that every verb is in one of.
const READS: &str = "reads";
const WRITES: &str = "writes";
/// Actions of the schema that no room has as a verb.
pub(crate) const ESCALATE: &str = "grants.escalate";
/// The risk that counts as certain; anything above is held to it.
const RISK_MAX: i64 = 100;
/// The highest authenticator assurance level (NIST SP 800-63B).
pub(crate) const ASSURANCE_MAX: i64 = 3;
/// The highest tier of a device.
const DEVICE_TIER_MAX: u8 = 3;
/// Verdicts that a request keeps; there are few circumstances, and when these are more, all are forgotten.
const VERDICT_COUNT_MAX: usize = 64;

/// How things stand around a request. All integers are held in range before Cedar sees them: an overflow in a `forbid`
/// is an error, and Cedar skips what errs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circumstances {
    pub(crate) risk: u8,
    pub(crate) assurance: u8,
    pub(crate) locked: bool,
    /// The caller came with a browser's session.
    pub(crate) session: bool,
    /// What opened it cannot be passed on by a page that pretends to be ours.
    pub(crate) phishing_resistant: bool,
    /// How long ago its holder showed who they are, at most: one of [`PROOF_AGES_S`].
    pub(crate) proof_age_s: u32,
    /// How far the device is trusted that the caller came from; 0 for none.
    pub(crate) device_tier: u8,
    /// How far it must be, for what is read.
    pub(crate) least_tier: u8,
}

/// The ages of a proof that a policy can tell apart; an age counts as the next of these, so that verdicts can be kept. What is older counts as
/// the last.
pub(crate) const PROOF_AGES_S: [u32; 6] = [0, 300, 900, 3_600, 43_200, 2_592_000];

impl Circumstances {
    /// A token of somebody who is not risky.
    pub(crate) const CALM: Self = Self {
        risk: 0,
        assurance: 1,
        locked: false,
        session: false,
        phishing_resistant: false,
        proof_age_s: 0,
        device_tier: 0,
        least_tier: 0,
    };

    /// Nothing speaks against it, and the caller has shown all there is to show.
    pub(crate) const fn best(self) -> Self {
        Self { risk: 0, assurance: 3, phishing_resistant: true, proof_age_s: 0, ..self }
    }

    /// The same from a device that is trusted as far as any.
    pub(crate) const fn best_device(self) -> Self {
        Self { device_tier: DEVICE_TIER_MAX, ..self }
    }

    /// As this caller comes, at this risk, to what has these facts.
    pub(crate) fn of(caller: &Caller, facts: &Facts, (risk, locked): (u8, bool), now: Micros) -> Self {
        let proof = caller.proof.as_ref();
        // A proof from the future is none that a clock can be trusted with.
        let age_s = |at: Micros| u32::try_from(now.0.saturating_sub(at.0).div_euclid(1_000_000)).unwrap_or(u32::MAX);
        let counted = |age_s: u32| PROOF_AGES_S.into_iter().find(|known| age_s <= *known).unwrap_or(2_592_000);
        Self {
            risk: risk.min(100),
            assurance: caller.assurance.min(3),
            locked,
            session: proof.is_some(),
            phishing_resistant: proof.is_some_and(|proof| proof.method.is_phishing_resistant()),
            proof_age_s: proof.map_or(0, |proof| counted(age_s(proof.at))),
            device_tier: caller.device.as_ref().map_or(0, |device| device.tier.min(DEVICE_TIER_MAX)),
            least_tier: facts.least_tier.min(DEVICE_TIER_MAX),
        }
    }

    /// The same caller after another log-in: how it would be asked for (RFC 9470), from the least to the most.
    pub(crate) fn stronger(self) -> [(&'static str, Self); 5] {
        let as_strong = |assurance: u8, phishing_resistant: bool| Self {
            assurance: self.assurance.max(assurance),
            phishing_resistant: self.phishing_resistant || phishing_resistant,
            ..self
        };
        [
            (ACR_ANY, self),
            (ACR_SECOND_FACTOR, as_strong(2, false)),
            (ACR_PHISHING_RESISTANT, as_strong(2, true)),
            (ACR_HARDWARE, as_strong(3, true)),
            (ACR_PHISHING_RESISTANT, Self { risk: 0, ..as_strong(3, true) }),
        ]
    }
}

/// `acr_values`: any log-in, two factors, and as OpenID's EAP ACR names them, phishing-resistant and in hardware.
const ACR_ANY: &str = "urn:strongroom:acr:1";
const ACR_SECOND_FACTOR: &str = "urn:strongroom:acr:2";
const ACR_PHISHING_RESISTANT: &str = "phr";
const ACR_HARDWARE: &str = "phrh";

/// What is known of a data set's version, beside what it is for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DataContext {
    state: &'static str,
    classes: DataClasses,
    own: bool,
    training: bool,
}

impl DataContext {
    /// Of what is no version of a data set.
    pub(crate) const NONE: Self = Self {
        state: "none",
        classes: DataClasses { personal: false, special: false, health: false, financial: false },
        own: false,
        training: false,
    };

    /// Of what `facts` tell, to this caller.
    pub(crate) fn of(caller: &Caller, facts: &Facts) -> Self {
        let Some(data) = facts.data else { return Self::NONE };
        let scopes = caller.token.as_ref().map(|token| token.scopes.as_slice()).unwrap_or_default();
        Self {
            state: data.state.word(),
            classes: data.classes,
            own: facts.owner.as_ref() == Some(&caller.id),
            training: scopes.iter().any(|scope| scope.contains(TO_A_VERSION)),
        }
    }

    fn expression(self) -> RestrictedExpression {
        let flag = |name: &str, value: bool| (name.to_owned(), RestrictedExpression::new_bool(value));
        let fields = [
            ("state".to_owned(), RestrictedExpression::new_string(self.state.to_owned())),
            flag("personal", self.classes.personal),
            flag("special", self.classes.special),
            flag("health", self.classes.health),
            flag("financial", self.classes.financial),
            flag("own", self.own),
            flag("training", self.training),
        ];
        // The names differ, so that there is nothing to refuse; an empty record makes every policy that asks err, which refuses.
        RestrictedExpression::new_record(fields).unwrap_or_else(|_| RestrictedExpression::new_bool(false))
    }
}

/// What Cedar said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    /// The policies and grants that decided, in order of their ids.
    pub(crate) reasons: Vec<String>,
}

/// One verb with the policies that can say something about it.
pub(crate) struct Verb {
    pub(crate) name: String,
    pub(crate) writes: bool,
    /// Open to whoever is known, by a built-in policy.
    pub(crate) open: bool,
    /// Open to strangers.
    pub(crate) public: bool,
    uid: EntityUid,
    entity: Entity,
    /// All forbids, and the built-in permits that name it.
    base: PolicySet,
    /// The templates of the roles that hold it, by the role's name.
    templates: BTreeMap<String, Template>,
}

/// A request all but for its circumstances, with the few policies and entities that it needs.
///
/// INVARIANT: a verdict that is kept is what Cedar would say again. Cedar is a function of policies, entities, request and context
/// (it knows no clock and no state); the first three are fields that nobody changes, and verdicts are kept by all that the context is
/// made of. Held by `tests::engine::a_kept_verdict_is_what_cedar_says`.
pub(crate) struct Prepared {
    policies: PolicySet,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
    /// The grants that were linked.
    pub(crate) grants: Vec<Arc<Grant>>,
    /// The grants' generation that it was made from.
    pub(crate) generation: i64,
    /// The first of the grants to expire does so then.
    pub(crate) valid_until: Option<Micros>,
    verdicts: RwLock<Vec<(Circumstances, DataContext, Arc<Verdict>)>>,
}

impl Prepared {
    fn known(&self, circumstances: Circumstances, data: DataContext) -> Option<Arc<Verdict>> {
        let verdicts = self.verdicts.read();
        let known = verdicts.iter().find(|(around, about, _)| *around == circumstances && *about == data);
        known.map(|(_, _, verdict)| Arc::clone(verdict))
    }

    fn keep(&self, circumstances: Circumstances, data: DataContext, verdict: &Arc<Verdict>) {
        let mut verdicts = self.verdicts.write();
        if verdicts.len() >= VERDICT_COUNT_MAX {
            verdicts.clear();
        }
        verdicts.push((circumstances, data, Arc::clone(verdict)));
    }
}

struct Types {
    user: EntityTypeName,
    service: EntityTypeName,
    group: EntityTypeName,
    job: EntityTypeName,
    anonymous: EntityTypeName,
    server: EntityTypeName,
    audit_log: EntityTypeName,
    workspace: EntityTypeName,
    experiment: EntityTypeName,
    registered_model: EntityTypeName,
    dataset: EntityTypeName,
}

/// The engine. Immutable; one per process is enough.
pub(crate) struct Engine {
    authorizer: Authorizer,
    types: Types,
    slots: (SlotId, SlotId),
    pub(crate) roles: BTreeMap<String, Role>,
    verbs: BTreeMap<String, Verb>,
    known: BTreeSet<String>,
    #[cfg_attr(not(test), expect(dead_code, reason = "the whole set is what tests compare slices with"))]
    whole: PolicySet,
    schema: Schema,
    pub(crate) version: String,
    /// The last reason of every decision.
    pub(crate) version_reason: String,
}

static EMBEDDED: LazyLock<Result<Arc<Engine>, PolicyError>> = LazyLock::new(|| {
    let built_in = [EVERYONE_TEXT, JOBS_TEXT, FORBIDS_TEXT];
    Engine::load(SCHEMA_TEXT, ROLES_TEXT, ROLE_TEMPLATES_TEXT, &built_in).map(Arc::new)
});

impl Engine {
    /// The engine of the texts that are built in.
    pub(crate) fn embedded() -> Result<Arc<Self>, PolicyError> {
        match EMBEDDED.as_ref() {
            Ok(engine) => Ok(Arc::clone(engine)),
            Err(error) => Err(PolicyError::Embedded(error.to_string())),
        }
    }

    /// Reads all texts.
    pub(crate) fn load(schema: &str, roles: &str, templates: &str, built_in: &[&str]) -> Result<Self, PolicyError> {
        let version = version_of(&[schema, roles, templates], built_in);
        let (schema, roles) = read_schema(schema, roles)?;
        let templates = read_templates(templates)?;
        // Without its rule a role would hold nothing, and nobody would be told.
        if let Some(role) = roles.keys().find(|role| !templates.contains_key(&format!("role:{role}"))) {
            return Err(embedded(format!("the role `{role}` has no rule")));
        }
        let mut statics = Vec::new();
        for text in built_in {
            statics.extend(read_statics(text)?);
        }
        let actions = schema.action_entities().map_err(embedded)?;
        let types = Types::new()?;
        let mut verbs = BTreeMap::new();
        for entity in actions.iter() {
            let name = entity.uid().id().unescaped().to_owned();
            if name.contains('.') {
                verbs.insert(name.clone(), verb(name, entity, &actions, &statics, &templates)?);
            }
        }
        let mut whole = PolicySet::new();
        for policy in statics {
            whole.add(policy).map_err(embedded)?;
        }
        for template in templates.into_values() {
            whole.add_template(template).map_err(embedded)?;
        }
        let known = verbs.keys().filter(|name| name.as_str() != ESCALATE).cloned().collect();
        let version_reason = format!("policy:{}", version.get(..8).unwrap_or_default());
        let slots = (SlotId::principal(), SlotId::resource());
        let authorizer = Authorizer::new();
        Ok(Self { authorizer, types, slots, roles, verbs, known, whole, schema, version, version_reason })
    }

    /// Every verb that a room may have.
    pub(crate) const fn known(&self) -> &BTreeSet<String> {
        &self.known
    }

    pub(crate) fn verb(&self, name: &str) -> Option<&Verb> {
        self.verbs.get(name)
    }

    /// Puts a request together with only those of `grants` whose role holds the verb. That loses nothing: the others'
    /// action scope cannot match (held by `tests::a_slice_decides_like_the_whole`).
    pub(crate) fn prepare(
        &self,
        caller: &Caller,
        verb: &Verb,
        place: &Place,
        grants: Vec<Arc<Grant>>,
        generation: i64,
    ) -> Result<Prepared, PolicyError> {
        let mut policies = verb.base.clone();
        let grants = self.relevant(verb, grants);
        for grant in &grants {
            // Only the templates that are linked: copying the others would be most of the cost.
            if let Some(template) = verb.templates.get(&grant.role)
                && policies.template(template.id()).is_none()
            {
                policies.add_template(template.clone()).map_err(refused)?;
            }
        }
        self.link(&mut policies, &grants)?;
        let (principal, entities, resource) = self.entities(caller, verb, place)?;
        let valid_until = grants.iter().filter_map(|grant| grant.expires_at).min();
        let (action, verdicts) = (verb.uid.clone(), RwLock::default());
        Ok(Prepared { policies, entities, principal, action, resource, grants, generation, valid_until, verdicts })
    }

    /// Asks Cedar, once for the same question. Any error of any policy makes it a no, and is not kept.
    pub(crate) fn judge(&self, prepared: &Prepared, circumstances: Circumstances, data: DataContext) -> Arc<Verdict> {
        if let Some(verdict) = prepared.known(circumstances, data) {
            return verdict;
        }
        match self.ask(prepared, circumstances, data) {
            Ok(verdict) => {
                let verdict = Arc::new(verdict);
                prepared.keep(circumstances, data, &verdict);
                verdict
            }
            Err(error) => {
                tracing::error!(error = %error, "policy evaluation failed, refused");
                Arc::default()
            }
        }
    }

    fn ask(&self, prepared: &Prepared, circumstances: Circumstances, data: DataContext) -> Result<Verdict, PolicyError> {
        let risk = i64::from(circumstances.risk).clamp(0, RISK_MAX);
        let assurance = i64::from(circumstances.assurance).clamp(0, ASSURANCE_MAX);
        let context = Context::from_pairs([
            ("risk".to_owned(), RestrictedExpression::new_long(risk)),
            ("assurance".to_owned(), RestrictedExpression::new_long(assurance)),
            ("locked".to_owned(), RestrictedExpression::new_bool(circumstances.locked)),
            ("session".to_owned(), RestrictedExpression::new_bool(circumstances.session)),
            ("phishing_resistant".to_owned(), RestrictedExpression::new_bool(circumstances.phishing_resistant)),
            ("proof_age_s".to_owned(), RestrictedExpression::new_long(i64::from(circumstances.proof_age_s))),
            ("device_tier".to_owned(), RestrictedExpression::new_long(i64::from(circumstances.device_tier))),
            ("least_tier".to_owned(), RestrictedExpression::new_long(i64::from(circumstances.least_tier))),
            ("data".to_owned(), data.expression()),
        ])
        .map_err(refused)?;
        let (principal, action, resource) = (&prepared.principal, &prepared.action, &prepared.resource);
        let request = Request::new(principal.clone(), action.clone(), resource.clone(), context, None).map_err(refused)?;
        let response = self.authorizer.is_authorized(&request, &prepared.policies, &prepared.entities);
        // INVARIANT: a policy that errs refuses. Cedar skips it, which for a `forbid` means yes. Held by
        // `tests::a_forbid_that_errs_refuses`.
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(refused(error));
        }
        let mut reasons: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        reasons.sort_unstable();
        Ok(Verdict { allowed: response.decision() == Decision::Allow, reasons })
    }

    pub(crate) const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// All that lets somebody do this: the built-in policies, and those of `grants`, which are theirs, whoever holds them. Each stands by itself,
    /// without templates, and says where it lies what it is on.
    pub(crate) fn standing(
        &self,
        action: &EntityUid,
        kind: PrincipalKind,
        id: &str,
        grants: &[Grant],
    ) -> Result<PolicySet, PolicyError> {
        let verb = self.verbs.get(action.id().unescaped()).ok_or_else(|| refused(format!("there is no verb {action}")))?;
        let holder = uid(self.holder(kind), id);
        let mut policies = verb.base.clone();
        for (number, grant) in grants.iter().enumerate() {
            let Some(template) = verb.templates.get(&grant.role) else { continue };
            let (target, facts) = target_of(&grant.resource, grant.workspace.as_deref());
            let place = Place::of(target, &facts);
            let text = written(&template.to_cedar(), &holder, &self.resource(&place), &self.outer(&place));
            let policy = Policy::parse(Some(PolicyId::new(format!("grant-{number}"))), text).map_err(refused)?;
            policies.add(policy).map_err(refused)?;
        }
        Ok(policies)
    }

    fn holder(&self, kind: PrincipalKind) -> &EntityTypeName {
        match kind {
            PrincipalKind::User => &self.types.user,
            PrincipalKind::Service => &self.types.service,
            PrincipalKind::Group => &self.types.group,
        }
    }

    fn relevant(&self, verb: &Verb, grants: Vec<Arc<Grant>>) -> Vec<Arc<Grant>> {
        grants.into_iter().filter(|grant| self.holds(&grant.role, &verb.name)).collect()
    }

    /// Whether a role holds a verb.
    pub(crate) fn holds(&self, role: &str, verb: &str) -> bool {
        self.roles.get(role).is_some_and(|role| role.verbs.contains(verb))
    }

    fn link(&self, policies: &mut PolicySet, grants: &[Arc<Grant>]) -> Result<(), PolicyError> {
        for grant in grants {
            let holder = self.holder(grant.principal_kind);
            let place = Place::from(&grant.resource);
            let values = HashMap::from([
                (self.slots.0.clone(), uid(holder, &grant.principal)),
                (self.slots.1.clone(), self.resource(&place)),
            ]);
            policies.link(role_template(&grant.role), PolicyId::new(&grant.id), values).map_err(refused)?;
        }
        Ok(())
    }

    /// The three entities that matter, each with all of its ancestors.
    fn entities(&self, caller: &Caller, verb: &Verb, place: &Place) -> Result<(EntityUid, Entities, EntityUid), PolicyError> {
        let kind = match caller.kind {
            CallerKind::User => &self.types.user,
            CallerKind::Service => &self.types.service,
            CallerKind::Job => &self.types.job,
            CallerKind::Anonymous => &self.types.anonymous,
        };
        let principal = uid(kind, &caller.id);
        let groups: HashSet<EntityUid> = caller.groups.iter().map(|group| uid(&self.types.group, group)).collect();
        let mut all = vec![verb.entity.clone(), Entity::new_no_attrs(principal.clone(), groups)];
        let resource = match place {
            Place::Account => principal.clone(),
            _ => self.resource(place),
        };
        if !matches!(place, Place::Account) {
            all.push(Entity::new_no_attrs(resource.clone(), self.outer(place).into_iter().collect()));
        }
        Ok((principal, Entities::from_entities(all, None).map_err(refused)?, resource))
    }

    /// What a place lies in, on all levels.
    fn outer(&self, place: &Place) -> Vec<EntityUid> {
        let workspace = place.inside_workspace().map(|id| uid(&self.types.workspace, id));
        let server = place.inside_server().then(|| uid(&self.types.server, "server"));
        workspace.into_iter().chain(server).collect()
    }

    fn resource(&self, place: &Place) -> EntityUid {
        match place {
            Place::Server | Place::Account => uid(&self.types.server, "server"),
            Place::AuditLog => uid(&self.types.audit_log, "log"),
            Place::Workspace(id) => uid(&self.types.workspace, id),
            Place::Experiment { id, .. } => uid(&self.types.experiment, &id.to_string()),
            Place::RegisteredModel { id, .. } => uid(&self.types.registered_model, id),
            Place::Dataset { id, .. } => uid(&self.types.dataset, id),
        }
    }

    /// The request with every policy and grant there is, for tests.
    #[cfg(test)]
    pub(crate) fn prepare_whole(
        &self,
        caller: &Caller,
        verb: &Verb,
        place: &Place,
        grants: Vec<Arc<Grant>>,
    ) -> Result<Prepared, PolicyError> {
        let mut policies = self.whole.clone();
        self.link(&mut policies, &grants)?;
        let (principal, entities, resource) = self.entities(caller, verb, place)?;
        Ok(Prepared {
            policies,
            entities,
            principal,
            action: verb.uid.clone(),
            resource,
            grants,
            generation: 0,
            valid_until: None,
            verdicts: RwLock::default(),
        })
    }

    #[cfg(test)]
    pub(crate) fn validate(&self) -> Vec<String> {
        let validator = cedar_policy::Validator::new(self.schema.clone());
        let result = validator.validate(&self.whole, cedar_policy::ValidationMode::Strict);
        result.validation_errors().map(ToString::to_string).chain(result.validation_warnings().map(ToString::to_string)).collect()
    }
}

impl Prepared {
    /// How many policies Cedar has to look at.
    #[cfg(test)]
    pub(crate) fn policy_count(&self) -> usize {
        self.policies.policies().count()
    }
}

impl Types {
    fn new() -> Result<Self, PolicyError> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(embedded);
        Ok(Self {
            user: name("User")?,
            service: name("Service")?,
            group: name("Group")?,
            job: name("Job")?,
            anonymous: name("Anonymous")?,
            server: name("Server")?,
            audit_log: name("AuditLog")?,
            workspace: name("Workspace")?,
            experiment: name("Experiment")?,
            registered_model: name("RegisteredModel")?,
            dataset: name("Dataset")?,
        })
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn role_template(role: &str) -> PolicyId {
    PolicyId::new(format!("role:{role}"))
}

fn embedded(error: impl std::fmt::Display) -> PolicyError {
    PolicyError::Embedded(error.to_string())
}

fn refused(error: impl std::fmt::Display) -> PolicyError {
    PolicyError::Engine(error.to_string())
}

/// SHA-256 over all texts, each after its length, so that no two sets of texts share one.
fn version_of(texts: &[&str], built_in: &[&str]) -> String {
    let mut all = Vec::new();
    for text in texts.iter().chain(built_in) {
        all.extend((text.len() as u64).to_be_bytes());
        all.extend(text.as_bytes());
    }
    hex(&sha256(&all))
}

/// The schema with each role as an action group: `action in Action::"role:viewer"`.
fn read_schema(schema: &str, roles: &str) -> Result<(Schema, BTreeMap<String, Role>), PolicyError> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).map_err(embedded)?;
    let mut json = fragment.to_json_value().map_err(embedded)?;
    let Some(actions) = json.as_object_mut().and_then(|all| all.get_mut("")).and_then(|top| top.get_mut("actions")) else {
        return Err(embedded("the schema has no actions"));
    };
    let Some(actions) = actions.as_object_mut() else {
        return Err(embedded("the schema's actions are no table"));
    };
    let verbs: BTreeSet<String> = actions.keys().filter(|name| name.contains('.')).cloned().collect();
    let roles = read_roles(roles, &verbs)?;
    for (name, action) in actions.iter_mut().filter(|(name, _)| verbs.contains(*name)) {
        let groups = action.as_object_mut().map(|action| action.entry("memberOf").or_insert_with(|| serde_json::json!([])));
        let Some(groups) = groups.and_then(serde_json::Value::as_array_mut) else {
            return Err(embedded(format!("`{name}` has no list of groups")));
        };
        for role in roles.values().filter(|role| role.verbs.contains(name)) {
            groups.push(serde_json::json!({ "id": format!("role:{}", role.name) }));
        }
    }
    for role in roles.keys() {
        actions.insert(format!("role:{role}"), serde_json::json!({}));
    }
    Ok((Schema::from_json_value(json).map_err(embedded)?, roles))
}

fn read_templates(text: &str) -> Result<BTreeMap<String, Template>, PolicyError> {
    let set = PolicySet::from_str(text).map_err(embedded)?;
    if set.policies().next().is_some() {
        return Err(embedded("a role must be a template"));
    }
    let mut templates = BTreeMap::new();
    for template in set.templates() {
        let Some(id) = template.annotation("id").map(str::to_owned) else {
            return Err(embedded("a role's template has no @id"));
        };
        templates.insert(id.clone(), template.new_id(PolicyId::new(id)));
    }
    Ok(templates)
}

fn read_statics(text: &str) -> Result<Vec<Policy>, PolicyError> {
    // Grants on single experiments, models and data sets are judged once per role (see `Policy::items`), so no built-in policy
    // may tell one of them from another.
    if ["Experiment::\"", "RegisteredModel::\"", "Dataset::\""].iter().any(|one| text.contains(one)) {
        return Err(embedded("a built-in policy names a single experiment, model or data set"));
    }
    let set = PolicySet::from_str(text).map_err(embedded)?;
    if set.templates().next().is_some() {
        return Err(embedded("a built-in policy must not be a template"));
    }
    set.policies()
        .map(|policy| {
            let id = policy.annotation("id").map(str::to_owned).ok_or_else(|| embedded("a policy has no @id"))?;
            Ok(policy.new_id(PolicyId::new(id)))
        })
        .collect()
}

fn verb(
    name: String,
    entity: &Entity,
    actions: &Entities,
    statics: &[Policy],
    templates: &BTreeMap<String, Template>,
) -> Result<Verb, PolicyError> {
    let uid = entity.uid();
    let ancestors: HashSet<EntityUid> = actions.ancestors(&uid).into_iter().flatten().cloned().collect();
    let in_group = |group: &str| ancestors.iter().any(|ancestor| ancestor.id().unescaped() == group);
    let writes = in_group(WRITES);
    if writes == in_group(READS) {
        return Err(embedded(format!("`{name}` must be in one of `{READS}` and `{WRITES}`")));
    }
    let mut base = PolicySet::new();
    let (mut open, mut public) = (false, false);
    for policy in statics {
        let concerns = match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(one) => one == uid || ancestors.contains(&one),
            ActionConstraint::In(many) => many.iter().any(|one| *one == uid || ancestors.contains(one)),
        };
        let permit = policy.effect() == Effect::Permit;
        // All forbids are always there; they are few.
        if concerns || !permit {
            base.add(policy.clone()).map_err(embedded)?;
        }
        if concerns && permit {
            let id = policy.id().to_string();
            open |= !id.starts_with("job:");
            public |= id == "anyone-may-knock";
        }
    }
    let held = templates.iter().filter(|(id, _)| in_group(id));
    let by_role = held.map(|(id, template)| (id.trim_start_matches("role:").to_owned(), template.clone()));
    let templates = by_role.collect();
    let entity = Entity::new_no_attrs(uid.clone(), ancestors);
    Ok(Verb { name, writes, open, public, uid, entity, base, templates })
}

/// The embedded engine, if it could be read.
pub(crate) fn embedded_ref() -> Option<&'static Engine> {
    EMBEDDED.as_ref().ok().map(AsRef::as_ref)
}
