//! What each command does, its options and an example: `cargo xtask`, and `--help` behind any command.

/// One command.
struct Usage {
    /// The words that name it.
    command: &'static str,
    options: &'static str,
    about: &'static str,
    example: &'static str,
}

const fn usage(command: &'static str, options: &'static str, about: &'static str, example: &'static str) -> Usage {
    Usage { command, options, about, example }
}

const COMMANDS: &[Usage] = &[
    usage(
        "test",
        "[--fast]",
        "every test: Rust, SQLite and PostgreSQL, real Python clients, short drills; --fast leaves out the lint, the format check \
         and the drills",
        "test --fast",
    ),
    usage(
        "demo",
        "[--keep] [--data FILE --label COLUMN]",
        "a model's whole life against a fresh server, or one of your own table (CSV); --keep leaves the server running",
        "demo --keep",
    ),
    usage(
        "bench tracking",
        "[--json] [--rounds N] [--works a,b] [--prebuilt]",
        "side by side with `mlflow server`",
        "bench tracking --rounds 1",
    ),
    usage(
        "bench pii",
        "[--json] [--corpus FOLDER]",
        "personal data in texts beside Presidio; FOLDER has presidio-research's synth_dataset_v2.json",
        "bench pii --json",
    ),
    usage(
        "bench poison",
        "[--json] [--works a,b] [--sets FOLDER] [--minutes N]",
        "planted flips, triggers, floods and outliers, against cleanlab, ART and scikit-learn; sets that no package holds are \
         taken from FOLDER; it starts no scenario after N minutes (40)",
        "bench poison --works letter-far-1,spambase-flip-10",
    ),
    usage(
        "bench profile",
        "[--json] [--rounds N] [--works a,b] [--rows N] [--prebuilt]",
        "a table's profile beside DuckDB, Polars and whylogs; 30 rules beside Great Expectations",
        "bench profile --rows 1000000 --rounds 1",
    ),
    usage(
        "bench contract",
        "[--json]",
        "data contracts: the same verdicts as `datacontract-cli`, and it reads what is written",
        "bench contract",
    ),
    usage(
        "bench drift",
        "[--json]",
        "changes in streams, beside Evidently and NannyML; forecasts of limits that will be crossed",
        "bench drift",
    ),
    usage(
        "bench sign",
        "[--json]",
        "a signed model's verification beside `model_signing`, and against what SHA-256 allows",
        "bench sign",
    ),
    usage(
        "bench scan",
        "[--json]",
        "model files that must be blocked or passed, beside picklescan, modelscan and fickling; speed",
        "bench scan",
    ),
    usage(
        "bench serve",
        "[--json] [--rounds N] [--minutes N] [--prebuilt]",
        "predictions beside MLServer, `mlflow models serve` and Triton; minutes of load for memory",
        "bench serve --rounds 1 --minutes 1",
    ),
    usage(
        "bench objects",
        "[--json] [--rounds N] [--works a,b] [--peer-store bluestore|memstore|none] [--prebuilt]",
        "S3 beside Ceph's gateway and beside what disk, hashes and ciphers allow; a million objects listed",
        "bench objects --peer-store none",
    ),
    usage(
        "bench recovery",
        "[--json] [--gigabytes N] [--prebuilt]",
        "a whole restore of N gigabytes (10) in the drill, beside `cp` of the same files",
        "bench recovery --gigabytes 1",
    ),
    usage(
        "bench risk",
        "[--json] [--people N] [--csv FILE [--rows N]]",
        "attackers stopped and people bothered by four ways of judging log-ins; FILE is rba-dataset.csv",
        "bench risk --people 1000",
    ),
    usage(
        "bench console",
        "[--json] [--times N] [--runs N] [--models N] [--records N] [--filled FOLDER] [--prebuilt]",
        "every page of the console over 100,000 runs, 10,000 models and 10,000,000 records; FOLDER keeps them, and is used again",
        "bench console --runs 1000 --models 100 --records 20000",
    ),
    usage(
        "bench sign-in",
        "[--json] [--rounds N] [--prebuilt]",
        "others, the owner and memory while ten thousand guesses a second are made at log-ins",
        "bench sign-in --rounds 1",
    ),
    usage("bench adversary", "[--json]", "simulated attacks beside the adversarial robustness toolbox", "bench adversary"),
    usage(
        "bench guard",
        "[--json] [--day] [--prebuilt]",
        "real attacks on a served model by its answers, and an honest day of 100 callers; --day is the honest day alone",
        "bench guard --day",
    ),
    usage("bench lineage", "[--json]", "walks over a lineage of a million nodes, on both databases", "bench lineage"),
    usage(
        "bench runtime",
        "[--json]",
        "processor time of one prediction beside ONNX Runtime and the libraries themselves",
        "bench runtime",
    ),
    usage("bench audit", "[--json]", "durably audited operations per second, and verification", "bench audit"),
    usage("bench policy", "[--json]", "decisions per second", "bench policy"),
    usage(
        "with-postgres",
        "COMMAND…",
        "runs a command with STRONGROOM_TEST_POSTGRES set to a fresh PostgreSQL",
        "with-postgres cargo test -p audit",
    ),
    usage(
        "fuzz scan",
        "[--seconds N] [--seed N]",
        "the model file scanner against CPython's unpicklers (an hour of CPU without a word)",
        "fuzz scan --seconds 60",
    ),
    usage(
        "fuzz parsers",
        "[--seconds N] [--seed N] [--targets a,b] [--corpus FOLDER]",
        "every reader of ours with changed examples, in children with limits of memory and time",
        "fuzz parsers --seconds 60",
    ),
    usage(
        "drill kill",
        "[--rounds N] [--engine sqlite|postgres]",
        "kill -9 under load, and look for anything lost",
        "drill kill --rounds 3",
    ),
    usage(
        "drill data|s3|backup|keys",
        "[--rounds N] [--engine sqlite|postgres]",
        "kill -9 during commits and inspections, S3 uploads, backups and restores, rotations of keys",
        "drill backup --rounds 3",
    ),
    usage("drill disk", "", "a full disk and a failing fsync", "drill disk"),
    usage("fmt", "", "formats the code", "fmt"),
    usage("lint", "", "the compiler's and clippy's warnings as errors", "lint"),
];

