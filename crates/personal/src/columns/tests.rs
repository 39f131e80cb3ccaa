//! Tables: what is classed, what is left alone, merges, dictionaries, and what a report shows.

use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, ListArray, StringArray, StructArray, types::Int32Type};

use super::*;
use crate::{Class, Identifier, Kind, SpecialCategory};

mod doubts;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn report(batch: &RecordBatch) -> PersonalReport {
    let mut scanner = ColumnScanner::new(&batch.schema(), ColumnOptions::default()).unwrap();
    scanner.update(batch, 0).unwrap();
    scanner.finish()
}

fn texts(values: impl IntoIterator<Item = String>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn cycle(words: &[&str], count: usize) -> ArrayRef {
    texts(words.iter().cycle().take(count).map(|word| (*word).to_owned()))
}

/// Chance for tests.
fn numbers(seed: u64, count: usize) -> Vec<u64> {
    let mut state = seed;
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (*state >> 29) ^ *state;
        mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11
    };
    (0..count).map(|_| step(&mut state)).collect()
}

/// The first kind of each column, or none.
fn check(columns: Vec<(&str, ArrayRef)>, expected: &[Option<Kind>]) {
    let report = report(&batch(columns));
    let found: Vec<Option<Kind>> = report.columns.iter().map(|column| column.kinds.first().map(|kind| kind.kind)).collect();
    assert_eq!(found, expected, "{report:#?}");
}

#[test]
fn a_table_of_customers() {
    let names = ["Anna", "Peter", "Maria", "Thomas", "Sofia"];
    let families = ["Schmidt", "Jones", "Garcia", "Rossi", "Novak"];
    let notes = [
        "The customer called about the late delivery and was very angry about it.",
        "Please send the invoice again to the new office, it was not received.",
        "Nothing to report for this week, all orders have been shipped in time.",
    ];
    check(
        vec![
            ("a", cycle(&names, 60)),
            ("b", cycle(&families, 60)),
            ("notes", cycle(&notes, 60)),
            ("email", texts((0..60).map(|n| format!("user{n}@example.org")))),
            ("dob", cycle(&["1980-02-29", "1991-06-24"], 60)),
            ("gender", cycle(&["m", "f"], 60)),
            ("salary", Arc::new(Float64Array::from_iter_values((0..60).map(|n| 1_000.0 + f64::from(n))))),
        ],
        &[
            Some(Kind::GivenName),
            Some(Kind::Surname),
            None,
            Some(Kind::Email),
            Some(Kind::BirthDate),
            Some(Kind::Gender),
            Some(Kind::Income),
        ],
    );
}

#[test]
fn a_few_words_of_which_some_are_names_are_no_names() {
    let colours = ["Rose", "Violet", "Amber", "Jade", "Olive", "Ruby", "Ivory", "Scarlet"];
    check(
        vec![
            ("c4", cycle(&colours, 400)),
            ("colour", cycle(&["rose", "violet", "amber", "jade", "olive", "ruby", "ivory", "scarlet"], 400)),
            ("c5", cycle(&["Anna", "Peter", "Maria", "Thomas", "Sofia"], 400)),
            ("first_name", cycle(&colours, 400)),
        ],
        &[None, None, Some(Kind::GivenName), Some(Kind::GivenName)],
    );
}

#[test]
fn names_of_goods_and_films_are_not_peoples() {
    let films = ["Annie Hall", "Jerry Maguire", "Erin Brockovich", "Mary Poppins", "Peter Pan", "John Wick"];
    let flowers = ["Rose", "Lily", "Daisy", "Iris", "Jasmine", "Ivy"];
    let people = ["Anna Smith", "Peter Jones", "Maria Garcia", "Thomas Schmidt"];
    check(
        vec![("film", cycle(&films, 400)), ("flower", cycle(&flowers, 400)), ("label", cycle(&people, 400))],
        &[None, None, Some(Kind::Person)],
    );
    // A column of many different names is one of people, whatever it is called.
    let (given, family) =
        (["Anna", "Peter", "Maria", "Thomas", "Sofia", "Karl", "Emma"], ["Smith", "Jones", "Garcia", "Rossi", "Novak"]);
    check(vec![("item", texts((0..200).map(|n| format!("{} {}", given[n % 7], family[n / 7 % 5]))))], &[Some(Kind::Person)]);
}

