//! Published example numbers only: of standards, registries and payment providers' test pages.

use super::*;
use crate::bytes::Digits;

type OfDigits = fn(&[u8]) -> bool;

fn digits(text: &str) -> Vec<u8> {
    Digits::of(text.as_bytes()).unwrap().list().to_vec()
}

/// `right` holds; each single digit changed is seen by all checks that promise it (not those with dates alone).
fn check(name: &str, rule: OfDigits, right: &[&str], wrong: &[&str]) {
    for text in right {
        assert!(rule(&digits(text)), "{name}: {text} should hold");
        assert!(!rule(&digits(text)[1..]), "{name}: {text} is too short");
        assert!(!rule(&[digits(text), vec![0; 9]].concat()), "{name}: {text} is too long");
    }
    for text in wrong {
        assert!(!rule(&digits(text)), "{name}: {text} should not hold");
    }
    assert!(!rule(&[]), "{name}: nothing should not hold");
}

#[test]
fn cards_and_devices() {
    let cards = ["4111111111111111", "4242424242424242", "5555555555554444", "2223003122003222", "378282246310005"];
    check("card", card, &cards, &["4111111111111112", "1234567812345670", "0000000000000000", "37828224631000"]);
    check("card", card, &["6011111111111117", "3530111333300000", "30569309025904", "6304000000000000"], &["9999999999999995"]);
    check("imei", imei, &["490154203237518"], &["490154203237517", "000000000000000"]);
    check("npi", npi, &["1234567893"], &["1234567890", "9234567893"]);
    check("aba", aba, &["021000021", "011401533"], &["021000022", "991000021"]);
}

