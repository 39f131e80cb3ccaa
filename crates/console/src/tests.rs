//! What templates do with what people typed.

use kernel::Problem;
use wire::Whence;

use crate::page::{lead_on_to, problem_page};

#[tokio::test]
async fn what_people_typed_is_text() {
    let whence = Whence { workspace: "churn".to_owned(), back: "/console/data?state=x".to_owned() };
    let page = problem_page(&Problem::invalid("<script>alert(1)</script>\"'&"), &whence);
    let policy = page.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
    let bytes = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!text.contains("<script>alert") && text.contains("&#60;script&#62;"), "{text}");
    assert!(text.contains("href=\"/console/data?state=x&#38;workspace=churn\"") && text.contains("Workspace churn"), "{text}");
    assert!(!text.contains(" style=") && !text.contains("<style"));
}

#[test]
fn a_form_leads_on_to_one_address_and_no_other() {
    let mut page = problem_page(&Problem::invalid("x"), &Whence { workspace: "default".to_owned(), back: String::new() });
    let policy = |page: &wire::Answer| page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let before = policy(&page);
    lead_on_to(&mut page, "http://127.0.0.1:50123/callback");
    assert_eq!(policy(&page), before.replace("form-action 'self';", "form-action 'self' http://127.0.0.1:50123/callback;"));
    assert_ne!(policy(&page), before);
}