#[test]
fn names_of_columns_in_other_languages_tell_of_people() {
    let report = report(&batch(vec![
        ("姓名", cycle(&["王伟", "李娜", "张敏"], 40)),
        ("фамилия", cycle(&["Ковалёв", "Зайцева"], 40)),
        ("nazwisko", cycle(&["Wójcik", "Krawczyk"], 40)),
        ("имя_файла", cycle(&["отчёт", "данные"], 40)),
    ]));
    let personal: Vec<bool> = report.columns.iter().map(|column| column.classes.contains(&Class::Personal)).collect();
    assert_eq!(personal, [true, true, true, false], "{report:#?}");
}

#[test]
fn health_and_special_categories() {
    let table = batch(vec![
        ("diagnosis", cycle(&["E11.9", "I10", "J45.909"], 30)),
        ("x", cycle(&["E11.9", "I10.0", "J45.909"], 30)),
        ("y", cycle(&["Metformin 500 mg", "Ibuprofen", "Warfarin"], 30)),
        ("religion", cycle(&["none", "Hindu", "Catholic"], 30)),
        ("union_member", cycle(&["yes", "no"], 30)),
        ("race", cycle(&["White", "Black", "Asian"], 30)),
    ]);
    let report = report(&table);
    assert!(report.classes.contains(&Class::Health) && report.classes.contains(&Class::SpecialCategory));
    let expected = [SpecialCategory::Origin, SpecialCategory::Belief, SpecialCategory::TradeUnion, SpecialCategory::Health];
    assert_eq!(report.special_categories.iter().copied().collect::<Vec<_>>(), expected);
    assert!(report.columns.iter().all(|column| !column.classes.is_empty()), "{report:#?}");
}

#[test]
fn identifiers_are_mapped_and_examples_masked() {
    let table = batch(vec![
        ("contact", texts((0..20).map(|n| format!("+1 212 555 01{n:02}")))),
        ("comment", texts((0..20).map(|n| format!("please charge the card 4111 1111 1111 1111 for order {n} today")))),
    ]);
    let report = report(&table);
    assert_eq!(report.columns[0].kinds[0].examples[0], "+9 999 999 9990");
    assert!(report.columns[0].identifiers.contains(&Identifier::Telephone));
    assert!(report.columns[1].classes.contains(&Class::Financial) && report.columns[1].free_text);
    assert_eq!(report.columns[1].kinds[0].cell_count, 20);
    assert!(report.is_personal("comment") && !report.is_personal("other"));
}

#[test]
fn no_value_stands_in_a_report() {
    let values = [
        "ana.silva@example.org",
        "536-90-4399",
        "GB82WEST12345698765432",
        "Greta Lindholm",
        "+442079460958",
        "AKIAIOSFODNN7EXAMPLE",
    ];
    let columns = values.map(|value| (value, texts(vec![value.to_owned(); 40])));
    let columns: Vec<(String, ArrayRef)> =
        columns.into_iter().enumerate().map(|(n, (_, array))| (format!("c{n}"), array)).collect();
    let table = RecordBatch::try_from_iter(columns).unwrap();
    let text = serde_json::to_string(&report(&table)).unwrap();
    for value in values {
        assert!(!text.contains(value), "{value} in {text}");
    }
    let back: PersonalReport = serde_json::from_str(&text).unwrap();
    assert_eq!(back.columns.len(), 6);
}

