//! A file of a run, as far as it can be shown safely: its beginning as text, or a picture whose first bytes say that it is one. Whatever else it
//! is, it can be saved.
//!
//! INVARIANT: a file is never shown as HTML or SVG, and a picture only with the type that its bytes have. Held by `tests`, and by
//! `tests/clients/test_console_experiments.py`.

use artifacts::{Artifacts, Fetched, Owner, Place, ReadArtifact, Wanted};
use askama::Template;
use axum::body::Body;
use futures_util::StreamExt;
use gate::{Operation, Visitor};
use http::{HeaderValue, Method, header};
use kernel::Problem;
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{bytes, part};
use crate::page::page_in;
use crate::runs::{RUN_PAGE, run_address};

/// What is shown of a text.
const TEXT_BYTES_MAX: u64 = 64 * 1024;
/// A larger picture is not shown.
const PICTURE_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// A picture's answer can do nothing, even where it is opened by itself.
const PICTURE_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "run_file.html")]
struct FileTemplate {
    run: String,
    path: String,
    size: String,
    is_cut: bool,
    text: Option<String>,
    picture: String,
    save: String,
}

/// Adds the page, the pictures and the files themselves.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.artifacts.clone();
    door.choice(Method::GET, &format!("{RUN_PAGE}/{{run}}/view/{{*path}}"), &[ReadArtifact::ACTION], move |inbound| {
        let (room, run, path) = (room.clone(), inbound.path("run").to_owned(), inbound.path("path").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, run, path).await })))
    });
    let room = rooms.artifacts.clone();
    door.choice(Method::GET, &format!("{RUN_PAGE}/{{run}}/picture/{{*path}}"), &[ReadArtifact::ACTION], move |inbound| {
        let (room, run, path) = (room.clone(), inbound.path("run").to_owned(), inbound.path("path").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { picture(visitor, room, &run, &path).await })))
    });
    wire::mlflow::artifacts::run_file_route(door, &rooms.artifacts, &format!("{RUN_PAGE}/{{run}}/save/{{*path}}"));
}

/// The beginning of a file, and how large it is as a whole.
async fn beginning(visitor: &Visitor, room: Artifacts, run: &str, path: &str, bytes_max: u64) -> Result<(Vec<u8>, u64), Problem> {
    let place = Place::of(Owner::Run(run.to_owned()), Some(path))?;
    let wanted = Wanted::parse(Some(&format!("bytes=0-{}", bytes_max.saturating_sub(1))));
    match visitor.call(ReadArtifact { room, place, wanted }).await? {
        Fetched::OutOfRange { size_bytes } => Ok((Vec::new(), size_bytes)),
        Fetched::File(mut download) => {
            let mut read = Vec::new();
            while let Some(piece) = download.body.next().await {
                read.extend_from_slice(&piece?);
            }
            Ok((read, download.size_bytes))
        }
    }
}

async fn shown(visitor: &Visitor, room: Artifacts, run: String, path: String) -> Result<Answer, Problem> {
    let (read, size_bytes) = beginning(visitor, room, &run, &path, TEXT_BYTES_MAX).await?;
    let encoded: Vec<String> = path.split('/').map(part).collect();
    let at = |what: &str| format!("{}/{what}/{}", run_address(&run), encoded.join("/"));
    let is_picture = picture_type(&read).is_some() && size_bytes <= PICTURE_BYTES_MAX;
    let is_cut = size_bytes > TEXT_BYTES_MAX;
    let template = FileTemplate {
        text: text_of(&read, is_cut),
        picture: if is_picture { at("picture") } else { String::new() },
        save: at("save"),
        size: bytes(i64::try_from(size_bytes).unwrap_or(i64::MAX)),
        run,
        path,
        is_cut,
    };
    page_in(visitor.workspace(), &template)
}

async fn picture(visitor: &Visitor, room: Artifacts, run: &str, path: &str) -> Result<Answer, Problem> {
    let (read, size_bytes) = beginning(visitor, room, run, path, PICTURE_BYTES_MAX).await?;
    let is_whole = size_bytes <= PICTURE_BYTES_MAX;
    let kind = picture_type(&read).filter(|_| is_whole).ok_or_else(|| Problem::not_found("this file is no picture to show"))?;
    let mut answer = Answer::new(Body::from(read));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    wire::harden(&mut answer);
    Ok(answer)
}

/// The media type of a picture by its first bytes. SVG is a document that can act, and none of them.
fn picture_type(read: &[u8]) -> Option<&'static str> {
    let begins = |mark: &[u8]| read.starts_with(mark);
    match () {
        () if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        () if begins(b"\xff\xd8\xff") => Some("image/jpeg"),
        () if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
        () if begins(b"RIFF") && read.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        () => None,
    }
}

/// The bytes as text, if they are one. Where it was cut, its last letter may be broken.
fn text_of(read: &[u8], is_cut: bool) -> Option<String> {
    if read.contains(&0) {
        return None;
    }
    match std::str::from_utf8(read) {
        Ok(text) => Some(text.to_owned()),
        Err(fault) if is_cut && fault.error_len().is_none() => {
            let whole = read.get(..fault.valid_up_to())?;
            std::str::from_utf8(whole).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_are_pictures_and_only_texts_are_texts() {
        assert_eq!(picture_type(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(picture_type(b"RIFF\0\0\0\0WEBPVP8"), Some("image/webp"));
        for no_picture in [&b"<svg xmlns='http://www.w3.org/2000/svg'>"[..], b"<!doctype html>", b"\x89PNG", b"", b"RIFF....WAVE"]
        {
            assert_eq!(picture_type(no_picture), None);
        }
        assert_eq!(text_of("ä".as_bytes(), false), Some("ä".to_owned()));
        assert_eq!(text_of(b"a\xc3", true), Some("a".to_owned()));
        for no_text in [&b"a\xc3"[..], b"a\0b", b"\xff\xfe"] {
            assert_eq!(text_of(no_text, false), None);
        }
    }
}
