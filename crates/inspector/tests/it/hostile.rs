//! Files made to break a reader: each ends in a clear finding, in a worker that lives.

use base64::Engine as _;
use inspection::{Severity, Worker};

use super::{PROGRAM, job, run};

async fn check(path: &str, bytes: &[u8], expected: &str) {
    let files: &[(&str, &[u8])] = &[(path, bytes)];
    let report = run(&Worker::new(PROGRAM), &job(files), files).await.unwrap_or_else(|error| panic!("{path}: {error}"));
    let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert!(ids.contains(&expected), "{path}: {ids:?}");
    assert!(report.findings.iter().all(inspection::Finding::is_bounded));
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    check("a.parquet", b"PAR1\x00\x00\x00\x00PAR1", "format.unreadable").await;
    check("a.parquet", b"PAR1 and then nothing", "format.unreadable").await;
    check("a.parquet", &[b"PAR1".as_slice(), &[0xff; 64], &[0xff, 0xff, 0xff, 0x7f], b"PAR1"].concat(), "format.limit").await;
    check("a.npy", b"\x93NUMPY\x01\x00\xff\xff{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "format.unreadable").await;
    check("a.arrow", b"ARROW1\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f", "format.unreadable").await;
    check("a.arrow", b"\xff\xff\xff\xff\xff\xff\xff\x7f", "format.limit").await;
    check("a.pickle", b"\x80\x04\x95\x00", "format.unreadable").await;
    check("a.csv", b"PK\x03\x04 a zip with another name", "format.unreadable").await;
    check("../../etc/passwd.csv", b"a\n1\n", "format.unreadable").await;
}

#[tokio::test]
async fn what_is_odd_is_said() {
    check("a.csv", b"", "format.empty").await;
    check("a.csv", b"a,b\n", "format.empty").await;
    check("a.csv", b"\n\n\n", "format.empty").await;
    check("a.csv", b"x,\"=HYPERLINK(\"\"http://x\"\")\"\n1,2\n3,4\n", "format.formula_cells").await;
    check("a.csv", b"a,a\n1,2\n3,4\n", "format.duplicate_columns").await;
    check("a.csv", b"name,x\n=cmd|' /C calc'!A0,1\nb,2\n", "format.formula_cells").await;
    check("a.csv", b"a,b\n1,2\n\xff\xfe,3\n4,5\n", "format.malformed_rows").await;
    check("a.jsonl", b"{\"a\":1}\n{\"a\":\n", "format.malformed_rows").await;
}

#[tokio::test]
async fn many_columns_and_long_lines_are_bounded() {
    let names: Vec<String> = (0..20_000).map(|at| format!("c{at}")).collect();
    check("a.csv", format!("{}\n", names.join(",")).as_bytes(), "format.limit").await;
    check("a.csv", &[b"a\n".as_slice(), &vec![b'x'; 40 << 20]].concat(), "format.limit").await;
}

#[tokio::test]
async fn what_hides_behind_a_picture_is_said_and_what_a_reader_adds_is_not() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    let zipped = [png.as_slice(), b"PK\x03\x04 an archive"].concat();
    check("x/a.png", &zipped, "format.malformed_rows").await;
    check("x/a.png", &[png.as_slice(), b"more bytes"].concat(), "format.note").await;
    let files: Vec<(String, &[u8])> = (0..12).map(|at| (format!("x/{at}.png"), png.as_slice())).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), *bytes)).collect();
    let report = run(&Worker::new(PROGRAM), &job(&files), &files).await.unwrap();
    let ids: Vec<&str> = report.findings.iter().map(|finding| finding.id.as_str()).collect();
    assert!(!ids.contains(&"profile.mostly_null") && !ids.contains(&"format.malformed_rows"), "{ids:?}");
}

#[tokio::test]
async fn infinities_are_said() {
    check("a.csv", b"x\n1.5\ninf\n-inf\n2.5\n", "profile.not_finite").await;
}

#[tokio::test]
async fn seeded_damage_never_ends_without_an_answer() {
    let good = super::worker::table();
    let mut state = 7_u64;
    for _ in 0..6 {
        let mut bytes = good.clone();
        for _ in 0..40 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(state >> 33).unwrap() % bytes.len();
            bytes[at] = u8::try_from(state >> 24 & 0xff).unwrap();
        }
        let files: &[(&str, &[u8])] = &[("a.csv", &bytes)];
        let report = run(&Worker::new(PROGRAM), &job(files), files).await.unwrap();
        assert!(report.findings.iter().any(|finding| finding.severity >= Severity::Warning), "damage went unseen");
    }
}
