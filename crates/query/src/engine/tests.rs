use std::fmt::Write;

use tables::{DataFile, ReadOptions};

use super::*;

/// Three orders, of which one names a customer that is not there.
const ORDERS: &str = "id,Customer,amount,at\n1,a,10,2024-01-01\n2,b,20,2024-01-02\n3,z,30,2024-01-03\n";
const CUSTOMERS: &str = "id,name\na,Ann\nb,Bob\n";

fn table(text: &str) -> Table {
    Table::open(vec![DataFile::in_memory("t.csv", text.to_owned())], &ReadOptions::default()).unwrap()
}

fn engine_with(limits: QueryLimits, tables: &[(&str, &str)]) -> Engine {
    let tables = tables.iter().map(|(name, text)| (vec![(*name).to_owned()], table(text))).collect();
    Engine::new(tables, limits, &Meter::new(|_| {})).unwrap()
}

fn engine() -> Engine {
    engine_with(QueryLimits::default(), &[("orders", ORDERS), ("customers", CUSTOMERS)])
}

#[track_caller]
fn check(sql: &str, expected: f64) {
    let text = sql.to_owned();
    let given = crate::on_a_deep_stack(move || engine().value(&text)).unwrap();
    let value = given.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert!((value - expected).abs() < 1e-9, "{sql}: {value}");
}

/// On a stack as deep as the program's.
#[track_caller]
fn check_refused(sql: &str, expected: &str) {
    let text = sql.to_owned();
    let given = crate::on_a_deep_stack(move || engine().value(&text).map_err(|error| error.to_string())).unwrap();
    let shown: String = sql.chars().take(100).collect();
    match given {
        Ok(value) => panic!("{shown}: gave {value}"),
        Err(error) => assert!(error.contains(expected), "{shown}: {error}"),
    }
}

#[test]
fn a_query_gives_one_number() {
    check("SELECT COUNT(*) FROM orders", 3.0);
    check("SELECT SUM(amount) FROM orders WHERE id < 3", 30.0);
    check("SELECT AVG(amount) FROM orders", 20.0);
    check("SELECT MAX(amount) > 25 FROM orders", 1.0);
    check("SELECT COUNT(*) FILTER (WHERE amount > 15) FROM orders;", 2.0);
    check("SELECT CAST(COUNT(*) AS DECIMAL(10, 2)) / 2 FROM orders", 1.5);
    check("SELECT 7", 7.0);
    check("SELECT amount FROM orders ORDER BY amount DESC LIMIT 1", 30.0);
    check("SELECT COUNT(DISTINCT EXTRACT(YEAR FROM at)) FROM orders", 1.0);
    check("SELECT COUNT(*) FROM orders WHERE regexp_like(customer, '^[a-y]$') AND length(customer) = 1", 2.0);
    check("WITH big AS (SELECT * FROM orders WHERE amount > 15) SELECT COUNT(*) FROM big b JOIN big c ON b.id = c.id", 2.0);
    check("SELECT MAX(r) FROM (SELECT ROW_NUMBER() OVER (ORDER BY id) AS r FROM orders) t", 3.0);
}

#[test]
fn a_query_that_may_give_many_rows_gives_their_number() {
    check("SELECT * FROM orders WHERE amount > 15", 2.0);
    check("SELECT id FROM orders WHERE id = 3", 1.0);
    check("SELECT id FROM orders WHERE id > 3", 0.0);
    check("SELECT customer FROM orders GROUP BY customer HAVING COUNT(*) > 1", 0.0);
}

#[test]
fn tables_are_joined() {
    check("SELECT COUNT(*) FROM orders o LEFT JOIN customers c ON o.customer = c.id WHERE c.id IS NULL", 1.0);
    check("SELECT COUNT(*) FROM orders WHERE customer NOT IN (SELECT id FROM customers)", 1.0);
    check("SELECT COUNT(*) FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer)", 1.0);
}

#[test]
fn names_mean_the_same_in_any_case() {
    check("SELECT COUNT(Customer) FROM Orders", 3.0);
    check("SELECT COUNT(\"CUSTOMER\") FROM \"Orders\" AS \"O\" WHERE \"o\".ID > 0", 3.0);
    let twins = engine_with(QueryLimits::default(), &[("T", "a,A\n1,2\n")]);
    assert!((twins.value("SELECT \"A\" - a FROM t LIMIT 1").unwrap() - 1.0).abs() < 1e-9);
    let rows = engine().rows("SELECT customer, id AS x FROM orders LIMIT 1").unwrap();
    assert_eq!(rows.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["Customer", "x"]);
}

#[test]
fn what_is_no_number_is_no_answer() {
    check_refused("SELECT MAX(customer) FROM orders", "a rule is about a number");
    check_refused("SELECT MAX(amount) FROM orders WHERE id > 9", "gave NULL");
    check_refused("SELECT amount FROM orders WHERE id > 9 LIMIT 1", "gave no row");
    check_refused("SELECT MIN(id), MAX(id) FROM orders", "gives 2 columns");
    check_refused("SELECT MAX(at) FROM orders", "a rule is about a number");
}

