//! What looks like personal data and is none, and what is personal though nothing says so.

use super::*;

/// Sentences of documentation, one of which is `odd`.
fn documentation(odd: &str) -> PersonalReport {
    let plain = |n: usize| format!("The function number {n} takes a path and gives back what the folder holds, sorted by name.");
    let sentences = (0..1_000).map(|n| if n == 500 { odd.to_owned() } else { plain(n) });
    report(&batch(vec![("text", texts(sentences))]))
}

#[test]
fn an_example_of_a_password_in_documentation_is_no_secret() {
    for odd in [
        "Call client.change(current_password=\"hunter22\", name=\"x\") before the first use of the client.",
        "Set current_password=\"your-password\" in the file and start the server again with this option.",
        "Write password: changeme here, and change it once the server has been started for the first time.",
    ] {
        assert!(!documentation(odd).classes.contains(&Class::Credential), "{odd}");
    }
    for odd in [
        "Call client.change(current_password=\"xK9#mQ2$vLw7\", name=\"x\") before the first use of the client.",
        "Connect to postgres://app:xK9mQ2vLw7@db.example.org/main and read the table that holds the list of orders.",
    ] {
        assert!(documentation(odd).classes.contains(&Class::Credential), "{odd}");
    }
}

#[test]
fn passwords_in_many_sentences_are_secrets_though_they_read_like_words() {
    let note = |n: usize| format!("The customer {n} called, and my colleague set password: hunter{n}x for the account again.");
    let report = report(&batch(vec![("note", texts((100..200).map(note)))]));
    assert!(report.classes.contains(&Class::Credential), "{report:#?}");
}

#[test]
fn a_drug_in_a_table_about_nobody_is_a_good() {
    let drugs = ["Metformin", "Ibuprofen", "Warfarin", "Ramipril"];
    let price = || Arc::new(Float64Array::from_iter_values((0..40).map(|n| 3.0 + f64::from(n)))) as ArrayRef;
    let goods =
        report(&batch(vec![("drug", cycle(&drugs, 40)), ("country", cycle(&["Austria", "Spain"], 40)), ("price", price())]));
    assert!(!goods.classes.contains(&Class::Health) && goods.special_categories.is_empty(), "{goods:#?}");
    let patients = report(&batch(vec![("drug", cycle(&drugs, 40)), ("age", cycle(&["41", "52", "63"], 40))]));
    assert!(patients.classes.contains(&Class::Health), "{patients:#?}");
    let notes = "The patient was diagnosed with diabetes and takes metformin since then";
    let told = report(&batch(vec![("drug", cycle(&drugs, 40)), ("note", cycle(&[notes], 40))]));
    assert!(told.classes.contains(&Class::Health), "{told:#?}");
}
