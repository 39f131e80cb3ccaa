//! The standard's own rules.

use arrow_array::types::{Float64Type, Int8Type, Int32Type};
use arrow_array::{
    Array, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeListArray, Float64Array, Int8Array, Int32Array,
    Int64Array, LargeStringArray, ListArray, NullArray, StringArray, StringViewArray, StructArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field};

use super::Status::{Failed, NotRun, Note, Passed};
use super::*;

#[test]
fn presence_and_types() {
    let ints = || shared(Int64Array::from(vec![1, 2]));
    check("logicalType: integer", ints(), &[("a.present", Passed, 0), ("a.type", Passed, 0)]);
    check("logicalType: string", ints(), &[("a.type", Failed, 0)]);
    check_from(Source::Csv, "logicalType: string", ints(), &[("a.type", Passed, 0)]);
    check("logicalType: number, physicalType: BIGINT", ints(), &[("a.type", Passed, 0), ("a.physicalType", Passed, 0)]);
    check("physicalType: VARCHAR(3)", ints(), &[("a.physicalType", Failed, 0)]);
    let texts = || shared(StringArray::from(vec![Some("1"), None]));
    check("logicalType: integer", texts(), &[("a.type", Failed, 1)]);
    check("logicalType: integer", shared(StringArray::new_null(2)), &[("a.type", Passed, 0)]);
    check("physicalType: HYPERCUBE", ints(), &[("a.physicalType", Note, 0)]);
    let absent = "schema:\n- name: t\n  properties:\n  - {name: b, required: true}\n";
    let report = report(absent, &batch(vec![("a", ints())]), CheckOptions::default());
    assert_eq!(report.rule("b.present").unwrap().status, Failed);
    assert_eq!(report.rule("b.required").unwrap().status, NotRun);
    assert_eq!(report.verdict, Verdict::Failed);
}

#[test]
fn texts_that_must_read_as_their_type() {
    let texts = |values: [&str; 3]| shared(StringArray::from(values.to_vec()));
    check_from(Source::Csv, "logicalType: integer", texts(["1", "-2", "x"]), &[("a.type", Failed, 1)]);
    check_from(Source::Csv, "logicalType: number", texts(["1.5", "1e3", "nope"]), &[("a.type", Failed, 1)]);
    check_from(Source::Csv, "logicalType: boolean", texts(["true", "False", "maybe"]), &[("a.type", Failed, 1)]);
    check_from(Source::Csv, "logicalType: boolean", texts(["YES", "n", "1"]), &[("a.type", Passed, 0)]);
    check_from(Source::Csv, "logicalType: boolean", texts(["on", "01", "tru"]), &[("a.type", Failed, 3)]);
    let ones = |values: [i64; 3]| shared(Int64Array::from(values.to_vec()));
    check_from(Source::Csv, "logicalType: boolean", ones([0, 1, 1]), &[("a.type", Passed, 0)]);
    check_from(Source::Csv, "logicalType: boolean", ones([0, 1, 2]), &[("a.type", Failed, 1)]);
    let truths = "logicalType: boolean, quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [true]}}]";
    check_from(Source::Csv, truths, ones([1, 1, 1]), &[("a.type", Passed, 0), ("quality[0]", Passed, 0)]);
    check_from(Source::Csv, truths, ones([0, 1, 1]), &[("a.type", Passed, 0), ("quality[0]", Failed, 1)]);
    check_from(Source::Typed, "logicalType: boolean", ones([0, 1, 1]), &[("a.type", Failed, 0)]);
    check_from(Source::Json, "logicalType: date", texts(["2024-02-29", "2023-02-29", "soon"]), &[("a.type", Failed, 2)]);
    check_from(
        Source::Json,
        "logicalType: timestamp",
        texts(["2024-02-29T00:00:00Z", "2024-01-01 10:00:00", "x"]),
        &[("a.type", Failed, 1)],
    );
    let zoned = "logicalType: timestamp, logicalTypeOptions: {timezone: true}";
    check_from(
        Source::Json,
        zoned,
        texts(["2024-02-29T00:00:00Z", "2024-01-01T10:00:00+01:00", "2024-01-01T10:00:00"]),
        &[("a.type", Failed, 1)],
    );
    let german = "logicalType: date, logicalTypeOptions: {format: dd.MM.yyyy}";
    check(german, texts(["29.02.2024", "1.1.2024", "31.12.1999"]), &[("a.type", Failed, 1)]);
    let floats = shared(Float64Array::from(vec![Some(1.0), None, Some(1.5)]));
    check_from(Source::Csv, "logicalType: integer", floats, &[("a.type", Failed, 1)]);
    let midnights = shared(TimestampMillisecondArray::from(vec![0, 86_400_000, 1]));
    check("logicalType: date", midnights, &[("a.type", Failed, 1)]);
}