#[test]
fn sums_of_whole_numbers_do_not_wrap() {
    let big = engine_with(QueryLimits::default(), &[("t", "g,x\n1,9223372036854775807\n1,9223372036854775807\n")]);
    assert!(big.value("SELECT SUM(x) FROM t").unwrap() > 1.8e19);
    assert!(big.value("SELECT MAX(s) FROM (SELECT SUM(x) AS s FROM t GROUP BY g) q").unwrap() > 1.8e19);
    assert!((big.value("SELECT COUNT(*) FROM (SELECT g FROM t GROUP BY g HAVING SUM(x) > 5) q").unwrap() - 1.0).abs() < 1e-9);
    check("SELECT SUM(amount) + 1 FROM orders", 61.0);
    check("SELECT SUM(amount) / COUNT(*) FROM orders", 20.0);
    check("SELECT SUM(DISTINCT amount) FROM orders", 60.0);
}

#[test]
fn anything_but_one_select_is_refused() {
    for sql in [
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "COPY orders TO '/tmp/x.csv'",
        "COPY (SELECT 1) TO '/tmp/x.csv' STORED AS CSV",
        "INSERT INTO orders VALUES (1, 'a', 2, '2024-01-01')",
        "UPDATE orders SET id = 1",
        "DELETE FROM orders",
        "DROP TABLE orders",
        "TRUNCATE TABLE orders",
        "SET datafusion.execution.batch_size = 1",
        "SHOW TABLES",
        "DESCRIBE orders",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE SELECT COUNT(*) FROM orders",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "BEGIN",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE orders",
        "",
        "-- nothing",
        "SELECT 1 INTO x FROM orders",
        "WITH x AS (INSERT INTO orders SELECT * FROM orders) SELECT 1",
        "TABLE orders",
    ] {
        let given = crate::on_a_deep_stack(move || engine().value(sql).map_err(|error| error.to_string())).unwrap();
        assert!(given.is_err(), "{sql}: {given:?}");
    }
}

#[test]
fn nothing_outside_of_the_job_can_be_named() {
    check_refused("SELECT COUNT(*) FROM '/etc/passwd'", "not found");
    check_refused("SELECT COUNT(*) FROM \"/etc/passwd\"", "not found");
    check_refused("SELECT COUNT(*) FROM \"file:///etc/passwd.csv\"", "not found");
    check_refused("SELECT COUNT(*) FROM 's3://bucket/x.parquet'", "not found");
    check_refused("SELECT COUNT(*) FROM information_schema.tables", "not found");
    check_refused("SELECT COUNT(*) FROM information_schema.df_settings", "not found");
    check_refused("SELECT COUNT(*) FROM generate_series(1, 1000000000000)", "generate_series");
    check_refused("SELECT COUNT(*) FROM range(1, 1000000000000)", "range");
    check_refused("SELECT COUNT(*) FROM read_csv('/etc/passwd')", "read_csv");
    check_refused("SELECT COUNT(*) FROM parquet_metadata('x')", "parquet_metadata");
    check_refused("SELECT COUNT(nothing) FROM orders", "nothing");
    check_refused("SELECT random()", "random");
    check_refused("SELECT nosuch(1)", "nosuch");
}

#[test]
fn what_grows_without_end_is_refused() {
    check_refused("WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT COUNT(*) FROM x", "RECURSIVE");
    check_refused(&format!("SELECT '{}'", "x".repeat(70_000)), "more than 65536 bytes");
    check_refused(&format!("SELECT {}1{}", "(".repeat(900), ")".repeat(900)), "recursion");
    check_refused(&format!("SELECT {}1", "- ".repeat(900)), "recursion");
    check_refused(&format!("SELECT 1{}", " + 1".repeat(5_000)), "more than 2000 words");
    let nested = (0..60).fold("SELECT 1 AS a".to_owned(), |inner, at| format!("SELECT a FROM ({inner}) t{at}"));
    check_refused(&nested, "recursion");
    for first in ["SELECT id FROM orders", "SELECT 1 AS id"] {
        let mut doubled = format!("WITH a0 AS ({first})");
        for at in 1..40 {
            write!(doubled, ", a{at} AS (SELECT x.id FROM a{before} x, a{before} y)", before = at - 1).unwrap();
        }
        check_refused(&format!("{doubled} SELECT COUNT(*) FROM a39"), "more than 64 tables");
    }
    let unions = vec!["SELECT id FROM orders"; 100].join(" UNION ALL ");
    check_refused(&unions, "");
}

#[test]
fn what_is_long_but_flat_is_run() {
    check(&format!("SELECT 1{}", " + 1".repeat(900)), 901.0);
    check(&format!("SELECT COUNT(*) FROM orders WHERE id IN (0{})", ", 1".repeat(900)), 1.0);
    let deep = (0..10).fold("SELECT 1 AS a".to_owned(), |inner, at| format!("SELECT a FROM ({inner}) t{at}"));
    check(&deep, 1.0);
}

