//! That a prediction was made, shown to somebody who trusts a key and nothing else.

use kernel::{Kind, hex};

use super::support::*;
use crate::ops::{EraseSubject, ProvePrediction};
use crate::proof::Proof;
use crate::record::digest;
use crate::{LogPolicy, PredictionsConfig};

impl World {
    async fn prove(&self, id: &str) -> Proof {
        self.call(ProvePrediction { room: self.room.clone(), id: id.to_owned() }).await.unwrap()
    }
}

#[test]
fn a_proof_holds_for_each_prediction_of_a_batch_and_for_nothing_else() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let mut ids = Vec::new();
        for age in 0..7_u8 {
            ids.push(world.asked(f64::from(age), None).await);
        }
        world.seal().await;
        let signer = signer();
        for (id, age) in ids.iter().zip(0..) {
            let text = serde_json::to_string(&world.prove(id).await).unwrap();
            let checked = Proof::parse(&text).unwrap().check(signer.key()).unwrap();
            assert_eq!(&checked.record.id, id);
            let row = serde_json::Value::Object(checked.spoken.unwrap().row(0)).to_string();
            assert!(row.contains(&format!("\"input_age\":{age}.0")), "{row}");
            // The audit record of the request named the same digest.
            let named = hex(&digest(&checked.record.bytes().unwrap()));
            assert!(world.gate.recorded().iter().any(|record| record.contains(id) && record.contains(&named)), "{id}");
        }
        let text = serde_json::to_string(&world.prove(&ids[3]).await).unwrap();
        let other =
            audit::note::NoteSigner::new("test.example/audit", audit::note::KIND_ED25519, &kernel::Secret::new(vec![2; 32]));
        refused(Proof::parse(&text).unwrap().check(other.unwrap().key()), Kind::Invalid, "does not hold");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (field, changed) in value.as_object().unwrap().clone().into_iter().flat_map(|(field, value)| changes(&field, &value))
        {
            let mut forged = value.clone();
            forged[&field] = changed;
            let forged = Proof::parse(&forged.to_string());
            assert!(forged.and_then(|forged| forged.check(signer.key())).is_err(), "a changed `{field}` passed");
        }
    });
}

/// The field with one letter or number changed, at several places.
fn changes(field: &str, value: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    let changed: Vec<serde_json::Value> = match value {
        serde_json::Value::Number(number) => vec![(number.as_u64().unwrap() + 1).into()],
        serde_json::Value::Array(all) => vec![all.iter().skip(1).cloned().collect::<Vec<_>>().into()],
        serde_json::Value::String(text) => (0..text.len())
            .step_by(7)
            .map(|at| {
                let mut bytes = text.clone().into_bytes();
                bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
                String::from_utf8(bytes).unwrap().into()
            })
            .collect(),
        _ => Vec::new(),
    };
    changed.into_iter().filter(|changed| changed != value).map(|changed| (field.to_owned(), changed)).collect()
}

#[test]
fn what_was_erased_is_still_proven_without_being_told() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.keep(Some(LogPolicy::Values)).await;
        let id = world.asked(41.0, Some("ann")).await;
        world.seal().await;
        let before = world.prove(&id).await.check(signer().key()).unwrap();
        world.call(EraseSubject { room: world.room.clone(), subject: "ann".to_owned() }).await.unwrap();
        let after = world.prove(&id).await.check(signer().key()).unwrap();
        assert!(before.spoken.is_some() && after.spoken.is_none());
        assert_eq!((before.record, before.root), (after.record, after.root));
    });
}

#[test]
fn a_batch_that_was_exchanged_is_refused() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        let one = world.asked(1.0, None).await;
        world.seal().await;
        let other = world.asked(2.0, None).await;
        world.seal().await;
        assert!(world.show(&one).await.is_ok() && world.show(&other).await.is_ok());
        world.sql("UPDATE prediction_batch SET root = sha256 WHERE 1 = 1", &[]).await;
        refused(world.show(&one).await, Kind::Internal, "not what was sealed");
    });
}
