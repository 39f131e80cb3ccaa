//! `/model-versions/get-artifact`: how MLflow's web page shows a file of a registered version. It asks for two verbs: where the
//! version's files are, and the file.

use artifacts::{Artifacts, Place, ReadArtifact, Wanted};
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use registry::Registry;
use registry::ops::GetDownloadUri;

use super::artifacts::saved_as;
use super::json::Fields;
use super::model_versions::name_and_version;
use crate::{Answer, Chosen, Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, registry: &Registry, artifacts: &Artifacts) {
    let actions = [GetDownloadUri::ACTION, ReadArtifact::ACTION];
    // Clients that put an address together from its parts double the first slash.
    for path in ["/model-versions/get-artifact", "//model-versions/get-artifact"] {
        let rooms = (registry.clone(), artifacts.clone());
        door.choice(Method::GET, path, &actions, move |inbound| {
            let (registry, artifacts) = rooms.clone();
            let (asked, path) = read(registry, inbound)?;
            let wanted = Wanted::parse(inbound.header("range"));
            Ok(Chosen::verbs(move |visitor| Box::pin(async move { file(visitor, asked, artifacts, path, wanted).await })))
        });
    }
}

fn read(room: Registry, inbound: &Inbound) -> Result<(GetDownloadUri, String), Problem> {
    let fields = Fields::of(inbound)?;
    let path = fields.need_text("path")?;
    // A path that leads elsewhere is refused before anything is looked up.
    Place::parse(&format!("0/version/artifacts/{path}"))?;
    let (name, version) = name_and_version(&fields)?;
    Ok((GetDownloadUri { room, name, version }, path))
}

async fn file(
    visitor: &Visitor,
    asked: GetDownloadUri,
    room: Artifacts,
    path: String,
    wanted: Wanted,
) -> Result<Answer, Problem> {
    let location = visitor.call(asked).await?;
    let Some(root) = location.strip_prefix("mlflow-artifacts:/") else {
        return Err(Problem::invalid("the files of this version are not on this server; fetch them from where its source says"));
    };
    let place = Place::parse(&format!("{}/{path}", root.trim_end_matches('/')))?;
    saved_as(visitor.call(ReadArtifact { room, place, wanted }).await?, &path)
}
