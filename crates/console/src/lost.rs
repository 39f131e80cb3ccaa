//! Where to look for what is not at an address: a page leads to the list that it would stand in, where a program is told of a command.

use crate::{alerts, datasets, detections, erasure, experiments, models, predictions_page, vault_page};

/// Below which addresses things stand; where they are listed, and what a link to there says.
const LISTS: [(&str, &str, &str); 13] = [
    (datasets::PAGE, datasets::PAGE, "All data sets"),
    (models::PAGE, models::PAGE, "All models"),
    (experiments::PAGE, experiments::PAGE, "All experiments"),
    ("/console/runs", experiments::PAGE, "All experiments"),
    ("/console/endpoints", "/console/endpoints", "All endpoints"),
    (predictions_page::PAGE, "/console/endpoints", "All endpoints"),
    (alerts::PAGE, alerts::PAGE, "All alerts"),
    ("/console/audit", "/console/audit", "The log"),
    (detections::PAGE, detections::PAGE, "All that was found in the log"),
    (vault_page::PAGE, vault_page::PAGE, "The vault"),
    (erasure::PAGE, erasure::PAGE, "All erasures"),
    ("/console/people", "/console/access", "People and access"),
    ("/console/services", "/console/access", "People and access"),
];

/// Links for who finds nothing at an address, the nearest first; none where nothing is listed above it.
pub fn ways(address: &str) -> Vec<(String, &'static str)> {
    let path = address.split('?').next().unwrap_or_default();
    let Some((above, list, words)) = LISTS.into_iter().find(|(above, ..)| path != *above && wire::lies_under(path, above)) else {
        return Vec::new();
    };
    let mut below = path.strip_prefix(above).unwrap_or_default().split('/').skip(1);
    let versions = match (below.next(), below.next()) {
        (Some(name), Some(_)) if above == datasets::PAGE => Some(format!("{above}/{name}")),
        (Some(name), _) if above == models::PAGE => Some(format!("{above}?model={name}")),
        _ => None,
    };
    versions.map(|page| (page, "Its versions")).into_iter().chain([(list.to_owned(), words)]).collect()
}

/// What is said where links stand below: the same without the command that would list what there is.
pub fn without_command(message: &str) -> &str {
    message.split_once("; `strongroom ").map_or(message, |(said, _)| said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_there_leads_to_the_list_above_it() {
        for (address, links) in [
            ("/console/data/churn", vec!["/console/data"]),
            ("/console/data/churn/9?workspace=w", vec!["/console/data/churn", "/console/data"]),
            ("/console/data/churn/contract", vec!["/console/data/churn", "/console/data"]),
            ("/console/models/a%2Fb/3", vec!["/console/models?model=a%2Fb", "/console/models"]),
            ("/console/models/churn", vec!["/console/models?model=churn", "/console/models"]),
            ("/console/runs/abc", vec!["/console/experiments"]),
            ("/console/audit/7", vec!["/console/audit"]),
            ("/console/data", vec![]),
            ("/console/database/1", vec![]),
            ("/console/no-such-page", vec![]),
            ("/account/once/x", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<String> = ways(address).into_iter().map(|(to, _)| to).collect();
            assert_eq!(found, links, "{address}");
        }
    }

    #[test]
    fn only_a_command_that_lists_is_left_out() {
        for (told, said) in [
            (
                "there is no data set of this name; `strongroom data list` shows those that there are",
                "there is no data set of this name",
            ),
            ("the data set has no contract; set one with `strongroom data contract set NAME FILE`", ""),
            ("Run with id=x not found", ""),
        ] {
            assert_eq!(without_command(told), if said.is_empty() { told } else { said });
        }
    }
}
