//! Every kind of finding, with its stable id, and what a policy does about it by default.
//!
//! An id never changes its meaning; a kind that is no longer made keeps its line. `docs/src/concepts/inspection.md` shows
//! this table to users; the test below holds the two together.

use crate::finding::Effect::{Inform, Refuse, Waiver};
use crate::finding::Screen::{
    Attack, Drift, File, Format, Gate, Guarded, Origin, Personal, Poisoning, Profile, Provenance, Signature, Validity,
};
use crate::finding::Severity::{Critical, Error, Info, Warning};
use crate::finding::{Effect, FindingKind};

const POISONING: &[&str] = &["AML.T0020", "ML02:2023"];
const BACKDOOR: &[&str] = &["AML.T0020", "AML.T0018", "ML02:2023", "ML10:2023"];
const SUPPLY: &[&str] = &["AML.T0010.002", "ML06:2023"];
const MODEL_FILE: &[&str] = &["AML.T0011.000", "AML.T0010.003", "ML06:2023"];
const MODEL_SUPPLY: &[&str] = &["AML.T0010.003", "ML06:2023"];
const EVASION_REFERENCES: &[&str] = &["AML.T0015", "AML.T0043.001", "ML01:2023"];
const MEMBERSHIP_REFERENCES: &[&str] = &["AML.T0024.000", "ML04:2023"];
const EXTRACTION_REFERENCES: &[&str] = &["AML.T0024.002", "ML05:2023"];
const BACKDOORED: &[&str] = &["AML.T0018.000", "AML.T0043.004", "ML02:2023", "ML10:2023"];
const NONE: &[&str] = &[];

macro_rules! kinds {
    ($($name:ident = $id:literal, $screen:ident, $severity:ident, $effect:ident, $references:ident, $title:literal, $remedy:literal;)*) => {
        $(
            #[doc = concat!("`", $id, "`: ", $title, ".")]
            pub const $name: FindingKind = FindingKind {
                id: $id, screen: $screen, severity: $severity, effect: $effect, title: $title, remedy: $remedy, references: $references,
            };
        )*
        /// All kinds, in the order of the screens.
        pub const ALL: &[FindingKind] = &[$($name),*];
    };
}

