use inspection::frame::job_frame;
use inspection::{Ask, CsvDialect, InspectionError, JobSpec, QueryValue, Worker};
use kernel::Problem;

use super::{Given, PROGRAM, job, rows, run};

const ORDERS: Given<'static> = ("orders", &[("a.csv", b"id,customer\n1,a\n2,b\n"), ("b.csv", b"id,customer\n3,z\n")]);
const CUSTOMERS: Given<'static> = ("customers", &[("c.jsonl", b"{\"id\":\"a\"}\n{\"id\":\"b\"}\n")]);

fn contract(query: &str) -> Ask {
    Ask::Rules {
        contract_yaml: format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: orders\n  quality:\n  \
             - {{id: q, type: sql, query: '{query}', mustBe: 0}}\n"
        ),
    }
}

#[tokio::test]
async fn rows_come_back_over_the_pipe() {
    let tables = [ORDERS, CUSTOMERS];
    let ask = rows("SELECT o.id, c.id AS there FROM orders o LEFT JOIN customers c ON o.customer = c.id ORDER BY o.id");
    let report = run(&job(&tables, ask), &tables).await.unwrap();
    assert!(report.confinement.is_complete(), "{:?}", report.confinement);
    assert!(report.cpu_ms > 0 && report.memory_peak_bytes > 0);
    let found = report.rows.unwrap();
    assert_eq!(found.rows.as_str(), r#"[[1,"a"],[2,"b"],[3,null]]"#);
    assert_eq!(found.columns[1].name, "there");
}

#[tokio::test]
async fn rules_are_answered_by_name() {
    let tables = [ORDERS, CUSTOMERS];
    let ask = contract("SELECT COUNT(*) FROM {object} WHERE customer NOT IN (SELECT id FROM customers)");
    let report = run(&job(&tables, ask), &tables).await.unwrap();
    assert_eq!(report.rules["orders.q"], QueryValue::Value(1.0));
    let report = run(&job(&tables, contract("COPY orders TO \"/tmp/x\"")), &tables).await.unwrap();
    assert!(matches!(&report.rules["orders.q"], QueryValue::Failed(_)), "{:?}", report.rules);
}

#[tokio::test]
async fn csv_files_are_read_as_their_committer_says() {
    let tables: [Given<'_>; 1] = [("bare", &[("a.csv", b"1~-5\n2~7\n")])];
    let mut job = job(&tables, contract("SELECT COUNT(*) FROM {object} WHERE column_2 < 0"));
    let report = run(&job, &tables).await.unwrap();
    assert!(matches!(&report.rules["orders.q"], QueryValue::Failed(_)), "one column is seen: {:?}", report.rules);
    job.tables[0].csv = CsvDialect::of_options(false, true, Some("~".parse().unwrap()));
    let report = run(&job, &tables).await.unwrap();
    assert_eq!(report.rules["orders.q"], QueryValue::Value(1.0));
}

#[tokio::test]
async fn what_cannot_be_asked_is_an_error() {
    let tables = [ORDERS];
    let error = run(&job(&tables, rows("DELETE FROM orders")), &tables).await.unwrap_err();
    assert!(matches!(&error, InspectionError::Failed(why) if why.contains("only SELECT")), "{error}");
    let error = run(&job(&tables, Ask::Rules { contract_yaml: "[".to_owned() }), &tables).await.unwrap_err();
    assert!(matches!(error, InspectionError::Failed(_)), "{error}");
    let many: Vec<Given<'_>> = vec![ORDERS; 17];
    let error = run(&job(&many, rows("SELECT 1")), &many).await.unwrap_err();
    assert!(error.to_string().contains("at most 16 tables"), "{error}");
}

#[tokio::test]
async fn a_store_that_fails_fails_the_query() {
    let job = job(&[ORDERS], rows("SELECT COUNT(*) FROM orders"));
    let down = |_| async { Err::<bytes::Bytes, _>(Problem::unavailable("the store is down")) };
    let error = Worker::new(PROGRAM).query(&job, down, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, InspectionError::Source(_)), "{error}");
}

#[tokio::test]
async fn it_does_no_other_workers_job() {
    let job = JobSpec::new("set", "1", Vec::new(), 0);
    let read = |_| async { Ok::<_, Problem>(bytes::Bytes::new()) };
    let error = Worker::new(PROGRAM).run(&job, read, |_| {}, std::future::pending()).await.unwrap_err();
    assert!(matches!(&error, InspectionError::Failed(why) if why.contains("not a query")), "{error}");
    assert!(job_frame(&job).is_ok());
}