#[test]
fn required_and_nulls() {
    let some = || shared(Int64Array::from(vec![Some(1), None, Some(3), None]));
    check("required: true", some(), &[("a.required", Failed, 2)]);
    check("required: true", shared(Int64Array::from(vec![1])), &[("a.required", Passed, 0)]);
    check("required: true", shared(NullArray::new(3)), &[("a.required", Failed, 3)]);
    check("primaryKey: true", some(), &[("a.primaryKeyRequired", Failed, 2), ("t.primaryKey", Passed, 0)]);
    check("quality: [{metric: nullValues, mustBeLessThan: 3}]", some(), &[("quality[0]", Passed, 2)]);
    check("quality: [{metric: nullValues, mustBe: 0}]", some(), &[("quality[0]", Failed, 2)]);
    let texts = || shared(StringArray::from(vec![Some(""), None, Some("n/a"), Some("x")]));
    let missing = "quality: [{metric: missingValues, mustBe: 0, arguments: {missingValues: [null, '', n/a]}}]";
    check(missing, texts(), &[("quality[0]", Failed, 3)]);
    check("quality: [{metric: missingValues, mustBe: 1}]", texts(), &[("quality[0]", Passed, 1)]);
}

#[test]
fn ranges_of_numbers() {
    let limits = "logicalTypeOptions: {minimum: 1, maximum: 5}";
    let open = "logicalTypeOptions: {exclusiveMinimum: 1, exclusiveMaximum: 5}";
    let ints = || shared(Int32Array::from(vec![Some(0), Some(1), None, Some(5), Some(6)]));
    check(limits, ints(), &[("minimum", Failed, 1), ("maximum", Failed, 1)]);
    check(open, ints(), &[("exclusiveMinimum", Failed, 2), ("exclusiveMaximum", Failed, 2)]);
    let floats = || shared(Float64Array::from(vec![Some(0.9), Some(1.0), None, Some(f64::NAN), Some(f64::INFINITY)]));
    check(limits, floats(), &[("minimum", Failed, 2), ("maximum", Failed, 2)]);
    check(open, floats(), &[("exclusiveMinimum", Failed, 3), ("exclusiveMaximum", Failed, 2)]);
    let big = shared(UInt64Array::from(vec![u64::MAX, 0]));
    check(
        "logicalTypeOptions: {minimum: -5, maximum: 18446744073709551615}",
        big.clone(),
        &[("minimum", Passed, 0), ("maximum", Passed, 0)],
    );
    check("logicalTypeOptions: {maximum: -1}", big, &[("maximum", Failed, 2)]);
    let small = shared(Int8Array::from(vec![-128, 127]));
    check("logicalTypeOptions: {minimum: 1000}", small.clone(), &[("minimum", Failed, 2)]);
    check(
        "logicalTypeOptions: {maximum: 1000, exclusiveMinimum: -128.5}",
        small,
        &[("maximum", Passed, 0), ("exclusiveMinimum", Passed, 0)],
    );
    let money = shared(Decimal128Array::from(vec![10, 1005, 100_010]).with_precision_and_scale(10, 2).unwrap());
    check("logicalTypeOptions: {minimum: 0.1, maximum: 1000.09}", money, &[("minimum", Passed, 0), ("maximum", Failed, 1)]);
    check(limits, shared(BooleanArray::from(vec![true])), &[("minimum", NotRun, 0)]);
    let texts = shared(StringArray::from(vec!["0", "3", "x"]));
    check_from(Source::Csv, limits, texts, &[("minimum", Failed, 2), ("maximum", Failed, 1)]);
}

