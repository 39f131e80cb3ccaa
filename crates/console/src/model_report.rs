//! One version of a model beyond its findings, as parts of its page: numbers against the champion by slice, attacks, files, origin, signature.

use crate::board::{Cell, Table, Tone, bytes, first_of, part};
use crate::intervals::{Picture, picture};
use crate::runs::number;
use crate::trial::{Attack, Attacks, Compared, Comparison, Interval, Origin, Scan, ScannedFile, Signature, Told, Trial};

/// Lines of a table that a page shows; the report has all.
const LINE_COUNT_MAX: usize = 200;
/// Things found in one file that are shown.
const FOUND_COUNT_MAX: usize = 5;

/// A measure as a picture.
pub struct Drawn {
    /// The measure and the data.
    pub title: String,
    pub picture: Picture,
}

/// What the page shows.
pub struct ModelReport {
    /// Against which version, on how sure an interval.
    pub against: String,
    pub drawn: Vec<Drawn>,
    /// The same numbers; none where nothing was compared.
    pub compared: Option<Table>,
    /// What was asked of it, and what attacks cannot show.
    pub tried: String,
    pub cannot_show: Vec<String>,
    pub attacks: Option<Table>,
    /// Files, origin, signature.
    pub more: Vec<Table>,
}

impl ModelReport {
    /// Of what a report says.
    #[must_use]
    pub fn of(trial: &Trial, run_page: impl Fn(&str) -> String) -> Self {
        let comparisons = trial.gates.comparisons();
        let drawn = |one: &Comparison| Some(Drawn { title: format!("{} on {}", one.measure, one.data), picture: picture(one)? });
        let mut more = vec![signature(trial.signature.as_ref()), origin(trial.origin.as_ref(), run_page)];
        more.push(files(&trial.scan));
        Self {
            against: against(trial.gates.champion.as_deref(), &comparisons),
            drawn: comparisons.iter().filter_map(drawn).collect(),
            compared: (!comparisons.is_empty()).then(|| compared(&comparisons)),
            tried: trial.attacks.as_ref().map(tried).unwrap_or_default(),
            cannot_show: trial.attacks.as_ref().map(|all| all.cannot_show.clone()).unwrap_or_default(),
            attacks: trial.attacks.as_ref().map(attacks),
            more,
        }
    }
}

fn against(champion: Option<&str>, comparisons: &[Comparison]) -> String {
    let whom = champion.map_or_else(
        || "There was no champion to compare with.".to_owned(),
        |version| format!("The champion is version {version}; both were asked about the same rows."),
    );
    let sure = comparisons.first().map(|one| one.confidence * 100.0).filter(|sure| sure.is_finite());
    sure.map_or(whom.clone(), |sure| format!("{whom} Intervals hold in {} of 100 cases.", number(sure)))
}

/// A number with where it lies.
pub fn with_interval(value: Option<f64>, interval: Option<Interval>) -> String {
    let Some(value) = value else { return "–".to_owned() };
    interval.map_or_else(|| number(value), |one| format!("{} ({} to {})", number(value), number(one.low), number(one.high)))
}

/// How a rule ended, in a word.
pub fn outcome(word: &str) -> Cell {
    match word {
        "pass" => Cell::state("kept", Tone::Good),
        "skipped" => Cell::text("does not apply"),
        "unproven" => Cell::state("not shown", Tone::Bad),
        "fail" => Cell::state("broken", Tone::Bad),
        _ => Cell::state("not judged", Tone::Wait),
    }
}

fn compared(comparisons: &[Comparison]) -> Table {
    let line = |of: &Comparison, row: &Compared| {
        vec![
            Cell::text(format!("{} on {}", of.measure, of.data)),
            Cell::text(row.slice.clone()),
            outcome(&row.outcome),
            Cell::text(with_interval(Some(row.value), row.interval)),
            Cell::text(with_interval(row.champion, row.champion_interval)),
            Cell::text(with_interval(row.gain, row.gain_interval)),
            Cell::text(row.p_corrected.map(number).unwrap_or_default()),
            Cell::text(row.rows.to_string()),
        ]
    };
    let rows = comparisons.iter().flat_map(|of| of.rows.iter().map(move |row| line(of, row)));
    let title = first_of("The same in numbers", comparisons.iter().map(|of| of.rows.len()).sum(), LINE_COUNT_MAX);
    let columns = ["Measure", "Rows that", "Rules", "This version", "The champion", "Better by", "By chance", "Rows"];
    Table::whole("compared", title, &columns, rows.take(LINE_COUNT_MAX).collect(), "")
}

