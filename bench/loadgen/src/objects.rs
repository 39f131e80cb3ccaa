//! Works of an object store, as any client of S3 does them: signed by version 4, the body unsigned as clients have it under TLS.
//!
//! Each client writes and reads objects of its own, `CLIENT/NUMBER`. What is read is compared byte by byte with what was written.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, Method, Request, Uri};
use kernel::{Clock, Secret, SystemClock};
use serde_json::{Value, json};
use sigv4::sign::{Signer, UNSIGNED_PAYLOAD};

use crate::connection::{Connection, Peer};
use crate::content::{Content, Noise};
use crate::options::Options;
use crate::works::{Seen, milliseconds, percentile, report, shown};

/// Pages have this many lines.
const PAGE_COUNT: usize = 1_000;
/// Pages that are asked for before those that count.
const WARM_PAGE_COUNT: usize = 5;

/// One client with a connection of its own.
struct Client {
    connection: Connection,
    host: String,
    signer: Signer,
    noise: Noise,
    bucket: String,
    number: usize,
    bytes: u64,
}

/// Which request a loop repeats.
#[derive(Clone, Copy)]
enum Step {
    Put,
    Get,
    Delete,
}

/// Does the work that the options name.
///
/// # Errors
/// If it cannot be done at all.
pub async fn run(options: &Options, peer: &Peer) -> Result<Value, String> {
    let mut first = Client::of(options, peer, 0)?;
    match options.work.as_str() {
        "s3-make-bucket" => {
            let path = format!("/{}", first.bucket);
            let (status, body) = first.ask(Method::PUT, &path, Content::whole(Bytes::new())).await?;
            expect(status, &body, &path)?;
            Ok(json!({"work": options.work}))
        }
        "s3-put" => repeat(options, peer, Step::Put, true).await,
        "s3-fill" => repeat(options, peer, Step::Put, false).await,
        "s3-get" => repeat(options, peer, Step::Get, true).await,
        "s3-clear" => repeat(options, peer, Step::Delete, false).await,
        "s3-list" => list(options, &mut first).await,
        "s3-walk" => walk(options, &mut first).await,
        other => Err(format!("`{other}` is not a work")),
    }
}

/// A loop on every connection: for the time of the options, or once over each client's set.
async fn repeat(options: &Options, peer: &Peer, step: Step, is_timed: bool) -> Result<Value, String> {
    let mut clients = Vec::new();
    for number in 0..options.connections {
        let mut client = Client::of(options, peer, number)?;
        // The handshake is no part of a transfer.
        client.ask(Method::HEAD, &format!("/{}", client.bucket.clone()), Content::whole(Bytes::new())).await?;
        clients.push(client);
    }
    let (start, busy) = (Instant::now(), cpu());
    let deadline = is_timed.then(|| start + options.duration);
    let tasks: Vec<_> = clients.into_iter().map(|client| tokio::spawn(client.repeat(step, options.set, deadline))).collect();
    let mut all = Seen::default();
    for task in tasks {
        let seen = task.await.map_err(|error| format!("a client broke: {error}"))?;
        all.latencies.extend(seen.latencies);
        all.errors += seen.errors;
    }
    let seconds = start.elapsed().as_secs_f64();
    let rate = all.latencies.len() as f64 / seconds;
    let mut result = report(options, rate, "requests/s", &mut all);
    if let Some(object) = result.as_object_mut() {
        object.insert("mb_per_s".to_owned(), json!(rate * options.bytes as f64 / 1e6));
        // How much of one core this generator took: near 1 it measures itself.
        object.insert("generator_busy".to_owned(), json!(cpu().saturating_sub(busy).as_secs_f64() / seconds));
    }
    Ok(result)
}

/// One page again and again.
async fn list(options: &Options, client: &mut Client) -> Result<Value, String> {
    let path = page_path(options, client, &format!("&start-after={}", encoded(&options.after)));
    let mut seen = Seen::default();
    let deadline = Instant::now() + options.duration;
    let mut asked = 0;
    while asked < WARM_PAGE_COUNT + 3 || Instant::now() < deadline {
        let start = Instant::now();
        let (status, body) = client.ask(Method::GET, &path, Content::whole(Bytes::new())).await?;
        let taken = start.elapsed();
        expect(status, &body, &path)?;
        let count = lines(&String::from_utf8_lossy(&body));
        if count != PAGE_COUNT {
            return Err(format!("a page has {count} lines, not {PAGE_COUNT}"));
        }
        asked += 1;
        if asked > WARM_PAGE_COUNT {
            seen.latencies.push(taken);
        }
    }
    seen.latencies.sort_unstable();
    let middle = milliseconds(percentile(&seen.latencies, 50));
    Ok(report(options, middle, "ms", &mut seen))
}

