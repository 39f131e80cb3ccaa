//! `strongroom witness`: a server of its own that cosigns other logs' checkpoints (C2SP tlog-witness). It keeps no data but
//! the newest checkpoint of each log that it knows, so it has no accounts: a checkpoint proves itself by its signature.

use std::path::Path;
use std::sync::Arc;

use audit::{Witness, WitnessAnswer};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Problem, Secret, SystemClock, random_bytes};
use wire::Answer;

use crate::{boot, config, folder, listen, tls};

/// A request of `add-checkpoint`: 63 proof lines and a checkpoint fit well.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Answers until told to stop.
///
/// # Errors
/// `Invalid` for a key that cannot be used; `Unavailable` if the address is taken.
pub async fn serve(dir: &Path, name: &str, logs: &[String], address: &str) -> Result<(), Problem> {
    let seed = seed(dir)?;
    let witness = Arc::new(Witness::open(&dir.join("seen"), name, &seed, logs, Arc::new(SystemClock))?);
    let listener = listen::bind(address).await?;
    let bound = listener.local_addr().map_err(|e| Problem::internal("the listener has no address", e))?;
    let names = folder::host_names(&config::Config::default(), Some(bound));
    let tls = tls::server_config(dir, &config::TlsConfig::default(), &names, None)?;
    let stopping = boot::stop_signal()?;
    crate::say!("listening https://{bound}\nverifier key {}", witness.verifier_key());
    let router = Router::new().fallback(move |request: Request| answer(Arc::clone(&witness), request));
    listen::serve(listener, tls, router, stopping).await;
    Ok(())
}

fn seed(dir: &Path) -> Result<Secret, Problem> {
    let path = dir.join("witness.key");
    if !path.exists() {
        tls::make_authority(dir)?;
        tls::write_private(&path, &kernel::hex(&random_bytes::<32>()))?;
    }
    let text = std::fs::read_to_string(&path).map_err(|e| tls::file_problem(&path, e))?;
    let bytes = kernel::parse_hex(text.trim()).filter(|bytes| bytes.len() == 32);
    bytes.map(Secret::new).ok_or_else(|| Problem::invalid(format!("`{}` is not a key", path.display())))
}

async fn answer(witness: Arc<Witness>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let found = match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/add-checkpoint") => match axum::body::to_bytes(body, BODY_BYTES_MAX).await {
            Ok(bytes) => tokio::task::spawn_blocking(move || witness.add_checkpoint(&bytes)).await.ok(),
            Err(_) => None,
        },
        (&Method::GET, path) => {
            let hash = path.strip_prefix('/').and_then(|path| path.strip_suffix("/checkpoint")).map(str::to_owned);
            match hash {
                Some(hash) => tokio::task::spawn_blocking(move || witness.checkpoint(&hash)).await.ok(),
                None => None,
            }
        }
        _ => None,
    };
    found.map_or_else(
        || plain(StatusCode::NOT_FOUND, "text/plain", "POST /add-checkpoint, or GET /<hash>/checkpoint\n".into()),
        |found| {
            let WitnessAnswer { status, content_type, body } = found;
            plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), content_type, body.into_bytes())
        },
    )
}

fn plain(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Answer::new(Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