kinds! {
    SOURCE_UNKNOWN = "provenance.source_unknown", Provenance, Warning, Waiver, SUPPLY,
        "nothing says where the data comes from", "commit again with `--source`, `--licence` and `--owner`, or have a reviewer waive it";
    SOURCE_UNTRUSTED = "provenance.source_untrusted", Provenance, Error, Waiver, SUPPLY,
        "the source is not in the register of trusted sources", "register the source, or take the data from one that is";
    DIGEST_MISMATCH = "provenance.digest_mismatch", Provenance, Critical, Refuse, SUPPLY,
        "the data is not what its source published", "fetch it again and compare with the digest or signature that the source publishes";
    LICENCE_MISSING = "provenance.licence_missing", Provenance, Warning, Inform, NONE,
        "no licence is stated", "say under which licence the data may be used with `--licence`";
    PURPOSE_MISMATCH = "provenance.purpose_mismatch", Provenance, Error, Waiver, NONE,
        "the source does not allow this purpose", "ask the owner of the source, or use other data";
    CLEANED_DIFFERS = "provenance.cleaned_differs", Provenance, Critical, Refuse, SUPPLY,
        "the version is not its parent without the rows that were left out", "have the rows left out again; if it happens twice, somebody should look at the worker";

    UNREADABLE = "format.unreadable", Format, Critical, Refuse, SUPPLY,
        "a file cannot be read as what it claims to be", "write the file again with a current tool; if it came from elsewhere, fetch it again";
    EMPTY = "format.empty", Format, Error, Refuse, NONE,
        "there are no rows", "commit files that hold data";
    LIMIT = "format.limit", Format, Error, Refuse, NONE,
        "a limit on size or shape was passed", "split the data, or raise the limit that is named";
    DUPLICATE_COLUMNS = "format.duplicate_columns", Format, Error, Refuse, NONE,
        "several columns have one name", "rename them: readers would silently take one of them";
    MALFORMED = "format.malformed_rows", Format, Error, Waiver, NONE,
        "records are not rows and were left out", "correct them at their source: too few or too many fields, broken text, broken images";
    FORMULA_CELLS = "format.formula_cells", Format, Warning, Inform, NONE,
        "cells would run as formulas in a spreadsheet", "prefix them with an apostrophe before anyone opens the file in a spreadsheet";
    MIXED_TYPES = "format.mixed_types", Format, Warning, Inform, NONE,
        "a column mixes types", "settle on one type per column, in a contract";
    SCHEMA_DIFFERS = "format.schema_differs", Format, Error, Refuse, NONE,
        "the files do not share one schema", "commit files of one table together, others as another data set";
    SCREEN_FAILED = "format.screen_failed", Format, Error, Refuse, NONE,
        "a screen could not finish", "see the detail; the version stays in quarantine until the screen has run";
    SCREEN_PARTIAL = "format.screen_partial", Format, Warning, Inform, NONE,
        "a screen saw only part of the data", "raise the limit that is named if the whole must be screened";
    NOTE = "format.note", Format, Info, Inform, NONE,
        "worth knowing about the files", "nothing must be done";

    CONTRACT_INVALID = "validity.contract_invalid", Validity, Error, Refuse, NONE,
        "the contract cannot be read", "correct the contract; `strongroom-inspect check --contract` shows where";
    CONTRACT_MISSING = "validity.contract_missing", Validity, Info, Inform, NONE,
        "there is no contract", "review the proposed one and commit it with the next version";
    VIOLATED = "validity.violated", Validity, Error, Refuse, NONE,
        "a rule of the contract does not hold", "correct the rows, or change the contract in a review";
    VIOLATED_MINOR = "validity.violated_minor", Validity, Warning, Waiver, NONE,
        "a rule that the contract calls minor does not hold", "correct the rows, or change the contract in a review";
    VIOLATED_NOTE = "validity.violated_note", Validity, Info, Inform, NONE,
        "a rule that the contract calls good to know does not hold", "look at it when there is time";
    CONTRACT_NOTE = "validity.contract_note", Validity, Info, Inform, NONE,
        "something in the contract means nothing here", "correct the contract, or leave it: it is kept";
    RULE_NOT_RUN = "validity.rule_not_run", Validity, Warning, Waiver, NONE,
        "a rule was not checked", "see the detail; a rule that is not run protects nothing";
    SHARED_ROWS = "validity.shared_rows", Validity, Error, Waiver, NONE,
        "rows stand in another part of the split too", "take these rows out of one of the two, or what is measured on one was learnt from the other";

    CONSTANT_COLUMN = "profile.constant_column", Profile, Info, Inform, NONE,
        "a column holds one value", "leave it out: a model learns nothing from it";
    MOSTLY_NULL = "profile.mostly_null", Profile, Warning, Inform, NONE,
        "a column is mostly missing", "find out why, or leave the column out";
    NOT_FINITE = "profile.not_finite", Profile, Warning, Inform, NONE,
        "numbers are infinite or not a number", "write missing values as null";
    DUPLICATE_ROWS = "profile.duplicate_rows", Profile, Warning, Inform, NONE,
        "rows occur more than once", "remove them, or they leak between training and test";
    LABEL_IMBALANCE = "profile.label_imbalance", Profile, Info, Inform, NONE,
        "a label is rare", "choose a metric and a split that see the rare label";
    LABEL_MISSING = "profile.label_missing", Profile, Warning, Waiver, NONE,
        "the label column is missing or has gaps", "name the label column, or fill it";

    SCHEMA_CHANGED = "drift.schema_changed", Drift, Warning, Waiver, NONE,
        "columns were added, removed or changed type", "confirm that it is meant; models expect the old columns";
    COLUMN_DRIFT = "drift.column", Drift, Warning, Inform, NONE,
        "a column's values changed", "find out what changed at the source before a model is trained on it";
    LABEL_DRIFT = "drift.label", Drift, Error, Waiver, POISONING,
        "the label's shares changed", "find out why: a changed label distribution changes every model";

    PERSONAL = "personal.personal", Personal, Warning, Waiver, NONE,
        "the data is about people", "say on which legal ground it is used, or remove or mask the columns";
    SPECIAL = "personal.special_category", Personal, Error, Waiver, NONE,
        "the data holds special categories of personal data", "GDPR Art. 9 asks for an explicit ground; remove the columns if there is none";
    HEALTH = "personal.health", Personal, Error, Waiver, NONE,
        "the data holds health information with identifiers", "de-identify it (HIPAA Safe Harbor), or record the ground";
    FINANCIAL = "personal.financial", Personal, Error, Waiver, NONE,
        "the data holds payment or bank details", "remove or tokenise the columns";
    SECRET = "personal.secret", Personal, Critical, Refuse, SUPPLY,
        "the data holds passwords or keys", "revoke them now, and remove them from the data";

    LABEL_FLIPS = "poisoning.label_flips", Poisoning, Error, Waiver, POISONING,
        "labels look flipped", "review the rows; `strongroom data clean` makes a version without them";
    TRIGGER = "poisoning.trigger", Poisoning, Critical, Refuse, BACKDOOR,
        "a trigger makes rows one label", "remove the rows, and find out who brought them";
    TRIGGER_SUSPECTED = "poisoning.trigger_suspected", Poisoning, Warning, Waiver, BACKDOOR,
        "a pattern goes with one label more than it should", "review the rows: it is a backdoor, or a real and simple rule";
    INJECTED = "poisoning.injected", Poisoning, Error, Waiver, POISONING,
        "rows that lie apart look inserted", "review the rows; `strongroom data clean` makes a version without them";
    OUTLIERS = "poisoning.outliers", Poisoning, Warning, Inform, POISONING,
        "rows are far from all others", "review the first ones";
    CONTRADICTIONS = "poisoning.contradictions", Poisoning, Warning, Waiver, POISONING,
        "equal rows carry different labels", "settle the label, or remove the rows";
    NEAR_DUPLICATES = "poisoning.near_duplicates", Poisoning, Info, Inform, POISONING,
        "rows are nearly the same", "keep one of each group if they were not meant";
    SOURCE_SUSPECT = "poisoning.source_suspect", Poisoning, Error, Waiver, POISONING,
        "one source brings most of the suspect rows", "stop taking data from it until it is understood";
    POISON_NOTICE = "poisoning.notice", Poisoning, Info, Inform, POISONING,
        "a screen noticed what clean data can show too", "look at the rows if the data comes from strangers";
    POISONABLE = "poisoning.most_poisonable", Poisoning, Info, Inform, POISONING,
        "these rows sway a model most", "they are guarded from now on: a change to one is a finding";

    GUARDED_RELABELLED = "guarded.relabelled", Guarded, Critical, Refuse, POISONING,
        "a guarded row has another label", "find out who changed it and why; these rows sway a model most";
    GUARDED_CHANGED = "guarded.changed", Guarded, Error, Waiver, POISONING,
        "guarded rows were changed or removed", "confirm each change; these rows sway a model most";

    FILE_BLOCKED = "file.blocked", File, Critical, Refuse, MODEL_FILE,
        "loading a file would run code that no model needs", "save the model again from its source in a safe format; find out who brought this file";
    FILE_UNKNOWN = "file.unknown", File, Error, Waiver, MODEL_FILE,
        "a file cannot be judged", "save the model in a format that can: safetensors, ONNX, skops, or a library's own text or JSON";
    FILE_MISSING = "file.missing", File, Error, Refuse, NONE,
        "there are no files", "log the model's files before it is registered";
    FILE_NOTE = "file.note", File, Info, Inform, NONE,
        "worth knowing about a file", "nothing must be done";

    RUN_UNKNOWN = "origin.run_unknown", Origin, Warning, Inform, MODEL_SUPPLY,
        "no run is known to have made it", "log the model inside a run and register it from there";
    CODE_UNKNOWN = "origin.code_unknown", Origin, Warning, Inform, MODEL_SUPPLY,
        "the code that made it is not known", "train from a git work tree, or set the tag `strongroom.code.sha256` on the run";
    DATA_UNKNOWN = "origin.data_unknown", Origin, Warning, Inform, MODEL_SUPPLY,
        "the data that it was trained on is not known", "fetch data with `strongroom data fetch --run`, or log it with `mlflow.log_input`";
    DATA_REFUSED = "origin.data_refused", Origin, Critical, Refuse, POISONING,
        "it was trained on data that is refused", "train it again without that data";
    DATA_NOT_ADMITTED = "origin.data_not_admitted", Origin, Error, Waiver, POISONING,
        "it was trained on data that is not admitted", "have the data inspected and admitted, then inspect the model again";
    ENVIRONMENT_UNKNOWN = "origin.environment_unknown", Origin, Warning, Inform, NONE,
        "nothing says what it needs to run", "log it with a flavor of MLflow, which writes `requirements.txt`";

    UNSIGNED = "signature.none", Signature, Info, Inform, MODEL_SUPPLY,
        "nobody signed its files", "sign them with `model_signing sign` and log `model.sig` beside them";
    SIGNATURE_MISSING = "signature.missing", Signature, Critical, Refuse, MODEL_SUPPLY,
        "it is not signed, and the workspace asks for a signature", "sign its files with `model_signing sign`, log `model.sig` beside them, and register it again";
    SIGNATURE_INVALID = "signature.invalid", Signature, Critical, Refuse, MODEL_SUPPLY,
        "its signature does not hold", "find out who changed its files or signed them; let a signer that counts sign it again";
    SIGNER_UNKNOWN = "signature.signer_unknown", Signature, Warning, Inform, MODEL_SUPPLY,
        "it is signed, and the workspace says of nobody that they count", "set whose signatures count with `strongroom model signers set`, and inspect it again";
    GATE_NONE = "gate.none", Gate, Info, Inform, NONE,
        "there is no gate file, so its answers were not judged", "say what it must hold to: `strongroom model gate set MODEL FILE`";
    GATE_PASSED = "gate.passed", Gate, Info, Inform, NONE,
        "it holds to its gate file", "nothing must be done";
    GATE_INVALID = "gate.invalid", Gate, Error, Waiver, NONE,
        "its gate file cannot be judged by", "correct the gate file and have the version inspected again";
    GATE_DATA = "gate.data", Gate, Error, Waiver, NONE,
        "data that its gate file names cannot be used", "see the detail; then have the version inspected again";
    GATE_NOT_EVALUATED = "gate.not_evaluated", Gate, Error, Waiver, NONE,
        "its answers cannot be judged here", "save it as ONNX, XGBoost JSON, LightGBM text or skops, with the columns that the data has";
    GATE_CHAMPION = "gate.champion", Gate, Error, Waiver, NONE,
        "the champion's answers cannot be had to compare with", "see the detail; until then nobody knows whether it is worse";
    GATE_REGRESSED = "gate.regressed", Gate, Error, Refuse, NONE,
        "it is worse than it must be", "keep the champion, or find what the candidate lost";
    GATE_SLICE = "gate.slice", Gate, Error, Refuse, NONE,
        "it got worse for some of the rows", "find out why these rows lost; the total does not make up for them";
    GATE_CALIBRATION = "gate.calibration", Gate, Error, Refuse, NONE,
        "its probabilities are less true than they must be", "calibrate it on data of its own, and have it inspected again";
    GATE_GOLDEN = "gate.golden", Gate, Error, Refuse, NONE,
        "golden rows changed", "look at them; if the change is wanted, record them anew in a review";
    GATE_BUDGET = "gate.budget", Gate, Error, Waiver, NONE,
        "it is slower or bigger than it may be", "make it smaller, or raise the budget in a review";
    GATE_UNPROVEN = "gate.unproven", Gate, Warning, Waiver, NONE,
        "too few rows show that a rule is kept", "give more held-back rows, or let the estimate be enough with `proof: estimate`";
    GATE_NOT_JUDGED = "gate.not_judged", Gate, Warning, Waiver, NONE,
        "a rule could not be judged", "see the detail; a rule that is not judged protects nothing";

    ATTACK_NONE = "attack.none", Attack, Info, Inform, NONE,
        "no attacks were tried", "ask for them in the gate file: `attacks: {}`";
    ATTACK_TRIGGER = "attack.trigger", Attack, Critical, Refuse, BACKDOORED,
        "a trigger turns its answers", "do not serve it: remove the rows with the trigger from its training data, and train again";
    ATTACK_EVASION = "attack.evasion", Attack, Error, Waiver, EVASION_REFERENCES,
        "small changes of inputs turn its answers", "train with such rows, check inputs, limit queries per caller";
    ATTACK_MEMBERSHIP = "attack.membership", Attack, Error, Waiver, MEMBERSHIP_REFERENCES,
        "its answers tell which rows it was trained on", "regularise it or stop earlier; where rows are about people, train with differential privacy";
    ATTACK_EXTRACTION = "attack.extraction", Attack, Error, Waiver, EXTRACTION_REFERENCES,
        "few questions copy it", "give callers a budget of queries";
    ATTACK_POISONING = "attack.poisoning", Attack, Error, Waiver, POISONING,
        "few flipped labels would ruin it", "guard the rows that matter most, and take data from few, known sources";
    ATTACK_NOTICE = "attack.notice", Attack, Warning, Inform, NONE,
        "an attack came to a number worth a look", "see the detail";
    ATTACK_NOT_RUN = "attack.not_run", Attack, Warning, Waiver, NONE,
        "an attack that applies could not be tried", "give more queries, time or rows; until then nobody knows";
}