#[test]
fn ranges_of_times() {
    let limits = "logicalTypeOptions: {minimum: '2024-01-01', exclusiveMaximum: '2024-01-03T00:00:00Z'}";
    let days = shared(Date32Array::from(vec![19_722, 19_723, 19_724, 19_725]));
    check(limits, days, &[("minimum", Failed, 1), ("exclusiveMaximum", Failed, 1)]);
    let day = 86_400_000_000_i64;
    let times = shared(TimestampMicrosecondArray::from(vec![19_723 * day - 1, 19_723 * day, 19_725 * day - 1, 19_725 * day]));
    check(limits, times, &[("minimum", Failed, 1), ("exclusiveMaximum", Failed, 1)]);
    let texts = shared(StringArray::from(vec!["2023-12-31", "2024-01-02T10:00:00Z", "2024-01-03"]));
    check_from(Source::Json, limits, texts, &[("minimum", Failed, 1), ("exclusiveMaximum", Failed, 1)]);
    check("logicalTypeOptions: {minimum: soon}", shared(Date32Array::from(vec![1])), &[("minimum", NotRun, 0)]);
}

#[test]
fn multiples_and_bits() {
    check("logicalTypeOptions: {multipleOf: 5}", shared(Int64Array::from(vec![0, 5, -10, 7])), &[("multipleOf", Failed, 1)]);
    check(
        "logicalTypeOptions: {multipleOf: 0.1}",
        shared(Float64Array::from(vec![0.3, 1.7, 0.25])),
        &[("multipleOf", Failed, 1)],
    );
    let bits = "logicalType: integer, logicalTypeOptions: {format: i8}";
    check(bits, shared(Int64Array::from(vec![-128, 127, 128])), &[("a.format", Failed, 1)]);
}

#[test]
fn texts_of_every_layout() {
    let dictionary: DictionaryArray<Int8Type> = vec![Some("ab"), Some("abcd"), None, Some("ab"), Some("é")].into_iter().collect();
    let values = vec![Some("ab"), Some("abcd"), None, Some("ab"), Some("é")];
    for array in [
        shared(StringArray::from(values.clone())),
        shared(LargeStringArray::from(values.clone())),
        shared(StringViewArray::from(values)),
        shared(dictionary),
    ] {
        let options = "logicalType: string, logicalTypeOptions: {minLength: 2, maxLength: 3, pattern: '^a'}";
        check(
            options,
            array.clone(),
            &[("a.type", Passed, 0), ("minLength", Failed, 1), ("maxLength", Failed, 1), ("pattern", Failed, 1)],
        );
        let set = "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [ab, é]}}]";
        check(set, array.clone(), &[("quality[0]", Failed, 1)]);
        check("required: true", array.clone(), &[("required", Failed, 1)]);
        check("unique: true", array, &[("unique", Failed, 1)]);
    }
}

#[test]
fn formats_and_patterns() {
    let mails = shared(StringArray::from(vec![Some("a@b.org"), Some("nobody"), None]));
    check("logicalType: string, logicalTypeOptions: {format: email}", mails.clone(), &[("a.format", Failed, 1)]);
    check("logicalType: string, logicalTypeOptions: {format: phone}", mails.clone(), &[("a.format", NotRun, 0)]);
    check(
        "logicalType: string, logicalTypeOptions: {format: uuid}",
        shared(Int64Array::from(vec![1])),
        &[("a.format", Failed, 1)],
    );
    check("logicalTypeOptions: {pattern: '@'}", mails, &[("pattern", Failed, 1)]);
    // A number is matched as it is written.
    check("logicalTypeOptions: {pattern: '^[0-9]{2}$'}", shared(Int64Array::from(vec![12, 123])), &[("pattern", Failed, 1)]);
    let slow = shared(StringArray::from(vec![format!("{}!", "word ".repeat(60))]));
    check("logicalTypeOptions: {pattern: '^(\\w+\\s?)*(?!x)\\1$'}", slow, &[("pattern", NotRun, 0)]);
}

