//! Rules that speak of other tables, rows of a split, and the segments that a drift comes from.

use inspection::{FileSpec, InspectionReport, JobSpec, OtherTable, Reference, Worker};

use super::{PROGRAM, job, run};

const CONTRACT: &str = "
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
- name: orders
  properties:
  - name: customer
    logicalType: integer
    relationships:
    - to: customers.id
- name: customers
  properties:
  - name: id
    logicalType: integer
";
const LEAKAGE: &str = "
apiVersion: v3.1.0
kind: DataContract
id: test
version: 1.0.0
status: active
schema:
- name: set
  quality:
  - type: custom
    engine: strongroom
    implementation: {check: leakage, against: train@2}
";

/// A file with its path.
type Named<'a> = (&'a str, &'a [u8]);

fn other(name: &str, version: &str, (path, bytes): (&str, &[u8]), apart: bool) -> OtherTable {
    let sha256 = kernel::hex(&kernel::sha256(bytes));
    let files = vec![FileSpec { path: path.to_owned(), size_bytes: bytes.len() as u64, sha256 }];
    OtherTable { name: name.to_owned(), version: version.to_owned(), files, csv: inspection::CsvDialect::default(), apart }
}

async fn inspect(mut job: JobSpec, own: (&str, &[u8]), others: &[(OtherTable, (&str, &[u8]))]) -> InspectionReport {
    job.others = others.iter().map(|(table, _)| table.clone()).collect();
    let files: Vec<(&str, &[u8])> = std::iter::once(own).chain(others.iter().map(|(_, file)| *file)).collect();
    run(&Worker::new(PROGRAM), &job, &files).await.unwrap()
}

fn finding<'a>(report: &'a InspectionReport, id: &str) -> Option<&'a inspection::Finding> {
    report.findings.iter().find(|finding| finding.id == id)
}

#[tokio::test]
async fn keys_of_another_table_must_exist_and_are_not_run_without_it() {
    let orders: (&str, &[u8]) = ("orders.csv", b"customer\n1\n2\n9\n");
    let mut wanted = job(&[orders]);
    (wanted.dataset, wanted.contract_yaml) = ("orders".to_owned(), Some(CONTRACT.to_owned()));
    for (keys, expected) in [(&b"id\n1\n2\n3\n"[..], Some(1)), (b"id\n1\n2\n9\n", None)] {
        let customers = ("c.csv", keys);
        let table = (other("customers", "customers@4", customers, false), customers);
        let report = inspect(wanted.clone(), orders, &[table]).await;
        assert_eq!(finding(&report, "validity.violated").and_then(|found| found.row_count), expected, "{:?}", report.findings);
        assert!(finding(&report, "validity.rule_not_run").is_none(), "{:?}", report.findings);
    }
    let report = inspect(wanted, orders, &[]).await;
    assert!(finding(&report, "validity.rule_not_run").is_some(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_table_that_refers_to_itself_is_its_own_other_table() {
    let contract = CONTRACT.replace("name: customer\n", "name: parent\n").replace("customers.id", "orders.id");
    let contract = contract.replace("- name: customers\n  properties:\n", "");
    let old: (&str, &[u8]) = ("old.csv", b"parent,id\n,1\n");
    for (rows, expected) in [(&b"parent,id\n,1\n1,2\n2,3\n"[..], None), (b"parent,id\n,1\n1,2\n9,3\n", Some(1))] {
        let own = ("o.csv", rows);
        let mut wanted = job(&[own]);
        (wanted.dataset, wanted.contract_yaml) = ("orders".to_owned(), Some(contract.clone()));
        let before = [(other("orders", "orders@1", old, false), old)];
        for others in [&before[..0], &before[..]] {
            let report = inspect(wanted.clone(), own, others).await;
            let found = finding(&report, "validity.violated").and_then(|found| found.row_count);
            assert_eq!(found, expected, "{:?}", report.findings);
            assert!(finding(&report, "validity.rule_not_run").is_none(), "{:?}", report.findings);
        }
    }
}

#[tokio::test]
async fn rows_of_a_split_are_found_by_a_rule_and_by_the_job_itself() {
    let test: (&str, &[u8]) = ("t.csv", b"id,x,y\n1,a,0\n2,b,1\n3,c,1\n");
    let train: (&str, &[u8]) = ("r.csv", b"id,x,y\n7,a,0\n8,z,1\n3,c,1\n");
    let mut by_rule = job(&[test]);
    by_rule.contract_yaml = Some(LEAKAGE.to_owned());
    let report = inspect(by_rule, test, &[(other("train@2", "train@2", train, false), train)]).await;
    assert_eq!(finding(&report, "validity.violated").and_then(|found| found.row_count), Some(1), "{:?}", report.findings);
    let mut by_itself = job(&[test]);
    by_itself.roles.id = Some("id".to_owned());
    let report = inspect(by_itself, test, &[(other("train@2", "train@2", train, true), train)]).await;
    let shared = finding(&report, "validity.shared_rows").unwrap();
    assert_eq!(shared.row_count, Some(2), "an id does not make two rows different: {shared:?}");
    let apart: (&str, &[u8]) = ("r.csv", b"id,x,y\n7,q,0\n");
    let report = inspect(job(&[test]), test, &[(other("train@2", "train@2", apart, true), apart)]).await;
    assert!(finding(&report, "validity.shared_rows").is_none());
    let odd: (&str, &[u8]) = ("r.csv", b"other\n1\n");
    let report = inspect(job(&[test]), test, &[(other("train@2", "train@2", odd, true), odd)]).await;
    assert!(finding(&report, "validity.rule_not_run").is_some(), "{:?}", report.findings);
}

#[tokio::test]
async fn a_drift_is_explained_by_the_rows_it_comes_from() {
    let table = |factor: u32| {
        let mut text = String::from("kind,size\n");
        for row in 0..20_000_u32 {
            let kind = ["oak", "elm", "ash", "fir", "yew", "pine", "lime", "plum", "beech", "alder"][(row * 7 % 10) as usize];
            let size = 1_000 + row * 7_919 % 2_003;
            text.push_str(&format!("{kind},{}.5\n", if kind == "pine" { size * factor } else { size }));
        }
        text.into_bytes()
    };
    let (before, after) = (table(1), table(3));
    let (before, after): (Named<'_>, Named<'_>) = (("a.csv", &before), ("a.csv", &after));
    let first = inspect(job(&[before]), before, &[]).await;
    let mut second = job(&[after]);
    second.reference = Some(Reference { name: "set@1".to_owned(), profile: first.profile.unwrap() });
    let report = inspect(second, after, &[(other("", "set@1", before, false), before)]).await;
    let drift = report.findings.iter().find(|finding| finding.columns == ["size"] && finding.id == "drift.column").unwrap();
    assert!(drift.detail.contains("pine"), "{drift:?}");
    assert!(report.view.segments[0].segment.contains("pine") && report.segments.is_some(), "{:?}", report.view.segments);
    assert!(inspection::html(&report).contains("Where it comes from"));
}