#[test]
fn us_numbers() {
    check(
        "ssn",
        ssn,
        &["536-90-4399"],
        &["000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "078-05-1120"],
    );
    check("itin", itin, &["900-70-0000", "912-94-1234"], &["800-70-0000", "900-49-0000", "900-93-0000"]);
}

#[test]
fn national_numbers() {
    check("nhs", nhs, &["943 476 5919", "401 023 2137"], &["943 476 5918", "0000000000"]);
    check("de", de_tax_id, &["86095742719", "47036892816"], &["86095742718", "11111111111"]);
    check("nir", nir, &["1 84 12 76 451 089 46"], &["1 84 12 76 451 089 47", "9 84 12 76 451 089 46"]);
    check("bsn", bsn, &["111222333"], &["111222334", "000000000"]);
    check("pesel", pesel, &["44051401359"], &["44051401358", "44151401359"]);
    check("be", be_nrn, &["85.07.30-033 28"], &["85.07.30-033 27"]);
    check("ahv", ahv, &["756.9217.0769.85"], &["756.9217.0769.84", "755.9217.0769.85"]);
    check("cpr", cpr, &["070761-4285"], &["320761-4285"]);
    check("kimlik", kimlik, &["10000000146"], &["10000000145", "00000000146"]);
    check("aadhaar", aadhaar, &["2341 2341 2346"], &["2341 2341 2345", "1341 2341 2346"]);
    check("tfn", tfn, &["123 456 782"], &["123 456 783"]);
    check("abn", abn, &["51 824 753 556"], &["51 824 753 557"]);
    check("sin", sin, &["130 692 544"], &["130 692 543", "046 454 286"]);
    check("cpf", cpf, &["529.982.247-25", "111.444.777-35"], &["529.982.247-24", "111.111.111-11"]);
    check("korea", korea, &["900101-1234567"], &["901301-1234567", "900101-9234567"]);
    check("south africa", south_africa, &["8001015009087"], &["8001015009086", "8013015009087"]);
    check("japan", my_number, &["123456789018"], &["123456789019"]);
    // These have a shorter or a longer form too, so that `check` would call it a fault.
    assert!(personnummer(&digits("811228-9874")) && personnummer(&digits("19811228-9874")));
    assert!(!personnummer(&digits("811228-9875")) && !personnummer(&digits("811328-9874")));
    assert!(
        au_medicare(&digits("2123 45670 1")) && !au_medicare(&digits("2123 45671 1")) && !au_medicare(&digits("7123 45670 1"))
    );
    assert!(china(&digits("11010519491231002"), true) && !china(&digits("11010519491231002"), false));
    assert!(!china(&digits("110105194912310021"), false) && !china(&digits("11010519491331002"), true));
}

#[test]
fn norwegian_numbers_need_both_check_digits() {
    // Tenor's synthetic numbers add 80 to the month; a plain one is made here from its definition.
    let body = [0_u8, 1, 0, 1, 0, 7, 5, 0, 1];
    let first = (11 - weighted(&body, &[3, 7, 6, 1, 8, 9, 4, 5, 2]) % 11) % 11;
    let mut whole = body.to_vec();
    whole.push(u8::try_from(first).unwrap());
    let second = (11 - weighted(&whole, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    whole.push(u8::try_from(second).unwrap());
    assert!(fodselsnummer(&whole));
    whole[4] ^= 1;
    assert!(!fodselsnummer(&whole));
}

fn check_codes(name: &str, rule: OfDigits, right: &[&str], wrong: &[&str]) {
    for text in right {
        assert!(rule(text.as_bytes()), "{name}: {text} should hold");
        assert!(!rule(&text.as_bytes()[..text.len() - 1]), "{name}: {text} is too short");
    }
    for text in wrong {
        assert!(!rule(text.as_bytes()), "{name}: {text} should not hold");
    }
    for text in ["", "A", "999999999", "~~~~~~~~~~~~~~~~", "ÄÖÜ"] {
        assert!(!rule(text.as_bytes()), "{name}: `{text}` should not hold");
    }
}

#[test]
fn codes() {
    let ibans = ["GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947"];
    check_codes(
        "iban",
        iban,
        &ibans,
        &["GB82WEST12345698765431", "GB82WEST1234569876543", "ZZ82WEST12345698765432", "gb82west12345698765432"],
    );
    check_codes("dni", dni, &["12345678Z"], &["12345678A"]);
    check_codes("nie", nie, &["X1234567L"], &["X1234567M", "A1234567L"]);
    check_codes("nino", nino, &["AB123456C"], &["QQ123456C", "GB123456C", "AB123456E"]);
    check_codes("codice fiscale", codice_fiscale, &["RSSMRA85T10A562S"], &["RSSMRA85T10A562T", "RSSMRA85Z10A562S"]);
    check_codes("pan", pan, &["AAAPL1234C"], &["AAAZL1234C", "AAAPL0000C"]);
    check_codes("nric", nric, &["S1234567D", "G1234567X"], &["S1234567E", "A1234567D"]);
    check_codes("curp", curp, &["HEGG560427MVZRRL04"], &["HEGG560427MVZRRL05", "HEGG561327MVZRRL04"]);
    check_codes("hetu", hetu, &["131052-308T"], &["131052-308U", "321052-308T"]);
    check_codes("vin", vin, &["1M8GDM9AXKP042788"], &["1M8GDM9A1KP042788", "11111111111111111"]);
    assert!(icd10(b"E11") && icd10(b"E11.9") && icd10(b"S72.001A") && icd10(b"C7A.1"));
    assert!(!icd10(b"E1") && !icd10(b"11E") && !icd10(b"E11.") && !icd10(b"E119") && !icd10(b"E11.12345"));
}

#[test]
fn wallets() {
    let genesis = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
    check_codes(
        "base58check",
        base58check,
        &[genesis],
        &["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "0A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"],
    );
    let segwit = ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"];
    check_codes("bech32", bech32, &segwit, &["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"]);
    check_codes(
        "ethereum",
        ethereum,
        &["0x52908400098527886E0F7030069857D2E4169EE7"],
        &["0x0000000000000000000000000000000000000000"],
    );
}
