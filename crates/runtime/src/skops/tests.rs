use serde_json::json;

use super::*;

fn plain(value: &Value) -> Value {
    json!({"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": value.to_string(), "is_json": true})
}

fn object(module: &str, class: &str, state: Value) -> Value {
    json!({"__class__": class, "__module__": module, "__loader__": "ObjectNode",
        "content": {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": state}})
}

fn array(file: &str) -> Value {
    json!({"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy", "file": file})
}

fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), data].concat()
}

fn floats(list: &[f64]) -> Vec<u8> {
    list.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Stored members only.
pub(super) fn archive(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let mut crc = flate2::Crc::new();
        crc.update(data);
        let start = u32::try_from(bytes.len()).unwrap();
        let size = u32::try_from(data.len()).unwrap().to_le_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let common = [&[0; 4][..], &[0; 4], &crc.sum().to_le_bytes(), &size, &size, &name_length].concat();
        bytes.extend([b"PK\x03\x04\x14\x00".as_slice(), &common, &[0, 0], name.as_bytes(), data].concat());
        let tail = [&[0; 12][..], &start.to_le_bytes(), name.as_bytes()].concat();
        directory.extend([b"PK\x01\x02\x14\x00\x14\x00".as_slice(), &common, &tail].concat());
    }
    let start = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let count = u16::try_from(members.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    [bytes, directory, [b"PK\x05\x06\0\0\0\0".as_slice(), &count, &count, &size, &start, &[0, 0]].concat()].concat()
}

fn regression() -> Value {
    let state = json!({"n_features_in_": plain(&json!(2)), "_sklearn_version": plain(&json!("1.9.1")),
        "coef_": array("coef.npy"), "intercept_": plain(&json!(1.5))});
    let mut schema = object("sklearn.linear_model._base", "LinearRegression", state);
    schema["protocol"] = json!(2);
    schema
}

fn load(schema: &Value, coefficients: &[u8]) -> Result<Skops, LoadError> {
    let members = [("schema.json", schema.to_string().into_bytes()), ("coef.npy", coefficients.to_vec())];
    Skops::load(&archive(&members), &Limits::default())
}

#[test]
fn a_linear_model_is_read_and_asked() {
    let model = load(&regression(), &npy("<f8", "2,", &floats(&[2.0, -1.0]))).unwrap();
    let batch = Batch::matrix(2, 2, Values::F64(vec![1.0, 1.0, 3.0, 0.0])).unwrap();
    assert_eq!(model.predict(&batch).unwrap().value().unwrap().values(), &Values::F64(vec![2.5, 7.5]));
    let missing = Batch::matrix(1, 2, Values::F64(vec![1.0, f64::NAN])).unwrap();
    assert!(matches!(model.predict(&missing), Err(PredictError::Input(_))));
}

#[test]
fn what_is_unknown_or_broken_is_refused() {
    let good = npy("<f8", "2,", &floats(&[2.0, -1.0]));
    for (place, value) in [
        ("/__class__", json!("Mine")),
        ("/__module__", json!("mine")),
        ("/protocol", json!(9)),
        ("/content/content/_sklearn_version", plain(&json!("2.0"))),
        ("/content/content/n_features_in_", plain(&json!(0))),
        ("/content/content/n_features_in_", plain(&json!(3))),
        ("/content/content/n_features_in_", plain(&json!(99_999_999))),
        ("/content/content/coef_", array("other.npy")),
        ("/content/content/coef_", plain(&json!("os.system"))),
        ("/content/content/intercept_", plain(&json!("x"))),
    ] {
        let mut schema = regression();
        *schema.pointer_mut(place).unwrap() = value.clone();
        assert!(load(&schema, &good).is_err(), "{place} = {value}");
    }
    assert!(load(&regression(), &npy("<f8", "3,", &floats(&[2.0, -1.0, 0.0]))).is_err());
    let deep = "[".repeat(100_000);
    assert!(Skops::load(&archive(&[("schema.json", deep.into_bytes())]), &Limits::default()).is_err());
}

#[test]
fn an_archive_that_can_be_read_in_two_ways_is_refused() {
    let members = [("schema.json", regression().to_string().into_bytes()), ("coef.npy", npy("<f8", "2,", &floats(&[2.0, -1.0])))];
    let good = archive(&members);
    assert!(Skops::load(&good, &Limits::default()).is_ok());
    let limits = Limits { model_bytes_max: 100, ..Limits::default() };
    assert!(matches!(Skops::load(&good, &limits), Err(LoadError::TooLarge { .. })));
    let twice = [members[0].clone(), members[0].clone(), members[1].clone()];
    assert!(Skops::load(&archive(&twice), &Limits::default()).is_err());
    assert!(Skops::load(&[good.as_slice(), b"more"].concat(), &Limits::default()).is_err());
    for length in 0..good.len() {
        assert!(Skops::load(&good[..length], &Limits::default()).is_err(), "{length}");
    }
    let mut renamed = good.clone();
    renamed[30] ^= 1;
    assert!(Skops::load(&renamed, &Limits::default()).is_err());
    let mut flipped = good;
    flipped[60] ^= 1;
    assert!(Skops::load(&flipped, &Limits::default()).is_err());
}