#[test]
fn formats_of_what_a_reader_took_for_something() {
    let format = |word: &str| format!("logicalType: string, logicalTypeOptions: {{format: {word}}}");
    let csv = |word: &str, column: ArrayRef, status: Status, violations: u64| {
        check_from(Source::Csv, &format(word), column, &[("a.type", Passed, 0), ("a.format", status, violations)]);
    };
    let days = || shared(Date32Array::from(vec![Some(1), None]));
    csv("date", days(), Passed, 0);
    csv("date-time", days(), Failed, 1);
    csv("email", days(), Failed, 1);
    let times = || shared(TimestampMillisecondArray::from(vec![0, 1]));
    csv("date-time", times(), Passed, 0);
    csv("date", times(), Failed, 1);
    csv("uuid", shared(Int64Array::from(vec![5])), Failed, 1);
    csv("hostname", shared(Int64Array::from(vec![5])), Passed, 0);
    // A reader may have dropped what this is about: leading noughts.
    csv("byte", shared(Int64Array::from(vec![5])), NotRun, 0);
    let wide = shared(StringArray::from(vec!["18446744073709551615", "18446744073709551616", "-1", "x"]));
    let bits = "logicalType: integer, logicalTypeOptions: {format: u64}";
    check_from(Source::Csv, bits, wide, &[("a.type", Failed, 1), ("a.format", Failed, 3)]);
}

#[test]
fn items_of_arrays() {
    let ints = || shared(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]));
    check("logicalType: array, items: {logicalType: integer}", ints(), &[("a.itemTypes", Passed, 0)]);
    check("logicalType: array, items: {logicalType: string}", ints(), &[("a.itemTypes", Failed, 1)]);
    check("logicalType: array, items: {logicalType: integer, required: true}", ints(), &[("a.itemTypes", Failed, 1)]);
    check(
        "logicalType: array, items: {logicalType: integer, logicalTypeOptions: {minimum: 1}}",
        ints(),
        &[("a.itemTypes", Passed, 0), ("a.items", NotRun, 0)],
    );
    check("logicalType: array, items: {description: any}", ints().slice(1, 2), &[("a.type", Passed, 0)]);
    let json = || shared(StringArray::from(vec![Some("[\"xx\"]"), Some("[]"), None, Some("[\"2024-01-31\"]")]));
    check_from(Source::Json, "logicalType: array, items: {logicalType: date}", json(), &[("a.itemTypes", Failed, 1)]);
    check_from(Source::Csv, "logicalType: array, items: {logicalType: integer}", json(), &[("a.itemTypes", Failed, 2)]);
    check("logicalType: array, items: {logicalType: string}", json(), &[("a.itemTypes", Passed, 0)]);
    check("items: {logicalType: string}", shared(Int64Array::from(vec![1])), &[("a.itemTypes", NotRun, 0)]);
    // A part of a longer column: the values before and after it are not its own.
    let floats = ListArray::from_iter_primitive::<Float64Type, _, _>(vec![
        Some(vec![Some(0.5)]),
        Some(vec![Some(1.0), Some(2.0)]),
        Some(vec![Some(1.0), Some(1.5)]),
        Some(vec![Some(0.5)]),
    ]);
    check("items: {logicalType: integer}", shared(floats.slice(1, 2)), &[("a.itemTypes", Failed, 1)]);
    let pairs = FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(
        vec![Some(vec![Some(0.5), Some(1.0)]), Some(vec![Some(1.0), Some(2.0)]), None],
        2,
    );
    check("items: {logicalType: integer}", shared(pairs.slice(1, 2)), &[("a.itemTypes", Passed, 0)]);
    check_from(Source::Csv, "items: {logicalType: string}", shared(pairs), &[("a.itemTypes", Failed, 2)]);
}