/// Every page, one behind the other.
async fn walk(options: &Options, client: &mut Client) -> Result<Value, String> {
    let mut seen = Seen::default();
    let (mut token, mut count) = (String::new(), 0);
    loop {
        let start = Instant::now();
        let behind = if token.is_empty() { String::new() } else { format!("&continuation-token={}", encoded(&token)) };
        let path = page_path(options, client, &behind);
        let (status, body) = client.ask(Method::GET, &path, Content::whole(Bytes::new())).await?;
        expect(status, &body, &path)?;
        let text = String::from_utf8_lossy(&body);
        count += lines(&text);
        seen.latencies.push(start.elapsed());
        match between(&text, "<NextContinuationToken>", "</NextContinuationToken>") {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    let mut result = report(options, count as f64, "objects", &mut seen);
    if let Some(object) = result.as_object_mut() {
        object.insert("slowest_ms".to_owned(), json!(milliseconds(seen.latencies.last().copied().unwrap_or_default())));
    }
    Ok(result)
}

/// The path of a page. The query's names are in order, as they are signed.
fn page_path(options: &Options, client: &Client, behind: &str) -> String {
    let (prefix, delimiter) = (encoded(&options.prefix), encoded(&options.delimiter));
    format!("/{}?list-type=2&max-keys={PAGE_COUNT}&prefix={prefix}&delimiter={delimiter}{behind}", client.bucket)
}

/// Objects and common prefixes of a page.
fn lines(xml: &str) -> usize {
    xml.matches("<Contents>").count() + xml.matches("<CommonPrefixes>").count()
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    text.split_once(open)?.1.split_once(close).map(|(inner, _)| inner)
}

fn expect(status: u16, body: &[u8], path: &str) -> Result<(), String> {
    match status {
        200..=299 => Ok(()),
        status => Err(format!("{path} answered {status}: {}", shown(body))),
    }
}

/// Percent-encoded as signatures want it.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What this process has computed: user and system time in ticks of a hundredth of a second (proc(5), fields 14 and 15 of `stat`).
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

impl Client {
    fn of(options: &Options, peer: &Peer, number: usize) -> Result<Self, String> {
        let file = options.access_key_file.as_ref().ok_or("an object store needs `--access-key-file FILE`")?;
        let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read `{file}`: {error}"))?;
        let key: Value = serde_json::from_str(&text).map_err(|error| format!("`{file}` is no JSON: {error}"))?;
        let of = |name: &str| key.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{file}` has no `{name}`"));
        let signer = Signer {
            access_key: of("access_key_id")?.to_owned(),
            secret: Secret::new(of("secret_access_key")?.as_bytes().to_vec()),
            session_token: None,
            region: "us-east-1".to_owned(),
            service: "s3".to_owned(),
        };
        Ok(Self {
            connection: peer.connection(),
            host: peer.host().to_owned(),
            signer,
            noise: Noise::new(),
            bucket: options.on.clone().ok_or("an object store needs `--on BUCKET`")?,
            number,
            bytes: options.bytes as u64,
        })
    }

    async fn repeat(mut self, step: Step, set: usize, deadline: Option<Instant>) -> Seen {
        let mut seen = Seen::default();
        for turn in 0.. {
            // At least one, however long it takes.
            let is_over = deadline.map_or(turn >= set, |deadline| turn > 0 && Instant::now() >= deadline);
            if is_over {
                break;
            }
            let object = if set == 0 { turn } else { turn % set };
            let start = Instant::now();
            match self.step(step, object).await {
                Ok(()) => seen.latencies.push(start.elapsed()),
                Err(problem) => seen.fail(&problem),
            }
        }
        seen
    }

    async fn step(&mut self, step: Step, object: usize) -> Result<(), String> {
        let path = format!("/{}/{}/{object}", self.bucket, self.number);
        let number = self.number.wrapping_mul(131).wrapping_add(object);
        let pattern = self.noise.pattern(number, self.bytes);
        let nothing = || Content::whole(Bytes::new());
        match step {
            Step::Put => {
                let (status, body) = self.ask(Method::PUT, &path, pattern.into()).await?;
                expect(status, &body, &path)
            }
            Step::Delete => {
                let (status, body) = self.ask(Method::DELETE, &path, nothing()).await?;
                expect(status, &body, &path)
            }
            Step::Get => {
                let mut expected = pattern;
                let request = self.signed(Method::GET, &path, nothing())?;
                let (answer, sender) = self.connection.exchange(request).await?;
                let status = answer.status().as_u16();
                let mut body = answer.into_body();
                let mut is_same = true;
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| format!("half an answer: {error}"))?;
                    is_same &= frame.data_ref().is_none_or(|bytes| expected.takes(bytes));
                }
                self.connection.keep(sender);
                expect(status, b"", &path)?;
                if is_same && expected.is_over() { Ok(()) } else { Err(format!("{path} is not what was written")) }
            }
        }
    }

    /// Sends a request and reads the answer whole.
    async fn ask(&mut self, method: Method, path: &str, content: Content) -> Result<(u16, Bytes), String> {
        let request = self.signed(method, path, content)?;
        let (answer, sender) = self.connection.exchange(request).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| format!("half an answer: {error}"))?.to_bytes();
        self.connection.keep(sender);
        Ok((status, body))
    }

    fn signed(&self, method: Method, path: &str, content: Content) -> Result<Request<Content>, String> {
        let uri: Uri = path.parse().map_err(|error| format!("bad path: {error}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(&self.host).map_err(|error| format!("bad host: {error}"))?);
        let signature = self
            .signer
            .sign(&method, &uri, &mut headers, UNSIGNED_PAYLOAD, SystemClock.now())
            .map_err(|refusal| format!("cannot be signed: {refusal:?}"))?;
        headers.insert(header::AUTHORIZATION, signature);
        let mut request = Request::new(content);
        (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (method, uri, headers);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_encoded_as_signatures_want_them() {
        assert_eq!(encoded("a/ä ~+"), "a%2F%C3%A4%20~%2B");
    }

    #[test]
    fn lines_of_a_page_are_objects_and_prefixes() {
        let xml = "<R><Contents><Key>a</Key></Contents><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>\
                   <NextContinuationToken>t</NextContinuationToken></R>";
        assert_eq!(lines(xml), 2);
        assert_eq!(between(xml, "<NextContinuationToken>", "</NextContinuationToken>"), Some("t"));
        assert_eq!(between(xml, "<None>", "</None>"), None);
    }
}