#[test]
fn tables_of_numbers_raise_nothing() {
    let count = 3_000;
    let random = numbers(7, count);
    let of = |format: fn(u64) -> String| texts(random.iter().map(|number| format(*number)));
    let modulo =
        |limit: u64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(random.iter().map(|number| (number % limit) as i64))) };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..count as i64))),
        ("order_id", modulo(1_000_000_000)),
        ("timestamp", Arc::new(Int64Array::from_iter_values(random.iter().map(|n| 1_700_000_000 + (n % 10_000_000) as i64)))),
        (
            "millis",
            Arc::new(Int64Array::from_iter_values(random.iter().map(|n| 1_700_000_000_000 + (n % 10_000_000_000) as i64))),
        ),
        ("n9", modulo(1_000_000_000)),
        ("n10", modulo(10_000_000_000)),
        ("n11", modulo(100_000_000_000)),
        ("n16", modulo(10_000_000_000_000_000)),
        ("value", Arc::new(Float64Array::from_iter_values(random.iter().map(|n| *n as f64 / 1e17)))),
        ("t9", of(|n| (n % 1_000_000_000).to_string())),
        ("t10", of(|n| (n % 10_000_000_000).to_string())),
        ("t11", of(|n| (n % 100_000_000_000).to_string())),
        ("t12", of(|n| (n % 1_000_000_000_000).to_string())),
        ("t16", of(|n| (n % 10_000_000_000_000_000).to_string())),
        ("float", of(|n| (n as f64 / 1e16).to_string())),
        ("negative", of(|n| format!("-{}.{}", n % 90, n % 1_000_003))),
        (
            "uuid",
            of(|n| {
                format!(
                    "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
                    n & 0xffff_ffff,
                    n % 65_521,
                    n % 4_093,
                    n % 4_091,
                    n % 281_474_976_710_597
                )
            }),
        ),
        (
            "digit_uuid",
            of(|n| {
                format!("{:08}-{:04}-{:04}-{:04}-{:012}", n % 100_000_000, n % 9_973, n % 9_967, n % 9_949, n % 999_999_999_989)
            }),
        ),
        ("hash", of(|n| format!("{n:016x}{:016x}", n.wrapping_mul(31)))),
        ("version", of(|n| format!("{}.{}.{}", n % 20, n % 13, n % 101))),
        ("build", of(|n| format!("v{}.{}.{}.{}", n % 9, n % 13, n % 17, n % 11))),
        ("four", of(|n| format!("{}.{}.{}.{}", n % 9, n % 13, n % 17, n % 11))),
        ("time", of(|n| format!("{:02}:{:02}:{:02}.{:06}", n % 24, n % 60, n % 59, n % 1_000_000))),
        ("iso", of(|n| format!("20{:02}-{:02}-{:02}T{:02}:00:00Z", n % 24, n % 12 + 1, n % 28 + 1, n % 24))),
        ("sku", of(|n| format!("SKU-{:06}", n % 1_000_000))),
        ("hex", of(|n| format!("0x{n:x}"))),
        ("percent", of(|n| format!("{}%", n % 100))),
        ("money", of(|n| format!("${},{:03}.{:02}", n % 900, n % 1_000, n % 100))),
        ("label", modulo(2)),
        ("pair", of(|n| format!("{}-{}", n % 1_000, n % 997))),
    ];
    let report = report(&batch(columns));
    let alarms: Vec<(&str, &Vec<KindReport>)> = report
        .columns
        .iter()
        .filter(|column| !column.classes.is_empty())
        .map(|column| (column.column.as_str(), &column.kinds))
        .collect();
    assert!(alarms.is_empty() && report.classes.is_empty() && report.identifiers.is_empty(), "{alarms:#?}");
}