#[test]
fn objects_in_arrays() {
    let field = Arc::new(Field::new("n", DataType::Int64, true));
    let objects = StructArray::new(vec![field].into(), vec![shared(Int64Array::from(vec![Some(1), None, Some(3)]))], None);
    let item = Arc::new(Field::new("item", objects.data_type().clone(), true));
    let lists = || shared(ListArray::new(item.clone(), OffsetBuffer::from_lengths([1, 0, 2]), Arc::new(objects.clone()), None));
    let of = |fields: &str| format!("logicalType: array, items: {{logicalType: object, properties: [{fields}]}}");
    check(&of("{name: n, logicalType: integer}"), lists(), &[("a.itemTypes", Passed, 0)]);
    check(&of("{name: n, required: true}"), lists(), &[("a.itemTypes", Failed, 1)]);
    check(&of("{name: n, logicalType: string}"), lists(), &[("a.itemTypes", Failed, 2)]);
    check(&of("{name: m, logicalType: string}"), lists(), &[("a.itemTypes", Passed, 0)]);
    check(&of("{name: m, required: true}"), lists(), &[("a.itemTypes", Failed, 2)]);
}

#[test]
fn allowed_values() {
    let set = |list: &str| format!("quality: [{{metric: invalidValues, mustBe: 0, arguments: {{validValues: {list}}}}}]");
    check(&set("[1, 2, '3']"), shared(Int64Array::from(vec![Some(1), Some(3), Some(4), None])), &[("quality[0]", Failed, 1)]);
    check(&set("[1.5, 2]"), shared(Float64Array::from(vec![1.5, 2.0, 2.5])), &[("quality[0]", Failed, 1)]);
    check(&set("[true]"), shared(BooleanArray::from(vec![true, false])), &[("quality[0]", Failed, 1)]);
    check(&set("['2024-01-01']"), shared(Date32Array::from(vec![19_723, 19_724])), &[("quality[0]", Failed, 1)]);
    let many = format!("[{}]", (0..40).map(|at| at.to_string()).collect::<Vec<_>>().join(", "));
    check(&set(&many), shared(Int64Array::from(vec![39, 40])), &[("quality[0]", Failed, 1)]);
    // An unquoted NO is a text, as YAML 1.2 has it; a false among texts is a mistake.
    check(&set("[NO, SE]"), shared(StringArray::from(vec!["NO"])), &[("quality[0]", Passed, 0)]);
    check(&set("[false, SE]"), shared(StringArray::from(vec!["NO"])), &[("quality[0]", NotRun, 0)]);
    let both = "quality: [{metric: invalidValues, mustBe: 0, arguments: {validValues: [ab, cd], pattern: ^a}}]";
    check(both, shared(StringArray::from(vec!["ab", "cd", "ae"])), &[("quality[0]", Failed, 2)]);
    let iban = "quality: [{metric: invalidValues, mustBe: 0, pattern: '^[A-Z]{2}'}]";
    check(iban, shared(StringArray::from(vec!["DE1", "1"])), &[("quality[0]", Failed, 1)]);
}

#[test]
fn arrays_and_objects() {
    let lists = shared(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
        None,
        Some(vec![Some(1), Some(1), Some(1)]),
    ]));
    let options = "logicalType: array, logicalTypeOptions: {minItems: 1, maxItems: 2, uniqueItems: true}";
    check(options, lists, &[("a.type", Passed, 0), ("minItems", Failed, 1), ("maxItems", Failed, 1), ("uniqueItems", Failed, 1)]);
    let field = Arc::new(Field::new("b", DataType::Int64, true));
    let inner = shared(Int64Array::from(vec![Some(1), None, Some(9)]));
    let outer = shared(StructArray::new(vec![field].into(), vec![inner], Some(vec![true, true, false].into())));
    let json = || shared(StringArray::from(vec![Some("[1,2]"), Some("[]"), None, Some("[1,1,1]"), Some("1")]));
    let found = [("a.type", Failed, 1), ("minItems", Failed, 2), ("maxItems", Failed, 2), ("uniqueItems", Failed, 2)];
    check(options, json(), &found);
    let nested = "logicalType: object, properties: [{name: b, required: true, logicalTypeOptions: {maximum: 5}}]";
    check(nested, outer, &[("a.type", Passed, 0), ("a.b.required", Failed, 2), ("a.b.maximum", Passed, 0)]);
    let flat = batch(vec![("a.b", shared(Int64Array::from(vec![Some(1), None])))]);
    let found = report(&format!("schema:\n- name: t\n  properties: [{{name: a, {nested}}}]\n"), &flat, CheckOptions::default());
    let statuses: Vec<Status> = found.rules.iter().map(|rule| rule.status).collect();
    assert_eq!(statuses, [Passed, Passed, Passed, Failed, Passed]);
}