#[test]
fn memory_is_bounded() {
    let mut text = String::from("id,word\n");
    for row in 0..60_000 {
        writeln!(text, "{row},word number {row} of many").unwrap();
    }
    let limits = QueryLimits { memory_bytes_max: 4 << 20, ..QueryLimits::default() };
    let small = engine_with(limits, &[("t", &text)]);
    for sql in [
        "SELECT COUNT(*) FROM (SELECT word FROM t GROUP BY word) q",
        "SELECT COUNT(DISTINCT word) FROM t",
        "SELECT MAX(word) FROM (SELECT word, ROW_NUMBER() OVER (ORDER BY word DESC) AS r FROM t) q WHERE r > 5",
        "SELECT COUNT(*) FROM t a JOIN t b ON a.word = b.word AND a.id <> b.id",
    ] {
        let error = small.value(sql).unwrap_err();
        assert!(matches!(error, QueryError::Memory(_) | QueryError::Run(_)), "{sql}: {error}");
    }
    assert!((small.value("SELECT COUNT(*) FROM t").unwrap() - 60_000.0).abs() < 1e-9);
}

#[test]
fn time_is_bounded() {
    let text = format!("id\n{}", "1\n".repeat(100_000));
    let limits = QueryLimits { query_seconds_max: 1, ..QueryLimits::default() };
    let error = engine_with(limits, &[("t", &text)]).value("SELECT COUNT(*) FROM t a, t b WHERE a.id + b.id > 5").unwrap_err();
    assert!(matches!(error, QueryError::Time(1)), "{error}");
}

#[test]
fn faults_while_it_runs_are_told_without_values() {
    let words = engine_with(QueryLimits::default(), &[("t", "w,x\nsecret-word,0\n")]);
    for (sql, expected) in [
        ("SELECT MAX(CAST(w AS BIGINT)) FROM t", "TRY_CAST"),
        ("SELECT MAX(1 / x) FROM t", "NULLIF"),
        ("SELECT MAX(CAST(w AS TIMESTAMP)) FROM t", ""),
    ] {
        let QueryValue::Failed(why) = for_report(words.value(sql)) else { panic!("{sql} gave a number") };
        assert!(why.contains(expected) && !why.contains("secret"), "{sql}: {why}");
    }
    assert_eq!(for_report(Ok(f64::NAN)), for_report(Ok(f64::INFINITY)));
}

#[test]
fn rows_are_json_up_to_a_limit() {
    let rows =
        engine().rows("SELECT id, customer, amount / 4.0 AS q, at, NULL AS n, id > 1 AS big FROM orders ORDER BY id").unwrap();
    assert_eq!(rows.row_count, 3);
    assert!(!rows.truncated);
    assert!(rows.rows.as_str().starts_with(r#"[[1,"a",2.5,"2024-01-01",null,false],[2,"b",5"#), "{}", rows.rows.as_str());
    let limits = QueryLimits { row_count_max: 2, ..QueryLimits::default() };
    let rows = engine_with(limits, &[("orders", ORDERS)]).rows("SELECT SUM(id), COUNT(*) FROM orders GROUP BY id").unwrap();
    assert_eq!((rows.row_count, rows.truncated), (2, true));
    assert!(rows.rows.as_str().ends_with(",1]]"), "{}", rows.rows.as_str());
    let odd = engine_with(QueryLimits::default(), &[("t", "x,w\ninf,\u{1b}[31m\n")]).rows("SELECT x, w FROM t").unwrap();
    assert_eq!(odd.rows.as_str(), "[[\"inf\",\"\\u001b[31m\"]]");
}

#[test]
fn columns_that_no_file_has_are_there_and_empty() {
    let tables = vec![(vec!["t".to_owned()], table(CUSTOMERS), vec!["note".to_owned(), "name".to_owned()])];
    let engine = Engine::with_columns(tables, QueryLimits::default(), &Meter::new(|_| {})).unwrap();
    for (sql, expected) in [
        ("SELECT note, name, id FROM t ORDER BY id", r#"[[null,"Ann","a"],[null,"Bob","b"]]"#),
        ("SELECT note FROM t", "[[null],[null]]"),
        ("SELECT COUNT(*), COUNT(note), COUNT(name) FROM t", "[[2,0,2]]"),
        ("SELECT COUNT(*) FROM t WHERE note = 'x'", "[[0]]"),
    ] {
        assert_eq!(engine.rows(sql).unwrap().rows.as_str(), expected, "{sql}");
    }
}

#[test]
fn a_name_is_given_once() {
    let tables = vec![(vec!["t".to_owned()], table(ORDERS)), (vec!["T".to_owned()], table(CUSTOMERS))];
    assert!(matches!(Engine::new(tables, QueryLimits::default(), &Meter::new(|_| {})), Err(QueryError::Refused(_))));
}