fn tried(all: &Attacks) -> String {
    format!(
        "{} of {} questions were asked; intervals hold in {} of 100 cases.",
        all.queries,
        all.queries_max,
        number(all.confidence * 100.0)
    )
}

/// An attack as people call it.
pub fn attack_name(attack: &Attack) -> String {
    let kind = match attack.kind.as_str() {
        "hop_skip_jump" => "evasion (HopSkipJump)",
        "square" => "evasion (Square)",
        "membership" => "membership inference",
        other => other,
    };
    if attack.what.is_empty() { kind.to_owned() } else { format!("{kind}: {}", attack.what) }
}

/// How an attack ended, in a word.
pub fn attack_verdict(verdict: &str) -> Cell {
    match verdict {
        "refuse" => Cell::state("over the limit", Tone::Bad),
        "notice" => Cell::state("noticed", Tone::Wait),
        "not_run" => Cell::state("not run", Tone::Wait),
        "not_applicable" => Cell::text("does not apply"),
        _ => Cell::state("withstood", Tone::Good),
    }
}

fn attacks(all: &Attacks) -> Table {
    let line = |attack: &Attack| {
        let (what, value) = match &attack.measure {
            Some(measure) => (measure.name.clone(), with_interval(Some(measure.value), measure.interval)),
            None => (String::new(), "–".to_owned()),
        };
        let limit = |word: &str, limit: Option<f64>| limit.map(|limit| format!("{word} from {}", number(limit)));
        let limits = [limit("noticed", attack.limits.notice), limit("refused", attack.limits.refuse)];
        let early = if attack.cut_short { " The budget ended it early." } else { "" };
        vec![
            Cell::text(attack_name(attack)),
            attack_verdict(&attack.verdict),
            Cell::text(if what.is_empty() { value } else { format!("{what}: {value}") }),
            Cell::text(limits.into_iter().flatten().collect::<Vec<_>>().join(", ")),
            Cell::text(attack.framework.atlas.join(", ")),
            Cell::text(format!("{}{early}", attack.summary)),
            Cell::text(if attack.advice.is_empty() { "–".to_owned() } else { attack.advice.clone() }),
        ]
    };
    let columns = ["Attack", "Verdict", "Number and interval", "Limits", "MITRE ATLAS", "What was found", "What to do"];
    let rows = all.attacks.iter().take(LINE_COUNT_MAX).map(line).collect();
    Table::whole(
        "attacks",
        first_of("Attacks that were tried", all.attacks.len(), LINE_COUNT_MAX),
        &columns,
        rows,
        "None applies to this model.",
    )
}

fn signature(found: Option<&Signature>) -> Table {
    let rows = found.map(|found| {
        let (word, tone) = match found.state.as_str() {
            "holds" => ("holds", Tone::Good),
            "refused" => ("does not hold", Tone::Bad),
            "unsure" => ("not checked", Tone::Wait),
            _ => ("none", if found.required { Tone::Bad } else { Tone::Plain }),
        };
        let signer = found.signer.as_ref().map(|signer| {
            let fingerprint = signer.fingerprint.as_ref().map(|digest| format!(", SHA-256 {digest}")).unwrap_or_default();
            let names = if signer.identities.is_empty() { String::new() } else { format!(" ({})", signer.identities.join(", ")) };
            format!("{}{names}, by {}{fingerprint}", signer.trusted_as, signer.method)
        });
        let by = found
            .signers
            .map_or_else(|| "the workspace names no signers".to_owned(), |number| format!("signers as of change {number}"));
        vec![vec![
            Cell::state(word, tone),
            Cell::text(
                signer.or_else(|| found.why.clone()).unwrap_or_else(|| "there is no model.sig beside its files".to_owned()),
            ),
            Cell::text(by),
            Cell::text(if found.required { "yes" } else { "no" }),
        ]]
    });
    let columns = ["State", "By whom, or why not", "Checked against", "Needed here"];
    Table::whole("signature", "Its maker's signature", &columns, rows.unwrap_or_default(), "The report does not speak of one.")
}