#[test]
fn keys() {
    let ids = || shared(Int64Array::from(vec![Some(1), Some(2), Some(2), None, None, Some(2)]));
    check("unique: true", ids(), &[("unique", Failed, 2)]);
    check("quality: [{metric: duplicateValues, mustBe: 1}]", ids(), &[("quality[0]", Passed, 2)]);
    check("quality: [{metric: duplicateValues, mustBeLessThan: 34, unit: percent}]", ids(), &[("quality[0]", Passed, 2)]);
    check("unique: true", shared(StringArray::from(vec![Some("x"), Some("y"), Some("x"), None, None])), &[("unique", Failed, 1)]);
    check("unique: true", shared(Float64Array::from(vec![0.5, 0.5])), &[("unique", Failed, 1)]);
    check("unique: true", shared(BooleanArray::from(vec![true, false])), &[("unique", Passed, 0)]);
    let two = "schema:\n- name: t\n  quality: [{metric: duplicateValues, mustBe: 0, arguments: {properties: [a, b]}}]\n  \
               properties:\n  - {name: a, primaryKey: true, primaryKeyPosition: 1}\n  - {name: b, primaryKey: true, primaryKeyPosition: 2}\n";
    let table = batch(vec![
        ("a", shared(Int64Array::from(vec![1, 1, 2, 1]))),
        ("b", shared(StringArray::from(vec!["x", "y", "x", "x"]))),
    ]);
    let report = report(two, &table, CheckOptions::default());
    for rule in ["t.primaryKey", "t.quality[0]"] {
        let found = report.rule(rule).unwrap();
        assert_eq!((found.status, found.violations), (Failed, 1));
        assert_eq!(found.examples, [Example { row: Some(3), value: Some("1, x".to_owned()) }]);
    }
}

#[test]
fn references() {
    let schema = "schema:\n- name: orders\n  properties:\n  - {name: customer, relationships: [{to: customers.id}]}\n- name: customers\n  \
                  properties:\n  - {name: id, physicalName: ID}\n";
    let orders = batch(vec![("customer", shared(Int32Array::from(vec![Some(1), Some(2), None, Some(9)])))]);
    let needed = contract(schema).needed_keys(Some("orders")).unwrap();
    assert_eq!(needed, [NeededKeys { name: "customers(ID)".to_owned(), columns: vec!["ID".to_owned()], rows: false }]);
    let keys = |seed: u64| {
        let mut set = KeySet::new(seed);
        set.add(&batch(vec![("ID", shared(Int64Array::from(vec![1, 2, 3])))]), &needed[0].columns).unwrap();
        CheckOptions { seed: 5, keys: BTreeMap::from([(needed[0].name.clone(), Arc::new(set))]), ..CheckOptions::default() }
    };
    let found = report(schema, &orders, keys(5));
    let rule = found.rule("orders.customer.reference(customers.id)").unwrap();
    assert_eq!((rule.status, rule.violations, rule.examples[0].row), (Failed, 1, Some(3)));
    for options in [keys(6), CheckOptions::default()] {
        let found = report(schema, &orders, options);
        assert_eq!((found.rules[1].status, found.verdict), (NotRun, Verdict::Incomplete));
    }
}

