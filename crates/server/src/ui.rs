//! MLflow's own web page behind our log-in: its built files, served from a folder that the operator names. The page then speaks MLflow's
//! `/ajax-api`, which passes the same door as everything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use gate::{Action, Operation, Permit, Target};
use http::{HeaderValue, Method, header};
use kernel::Problem;
use wire::{Answer, Door};

/// Every verb of this file.
pub const ACTIONS: &[Action] = &[ReadPage::ACTION];

/// Files that the folder may hold.
const FILE_COUNT_MAX: usize = 20_000;
/// A file of the page larger than this is not served.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How deep the folder may nest.
const DEPTH_MAX: usize = 12;
/// The page brings inline scripts and styles of its own, so its policy cannot be as strict as ours.
const PAGE_POLICY: &str = "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; \
     base-uri 'self'; form-action 'self'; object-src 'none'";

/// The page's files: the name that a browser asks for → the file. What is not in it cannot be asked for.
pub type PageFiles = Arc<BTreeMap<String, PathBuf>>;

/// Lists the folder once, so that no request's text ever becomes a path.
///
/// # Errors
/// `Invalid` if the folder cannot be read, has no `index.html`, or is too large.
pub fn list_page(folder: &Path) -> Result<PageFiles, Problem> {
    let mut files = BTreeMap::new();
    walk(folder, "", 0, &mut files)
        .map_err(|fault| Problem::invalid(format!("`server.mlflow_ui_dir` = `{}`: {fault}", folder.display())))?;
    if !files.contains_key("index.html") {
        let message = format!(
            "`server.mlflow_ui_dir` = `{}` has no index.html; name mlflow/server/js/build of its wheel",
            folder.display()
        );
        return Err(Problem::invalid(message));
    }
    Ok(Arc::new(files))
}

fn walk(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err(format!("nested deeper than {DEPTH_MAX} folders"));
    }
    for entry in std::fs::read_dir(folder).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let kind = entry.file_type().map_err(|e| e.to_string())?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let relative = format!("{prefix}{name}");
        if kind.is_dir() {
            walk(&entry.path(), &format!("{relative}/"), depth + 1, files)?;
        } else if kind.is_file() {
            files.insert(relative, entry.path());
        }
        if files.len() > FILE_COUNT_MAX {
            return Err(format!("more than {FILE_COUNT_MAX} files"));
        }
    }
    Ok(())
}

/// Reads one file of the page.
struct ReadPage {
    files: PageFiles,
    name: String,
}

impl Operation for ReadPage {
    const ACTION: Action = Action::read("ui.read");
    type Output = (String, Vec<u8>);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(String, Vec<u8>), Problem> {
        let path = self.files.get(&self.name).ok_or_else(|| Problem::not_found("the page has no such file"))?;
        let size = tokio::fs::metadata(path).await.map_or(u64::MAX, |meta| meta.len());
        if size > FILE_BYTES_MAX {
            return Err(Problem::not_found("the page has no such file"));
        }
        let bytes = tokio::fs::read(path).await.map_err(|e| Problem::internal("a file of the page cannot be read", e))?;
        Ok((self.name, bytes))
    }
}

/// Adds the page's routes.
pub fn routes(door: &mut Door, page: &PageFiles) {
    for path in ["/", "/static-files/{*path}"] {
        let files = Arc::clone(page);
        let parse = move |inbound: &wire::Inbound| {
            let name = match inbound.path("path") {
                "" => "index.html",
                name => name,
            };
            Ok(ReadPage { files: Arc::clone(&files), name: name.to_owned() })
        };
        door.route(Method::GET, path, parse, |(name, bytes)| Ok(page_file(&name, bytes)));
    }
}

fn page_file(name: &str, bytes: Vec<u8>) -> Answer {
    let kind = match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    let mut answer = with_headers(Body::from(bytes), kind, PAGE_POLICY);
    if name != "index.html" {
        // The build's file names hold a hash of their content.
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=86400"));
    }
    answer
}

fn with_headers(body: Body, kind: &'static str, policy: &str) -> Answer {
    let mut answer = Answer::new(body);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(policy) = HeaderValue::from_str(policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    wire::harden(&mut answer);
    answer
}
