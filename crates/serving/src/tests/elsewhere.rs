//! Models that are computed elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Kind, Problem};
use parking_lot::Mutex;
use runtime::{Batch, Output, Outputs, Role, Signature, Tensor, Values};

use super::support::*;
use crate::ops::{CreateEndpoint, Predict};
use crate::{Compute, Engine, Engines, PythonConfig, Runtime, ServingConfig};

/// Engines that say how many files they were given.
#[derive(Default)]
struct Fakes(Mutex<Vec<String>>);

#[derive(Debug)]
struct Fake(f64, Signature, &'static str);

impl Compute for Fake {
    fn signature(&self) -> &Signature {
        &self.1
    }

    fn kind(&self) -> &'static str {
        self.2
    }

    fn predict(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<Outputs, Problem>> {
        Box::pin(async move {
            let tensor = Tensor::list(Values::F64(vec![self.0; batch.rows()]));
            Ok(Outputs { all: vec![Output { name: "v".to_owned(), role: Role::Value, tensor }] })
        })
    }
}

impl Engines for Fakes {
    fn python(
        &self,
        _digest: [u8; 32],
        files: BTreeMap<String, Vec<u8>>,
        _ranges: Option<Vec<(f64, f64)>>,
    ) -> BoxFuture<'_, Result<Engine, Problem>> {
        self.0.lock().push(format!("python {}", files.keys().cloned().collect::<Vec<_>>().join(" ")));
        Box::pin(async { Ok(Engine::Elsewhere(Arc::new(Fake(1.0, Signature::default(), "python_pyfunc")))) })
    }

    fn upstream<'a>(&'a self, server: &'a str, model: &'a str) -> BoxFuture<'a, Result<Arc<dyn Compute>, Problem>> {
        self.0.lock().push(format!("upstream {server} {model}"));
        Box::pin(async { Ok(Arc::new(Fake(2.0, Signature::default(), "fake")) as Arc<dyn Compute>) })
    }
}

fn allowing(workspace: &str) -> ServingConfig {
    let text = format!(r#"{{"python": "/usr/bin/python3", "workspaces": ["{workspace}"]}}"#);
    let python: PythonConfig = serde_json::from_str(&text).unwrap();
    let upstream = serde_json::from_str(r#"{"url": "https://t", "ca": "/ca.pem"}"#).unwrap();
    ServingConfig {
        python: Some(python),
        upstreams: BTreeMap::from([("triton".to_owned(), upstream)]),
        ..ServingConfig::default()
    }
}

async fn create(world: &World, runtime: &str) -> Result<(), Problem> {
    let create = CreateEndpoint {
        room: world.room.clone(),
        name: ENDPOINT.to_owned(),
        model: MODEL.to_owned(),
        choice: "1".to_owned(),
        runtime: Runtime::parse(runtime)?,
    };
    world.call(create).await.map(drop)
}

#[test]
fn a_model_is_computed_where_its_endpoint_says() {
    for (runtime, says, given) in
        [("python", 1.0, "python model.lgb"), ("upstream:triton/churn", 2.0, "upstream triton churn"), ("native", 5.0, "")]
    {
        on_both_engines(allowing("default"), |world| async move {
            let fakes = Arc::new(Fakes::default());
            world.room.set_engines(Arc::clone(&fakes) as _);
            world.admitted(5).await;
            create(&world, runtime).await.unwrap();
            assert_eq!(world.said().await, says);
            world.gate.clock.advance_secs(5);
            assert_eq!(world.said().await, says);
            assert_eq!(fakes.0.lock().join(","), given, "it is loaded once");
            let records = world.gate.records.lock().join("\n");
            assert_eq!(records.contains("runtime"), runtime != "native", "{records}");
        });
    }
}

#[test]
fn params_are_refused_where_they_would_be_lost() {
    for (runtime, is_refused) in [("python", true), ("upstream:triton/churn", false), ("native", false)] {
        on_both_engines(allowing("default"), |world| async move {
            world.room.set_engines(Arc::new(Fakes::default()) as _);
            world.admitted(5).await;
            create(&world, runtime).await.unwrap();
            let batch = Batch::matrix(1, 1, Values::F64(vec![0.0])).unwrap().with_params();
            let (room, endpoint) = (world.room.clone(), ENDPOINT.to_owned());
            let asked = world.call(Predict { room, endpoint, version: None, routing_key: None, batch, subject: None }).await;
            if is_refused {
                refused(asked, Kind::Invalid, "`params` are not handed on");
            } else {
                asked.unwrap();
            }
        });
    }
}

#[test]
fn what_the_configuration_does_not_allow_is_refused() {
    for (config, runtime, why) in [
        (ServingConfig::default(), "python", "runs no Python models"),
        (allowing("research"), "python", "`serving.python.workspaces` does not name it"),
        (allowing("default"), "upstream:other/m", "serving.upstreams.other"),
    ] {
        on_both_engines(config, |world| async move {
            world.admitted(5).await;
            refused(create(&world, runtime).await, Kind::Conflict, why);
        });
    }
}

#[test]
fn without_engines_nothing_is_computed_elsewhere() {
    on_both_engines(allowing("*"), |world| async move {
        world.admitted(5).await;
        create(&world, "python").await.unwrap();
        refused(world.ask(1).await, Kind::Conflict, "only a running server");
    });
}