/// The kind with this id.
#[must_use]
pub fn kind(id: &str) -> Option<&'static FindingKind> {
    ALL.iter().find(|kind| kind.id == id)
}

/// What a policy does by default about a finding with this id: an unknown one needs a waiver.
#[must_use]
pub fn default_effect(id: &str) -> Effect {
    kind(id).map_or(Waiver, |kind| kind.effect)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::finding::Severity;

    fn row(kind: &FindingKind) -> String {
        let effect = match kind.effect {
            Inform => "informs",
            Waiver => "needs a waiver",
            Refuse => "refuses",
        };
        format!("| `{}` | {} | {effect} | {} | {} |", kind.id, kind.severity.word(), kind.title, kind.references.join(", "))
    }

    #[test]
    fn ids_are_unique_and_name_their_screen() {
        let ids: BTreeSet<_> = ALL.iter().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), ALL.len());
        for kind in ALL {
            assert_eq!(kind.id.split('.').next(), Some(kind.screen.word()), "{}", kind.id);
            assert!(
                kind.severity < Severity::Critical || kind.effect == Effect::Refuse,
                "{} is critical but lets data in",
                kind.id
            );
        }
    }

    #[test]
    fn what_is_unknown_is_not_let_in_by_itself() {
        assert_eq!(default_effect("poisoning.of_tomorrow"), Effect::Waiver);
        assert_eq!(default_effect(NOTE.id), Effect::Inform);
    }

    #[test]
    fn the_docs_show_this_table() {
        let docs = include_str!("../../../docs/src/concepts/inspection.md");
        for kind in ALL {
            assert!(docs.contains(&row(kind)), "docs/src/concepts/inspection.md lacks this line:\n{}", row(kind));
        }
    }
}
