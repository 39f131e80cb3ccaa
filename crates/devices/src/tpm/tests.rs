//! What a TPM (swtpm 0.7.1, asked by tpm2-tools 5.4) said once: two keys and a device's, a certification, and a quote for the nonce `0011aabb`.

use kernel::parse_hex;

use super::TpmError;
use super::credential;
use super::public::Public;
use super::statement::{REGISTERS_BYTES, certified, quoted};

const EK: &str = "007a0023000b000300b20020837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa00060080004300100003001000209f85\
    5ac06dff2170c75bfac3d0aae2858591b1e8834551ded16a9483c0b5b4210020a1725d24285cc02e3a3612d31d06c69fb893d4ead6a9d8553525d12f\
    a29c225e";
const AK: &str = "00580023000b00050072000000100018000b000300100020ff6f3379d57c574d71f4c423c77c0df9efbf9b71c5e0d078b1137344dfaab8d50020e26d\
    5401d6dd49bacae264cfcf30f88340581592748ec266a48011ca7aa54e78";
const DEVICE_KEY: &str = "00580023000b00040072000000100018000b000300100020cb48c64ad010fd50a33e2dcdd0c40c22d47e2b2d9698e0662231831a210f73b000205dfe\
    38f4631bf05f7d4db295a1941a1a174abe50621b273b2c83aed7e699dcdc";
const CERTIFIED: &str = "ff54434780170022000bda7c67359d0e5b77d5d491f9973c31d556f3bbf12b60f9dc861ccc165c9fe078000400ff55aa000000000000042600000001\
    000000000120191023001636360022000b3c9e429e56744085e84da8cb8e0deb616dabb49307db129fe34126179b9a0fcc0022000bcaafe7ad624ed9\
    867c3ee204030061135814b1c7d0b5b9d467db7ef8281a8422";
const CERTIFIED_SIGNATURE: &str = "0018000b002011edbaf8ae34051a887d803188303e1fd50d8bd32e0d42b6050ca0c87cd005c6002008ff67d7669d2f0e0117f702274bb19141c4791a\
    b7ea461d5a4a2bff3a540994";
const QUOTED: &str = "ff54434780180022000bda7c67359d0e5b77d5d491f9973c31d556f3bbf12b60f9dc861ccc165c9fe07800040011aabb000000000000044a00000001\
    0000000001201910230016363600000001000b03ff000000205341e6b2646979a70e57653007a1f310169421ec9bdd9f1a5648f75ade005af1";
const QUOTED_SIGNATURE: &str = "0018000b0020d3ae2bdf62b3e510d0eddeb6ed1eef850c5ccd8819d0f7ad7e9e79bac12c1a530020407e27b769834dbe45234a7f70e7237c8741b502\
    046b66aab6075d5a5b71d809";

const NONCE: [u8; 4] = [0x00, 0x11, 0xaa, 0xbb];

fn bytes(text: &str) -> Vec<u8> {
    parse_hex(text).unwrap()
}

fn attestation_key() -> Vec<u8> {
    Public::read(&bytes(AK)).unwrap().as_attestation_key().unwrap().to_vec()
}

#[test]
fn a_key_is_what_its_attributes_say_and_nothing_else() {
    let [endorsement, attestation, device] = [EK, AK, DEVICE_KEY].map(|text| Public::read(&bytes(text)).unwrap());
    assert!(
        endorsement.as_endorsement_key().is_ok()
            && endorsement.as_attestation_key().is_err()
            && endorsement.as_device_key().is_err()
    );
    assert!(
        attestation.as_attestation_key().is_ok()
            && attestation.as_endorsement_key().is_err()
            && attestation.as_device_key().is_err()
    );
    assert!(device.as_device_key().is_ok() && device.as_attestation_key().is_err() && device.as_endorsement_key().is_err());
    let spki = endorsement.key.to_spki().unwrap();
    assert_eq!(spki.len(), 91);
}