fn origin(found: Option<&Origin>, run_page: impl Fn(&str) -> String) -> Table {
    let Some(found) = found else {
        return Table::whole("origin", "Where it comes from", &["What"], Vec::new(), "The report does not say.");
    };
    let line = |what: &str, name: Cell, told: &Told| {
        let state = told.state.as_deref().map_or_else(
            || Cell::text(told.context.clone()),
            |state| Cell::state(state, if state == "admitted" { Tone::Good } else { Tone::Bad }),
        );
        vec![Cell::text(what), name, Cell::text(told.trust.clone()), state]
    };
    let mut rows = Vec::new();
    rows.extend(found.run.iter().map(|run| line("Run", Cell::link(run.name.clone(), run_page(&run.name)), run)));
    rows.extend(found.code.iter().map(|code| line("Code", Cell::text(code.name.clone()), code)));
    rows.extend(found.data.iter().map(|data| {
        let to = data.name.split_once('@').map(|(name, number)| format!("/console/data/{}/{}", part(name), part(number)));
        line("Data", to.map_or_else(|| Cell::text(data.name.clone()), |to| Cell::link(data.name.clone(), to)), data)
    }));
    rows.extend(found.other_data.iter().map(|data| line("Data elsewhere", Cell::text(data.name.clone()), data)));
    rows.truncate(LINE_COUNT_MAX);
    let title = format!(
        "Where it comes from: {} of 4 parts known, {} seen by this server, {} of 3 executed here",
        found.known_count, found.observed_count, found.executed_count
    );
    let empty = "Neither run nor code nor data is known.";
    Table::whole("origin", title, &["What", "Which", "How it is known", "State"], rows, empty)
}

fn files(scan: &Scan) -> Table {
    let line = |file: &ScannedFile| {
        let (word, tone) = match file.verdict.as_str() {
            "clean" => ("clean", Tone::Good),
            "blocked" => ("blocked", Tone::Bad),
            _ => ("not understood", Tone::Wait),
        };
        let shown = file.findings.iter().take(FOUND_COUNT_MAX).map(|found| format!("{}: {}", found.rule, found.message));
        let hidden = (file.findings.len().saturating_sub(FOUND_COUNT_MAX) as u64).saturating_add(file.more_findings);
        let more = (hidden > 0).then(|| format!("{hidden} more stand in the report"));
        vec![
            Cell::text(file.path.clone()),
            Cell::text(file.format.clone()),
            Cell::text(bytes(i64::try_from(file.size_bytes).unwrap_or(i64::MAX))),
            Cell::state(word, tone),
            Cell::text(shown.chain(more).collect::<Vec<_>>().join("; ")),
        ]
    };
    let columns = ["File", "Format", "Size", "Loading it is", "What was found in it"];
    let mut order: Vec<&ScannedFile> = scan.files.iter().collect();
    order.sort_by_key(|file| match file.verdict.as_str() {
        "blocked" => 0,
        "clean" => 2,
        _ => 1,
    });
    let rows = order.into_iter().take(LINE_COUNT_MAX).map(line).collect();
    Table::whole(
        "files",
        first_of("Its files, read and never loaded", scan.files.len(), LINE_COUNT_MAX),
        &columns,
        rows,
        "The report names no file.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_told_with_its_number_interval_limits_and_what_to_do() {
        let all: Attacks = serde_json::from_str(
            r#"{"verdict":"refuse","seed":3,"confidence":0.95,"queries":10,"queries_max":50,"clean":{},"attacks":[{"kind":"trigger","what":"x3",
               "framework":{"atlas":["AML.T0018.000"],"owasp":[],"nist":[]},"verdict":"refuse","limits":{"notice":0.1,"refuse":0.5},
               "measure":{"name":"share turned","value":0.9,"interval":{"low":0.8,"high":0.95}},"summary":"it turns","advice":"train again"}]}"#,
        )
        .unwrap();
        let row: Vec<String> = attacks(&all).rows.remove(0).into_iter().map(|cell| cell.text).collect();
        let told = [
            "trigger: x3",
            "over the limit",
            "share turned: 0.9 (0.8 to 0.95)",
            "noticed from 0.1, refused from 0.5",
            "AML.T0018.000",
            "it turns",
            "train again",
        ];
        assert_eq!(row, told);
    }

    #[test]
    fn a_missing_signature_is_bad_only_where_one_is_needed() {
        for (state, required, tone) in
            [("none", true, Tone::Bad), ("none", false, Tone::Plain), ("refused", false, Tone::Bad), ("holds", true, Tone::Good)]
        {
            let found = Signature { required, state: state.to_owned(), ..Signature::default() };
            assert_eq!(signature(Some(&found)).rows[0][0].tone, tone, "{state} {required}");
        }
    }

    #[test]
    fn blocked_files_come_first() {
        let file = |path: &str, verdict: &str| ScannedFile {
            path: path.to_owned(),
            verdict: verdict.to_owned(),
            ..ScannedFile::default()
        };
        let scan = Scan { files: vec![file("a", "clean"), file("b", "blocked"), file("c", "unknown")] };
        let order: Vec<String> = files(&scan).rows.iter().map(|row| row[0].text.clone()).collect();
        assert_eq!(order, ["b", "c", "a"]);
    }
}
