//! Cedar, with what this program has built in: schema, role templates, and the policies that need no grant.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use cedar_policy::{
    Authorizer, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request, Schema,
    SlotId, Template,
};
use gate::{Caller, CallerKind};
use kernel::Micros;
use parking_lot::RwLock;

use crate::circumstances::{Circumstances, DataContext};
use crate::place::{Place, target_of};
use crate::review::written;
use crate::roles::{ROLES_TEXT, Role};
use crate::texts::{embedded, read_schema, read_statics, read_templates, verb, version_of};
use crate::types::{Grant, PolicyError, PrincipalKind};

const SCHEMA_TEXT: &str = include_str!("../../../policies/strongroom.cedarschema");
const ROLE_TEMPLATES_TEXT: &str = include_str!("../../../policies/roles.cedar");
const EVERYONE_TEXT: &str = include_str!("../../../policies/everyone.cedar");
const JOBS_TEXT: &str = include_str!("../../../policies/jobs.cedar");
const FORBIDS_TEXT: &str = include_str!("../../../policies/forbids.cedar");

/// Actions of the schema that no room has as a verb.
pub(crate) const ESCALATE: &str = "grants.escalate";
/// Verdicts that a request keeps; there are few circumstances, and when these are more, all are forgotten.
const VERDICT_COUNT_MAX: usize = 64;

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
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
    /// The built-in policies whose scope has it among its actions: others cannot say anything about it.
    pub(crate) base: PolicySet,
    /// The templates of the roles that hold it, by the role's name.
    pub(crate) templates: BTreeMap<String, Template>,
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
        let context = circumstances.context(data)?;
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

fn refused(error: impl std::fmt::Display) -> PolicyError {
    PolicyError::Engine(error.to_string())
}

/// The embedded engine, if it could be read.
pub(crate) fn embedded_ref() -> Option<&'static Engine> {
    EMBEDDED.as_ref().ok().map(AsRef::as_ref)
}
