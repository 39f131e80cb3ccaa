//! The style and the scripts of the pages. They are part of the program, and the same for all who knock.

use gate::{Action, Operation, Permit, Target};
use http::{HeaderValue, Method, header};
use kernel::Problem;
use wire::{Answer, Door, Inbound};

/// The verb of [`ReadAsset`].
pub const ASSET: Action = Action::read("ui.asset");

/// Name, media type, content.
const ALL: [(&str, &str, &str); 12] = [
    ("console.css", "text/css; charset=utf-8", include_str!("../assets/console.css")),
    ("complete.js", "text/javascript; charset=utf-8", include_str!("../assets/complete.js")),
    ("contract.js", "text/javascript; charset=utf-8", include_str!("../assets/contract.js")),
    ("copy.js", "text/javascript; charset=utf-8", include_str!("../assets/copy.js")),
    ("curve.js", "text/javascript; charset=utf-8", include_str!("../assets/curve.js")),
    ("drafts.js", "text/javascript; charset=utf-8", include_str!("../assets/drafts.js")),
    ("icon.svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ("live.js", "text/javascript; charset=utf-8", include_str!("../assets/live.js")),
    ("passkey.js", "text/javascript; charset=utf-8", include_str!("../assets/passkey.js")),
    ("places.js", "text/javascript; charset=utf-8", include_str!("../assets/places.js")),
    ("proof.js", "text/javascript; charset=utf-8", include_str!("../assets/proof.js")),
    ("times.js", "text/javascript; charset=utf-8", include_str!("../assets/times.js")),
];

/// Reads one of them.
struct ReadAsset {
    name: String,
}

impl Operation for ReadAsset {
    const ACTION: Action = ASSET;
    type Output = (&'static str, &'static str);

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, _: Permit<Self>) -> Result<(&'static str, &'static str), Problem> {
        let found = ALL.into_iter().find(|(name, ..)| *name == self.name);
        found.map(|(_, kind, text)| (kind, text)).ok_or_else(|| Problem::not_found("the console has no such file"))
    }
}

/// Adds the route.
pub fn routes(door: &mut Door) {
    let parse = |inbound: &Inbound| Ok(ReadAsset { name: inbound.path("name").to_owned() });
    door.route(Method::GET, "/console/assets/{name}", parse, |(kind, text)| {
        let mut answer = Answer::new(text.into());
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
        wire::harden(&mut answer);
        Ok(answer)
    });
}