#[test]
fn a_public_area_that_was_cut_or_changed_is_another_or_none() {
    let whole = bytes(AK);
    let name = Public::read(&whole).unwrap().name;
    for length in 0..whole.len() {
        assert!(Public::read(&whole[..length]).is_err(), "{length}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        assert!(Public::read(&changed).map_or(true, |public| public.name != name), "byte {at}");
    }
    assert!(Public::read(&[whole.as_slice(), &[0]].concat()).is_err());
    assert!(Public::read(&vec![0xff; 5_000]).is_err());
}

#[test]
fn a_quote_is_taken_for_its_nonce_and_its_registers() {
    let (key, statement, signature) = (attestation_key(), bytes(QUOTED), bytes(QUOTED_SIGNATURE));
    let registers = vec![0_u8; REGISTERS_BYTES];
    let check = |nonce: &[u8], registers: &[u8]| quoted(&key, (&statement, &signature), nonce, registers);
    assert_eq!(check(&NONCE, &registers).unwrap(), kernel::sha256(&registers));
    assert_eq!(check(&[0x00, 0x11, 0xaa, 0xbc], &registers), Err(TpmError("the quote answers another challenge")), "a replay");
    let mut other = registers.clone();
    other[255] = 1;
    assert_eq!(check(&NONCE, &other), Err(TpmError("the registers are not those that were quoted")));
    assert!(check(&NONCE, &registers[1..]).is_err());
    let of_device = Public::read(&bytes(DEVICE_KEY)).unwrap().as_device_key().unwrap().to_vec();
    assert!(quoted(&of_device, (&statement, &signature), &NONCE, &registers).is_err(), "signed by another key");
    let certified = (bytes(CERTIFIED), bytes(CERTIFIED_SIGNATURE));
    let wrong = quoted(&key, (&certified.0, &certified.1), &NONCE, &registers);
    assert_eq!(wrong, Err(TpmError("a statement is of another kind")));
}

#[test]
fn every_changed_byte_of_a_statement_or_its_signature_refuses() {
    let (key, statement, signature) = (attestation_key(), bytes(QUOTED), bytes(QUOTED_SIGNATURE));
    let registers = vec![0_u8; REGISTERS_BYTES];
    for at in 0..statement.len() {
        let mut changed = statement.clone();
        changed[at] ^= 1;
        assert!(quoted(&key, (&changed, &signature), &NONCE, &registers).is_err(), "byte {at}");
    }
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert!(quoted(&key, (&statement, &changed), &NONCE, &registers).is_err(), "byte {at} of the signature");
        assert!(quoted(&key, (&statement, &signature[..at]), &NONCE, &registers).is_err(), "{at} bytes of the signature");
    }
}

#[test]
fn a_certification_is_of_one_key() {
    let (key, statement, signature) = (attestation_key(), bytes(CERTIFIED), bytes(CERTIFIED_SIGNATURE));
    let device = Public::read(&bytes(DEVICE_KEY)).unwrap();
    assert_eq!(certified(&key, (&statement, &signature), &device.name), Ok(()));
    let other = Public::read(&bytes(AK)).unwrap();
    assert_eq!(
        certified(&key, (&statement, &signature), &other.name),
        Err(TpmError("the attestation key certified another key"))
    );
}

#[test]
fn a_credential_is_made_for_an_endorsement_key_only_and_never_twice_alike() {
    let [endorsement, attestation] = [EK, AK].map(|text| Public::read(&bytes(text)).unwrap());
    let one = credential::make(&endorsement, &attestation.name, &[7; 32]).unwrap();
    let again = credential::make(&endorsement, &attestation.name, &[7; 32]).unwrap();
    assert_ne!(one, again);
    // Two sizes, the integrity's 32 bytes with theirs, and the secret's with theirs; a point with the sizes of its coordinates.
    assert_eq!((one.id_object.len(), one.encrypted_secret.len()), (2 + 34 + 34, 2 + 68));
    assert!(credential::make(&attestation, &endorsement.name, &[7; 32]).is_err());
}