/// What to print where `--help` is among the words. The words behind `with-postgres` are another program's.
pub fn asked(words: &[&str]) -> Option<String> {
    let own = words.split(|word| *word == "with-postgres").next().unwrap_or(words);
    own.iter().any(|word| ["--help", "-h", "help"].contains(word)).then(|| of(own))
}

/// The commands that the words begin with; all where there is none.
pub fn of(words: &[&str]) -> String {
    let named = |usage: &&Usage| {
        let mut parts = usage.command.split(' ');
        let first = parts.next() == words.first().copied();
        // Some are told together: `drill data|s3|backup|keys`.
        let second = parts.next().is_none_or(|names| words.get(1).is_some_and(|word| names.split('|').any(|name| name == *word)));
        first && second
    };
    let family = |usage: &&Usage| usage.command.split(' ').next() == words.first().copied();
    let mut chosen: Vec<&Usage> = COMMANDS.iter().filter(named).collect();
    if chosen.is_empty() {
        chosen = COMMANDS.iter().filter(family).collect();
    }
    if chosen.is_empty() {
        chosen = COMMANDS.iter().collect();
    }
    let told = chosen.iter().map(|Usage { command, options, about, example }| {
        let line = format!("cargo xtask {command} {options}");
        format!("{}\n    {about}\n    example: cargo xtask {example}\n", line.trim_end())
    });
    told.collect::<Vec<String>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], holds: &[&str], lacks: &str) {
        let told = asked(words).unwrap();
        assert!(holds.iter().all(|text| told.contains(text)) && !told.contains(lacks), "{told}");
    }

    #[test]
    fn help_is_of_the_command_and_nothing_runs() {
        check(&["bench", "poison", "--help"], &["bench poison", "--minutes", "example"], "bench pii");
        check(&["drill", "s3", "-h"], &["drill data|s3|backup|keys"], "drill kill");
        check(&["drill", "--help"], &["drill kill", "drill disk"], "bench");
        check(&["--help"], &["demo", "bench poison", "lint"], "nothing");
        check(&["bench", "nothing", "--help"], &["bench poison", "bench policy"], "fuzz");
    }

    #[test]
    fn words_of_another_program_are_left_alone() {
        assert_eq!(asked(&["with-postgres", "cargo", "test", "--help"]), None);
        assert_eq!(asked(&["bench", "poison", "--json"]), None);
    }

    #[test]
    fn every_example_is_of_its_own_command() {
        for usage in COMMANDS {
            let words: Vec<&str> = usage.example.split(' ').collect();
            assert!(of(&words).contains(usage.example), "{}", usage.example);
        }
    }
}