#[test]
fn a_check_digit_that_always_holds_is_no_chance() {
    // NHS numbers made from their definition, without a name that says so.
    let nhs = numbers(3, 400).into_iter().filter_map(|number| {
        let body = format!("{:09}", number % 1_000_000_000);
        let sum: u32 = body.bytes().zip((2..=10).rev()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
        let check = (11 - sum % 11) % 11;
        (check < 10).then(|| format!("{body}{check}"))
    });
    check(vec![("number", texts(nhs))], &[Some(Kind::UkNhs)]);
}

/// Numbers of cards made from their definition (ISO/IEC 7812-1).
fn cards(count: usize) -> ArrayRef {
    let made = numbers(11, count).into_iter().map(|number| {
        let body = format!("4{:014}", number % 100_000_000_000_000);
        let sum: u32 = body
            .bytes()
            .rev()
            .enumerate()
            .map(|(place, digit)| {
                let digit = u32::from(digit - b'0');
                if place % 2 == 0 { digit * 2 % 10 + digit * 2 / 10 } else { digit }
            })
            .sum();
        format!("{body}{}", (10 - sum % 10) % 10).parse().unwrap()
    });
    Arc::new(Int64Array::from_iter_values(made))
}

#[test]
fn a_name_that_says_card_needs_few_numbers_and_another_name_many() {
    for count in [3, 12, 29] {
        check(vec![("card_number", cards(count)), ("reference", cards(count))], &[Some(Kind::PaymentCard), None]);
    }
    check(vec![("reference", cards(60))], &[Some(Kind::PaymentCard)]);
    let other: ArrayRef = Arc::new(Int64Array::from_iter_values((0..12).map(|row| 4_000_000_000_000_001 + row * 17)));
    check(vec![("card_number", other)], &[None]);
}

#[test]
fn partitions_merge_to_the_same_report() {
    let rows: Vec<String> = numbers(5, 9_000)
        .iter()
        .map(|n| if n % 3 == 0 { format!("user{}@example.org", n % 50) } else { "none".to_owned() })
        .collect();
    let whole = batch(vec![("e", texts(rows.clone())), ("name", cycle(&["Anna Smith", "Bob Jones"], 9_000))]);
    let mut left = ColumnScanner::new(&whole.schema(), ColumnOptions::default()).unwrap();
    let mut right = ColumnScanner::new(&whole.schema(), ColumnOptions::default()).unwrap();
    right.update(&whole.slice(4_000, 5_000), 4_000).unwrap();
    left.update(&whole.slice(0, 1_500), 0).unwrap();
    left.update(&whole.slice(1_500, 2_500), 1_500).unwrap();
    right.merge(left).unwrap();
    assert_eq!(right.finish(), report(&whole));
}

#[test]
fn dictionaries_lists_and_structs_are_opened() {
    let emails = ["a1@example.org", "b2@example.org"];
    let dictionary: DictionaryArray<Int32Type> = (0..100).map(|n| (n % 10 != 0).then(|| emails[n % 2])).collect();
    let phones: ArrayRef = cycle(&["+12125550143"], 100);
    let inner: ArrayRef = Arc::new(StructArray::try_from(vec![("phone", phones)]).unwrap());
    let items: ArrayRef = cycle(&["GB82WEST12345698765432", "x"], 200);
    let field = Arc::new(arrow_schema::Field::new_list_field(DataType::Utf8, true));
    let list = ListArray::new(field, arrow_buffer::OffsetBuffer::from_lengths(vec![2; 100]), items, None);
    let table = batch(vec![("d", Arc::new(dictionary)), ("s", inner), ("l", Arc::new(list))]);
    let report = report(&table);
    let names: Vec<&str> = report.columns.iter().map(|column| column.column.as_str()).collect();
    assert_eq!(names, ["d", "s.phone", "l"]);
    let kinds: Vec<(Kind, u64)> =
        report.columns.iter().map(|column| (column.kinds[0].kind, column.kinds[0].cell_count)).collect();
    assert_eq!(kinds, [(Kind::Email, 90), (Kind::Phone, 100), (Kind::Iban, 100)]);
}

#[test]
fn names_of_columns_need_values_that_fit() {
    check(
        vec![
            ("email_opt_in", cycle(&["yes", "no"], 40)),
            ("age", Arc::new(Int64Array::from_iter_values(1_000..1_040))),
            ("file_name", cycle(&["report.txt", "data.csv"], 40)),
            ("user_id", Arc::new(Int64Array::from_iter_values(0..40))),
            ("phone", Arc::new(Int64Array::from_iter_values((0..40).map(|n| 2_125_550_100 + n)))),
        ],
        &[None, None, None, Some(Kind::PersonId), Some(Kind::Phone)],
    );
}

#[test]
fn names_of_columns_are_tested_against_what_they_hold() {
    let small: ArrayRef = Arc::new(Int64Array::from_iter_values((0..60).map(|n| 1 + n % 30)));
    let standardised: ArrayRef = Arc::new(Float64Array::from_iter_values((0..60).map(|n| f64::from(n) / 600.0 - 0.05)));
    let measured: ArrayRef = Arc::new(Float64Array::from_iter_values((0..60).map(|n| 18.0 + f64::from(n) / 4.0)));
    let codes: ArrayRef = Arc::new(Int64Array::from_iter_values((0..60).map(|n| 1 + n % 5)));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..60));
    let parts = || texts((0..60).map(|n| format!("{}{}.{}", ["A", "B", "C", "J"][n % 4], 10 + n, n % 10)));
    let nothing: [(&str, ArrayRef); 8] = [
        ("race", cycle(&["5km", "10km", "marathon"], 60)),
        ("race id", numbers),
        ("part_number", parts()),
        ("part_no", parts()),
        ("product_code", parts()),
        ("wine_age_years", small),
        ("bmi", standardised.clone()),
        ("street", cycle(&["Pave", "Grvl"], 60)),
    ];
    for (name, column) in nothing {
        let report = report(&batch(vec![(name, column)]));
        assert!(report.classes.is_empty(), "{report:#?}");
    }
    let told: [(&str, ArrayRef, Kind); 7] = [
        ("race", cycle(&["AfricanAmerican", "Other", "Unknown"], 60), Kind::Ethnicity),
        ("race", cycle(&["White, non-Hispanic", "Two or more", "Unknown"], 60), Kind::Ethnicity),
        ("race", cycle(&["W", "B", "H"], 60), Kind::Ethnicity),
        ("race", codes, Kind::Ethnicity),
        ("ethnicity", cycle(&["group 1", "group 2"], 60), Kind::Ethnicity),
        ("bmi", measured, Kind::HealthMeasure),
        ("icd part", parts(), Kind::Diagnosis),
    ];
    for (name, column, kind) in told {
        check(vec![(name, column)], &[Some(kind)]);
    }
}

