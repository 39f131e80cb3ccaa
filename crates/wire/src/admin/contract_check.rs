//! `/datasets/{dataset}/contract/check`: what a contract says before it is set: its faults with their lines, what it changes, and whether the newest version
//! holds to it.

use data::Data;
use data::ops::{LintContract, Tried, TryContract};
use gate::{Operation, Visitor};
use http::Method;
use inspection::ContractReading;
use kernel::{Kind, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::body;
use crate::{Chosen, Door, outbound};

const PATH: &str = "/api/strongroom/v1/datasets/{dataset}/contract/check";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    contract: String,
    /// Whether it is tried on the newest version too, which takes longer.
    #[serde(default = "usual")]
    data: bool,
}

const fn usual() -> bool {
    true
}

/// What a contract says, and what became of it on data.
pub struct Checked {
    /// What it says.
    pub reading: ContractReading,
    /// On the newest version; none if it cannot be read, or there is no version.
    pub tried: Option<Tried>,
}

/// Adds the route.
pub fn routes(door: &mut Door, room: &Data) {
    let room = room.clone();
    door.choice(Method::POST, PATH, &[LintContract::ACTION], move |inbound| {
        let (room, dataset) = (room.clone(), inbound.path("dataset").to_owned());
        let CheckBody { contract, data } = body(inbound)?;
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let checked = if data {
                    check(visitor, room, dataset, contract).await?
                } else {
                    Checked { reading: visitor.call(LintContract { room, dataset, contract }).await?, tried: None }
                };
                outbound::json(&value(&checked))
            })
        }))
    });
}

/// Reads a contract and, where it can be used, tries it on the newest version.
///
/// # Errors
/// The verbs' own.
pub async fn check(visitor: &Visitor, room: Data, dataset: String, contract: String) -> Result<Checked, Problem> {
    let lint = LintContract { room: room.clone(), dataset: dataset.clone(), contract: contract.clone() };
    let reading = visitor.call(lint).await?;
    if !reading.faults.is_empty() {
        return Ok(Checked { reading, tried: None });
    }
    match visitor.call(TryContract { room, dataset, contract }).await {
        Ok(tried) => Ok(Checked { reading, tried: Some(tried) }),
        // The data set is there, as the first verb found: it has no version yet.
        Err(problem) if problem.kind() == Kind::NotFound => Ok(Checked { reading, tried: None }),
        Err(problem) => Err(problem),
    }
}

fn value(checked: &Checked) -> Value {
    let tried = |tried: &Tried| json!({ "version": tried.number, "row_count": tried.row_count, "rules": tried.rules, "findings": tried.findings });
    let mut value = json!(checked.reading);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("usable".to_owned(), json!(checked.reading.faults.is_empty()));
        fields.insert("tried".to_owned(), checked.tried.as_ref().map_or(Value::Null, tried));
    }
    value
}
