//! Who finds which predictions.

use gate::Scope;
use kernel::{Kind, Micros};

use super::support::*;
use crate::PredictionsConfig;
use crate::ops::{CountPredictions, Page, QueryPredictions, SearchPredictions, Wish};

impl World {
    async fn page(&self, wish: Wish, after: Option<&str>, rows: usize) -> Page {
        let search = SearchPredictions { room: self.room.clone(), wish, after: after.map(str::to_owned), rows: Some(rows) };
        self.call(search).await.unwrap()
    }
}

#[test]
fn pages_give_every_prediction_once_newest_first() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        let mut ids = Vec::new();
        for age in 0..11_u8 {
            ids.push(world.asked(f64::from(age), None).await);
            if age % 3 == 0 {
                world.seal().await;
            }
        }
        world.seal().await;
        ids.reverse();
        for rows in [1, 3, 4, 10, 11, 12] {
            let (mut found, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = world.page(Wish::default(), after.as_deref(), rows).await;
                found.extend(page.rows.into_iter().map(|record| record.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, ids, "{rows} a page");
        }
        let middle = world.find(&ids[5]).await.unwrap().record.at;
        let since = world.page(Wish { since: Some(Micros(middle)), ..Wish::default() }, None, 100).await;
        let until = world.page(Wish { until: Some(Micros(middle)), ..Wish::default() }, None, 100).await;
        assert_eq!((since.rows.len(), until.rows.len()), (6, 5));
    });
}

#[test]
fn only_predictions_of_models_in_the_scope_are_found() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        let id = world.asked(1.0, None).await;
        world.seal().await;
        let model = world.find(&id).await.unwrap().batch.model_id;
        let only = |models: &[&str]| Scope::Only {
            experiments: vec![1],
            models: models.iter().map(|model| (*model).to_owned()).collect(),
        };
        for (scope, seen) in [
            (Scope::Workspace, true),
            (only(&[&model]), true),
            (only(&["another"]), false),
            (only(&[]), false),
            (Scope::Nothing, false),
            (Scope::Datasets(vec![model.clone()]), false),
        ] {
            world.gate.set_scope(scope.clone());
            let (room, wish) = (world.room.clone(), Wish::default());
            let query = QueryPredictions { room, wish, sql: "SELECT 1".to_owned(), row_count_max: 1 };
            let counts = world.call(CountPredictions { room: world.room.clone(), wish: Wish::default() }).await.unwrap();
            assert_eq!(world.page(Wish::default(), None, 10).await.rows.len(), usize::from(seen), "{scope:?}");
            assert_eq!((counts.len(), world.call(query).await.is_ok()), (usize::from(seen), seen), "{scope:?}");
            if seen {
                assert_eq!(world.show(&id).await.unwrap().found.record.id, id);
            } else {
                refused(world.show(&id).await, Kind::NotFound, "no such prediction");
            }
        }
    });
}

#[test]
fn what_is_no_id_is_not_looked_for() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        for bad in ["", "x", "0123456789abcdef0123456789abcdeg", &"f".repeat(32), &"0".repeat(33)] {
            refused(world.find(bad).await, Kind::NotFound, "no such prediction");
        }
    });
}