#[test]
fn rows_and_age() {
    let table = batch(vec![("at", shared(TimestampMicrosecondArray::from(vec![Some(0), Some(5_000_000), None])))]);
    let schema = "slaProperties:\n- {property: freshness, value: 10, unit: s, element: t.at}\n- {property: retention, value: PT12S, element: at}\n\
                  schema:\n- name: t\n  quality: [{metric: rowCount, mustBeBetween: [3, 3]}]\n  properties: [{name: at}]\n";
    let schema = schema.replace("[3, 3]", "[1, 3]");
    let at = |now_micros: i64| report(&schema, &table, CheckOptions { now_micros, ..CheckOptions::default() });
    let statuses =
        |report: &ContractReport| ["t.quality[0]", "freshness", "retention"].map(|rule| report.rule(rule).unwrap().status);
    assert_eq!(statuses(&at(6_000_000)), [Passed, Passed, Passed]);
    assert_eq!(statuses(&at(12_000_000)), [Passed, Passed, Failed]);
    assert_eq!(statuses(&at(15_000_000)), [Passed, Failed, Failed]);
    let none = batch(vec![("at", shared(NullArray::new(1)))]);
    assert_eq!(report(&schema, &none, CheckOptions::default()).rule("freshness").unwrap().status, NotRun);
}

#[test]
fn queries_are_handed_out_and_come_back() {
    let schema = "schema:\n- name: t\n  quality: [{id: q, type: sql, query: 'SELECT COUNT(*) FROM {object}', mustBeLessThan: 5}]\n  properties:\n  \
                  - {name: a B, quality: [{type: sql, query: 'SELECT MAX(\"{property}\") FROM ${table}', mustBe: 1}]}\n";
    let contract = contract(schema);
    let table = batch(vec![("a B", shared(Int64Array::from(vec![1])))]);
    let checker = Checker::new(&contract, None, &table.schema(), CheckOptions::default()).unwrap();
    let queries: Vec<(String, String)> = checker.queries("v7").into_iter().map(|query| (query.rule, query.sql)).collect();
    assert_eq!(queries[0], ("t.a B.quality[0]".to_owned(), "SELECT MAX(\"a B\") FROM v7".to_owned()));
    assert_eq!(queries[1], ("t.q".to_owned(), "SELECT COUNT(*) FROM v7".to_owned()));
    assert_eq!(checker.clone().finish().verdict, Verdict::Incomplete);
    let results =
        BTreeMap::from([("t.q".to_owned(), SqlResult::Value(4.0)), ("t.a B.quality[0]".to_owned(), SqlResult::Value(1.0))]);
    let evidence = Evidence { sql: Some(&results), profile: None };
    assert_eq!(checker.clone().finish_with(&evidence).verdict, Verdict::Passed);
    let results = BTreeMap::from([("t.q".to_owned(), SqlResult::Failed("no such table".to_owned()))]);
    let report = checker.finish_with(&Evidence { sql: Some(&results), profile: None });
    assert!(report.rule("t.q").unwrap().message.contains("no such table"));
}

#[test]
fn odd_tables() {
    let twice = RecordBatch::try_new(
        Arc::new(arrow_schema::Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("a", DataType::Int64, true)])),
        vec![shared(Int64Array::from(vec![1])), shared(Int64Array::from(vec![2]))],
    )
    .unwrap();
    let schema = "schema:\n- name: t\n  properties: [{name: a, required: true}]\n";
    let found = report(schema, &twice, CheckOptions::default());
    assert!(found.rule("a.present").unwrap().message.contains("more than once"));
    let empty = batch(vec![("a", shared(Int64Array::from(Vec::<i64>::new())))]);
    assert_eq!(report(schema, &empty, CheckOptions::default()).verdict, Verdict::Passed);
    let contract = contract(schema);
    let mut checker = Checker::new(&contract, None, &empty.schema(), CheckOptions::default()).unwrap();
    assert!(checker.update(&twice, 0).is_err());
    assert!(Checker::new(&contract, Some("x"), &empty.schema(), CheckOptions::default()).is_err());
}