#[test]
fn street_addresses_are_personal_and_towns_are_places() {
    let streets = ["Park Lane, London", "Church Road, Leeds", "Main Street, Boston", "Oak Avenue, Springfield"];
    let english = || texts((0..60).map(|n| format!("{} {}", n + 1, streets[n % 4])));
    let german = || texts((0..60).map(|n| format!("Bahnhofstr. {}, 32926 Köln", n + 1)));
    let towns = cycle(&["London", "Leeds", "Berlin"], 60);
    let hosts = texts((0..60).map(|n| format!("0x7ffe{n:04x}")));
    let table = batch(vec![
        ("address", english()),
        ("street_address", german()),
        ("c17", english()),
        ("city", towns),
        ("register address", hosts),
    ]);
    let report = report(&table);
    let personal: Vec<bool> = report.columns.iter().map(|column| column.classes.contains(&Class::Personal)).collect();
    assert_eq!(personal, [true, true, true, false, false], "{report:#?}");
    assert!(report.columns[3].classes.contains(&Class::Location) && report.columns[4].classes.is_empty());
}

#[test]
fn health_in_sentences_is_found_and_goods_and_news_are_not() {
    let notes = [
        "The patient was diagnosed with diabetes and takes metformin",
        "History of breast cancer, treated with tamoxifen",
        "suffers from asthma since 2010",
    ];
    let goods = [
        "Lithium battery pack, 18 V, with charger and bag",
        "Depression glass bowl, pale green, about 1930",
        "The stroke of the engine is 90 mm, the bore 86 mm",
    ];
    let report = report(&batch(vec![("text", cycle(&notes, 60)), ("goods", cycle(&goods, 60))]));
    assert!(report.columns[0].classes.contains(&Class::Health), "{report:#?}");
    assert!(report.columns[0].special_categories.contains(&SpecialCategory::Health));
    assert!(report.columns[1].classes.is_empty(), "{report:#?}");
}

#[test]
fn family_names_may_come_first() {
    let (families, given) = (["Andersson", "Rossi", "Okafor", "Dubois"], ["Lucia", "Peter", "Priya", "Emma", "Karl"]);
    let names = texts((0..60).map(|n| format!("{}, {}", families[n % 4], given[n % 5])));
    check(vec![("c3", names)], &[Some(Kind::Person)]);
}

#[test]
fn reviews_and_goods_name_nobody() {
    let reviews = ["Great product, works well", "Broke after two days", "Would buy again", "The colour is not as shown"];
    for review in reviews {
        let column = texts((0..60).map(|n| format!("{review} {}/10", n % 9 + 1)));
        check(vec![("review", column)], &[None]);
    }
    let goods = ["Screw 4x40", "Steel shelf 120 cm", "Paint white 5 l", "Oak table 80 cm", "Cable 10 m black"];
    let logs = ["GET /api/v2/items/7 200 in 12 ms", "disk 3 is full at 93 percent of 200 GB", "retry 4 of 5 after 20 s"];
    let report = report(&batch(vec![("goods", cycle(&goods, 60)), ("log", cycle(&logs, 60))]));
    assert!(report.columns.iter().all(|column| column.classes.is_empty()), "{report:#?}");
}

#[test]
fn empty_null_and_foreign_batches() {
    let empty = batch(vec![("email", texts(Vec::new()))]);
    assert_eq!(report(&empty).row_count, 0);
    let nulls = batch(vec![("email", Arc::new(StringArray::from(vec![None::<&str>; 5])) as ArrayRef)]);
    assert!(report(&nulls).columns[0].kinds.is_empty());
    let mut scanner = ColumnScanner::new(&empty.schema(), ColumnOptions::default()).unwrap();
    let other = batch(vec![("x", texts(Vec::new()))]);
    let problem = scanner.update(&other, 0).unwrap_err();
    assert!(problem.to_string().contains("`email`") && problem.to_string().contains("`x`"));
    assert!(scanner.merge(ColumnScanner::new(&other.schema(), ColumnOptions::default()).unwrap()).is_err());
}

#[test]
fn too_many_columns_are_refused() {
    let fields: Vec<arrow_schema::Field> =
        (0..=COLUMN_COUNT_MAX).map(|n| arrow_schema::Field::new(format!("c{n}"), DataType::Int64, true)).collect();
    let schema: SchemaRef = Arc::new(arrow_schema::Schema::new(fields));
    assert!(matches!(ColumnScanner::new(&schema, ColumnOptions::default()), Err(PersonalError::TooManyColumns { .. })));
}
